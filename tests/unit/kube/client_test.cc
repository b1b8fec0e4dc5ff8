// What goes over the wire for each kind of request, and what comes back.
#include "kube/client.h"

#include <string>
#include <utility>
#include <vector>

#include "catch.h"
#include "world.h"

namespace flotilla::kube {
namespace {

using http::Method;
using http::ServerRequest;

std::string Header(const ServerRequest& request, std::string_view name) {
  return std::string(http::Find(request.headers, name));
}

struct ClientWorld : World {
  explicit ClientWorld(ClientOptions options = {})
      : client(runtime, *http, Anonymous(), std::move(options)) {}
  Client client;
};

TEST_CASE("paths name group, version, namespace, resource and object") {
  CHECK(ObjectPath(kConfigMaps, {"web", "c"}) == "/api/v1/namespaces/web/configmaps/c");
  CHECK(ObjectPath(kDeployments, {"web", "front"}, "status") ==
        "/apis/apps/v1/namespaces/web/deployments/front/status");
  CHECK(ObjectPath({"", "v1", "namespaces"}, {"", "web"}) == "/api/v1/namespaces/web");
  CHECK(CollectionPath(kConfigMaps, "") == "/api/v1/configmaps");
  // Names of RBAC objects may hold almost anything.
  CHECK(ObjectPath({"rbac.authorization.k8s.io", "v1", "clusterroles"}, {"", "system:a/b"}) ==
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aa%2Fb");
}

TEST_CASE("apiVersion has one slash or none") {
  CHECK(*ParseApiVersion("v1") == GroupVersion{"", "v1"});
  CHECK(*ParseApiVersion("apps/v1") == GroupVersion{"apps", "v1"});
  for (const char* wrong : {"", "/v1", "apps/", "a/b/c"}) {
    INFO(wrong);
    CHECK_FALSE(ParseApiVersion(wrong));
  }
}

TEST_CASE("an object is named without its version") {
  const value::Value object = *value::ParseJson(
      R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"web","name":"front"}})");
  CHECK(IdOf(object) == ObjectId{"apps", "Deployment", "web", "front"});
  CHECK(IdOf(object).ToString() == "Deployment.apps web/front");
  CHECK(GvkOf(object).ToString() == "apps/v1 Deployment");
}

TEST_CASE("an apply is a PATCH with field manager, force, dry-run and its own deadline") {
  ClientWorld world;
  world.handler = [](const ServerRequest&) { return Answer(200, R"({"kind":"Deployment"})"); };
  const auto applied = world.client.Do(ApplyRequest(kDeployments, {"web", "front"}, R"({"a":1})",
                                                    {.dry_run = true,
                                                     .force = true,
                                                     .strict = true,
                                                     .field_manager = "flotilla-test",
                                                     .timeout = 2500ms}),
                                       {});
  REQUIRE(applied);
  CHECK((*applied)["kind"].String() == "Deployment");
  REQUIRE(world.requests.size() == 1);
  const ServerRequest& sent = world.requests[0];
  CHECK(sent.method == Method::kPatch);
  CHECK(World::Path(sent) == "/apis/apps/v1/namespaces/web/deployments/front");
  CHECK(World::Query(sent, "fieldManager") == "flotilla-test");
  CHECK(World::Query(sent, "force") == "true");
  CHECK(World::Query(sent, "dryRun") == "All");
  CHECK(World::Query(sent, "fieldValidation") == "Strict");
  CHECK(World::Query(sent, "timeout") == "2500ms");
  CHECK(Header(sent, "Content-Type") == "application/apply-patch+yaml");
  CHECK(Header(sent, "User-Agent") == "flotilla");
  CHECK(sent.body == R"({"a":1})");
}

TEST_CASE("each kind of write has its method and media type") {
  ClientWorld world;
  const auto sent = [&](ApiRequest request) {
    REQUIRE(world.client.DoRaw(std::move(request), {}));
    return fmt::format("{} {} {}", http::ToString(world.requests.back().method),
                       World::Path(world.requests.back()),
                       Header(world.requests.back(), "Content-Type"));
  };
  CHECK(sent(CreateRequest(kConfigMaps, "web", "{}")) ==
        "POST /api/v1/namespaces/web/configmaps application/json");
  CHECK(World::Query(world.requests.back(), "fieldManager") == "flotilla");
  CHECK(sent(UpdateRequest(kConfigMaps, {"web", "c"}, "{}", {}, "status")) ==
        "PUT /api/v1/namespaces/web/configmaps/c/status application/json");
  CHECK(sent(MergePatchRequest(kConfigMaps, {"web", "c"}, "{}")) ==
        "PATCH /api/v1/namespaces/web/configmaps/c application/merge-patch+json");
  CHECK(sent(JsonPatchRequest(kConfigMaps, {"web", "c"}, "[]")) ==
        "PATCH /api/v1/namespaces/web/configmaps/c application/json-patch+json");
}

TEST_CASE("a delete carries its preconditions and no field manager") {
  ClientWorld world;
  REQUIRE(world.client.Do(
      DeleteRequest(kConfigMaps, {"web", "c"},
                    {.uid = "u-1", .resource_version = "7", .propagation = "Background"}),
      {}));
  const ServerRequest& sent = world.requests.at(0);
  CHECK(sent.method == Method::kDelete);
  const value::Value body = *value::ParseJson(sent.body);
  CHECK(body.At("preconditions", "uid").String() == "u-1");
  CHECK(body.At("preconditions", "resourceVersion").String() == "7");
  CHECK(body["propagationPolicy"].String() == "Background");
  CHECK(World::Query(sent, "fieldManager").empty());

  REQUIRE(world.client.Do(DeleteRequest(kConfigMaps, {"web", "c"}), {}));
  CHECK_FALSE((*value::ParseJson(world.requests.at(1).body))["preconditions"]);
}

TEST_CASE("a delete is dry by its body: with one, servers ignore the query") {
  ClientWorld world;
  REQUIRE(world.client.Do(DeleteRequest(kConfigMaps, {"web", "c"}, {.dry_run = true}), {}));
  const value::Value body = *value::ParseJson(world.requests.at(0).body);
  CHECK(body["dryRun"][size_t{0}].String() == "All");
  CHECK(body["kind"].String() == "DeleteOptions");
}

TEST_CASE("what YAML reads otherwise than JSON is escaped in an apply") {
  const auto body = [](std::string json) {
    return ApplyRequest(kConfigMaps, {"web", "c"}, std::move(json)).body;
  };
  CHECK(body(R"({"a":"plain"})") == R"({"a":"plain"})");
  CHECK(body("{\"a\":\"x\x7fy\"}") == R"({"a":"x\u007fy"})");
  CHECK(body("{\"a\":\"\xc2\x85\"}") == R"({"a":"\u0085"})");      // next line
  CHECK(body("{\"a\":\"\xe2\x80\xa8\"}") == R"({"a":"\u2028"})");  // line separator
  CHECK(body("{\"a\":\"\xef\xbb\xbf\"}") == R"({"a":"\ufeff"})");  // byte order mark
  CHECK(body("{\"a\":\"\xef\xbf\xbf\"}") == R"({"a":"\uffff"})");
  CHECK(body("{\"a\":\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"}") ==
        "{\"a\":\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"}");  // letters stay
}

TEST_CASE("a name that would make the path another one never leaves") {
  ClientWorld world;
  for (const char* name : {"..", ".", ""}) {
    INFO(name);
    const auto deleted = world.client.Do(DeleteRequest(kConfigMaps, {"web", name}), {});
    REQUIRE_FALSE(deleted);
    CHECK(deleted.error().cls == ErrorClass::kInvalid);
    CHECK(deleted.error().outcome == Outcome::kNotSent);
  }
  CHECK(world.requests.empty());
}

TEST_CASE("a request is made on behalf of whom it names, else of whom the access names") {
  World world;
  Access access = world.Anonymous();
  access.impersonation = {.user = "alice", .groups = {"dev", "ops"}, .extra = {{"a/b", {"x"}}}};
  Client client(world.runtime, *world.http, access);
  ApiRequest read = GetRequest(kConfigMaps, {"web", "c"});
  REQUIRE(client.Do(read, {}));
  read.impersonation = ServiceAccount("web", "deployer");
  REQUIRE(client.Do(read, {}));
  read.impersonation = Impersonation();
  REQUIRE(client.Do(read, {}));

  CHECK(Header(world.requests[0], "Impersonate-User") == "alice");
  CHECK(Header(world.requests[0], "Impersonate-Extra-a%2Fb") == "x");
  CHECK(Header(world.requests[1], "Impersonate-User") == "system:serviceaccount:web:deployer");
  std::vector<std::string> groups;
  for (const auto& [name, text] : world.requests[1].headers) {
    if (name == "Impersonate-Group") groups.push_back(text);
  }
  CHECK(groups == std::vector<std::string>{"system:serviceaccounts", "system:serviceaccounts:web",
                                           "system:authenticated"});
  CHECK(Header(world.requests[2], "Impersonate-User").empty());
}

TEST_CASE("metadata alone is asked for by media type") {
  ClientWorld world;
  ApiRequest get = GetRequest(kConfigMaps, {"web", "c"});
  get.metadata_only = true;
  REQUIRE(world.client.Do(get, {}));
  CHECK(Header(world.requests[0], "Accept")
            .starts_with("application/json;as=PartialObjectMetadata;"));
  REQUIRE(world.client.DoRaw(ListRequest(kConfigMaps, "", {.metadata_only = true}), {}));
  CHECK(Header(world.requests[1], "Accept")
            .starts_with("application/json;as=PartialObjectMetadataList;"));
}

TEST_CASE("the server's warnings are handed on") {
  ClientWorld world;
  world.handler = [](const ServerRequest&) {
    return Answer(200, "{}", {{"Warning", R"(299 - "unknown field \"spec.replica\"")"}});
  };
  const auto answer = world.client.DoRaw(GetRequest(kConfigMaps, {"web", "c"}), {});
  REQUIRE(answer);
  CHECK(answer->warnings == std::vector<std::string>{"unknown field \"spec.replica\""});
}

TEST_CASE("an absent object is a fact, an absent API an error") {
  ClientWorld world;
  world.handler = [](const ServerRequest& request) {
    if (World::Path(request).starts_with("/api/")) {
      return Answer(404, StatusBody(404, "NotFound", "configmaps \"c\" not found"));
    }
    return Answer(404, "404 page not found");
  };
  const auto absent = world.client.Find(kConfigMaps, {"web", "c"}, {});
  REQUIRE(absent);
  CHECK_FALSE(absent->has_value());
  CHECK_FALSE(world.client.Find(kDeployments, {"web", "front"}, {}));
}

TEST_CASE("the content of Secrets is not repeated by errors") {
  ClientWorld world;
  world.handler = [](const ServerRequest&) {
    return Answer(422, StatusBody(422, "Invalid", "Secret \"s\" is invalid: hunter2"));
  };
  const auto applied = world.client.Do(ApplyRequest({"", "v1", "secrets"}, {"web", "s"}, "{}"), {});
  REQUIRE_FALSE(applied);
  CHECK(applied.error().ToString().find("hunter2") == std::string::npos);
}

TEST_CASE("no answer within the timeout is Timeout, of a write with unknown outcome") {
  ClientWorld world;
  sim::Link link;
  link.drop_reply = 1;
  world.network.SetLink("", "", link);
  const TimePoint start = world.runtime.Now();
  const auto write = world.client.Do(UpdateRequest(kConfigMaps, {"web", "c"}, "{}"), {});
  CHECK(world.runtime.Now() - start == kRequestTimeout);
  REQUIRE_FALSE(write);
  CHECK(write.error().cls == ErrorClass::kTimeout);
  CHECK(write.error().outcome == Outcome::kUnknown);
  const auto dry =
      world.client.Do(UpdateRequest(kConfigMaps, {"web", "c"}, "{}", {.dry_run = true}), {});
  CHECK(dry.error().outcome == Outcome::kRejected);
  CHECK(world.client.Get(kConfigMaps, {"web", "c"}, {}).error().outcome == Outcome::kRejected);
}

TEST_CASE("a stop ends a request long before its timeout") {
  ClientWorld world;
  sim::Link link;
  link.black_hole = true;
  world.network.SetLink("", "", link);
  std::stop_source stop;
  const TimePoint start = world.runtime.Now();
  world.timers.At(start + 10ms, [&] { stop.request_stop(); });
  const auto answer = world.client.Get(kConfigMaps, {"web", "c"}, stop.get_token());
  REQUIRE_FALSE(answer);
  CHECK(answer.error().cls == ErrorClass::kCancelled);
  CHECK(world.runtime.Now() - start <= 60ms);
}

TEST_CASE("destroying a client ends its requests") {
  World world;
  sim::Link link;
  link.black_hole = true;
  world.network.SetLink("", "", link);
  std::optional<ErrorClass> cls;
  const TimePoint start = world.runtime.Now();
  {
    Client client(world.runtime, *world.http, world.Anonymous());
    client.Send(GetRequest(kConfigMaps, {"web", "c"}), {},
                [&](Result<ApiResponse> answer) { cls = answer.error().cls; });
  }
  CHECK(cls == ErrorClass::kCancelled);
  CHECK(world.runtime.Now() - start <= 60ms);
}

// --- lists ---

std::string Page(std::string_view names, std::string_view token, std::string_view version = "90") {
  std::vector<value::Value> items;
  for (const char name : names) {
    items.push_back(value::Value::Map(
        {{"metadata", value::Value::Map({{"name", value::Value(std::string(1, name))}})}}));
  }
  return value::ToJson(
      value::Value::Map({{"kind", value::Value("ConfigMapList")},
                         {"metadata", value::Value::Map({{"resourceVersion", value::Value(version)},
                                                         {"continue", value::Value(token)}})},
                         {"items", value::Value::List(items)}}));
}

std::string Names(const std::vector<value::Value>& items) {
  std::string names;
  for (const value::Value& item : items) names += NameOf(item);
  return names;
}

TEST_CASE("a list is read page by page, and its items say what they are") {
  ClientWorld world;
  world.handler = [](const ServerRequest& request) {
    const std::string token = World::Query(request, "continue");
    return Answer(200, token.empty()   ? Page("ab", "t1")
                       : token == "t1" ? Page("c", "t2")
                                       : Page("d", ""));
  };
  const auto list =
      world.client.List(kConfigMaps, "ConfigMap", "web", {.label_selector = "a=b", .page = 2}, {});
  REQUIRE(list);
  CHECK(Names(list->items) == "abcd");
  CHECK(list->resource_version == "90");
  CHECK(GvkOf(list->items[0]) == GroupVersionKind{"", "v1", "ConfigMap"});
  REQUIRE(world.requests.size() == 3);
  CHECK(World::Query(world.requests[0], "limit") == "2");
  CHECK(World::Query(world.requests[2], "labelSelector") == "a=b");
}

TEST_CASE("a continuation names no resourceVersion, which its token has") {
  const ApiRequest next = ListRequest(kConfigMaps, "", {.resource_version = "0"}, "token");
  for (const auto& [key, text] : next.query) CHECK(key != "resourceVersion");
}

TEST_CASE("a list that expires half-way is begun again, once") {
  ClientWorld world;
  int expired = 0;
  int expire = 1;
  world.handler = [&](const ServerRequest& request) {
    if (World::Query(request, "continue").empty()) return Answer(200, Page("ab", "t1"));
    if (expired < expire) {
      ++expired;
      return Answer(410, StatusBody(410, "Expired", "The provided continue parameter is too old"));
    }
    return Answer(200, Page("c", ""));
  };
  SECTION("and forgets what it had") {
    const auto list = world.client.List(kConfigMaps, "ConfigMap", "web", {}, {});
    REQUIRE(list);
    CHECK(Names(list->items) == "abc");
    CHECK(world.requests.size() == 4);
  }
  SECTION("but not twice") {
    expire = 2;
    const auto list = world.client.List(kConfigMaps, "ConfigMap", "web", {}, {});
    REQUIRE_FALSE(list);
    CHECK(ReasonOf(list.error()) == Reason::kExpired);
  }
}

TEST_CASE("what is no list is an error, not an empty list") {
  ClientWorld world;
  for (const char* body : {"{}", "[]", R"({"kind":"ConfigMap","items":3,"metadata":{}})", "oops"}) {
    INFO(body);
    world.handler = [&](const ServerRequest&) { return Answer(200, body); };
    CHECK_FALSE(world.client.List(kConfigMaps, "ConfigMap", "web", {}, {}));
  }
  // But the empty list that Go writes is one.
  world.handler = [](const ServerRequest&) {
    return Answer(200, R"({"metadata":{"resourceVersion":"1"},"items":null})");
  };
  CHECK(world.client.List(kConfigMaps, "ConfigMap", "web", {}, {}));
}

// --- after a write ---

TEST_CASE("an unexplained 500 to an apply is asked again, dry") {
  ClientWorld world;
  bool repeats = true;
  world.handler = [&](const ServerRequest& request) {
    const bool dry = World::Query(request, "dryRun") == "All";
    if (dry && !repeats) return Answer(200, "{}");
    return Answer(500, StatusBody(500, "", "nobody knows"));
  };
  const auto apply = [&] {
    return world.client.Apply(ApplyRequest(kConfigMaps, {"web", "c"}, "{}"), {}).error();
  };
  SECTION("and is Invalid where it repeats: nothing was written") {
    CHECK(apply().cls == ErrorClass::kInvalid);
    CHECK(apply().outcome == Outcome::kRejected);
  }
  SECTION("and stays what it was where it does not") {
    repeats = false;
    CHECK(apply().cls == ErrorClass::kUnavailable);
    CHECK(apply().outcome == Outcome::kUnknown);
  }
}

TEST_CASE("a write is read back when it can no longer take effect") {
  ClientWorld world;
  const TimePoint settled = world.runtime.Now() + 10s;
  const TimePoint give_up = world.runtime.Now() + 60s;
  int failures = 0;
  world.handler = [&](const ServerRequest&) {
    if (failures-- > 0) return Answer(503, "busy");
    return Answer(200, R"({"metadata":{"name":"c","resourceVersion":"8"}})");
  };
  const ApiRequest write = CreateRequest(kConfigMaps, "web", R"({"metadata":{"name":"c"}})");
  SECTION("not before, and the created object by its name") {
    const auto found = world.client.ReadBack(write, settled, give_up, {});
    REQUIRE(found);
    REQUIRE(found->has_value());
    CHECK(ResourceVersionOf(**found) == "8");
    CHECK(world.runtime.Now() >= settled);
    CHECK(World::Path(world.requests.at(0)) == "/api/v1/namespaces/web/configmaps/c");
  }
  SECTION("as often as it takes") {
    failures = 5;
    REQUIRE(world.client.ReadBack(write, settled, give_up, {}));
    CHECK(world.requests.size() == 6);
  }
  SECTION("until it is time to give up") {
    failures = 1000;
    const auto found = world.client.ReadBack(write, settled, give_up, {});
    REQUIRE_FALSE(found);
    CHECK(world.runtime.Now() <= give_up);
  }
  SECTION("and its absence is an answer") {
    world.handler = [](const ServerRequest&) {
      return Answer(404, StatusBody(404, "NotFound", "configmaps \"c\" not found"));
    };
    const auto found = world.client.ReadBack(write, settled, give_up, {});
    REQUIRE(found);
    CHECK_FALSE(found->has_value());
  }
}

// --- credentials ---

// Gives "Bearer <n>", where n counts renewals; stale when told.
class Rotating final : public Credentials {
 public:
  std::shared_ptr<const Proof> Current() override { return stale ? nullptr : proof; }
  Result<std::shared_ptr<const Proof>> Refresh(std::stop_token) override {
    ++renewals;
    if (fails) return Fail(ErrorClass::kUnauthenticated, "the plugin says no");
    stale = false;
    proof = std::make_shared<const Proof>(
        Proof{{{"Authorization", fmt::format("Bearer {}", renewals)}}, nullptr});
    return proof;
  }
  bool Refused(const std::shared_ptr<const Proof>&) override {
    stale = true;
    return true;
  }
  int renewals = 0;
  bool stale = true;
  bool fails = false;
  std::shared_ptr<const Proof> proof;
};

struct RotatingWorld : World {
  RotatingWorld() : credentials(std::make_shared<Rotating>()) {
    Access access = Anonymous();
    access.credentials = credentials;
    client = std::make_unique<Client>(runtime, *http, access);
  }
  std::shared_ptr<Rotating> credentials;
  std::unique_ptr<Client> client;
};

TEST_CASE("stale credentials are renewed once for all requests that wait for them") {
  RotatingWorld world;
  int answered = 0;
  for (int i = 0; i < 5; ++i) {
    world.client->Send(GetRequest(kConfigMaps, {"web", "c"}), {}, [&](Result<ApiResponse> answer) {
      CHECK(answer);
      ++answered;
    });
  }
  REQUIRE(world.runtime.RunUntil([&] { return answered == 5; }, world.runtime.Now() + 10s));
  CHECK(world.credentials->renewals == 1);
  for (const ServerRequest& request : world.requests) {
    CHECK(Header(request, "Authorization") == "Bearer 1");
  }
}

TEST_CASE("a 401 renews the credentials and sends the request again, once") {
  RotatingWorld world;
  std::string good = "Bearer 2";
  world.handler = [&](const ServerRequest& request) {
    return Header(request, "Authorization") == good
               ? Answer(200, "{}")
               : Answer(401, StatusBody(401, "Unauthorized", "Unauthorized"));
  };
  CHECK(world.client->Do(UpdateRequest(kConfigMaps, {"web", "c"}, R"({"a":1})"), {}));
  CHECK(world.requests.at(1).body == R"({"a":1})");

  good = "never";
  world.requests.clear();
  const auto refused = world.client->Get(kConfigMaps, {"web", "c"}, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().cls == ErrorClass::kUnauthenticated);
  CHECK(world.requests.size() == 2);
}

TEST_CASE("credentials that cannot be renewed fail what waits, and nothing was sent") {
  RotatingWorld world;
  world.credentials->fails = true;
  const auto answer = world.client->Get(kConfigMaps, {"web", "c"}, {});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().outcome == Outcome::kNotSent);
  CHECK(answer.error().ToString().find("the plugin says no") != std::string::npos);
  CHECK(world.requests.empty());
}

TEST_CASE("a stream with stale credentials fails, and finds them renewed soon") {
  RotatingWorld world;
  ApiRequest watch = ListRequest(kConfigMaps, "", {});
  watch.verb = Verb::kWatch;
  const auto open = [&] {
    return world.client->Open(
        watch, 10s,
        {[](const http::Response&) {}, [](std::string_view) { return http::Flow::kContinue; },
         [](Status) {}});
  };
  const auto first = open();
  REQUIRE_FALSE(first);
  CHECK(first.error().cls == ErrorClass::kUnavailable);
  REQUIRE(
      world.runtime.RunUntil([&] { return !world.credentials->stale; }, world.runtime.Now() + 10s));
  CHECK(open());
}

// --- timers and background ---

TEST_CASE("timers run in order of time, cancelled ones do not run") {
  World world;
  std::string ran;
  const TimePoint now = world.runtime.Now();
  world.timers.At(now + 30ms, [&] { ran += 'c'; });
  const Timers::Id dropped = world.timers.At(now + 20ms, [&] { ran += 'x'; });
  world.timers.At(now + 10ms, [&] {
    ran += 'a';
    world.timers.At(world.runtime.Now() + 5ms, [&] { ran += 'b'; });
  });
  CHECK(world.timers.Cancel(dropped));
  CHECK_FALSE(world.timers.Cancel(dropped));
  world.runtime.RunFor(1s);
  CHECK(ran == "abc");
}

TEST_CASE("background jobs run on no more tasks than there may be, and all of them run") {
  World world;
  int running = 0;
  int most = 0;
  int done = 0;
  {
    Background background(world.runtime, 2);
    for (int i = 0; i < 6; ++i) {
      background.Run([&](std::stop_token stop) {
        most = std::max(most, ++running);
        world.runtime.SleepFor(1s, stop);
        --running;
        ++done;
      });
    }
    world.runtime.RunFor(1500ms);
    CHECK(done == 2);
  }
  CHECK(most == 2);
  CHECK(done == 6);
}

}  // namespace
}  // namespace flotilla::kube
