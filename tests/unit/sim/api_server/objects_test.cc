// Create, read, update and delete, and how refusals are worded.
#include "server_fixture.h"

using namespace flotilla;
using namespace flotilla::sim;
using flotilla::value::ToJson;

TEST_CASE("an object that is created gets the metadata of a server") {
  ServerFixture api;
  Reply created = api.Post(kConfigMaps, ConfigMap("web"));
  REQUIRE(created.status == 201);
  value::Ref metadata = created.body["metadata"];
  CHECK(metadata["name"].String() == "web");
  CHECK(metadata["namespace"].String() == "default");
  CHECK(metadata["uid"].String().size() == 36);
  CHECK(metadata["creationTimestamp"].String() == "2024-10-04T00:00:00Z");
  CHECK(metadata["resourceVersion"].String() == std::to_string(api.server.resource_version()));
  CHECK(metadata["generation"].IsAbsent());
  CHECK(api.Get(std::string(kConfigMaps) + "/web").body == created.body);
}

TEST_CASE("refusals are the Status objects of a real server") {
  ServerFixture api;
  api.Post(kConfigMaps, ConfigMap("web"));
  SECTION("not found") {
    Reply reply = api.Get(std::string(kConfigMaps) + "/none");
    CHECK(reply.status == 404);
    CHECK(
        reply.text ==
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"none\" not found","reason":"NotFound","details":{"name":"none","kind":"configmaps"},"code":404})");
  }
  SECTION("not found in a group") {
    Reply reply = api.Get("/apis/apps/v1/namespaces/default/deployments/none");
    CHECK(
        reply.text ==
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"none\" not found","reason":"NotFound","details":{"name":"none","group":"apps","kind":"deployments"},"code":404})");
  }
  SECTION("unknown resource") {
    Reply reply = api.Get("/apis/apps/v1/namespaces/default/nothings/x");
    CHECK(
        reply.text ==
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404})");
  }
  SECTION("already exists") {
    Reply reply = api.Post(kConfigMaps, ConfigMap("web"));
    CHECK(
        reply.text ==
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"web\" already exists","reason":"AlreadyExists","details":{"name":"web","kind":"configmaps"},"code":409})");
  }
  SECTION("conflict") {
    Reply reply = api.Put(
        std::string(kConfigMaps) + "/web",
        R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"web","resourceVersion":"1"}})");
    CHECK(
        reply.text ==
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on configmaps \"web\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","details":{"name":"web","kind":"configmaps"},"code":409})");
  }
  SECTION("invalid") {
    Reply reply =
        api.Post("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
                 R"({"metadata":{"name":"r"},"rules":[{"apiGroups":[""],"resources":["pods"]}]})");
    CHECK(
        reply.text ==
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Role.rbac.authorization.k8s.io \"r\" is invalid: rules[0].verbs: Required value: verbs must contain at least one value","reason":"Invalid","details":{"name":"r","group":"rbac.authorization.k8s.io","kind":"Role","causes":[{"reason":"FieldValueRequired","message":"Required value: verbs must contain at least one value","field":"rules[0].verbs"}]},"code":422})");
  }
  SECTION("a namespace that does not exist") {
    Reply reply = api.Post("/api/v1/namespaces/none/configmaps", ConfigMap("web"));
    CHECK(
        reply.text ==
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"namespaces \"none\" not found","reason":"NotFound","details":{"name":"none","kind":"namespaces"},"code":404})");
  }
}

TEST_CASE("a name is generated from generateName") {
  ServerFixture api;
  Reply created = api.Post(kConfigMaps, R"({"metadata":{"generateName":"job-"}})");
  REQUIRE(created.status == 201);
  std::string name = created.body["metadata"]["name"].Text();
  CHECK(name.size() == 9);
  CHECK(name.substr(0, 4) == "job-");
}

TEST_CASE("the same seed gives the same bytes") {
  ServerFixture a, b;
  CHECK(a.Post(kConfigMaps, ConfigMap("web")).text == b.Post(kConfigMaps, ConfigMap("web")).text);
  ApiServerOptions other;
  other.seed = 2;
  ServerFixture c(other);
  CHECK(c.Post(kConfigMaps, ConfigMap("web")).body["metadata"]["uid"] !=
        a.Get(std::string(kConfigMaps) + "/web").body["metadata"]["uid"]);
}

