// The client against a real kube-apiserver: what the unit tests claim that servers do, they do.
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/thread_runtime.h"
#include "catch.h"
#include "e2e/control_plane.h"
#include "http/client.h"
#include "kube/apply_set.h"
#include "kube/discovery.h"
#include "kube/lease.h"
#include "kube/watch.h"
#include "kube/window.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

using value::Value;

const GroupVersionResource kConfigMaps{"", "v1", "configmaps"};
const GroupVersionResource kNamespaces{"", "v1", "namespaces"};
const GroupVersionResource kDeployments{"apps", "v1", "deployments"};
const GroupVersionResource kSecrets{"", "v1", "secrets"};

// One server for the whole process; each test has a namespace of its own.
struct Server {
  Server() : http(http::NewHttpClient(runtime)), plane(runtime, *http, {}) {}
  static Server& Get() {
    static Server server;
    return server;
  }
  ThreadRuntime runtime;
  std::unique_ptr<http::HttpClient> http;
  e2e::ControlPlane plane;
};

struct Contract {
  explicit Contract(std::string name) : ns(std::move(name)) {
    REQUIRE(client.Do(CreateRequest(kNamespaces, "",
                                    fmt::format(R"({{"apiVersion":"v1","kind":"Namespace",)"
                                                R"("metadata":{{"name":"{}"}}}})",
                                                ns)),
                      {}));
  }

  std::string Map(const std::string& name, const std::string& text,
                  const std::string& metadata = "") const {
    return fmt::format(R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{}"{}}},)"
                       R"("data":{{"a":{}}}}})",
                       name, metadata, value::ToJson(Value(text)));
  }
  Result<Value> Apply(const std::string& name, const std::string& text, WriteOptions options = {},
                      const std::string& metadata = "") {
    return client.Do(
        ApplyRequest(kConfigMaps, {ns, name}, Map(name, text, metadata), std::move(options)), {});
  }

  Server& server = Server::Get();
  Runtime& runtime = server.runtime;
  Client& client = server.plane.hub().admin();
  const std::string ns;
};

Reason Why(const Result<Value>& result) {
  if (result) return Reason::kNone;
  INFO(result.error().ToString());
  return ReasonOf(result.error());
}

#define CHECK_REASON(result, reason) \
  CHECK(std::string(ToString(Why(result))) == ToString(Reason::reason))

TEST_CASE("discovery finds what is served, in two requests") {
  Contract on("discovery");
  Discovery discovery(on.client);
  const auto map = discovery.Get({});
  REQUIRE(map);
  const ApiResource* deployment = (*map)->Find(GroupKind{"apps", "Deployment"});
  REQUIRE(deployment);
  CHECK(deployment->gvr == kDeployments);
  CHECK(deployment->HasVerb("patch"));
  CHECK(deployment->HasSubresource("scale"));
  CHECK((*map)->FindByName("cm")->gvr == kConfigMaps);
  CHECK_FALSE((*map)->Find(GroupKind{"", "Namespace"})->namespaced);
  CHECK(*discovery.SupportsDryRun({"apps", "v1", "Deployment"}, {}));
}

TEST_CASE("a kind that appears later is found, and OpenAPI says that it has dry-run") {
  Contract on("later-kind");
  Discovery discovery(on.client);
  REQUIRE(discovery.Get({}));
  on.server.plane.hub().Apply(R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.contract.example}
spec:
  group: contract.example
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {n: {type: integer}}}}}}
)");
  const GroupVersionKind widget{"contract.example", "v1", "Widget"};
  const TimePoint deadline = on.runtime.Now() + 30s;
  Result<ApiResource> found = discovery.Resolve(widget, {});
  while (!found && on.runtime.Now() < deadline) {
    on.runtime.SleepFor(200ms, {});
    found = discovery.Resolve(widget, {});
  }
  REQUIRE(found);
  CHECK(found->gvr.resource == "widgets");
  bool dry_run = false;
  while (!dry_run && on.runtime.Now() < deadline) {
    dry_run = discovery.SupportsDryRun(widget, {}).value_or(false);
    if (!dry_run) on.runtime.SleepFor(200ms, {});
  }
  CHECK(dry_run);
}