TEST_CASE("an update moves the resourceVersion only when it changes something") {
  ServerFixture api;
  Reply created = api.Post(kConfigMaps, ConfigMap("web"));
  std::string path = std::string(kConfigMaps) + "/web";
  Reply same = api.Put(path, created.text);
  CHECK(same.status == 200);
  CHECK(same.body == created.body);
  Reply changed = api.Put(path, ConfigMap("web", "2"));
  CHECK(changed.status == 200);
  CHECK(changed.body["metadata"]["resourceVersion"] != created.body["metadata"]["resourceVersion"]);
  CHECK(changed.body["metadata"]["uid"] == created.body["metadata"]["uid"]);
  CHECK(changed.body["data"]["key"].String() == "2");
}

TEST_CASE("generation counts changes of the spec, not of metadata or status") {
  ServerFixture api;
  std::string all = "/apis/apps/v1/namespaces/default/deployments";
  Reply created =
      api.Post(all, R"({"metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"a":"b"}},
      "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}}})");
  REQUIRE(created.status == 201);
  CHECK(created.body["metadata"]["generation"].Int() == 1);
  auto patch = [&](const char* body, const char* sub = "") {
    return api.Patch(all + "/web" + sub, "merge-patch+json", body)
        .body["metadata"]["generation"]
        .Int();
  };
  CHECK(patch(R"({"metadata":{"labels":{"x":"y"}}})") == 1);
  CHECK(patch(R"({"status":{"replicas":7}})") == 1);
  CHECK(patch(R"({"status":{"replicas":7}})", "/status") == 1);
  CHECK(patch(R"({"spec":{"replicas":3}})") == 2);
  CHECK(patch(R"({"spec":{"replicas":3}})") == 2);
}

TEST_CASE("status is written through its subresource only") {
  ServerFixture api;
  std::string all = "/apis/batch/v1/namespaces/default/cronjobs";
  Reply created = api.Post(
      all, R"({"metadata":{"name":"c"},"status":{"lastScheduleTime":"2024-01-01T00:00:00Z"},
      "spec":{"schedule":"* * * * *","jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",
      "containers":[{"name":"c","image":"i"}]}}}}}})");
  REQUIRE(created.status == 201);
  CHECK(created.body["status"].size() == 0);
  Reply main = api.Patch(all + "/c", "merge-patch+json",
                         R"({"status":{"lastScheduleTime":"2024-01-01T00:00:00Z"}})");
  CHECK(main.body["status"].size() == 0);
  Reply status = api.Patch(
      all + "/c/status", "merge-patch+json",
      R"({"spec":{"schedule":"1 * * * *"},"status":{"lastScheduleTime":"2024-01-01T00:00:00Z"}})");
  CHECK(status.body["status"]["lastScheduleTime"].String() == "2024-01-01T00:00:00Z");
  CHECK(status.body["spec"]["schedule"].String() == "* * * * *");
}

TEST_CASE("unknown fields are warned of, refused or ignored as the client asks") {
  ServerFixture api;
  std::string body = R"({"metadata":{"name":"web"},"dota":{}})";
  Reply warned = api.Post(kConfigMaps, body);
  CHECK(warned.status == 201);
  CHECK(warned.header("Warning") == R"(299 - "unknown field \"dota\"")");
  CHECK(warned.body["dota"].IsAbsent());
  Reply strict = api.Post(std::string(kConfigMaps) + "?fieldValidation=Strict", body);
  CHECK(strict.status == 400);
  CHECK(
      strict.body["message"].String() ==
      R"(ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dota")");
  Reply ignored = api.Put(std::string(kConfigMaps) + "/web?fieldValidation=Ignore", body);
  CHECK(ignored.header("Warning").empty());
}

TEST_CASE("a value of the wrong type is a bad request") {
  ServerFixture api;
  Reply reply = api.Post(kConfigMaps, R"({"metadata":{"name":"web"},"data":{"a":1}})");
  CHECK(reply.status == 400);
  CHECK(reply.body["reason"].String() == "BadRequest");
}

TEST_CASE("a dry run answers as the write would, and changes nothing") {
  ServerFixture api;
  Reply created = api.Post(std::string(kConfigMaps) + "?dryRun=All", ConfigMap("web"));
  CHECK(created.status == 201);
  CHECK(created.body["metadata"]["uid"]);
  CHECK(created.body["metadata"]["resourceVersion"].IsAbsent());
  CHECK(api.Get(std::string(kConfigMaps) + "/web").status == 404);
  api.Post(kConfigMaps, ConfigMap("web"));
  uint64_t version = api.server.resource_version();
  Reply put = api.Put(std::string(kConfigMaps) + "/web?dryRun=All", ConfigMap("web", "2"));
  CHECK(put.body["data"]["key"].String() == "2");
  CHECK(api.Delete(std::string(kConfigMaps) + "/web?dryRun=All").status == 200);
  CHECK(api.server.resource_version() == version);
  CHECK(api.Get(std::string(kConfigMaps) + "/web").body["data"]["key"].String() == "1");
}

TEST_CASE("deleting answers with what is gone") {
  ServerFixture api;
  Reply created = api.Post(kConfigMaps, ConfigMap("web"));
  Reply deleted = api.Delete(std::string(kConfigMaps) + "/web");
  CHECK(
      deleted.text ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","details":{"name":"web","kind":"configmaps","uid":")" +
          created.body["metadata"]["uid"].Text() + R"("}})");
  CHECK(api.Delete(std::string(kConfigMaps) + "/web").status == 404);
}

TEST_CASE("preconditions guard a deletion") {
  ServerFixture api;
  Reply created = api.Post(kConfigMaps, ConfigMap("web"));
  std::string path = std::string(kConfigMaps) + "/web";
  Reply refused = api.Delete(path, R"({"preconditions":{"uid":"other"}})");
  CHECK(refused.status == 409);
  CHECK(refused.body["reason"].String() == "Conflict");
  CHECK(refused.body["message"].String() ==
        "Operation cannot be fulfilled on ConfigMap \"web\": the UID in the precondition (other) "
        "does "
        "not match the UID in record (" +
            created.body["metadata"]["uid"].Text() +
            "). The object might have been deleted and then recreated");
  CHECK(api.Delete(path, R"({"preconditions":{"resourceVersion":"1"}})").status == 409);
  CHECK(api.Delete(path, R"({"preconditions":{"uid":")" + created.body["metadata"]["uid"].Text() +
                             R"(","resourceVersion":")" +
                             created.body["metadata"]["resourceVersion"].Text() + R"("}})")
            .status == 200);
}

TEST_CASE("a finalizer keeps an object until it is taken off") {
  ServerFixture api;
  api.Post(kConfigMaps, R"({"metadata":{"name":"web","finalizers":["example.com/wait"]}})");
  std::string path = std::string(kConfigMaps) + "/web";
  Reply deleted = api.Delete(path);
  CHECK(deleted.status == 200);
  CHECK(deleted.body["kind"].String() == "ConfigMap");
  CHECK(deleted.body["metadata"]["deletionTimestamp"]);
  CHECK(api.Get(path).status == 200);
  CHECK(api.Patch(path, "merge-patch+json",
                  R"({"metadata":{"finalizers":["example.com/wait","example.com/new"]}})")
            .status == 422);
  CHECK(api.Patch(path, "merge-patch+json", R"({"metadata":{"finalizers":null}})").status == 200);
  CHECK(api.Get(path).status == 404);
}