TEST_CASE("an apply makes, changes, and conflicts with other managers") {
  Contract on("apply");
  const auto made = on.Apply("c", "1");
  REQUIRE(made);
  CHECK(made->At("data", "a").String() == "1");
  CHECK(on.Apply("c", "2")->At("data", "a").String() == "2");

  const auto other = on.Apply("c", "3", {.field_manager = "somebody"});
  CHECK_REASON(other, kApplyConflict);
  CHECK(StatusOf(other.error())->conflicts == std::vector<FieldConflict>{{"flotilla", ".data.a"}});
  CHECK(on.Apply("c", "3", {.force = true, .field_manager = "somebody"}));
}

TEST_CASE("a dry-run changes nothing") {
  Contract on("dry-run");
  REQUIRE(on.Apply("c", "1"));
  CHECK(on.Apply("c", "2", {.dry_run = true})->At("data", "a").String() == "2");
  CHECK(on.client.Get(kConfigMaps, {on.ns, "c"}, {})->At("data", "a").String() == "1");
  CHECK(on.Apply("absent", "1", {.dry_run = true}));
  CHECK_FALSE(on.client.Find(kConfigMaps, {on.ns, "absent"}, {})->has_value());
  REQUIRE(on.client.Do(DeleteRequest(kConfigMaps, {on.ns, "c"}, {.dry_run = true}), {}));
  CHECK(on.client.Find(kConfigMaps, {on.ns, "c"}, {})->has_value());
}

TEST_CASE("an apply with uid and resourceVersion meets exactly the object that was read") {
  Contract on("precondition");
  const auto made = on.Apply("c", "1");
  REQUIRE(made);
  const auto with = [](std::string_view uid, std::string_view version) {
    return fmt::format(R"(,"uid":"{}","resourceVersion":"{}")", uid, version);
  };
  const std::string uid(UidOf(*made));
  const std::string other = "1a2b3c4d-0000-0000-0000-000000000000";
  const auto moved = on.Apply("c", "2", {.force = true}, with(uid, ResourceVersionOf(*made)));
  REQUIRE(moved);
  // Again with the version before it: somebody wrote since.
  CHECK_REASON(on.Apply("c", "3", {.force = true}, with(uid, ResourceVersionOf(*made))), kConflict);
  CHECK_REASON(on.Apply("c", "3", {.force = true}, with(other, ResourceVersionOf(*moved))),
               kPreconditionFailed);
  CHECK_REASON(on.Apply("gone", "3", {}, with(other, "1")), kPreconditionFailed);
  CHECK_FALSE(on.client.Find(kConfigMaps, {on.ns, "gone"}, {})->has_value());
}

TEST_CASE("a delete meets exactly the object that was read") {
  Contract on("delete");
  const auto made = on.Apply("c", "1");
  REQUIRE(made);
  const auto remove = [&](std::string uid, std::string version) {
    return on.client.Do(DeleteRequest(kConfigMaps, {on.ns, "c"},
                                      {.uid = std::move(uid), .resource_version = version}),
                        {});
  };
  CHECK_REASON(remove("1a2b3c4d-0000-0000-0000-000000000000", ""), kPreconditionFailed);
  CHECK_REASON(remove("", "1"), kConflict);
  CHECK(remove(std::string(UidOf(*made)), std::string(ResourceVersionOf(*made))));
  CHECK_FALSE(on.client.Find(kConfigMaps, {on.ns, "c"}, {})->has_value());
}

TEST_CASE("text that YAML reads otherwise than JSON arrives as it was") {
  Contract on("text");
  const std::string text =
      "a\xe2\x80\xa8"
      "b\xc2\x85"
      "c\x7f\xef\xbb\xbf"
      "d\te\nf \xf0\x9f\x98\x80 yes 0123 ~";
  CHECK(on.Apply("c", text)->At("data", "a").String() == text);
}