TEST_CASE("dependents go with their last owner") {
  ServerFixture api;
  std::string owner = api.Post(kConfigMaps, ConfigMap("owner")).body["metadata"]["uid"].Text();
  std::string reference =
      R"({"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":")" + owner + "\"}";
  auto dependent = [&](const char* name, const std::string& references) {
    REQUIRE(api.Post(kConfigMaps, std::string(R"({"metadata":{"name":")") + name +
                                      R"(","ownerReferences":[)" + references + "]}}")
                .status == 201);
  };
  std::string second = api.Post(kConfigMaps, ConfigMap("second")).body["metadata"]["uid"].Text();
  dependent("one", reference);
  dependent("both", reference +
                        R"(,{"apiVersion":"v1","kind":"ConfigMap","name":"second","uid":")" +
                        second + "\"}");
  SECTION("in the background") {
    api.Delete(std::string(kConfigMaps) + "/owner");
    CHECK(api.Get(std::string(kConfigMaps) + "/one").status == 404);
    CHECK(api.Get(std::string(kConfigMaps) + "/both").body["metadata"]["ownerReferences"].size() ==
          1);
  }
  SECTION("orphaned") {
    api.Delete(std::string(kConfigMaps) + "/owner?propagationPolicy=Orphan");
    CHECK(api.Get(std::string(kConfigMaps) + "/owner").status == 404);
    CHECK(
        api.Get(std::string(kConfigMaps) + "/one").body["metadata"]["ownerReferences"].IsAbsent());
  }
  SECTION("in the foreground, the owner waits") {
    api.Patch(std::string(kConfigMaps) + "/one", "merge-patch+json",
              R"({"metadata":{"finalizers":["example.com/wait"]}})");
    api.Delete(std::string(kConfigMaps) + "/owner", R"({"propagationPolicy":"Foreground"})");
    CHECK(api.Get(std::string(kConfigMaps) + "/owner").status == 200);
    api.Patch(std::string(kConfigMaps) + "/one", "merge-patch+json",
              R"({"metadata":{"finalizers":null}})");
    CHECK(api.Get(std::string(kConfigMaps) + "/one").status == 404);
    CHECK(api.Get(std::string(kConfigMaps) + "/owner").status == 404);
  }
}

TEST_CASE("a namespace goes when it is empty, and takes no new content meanwhile") {
  ServerFixture api;
  REQUIRE(api.Post("/api/v1/namespaces", R"({"metadata":{"name":"ns"}})").status == 201);
  std::string all = "/api/v1/namespaces/ns/configmaps";
  REQUIRE(
      api.Post(all, R"({"metadata":{"name":"web","finalizers":["example.com/wait"]}})").status ==
      201);
  REQUIRE(api.Post(all, ConfigMap("free")).status == 201);
  Reply deleted = api.Delete("/api/v1/namespaces/ns");
  CHECK(deleted.body["status"]["phase"].String() == "Terminating");
  CHECK(api.Get(all + "/free").status == 404);
  Reply refused = api.Post(all, ConfigMap("new"));
  CHECK(refused.status == 403);
  CHECK(refused.body["details"]["causes"][size_t{0}]["reason"].String() == "NamespaceTerminating");
  api.Patch(all + "/web", "merge-patch+json", R"({"metadata":{"finalizers":null}})");
  CHECK(api.Get("/api/v1/namespaces/ns").status == 404);
}

TEST_CASE("every write that is accepted is audited, and dry runs are not") {
  ServerFixture api;
  std::vector<std::string> seen;
  api.server.OnAudit([&](const AuditRecord& record) {
    seen.push_back(record.request.verb + " " + record.request.resource + "/" + record.name +
                   " by " + record.user.name + (record.before ? " was" : "") +
                   (record.after ? " is" : ""));
  });
  api.Post(kConfigMaps, ConfigMap("web"));
  api.Post(std::string(kConfigMaps) + "?dryRun=All", ConfigMap("dry"));
  api.Post(kConfigMaps, ConfigMap("web"));
  api.Put(std::string(kConfigMaps) + "/web", ConfigMap("web", "2"));
  api.Delete(std::string(kConfigMaps) + "/web");
  CHECK(seen == std::vector<std::string>{"create configmaps/web by system:anonymous is",
                                         "update configmaps/web by system:anonymous was is",
                                         "delete configmaps/web by system:anonymous was"});
  CHECK(api.server.counters().requests == 5);
}

TEST_CASE("a fault callback answers instead of the server") {
  ServerFixture api;
  api.server.OnRequest(
      [](const RequestInfo& info, const User&) -> std::optional<http::ServerResponse> {
        if (info.verb != "create" || info.resource != "configmaps") return std::nullopt;
        return http::ServerResponse{429, {{"Retry-After", "1"}}, "", {}};
      });
  CHECK(api.Post(kConfigMaps, ConfigMap("web")).status == 429);
  CHECK(api.Get(std::string(kConfigMaps) + "/web").status == 404);
}