TEST_CASE("refusals are told apart") {
  Contract on("refusals");
  const auto apply = [&](const GroupVersionResource& gvr, const std::string& name,
                         const std::string& body, WriteOptions options = {}) {
    return on.client.Apply(ApplyRequest(gvr, {on.ns, name}, body, std::move(options)), {});
  };
  const std::string deployment =
      R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"LABEL"}},"template":{"metadata":{"labels":{"a":"LABEL"}},"spec":{"containers":[{"name":"x","image":"x"}]}}}})";
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = deployment;
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
      text.replace(at, from.size(), to);
    }
    return text;
  };
  CHECK(apply(kDeployments, "d", deployment));
  CHECK_REASON(apply(kDeployments, "d", with("LABEL", "other")), kImmutable);
  CHECK_REASON(apply(kDeployments, "d", with(":1,", ":-1,")), kInvalid);
  CHECK_REASON(apply(kDeployments, "d", with("\"replicas\"", "\"replica\"")), kUnknownField);
  CHECK_REASON(apply(kDeployments, "d", with(":1,", ":\"1\",")), kInvalid);
  CHECK_REASON(
      apply(
          kSecrets, "s",
          R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"p":"hunter2!"}})"),
      kInvalid);
  const auto leak = apply(
      kSecrets, "s",
      R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"p":1234567}})");
  CHECK_REASON(leak, kInvalid);
  CHECK(leak.error().ToString().find("1234567") == std::string::npos);

  ApiRequest elsewhere = ApplyRequest(kConfigMaps, {"nowhere", "c"}, on.Map("c", "1"));
  CHECK_REASON(on.client.Do(elsewhere, {}), kNamespaceNotFound);
  CHECK_REASON(on.client.Get(kConfigMaps, {on.ns, "absent"}, {}), kNotFound);
  CHECK_REASON(on.client.Get({"", "v1", "widgets"}, {on.ns, "x"}, {}), kNoSuchApi);
  CHECK_REASON(on.client.Get({"no.group", "v1", "widgets"}, {on.ns, "x"}, {}), kNoSuchApi);
  REQUIRE(on.Apply("c", "1"));
  CHECK_REASON(on.client.Do(CreateRequest(kConfigMaps, on.ns, on.Map("c", "1")), {}),
               kAlreadyExists);
  CHECK_REASON(on.client.Do(UpdateRequest(kConfigMaps, {on.ns, "c"},
                                          on.Map("c", "1", R"(,"resourceVersion":"1")")),
                            {}),
               kConflict);
  CHECK_REASON(apply(kConfigMaps, "big", on.Map("big", std::string(3'200'000, 'x'))), kTooLarge);
  ApiRequest nobody = GetRequest(kConfigMaps, {on.ns, "c"});
  nobody.impersonation = ServiceAccount(on.ns, "nobody");
  CHECK_REASON(on.client.Do(nobody, {}), kForbidden);
}

TEST_CASE("a server that does not know us says so") {
  Contract on("unknown");
  Access access = on.server.plane.hub().AccessOf("not-a-token");
  Client stranger(on.runtime, *on.server.http, access);
  CHECK_REASON(stranger.Get(kConfigMaps, {on.ns, "c"}, {}), kUnauthorized);
}

TEST_CASE("lists come in pages, whole or as metadata") {
  Contract on("lists");
  for (int i = 0; i < 23; ++i) REQUIRE(on.Apply(fmt::format("c{:02}", i), "text"));
  for (const bool metadata_only : {false, true}) {
    int pages = 0;
    std::vector<std::string> names;
    bool has_data = false;
    REQUIRE(on.client.ForEachPage(kConfigMaps, "ConfigMap", on.ns,
                                  {.metadata_only = metadata_only, .page = 5}, {},
                                  [&](bool, ListPage page) {
                                    ++pages;
                                    for (const Value& item : page.items) {
                                      if (NameOf(item) == "kube-root-ca.crt") continue;
                                      names.emplace_back(NameOf(item));
                                      has_data = has_data || item["data"];
                                    }
                                    return Status();
                                  }));
    CHECK(pages == 5);
    CHECK(names.size() == 23);
    CHECK(std::set<std::string>(names.begin(), names.end()).size() == 23);
    CHECK(has_data != metadata_only);
  }
}

struct Ears final : WatchHandler {
  explicit Ears(Runtime& r) : runtime(r), changed(r.NewEvent()) {}
  void OnApply(Value object) override { Tell('+' + std::string(NameOf(object)) + Data(object)); }
  void OnDelete(const ObjectKey& key, value::Ref) override { Tell('-' + key.name); }
  void OnSynced() override { Tell("synced"); }
  void OnTrouble(const Error& error) override {
    MutexLock lock(mutex);
    troubles += error.ToString() + '\n';
  }
  // What is wrong with an object makes it another one than expected: Catch is for one thread.
  static std::string Data(value::Ref object) {
    std::string text = object["data"] ? '=' + object.At("data", "a").Text() : "";
    if (GvkOf(object) != GroupVersionKind{"", "v1", "ConfigMap"}) text += " of no kind";
    if (object.At("metadata", "managedFields")) text += " with managed fields";
    return text;
  }
  void Tell(const std::string& what) {
    MutexLock lock(mutex);
    heard.insert(what);
    changed->Set();
  }
  bool Hears(const std::string& what) {
    const TimePoint deadline = runtime.Now() + 20s;
    for (;;) {
      {
        MutexLock lock(mutex);
        if (heard.count(what) != 0) return true;
        changed->Reset();
      }
      if (changed->Wait(deadline, {}) != WaitResult::kSet) return false;
    }
  }
  Runtime& runtime;
  const std::unique_ptr<Event> changed;
  Mutex mutex;
  std::set<std::string> heard;
  std::string troubles;
};

TEST_CASE("a watch tells what exists and what changes") {
  for (const bool metadata_only : {false, true}) {
    for (const bool watch_list : {false, true}) {
      INFO("metadata only " << metadata_only << ", beginning with the list " << watch_list);
      Contract on(fmt::format("watch-{}-{}", metadata_only ? 1 : 0, watch_list ? 1 : 0));
      const std::string data = metadata_only ? "" : "=1";
      REQUIRE(on.Apply("before", "1"));
      Timers timers(on.runtime);
      WatchPool pool(on.runtime, timers);
      Ears ears(on.runtime);
      WatchOptions options;
      options.resource = kConfigMaps;
      options.kind = "ConfigMap";
      options.ns = on.ns;
      options.metadata_only = metadata_only;
      options.protocol.watch_list = watch_list;
      const auto watch = pool.Start(on.client, std::move(options), ears);
      CHECK(ears.Hears("+before" + data));
      CHECK(ears.Hears("synced"));
      REQUIRE(on.Apply("after", "1"));
      CHECK(ears.Hears("+after" + data));
      if (!metadata_only) {
        REQUIRE(on.Apply("after", "2"));
        CHECK(ears.Hears("+after=2"));
      }
      REQUIRE(on.client.Do(DeleteRequest(kConfigMaps, {on.ns, "before"}), {}));
      CHECK(ears.Hears("-before"));
      CHECK(watch->health().synced);
      MutexLock lock(ears.mutex);
      // Servers of 1.27 refuse to begin with the list; nothing else may go wrong.
      const bool refused =
          ears.troubles.find("sendInitialEvents is forbidden") != std::string::npos;
      CHECK((ears.troubles.empty() || (watch_list && refused)));
    }
  }
}

TEST_CASE("a window applies hundreds of objects") {
  Contract on("window");
  Timers timers(on.runtime);
  Client own(on.runtime, *on.server.http, on.client.access(), {.connections = 128});
  Window window(on.runtime, timers, own, RollbackWindow());
  std::vector<ApiRequest> wave;
  for (int i = 0; i < 300; ++i) {
    const std::string name = fmt::format("c{}", i);
    wave.push_back(ApplyRequest(kConfigMaps, {on.ns, name}, on.Map(name, "x")));
  }
  int good = 0;
  for (const auto& result : window.RunWave(std::move(wave), on.runtime.Now() + 60s, {})) {
    good += result.has_value();
  }
  CHECK(good == 300);
  CHECK(on.client.List(kConfigMaps, "ConfigMap", on.ns, {}, {})->items.size() >= 300);
}

TEST_CASE("one of two candidates leads, and the other follows when it lets go") {
  Contract on("election");
  struct Candidate {
    Candidate(Contract& contract, const std::string& name)
        : client(contract.runtime, *contract.server.http, contract.client.access(),
                 {.connections = 1}),
          options{.ns = contract.ns, .name = "leader", .identity = name},
          elected(contract.runtime.NewEvent()) {
      events.on_elected = [this](LeaderToken) { elected->Set(); };
      task = contract.runtime.Spawn(name, [this, &contract](std::stop_token stop) {
        end = RunElection(contract.runtime, client, options, events, std::move(stop));
      });
    }
    Client client;
    LeaseOptions options;
    LeaderEvents events;
    std::unique_ptr<Event> elected;
    Status end;
    std::unique_ptr<Task> task;
  };
  Candidate one(on, "one");
  REQUIRE(one.elected->Wait(on.runtime.Now() + 10s, {}) == WaitResult::kSet);
  Candidate two(on, "two");
  on.runtime.SleepFor(2s, {});
  CHECK_FALSE(two.elected->IsSet());
  one.task->RequestStop();
  one.task->Join();
  CHECK(one.end);
  CHECK(two.elected->Wait(on.runtime.Now() + 3s, {}) == WaitResult::kSet);
  const auto lease = on.client.Get({"coordination.k8s.io", "v1", "leases"}, {on.ns, "leader"}, {});
  CHECK(lease->At("spec", "holderIdentity").String() == "two");
}

TEST_CASE("a parent of an ApplySet is stored, read back and swapped") {
  Contract on(kParentNamespace);
  Parent parent;
  parent.name = ParentName("hub", "web", "shop");
  parent.hub_uid = "hub";
  parent.application_ns = "web";
  parent.application = "shop";
  parent.fence = 1;
  // Enough that a second ConfigMap is needed.
  for (int i = 0; i < 16'000; ++i) {
    const std::string noise = DigestOf(std::to_string(i)).Hex();
    parent.inventory.push_back({{"", "ConfigMap", "web", "c-" + noise},
                                noise.substr(0, 36),
                                DigestOf(noise).Hex(),
                                i,
                                noise});
  }
  auto encoded = Encode(parent);
  REQUIRE(encoded);
  REQUIRE_FALSE(encoded->chunks.empty());
  for (const Value& chunk : encoded->chunks) {
    REQUIRE(on.client.Do(CreateRequest(kConfigMaps, kParentNamespace, value::ToJson(chunk)), {}));
  }
  const auto stored = on.client.Do(
      CreateRequest(kConfigMaps, kParentNamespace, value::ToJson(encoded->config_map)), {});
  REQUIRE(stored);
  auto head = DecodeHead(*stored);
  REQUIRE(head);
  std::vector<Value> chunks;
  for (const std::string& name : head->parent.chunks) {
    chunks.push_back(*on.client.Get(kConfigMaps, {kParentNamespace, name}, {}));
  }
  auto read = Decode(*std::move(head), chunks);
  REQUIRE(read);
  CHECK(read->inventory.size() == 16'000);

  const auto swap = [&](int64_t fence) {
    Parent next = *read;
    next.fence = fence;
    next.inventory.clear();
    return on.client.Do(UpdateRequest(kConfigMaps, {kParentNamespace, next.name},
                                      value::ToJson(Encode(next)->config_map)),
                        {});
  };
  CHECK(swap(2));
  CHECK_REASON(swap(3), kConflict);
}

}  // namespace
}  // namespace flotilla::kube
