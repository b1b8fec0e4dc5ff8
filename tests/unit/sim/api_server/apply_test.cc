// Server-side apply and the other patches. The contract suite compares whole objects with a real
// server; here is the meaning.
#include "server_fixture.h"

using namespace flotilla;
using namespace flotilla::sim;
using flotilla::value::ToJson;

namespace {

const std::string kPath = std::string(kConfigMaps) + "/a";

std::string Config(const std::string& data) {
  return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":)" + data + "}";
}

// "one Apply data: k l": who owns which keys of data.
std::vector<std::string> Owners(const Reply& reply) {
  std::vector<std::string> owners;
  for (value::Ref entry : reply.body["metadata"]["managedFields"].Items()) {
    std::string line = entry["manager"].Text() + " " + entry["operation"].Text();
    for (auto [key, value] : entry["fieldsV1"]["f:data"].Members()) {
      if (key != ".") line += " " + std::string(key.substr(2));
    }
    owners.push_back(line);
  }
  return owners;
}

}  // namespace

TEST_CASE("apply creates what does not exist, and is idempotent") {
  ServerFixture api;
  Reply created = api.Apply(kPath, "one", Config(R"({"k":"1"})"));
  CHECK(created.status == 201);
  CHECK(Owners(created) == std::vector<std::string>{"one Apply k"});
  api.now += 10s;
  Reply again = api.Apply(kPath, "one", Config(R"({"k":"1"})"));
  CHECK(again.status == 200);
  CHECK(again.body == created.body);
}

TEST_CASE("a field that its last applier drops is removed") {
  ServerFixture api;
  api.Apply(kPath, "one", Config(R"({"k":"1","l":"1"})"));
  Reply dropped = api.Apply(kPath, "one", Config(R"({"l":"1"})"));
  CHECK(ToJson(dropped.body["data"]) == R"({"l":"1"})");
}

TEST_CASE("a field that two appliers share stays until both drop it") {
  ServerFixture api;
  api.Apply(kPath, "one", Config(R"({"k":"1"})"));
  Reply shared = api.Apply(kPath, "two", Config(R"({"k":"1"})"));
  CHECK(Owners(shared).size() == 2);
  CHECK(api.Apply(kPath, "one", Config("{}")).body["data"]["k"].String() == "1");
  CHECK(api.Apply(kPath, "two", Config("{}")).body["data"]["k"].IsAbsent());
}

TEST_CASE("another value is a conflict that names the owner, unless it is forced") {
  ServerFixture api;
  api.Apply(kPath, "one", Config(R"({"k":"1"})"));
  Reply refused = api.Apply(kPath, "two", Config(R"({"k":"2"})"));
  CHECK(
      refused.text ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Apply failed with 1 conflict: conflict with \"one\": .data.k","reason":"Conflict","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"one\"","field":".data.k"}]},"code":409})");
  Reply forced = api.Apply(kPath, "two", Config(R"({"k":"2"})"), true);
  CHECK(forced.body["data"]["k"].String() == "2");
  CHECK(Owners(forced) == std::vector<std::string>{"two Apply k"});
}

TEST_CASE("an update takes fields from appliers") {
  ServerFixture api;
  api.Apply(kPath, "one", Config(R"({"k":"1","l":"1"})"));
  Reply patched = api.Patch(kPath, "merge-patch+json", R"({"data":{"k":"2"}})");
  CHECK(Owners(patched) == std::vector<std::string>{"one Apply l", "tester Update k"});
}

TEST_CASE("a uid in the applied object forbids creation, a resourceVersion another state") {
  ServerFixture api;
  Reply refused = api.Apply(
      kPath, "one", R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":"u"}})");
  CHECK(refused.status == 409);
  Reply created = api.Apply(kPath, "one", Config(R"({"k":"1"})"));
  auto with = [&](value::Ref version) {
    return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":")" +
           created.body["metadata"]["uid"].Text() + R"(","resourceVersion":")" + version.Text() +
           R"("},"data":{"k":"2"}})";
  };
  value::Ref version = created.body["metadata"]["resourceVersion"];
  CHECK(api.Apply(kPath, "one", with(version)).status == 200);
  Reply late = api.Apply(kPath, "one", with(version));
  CHECK(late.status == 409);
  CHECK(late.body["reason"].String() == "Conflict");
}

TEST_CASE(
    "an unknown field in an applied object is a 500 without reason, as a real server has it") {
  ServerFixture api;
  Reply refused = api.Apply(
      kPath, "one",
      R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"default"},"dota":{}})");
  CHECK(
      refused.text ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"failed to create typed patch object (default/a; /v1, Kind=ConfigMap): .dota: field not declared in schema","code":500})");
}

TEST_CASE("keyed lists are merged by key, and keep the order of the applier") {
  ServerFixture api;
  std::string path = "/apis/apps/v1/namespaces/default/deployments/web";
  auto config = [](const std::string& containers) {
    return R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[)" +
           containers + "]}}}}";
  };
  auto names = [](const Reply& reply) {
    std::string text;
    for (value::Ref one : reply.body["spec"]["template"]["spec"]["containers"].Items()) {
      text += one["name"].Text() + "=" + one["image"].Text() + " ";
    }
    return text;
  };
  CHECK(names(api.Apply(path, "one", config(R"({"name":"x","image":"x:1"})"))) == "x=x:1 ");
  CHECK(names(api.Apply(path, "two", config(R"({"name":"y","image":"y:1"})"))) == "x=x:1 y=y:1 ");
  CHECK(names(api.Apply(path, "one",
                        config(R"({"name":"z","image":"z:1"},{"name":"x","image":"x:2"})"))) ==
        "z=z:1 x=x:2 y=y:1 ");
  CHECK(names(api.Apply(path, "one", config(R"({"name":"z","image":"z:1"})"))) == "z=z:1 y=y:1 ");
}

TEST_CASE("apply to status owns status only") {
  ServerFixture api;
  ApiServerOptions options;
  std::string path = "/apis/apps/v1/namespaces/default/deployments/web";
  api.Apply(
      path, "one",
      R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}}})");
  Reply applied = api.Apply(
      path + "/status", "ctl",
      R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":9},"status":{"collisionCount":3}})");
  CHECK(applied.body["status"]["collisionCount"].Int() == 3);
  CHECK(applied.body["spec"]["replicas"].Int() == 1);
  bool found = false;
  for (value::Ref entry : applied.body["metadata"]["managedFields"].Items()) {
    if (entry["manager"].String() != "ctl") continue;
    found = true;
    CHECK(entry["subresource"].String() == "status");
    CHECK(ToJson(entry["fieldsV1"]) == R"({"f:status":{"f:collisionCount":{}}})");
  }
  CHECK(found);
}

TEST_CASE("JSON patches follow RFC 6902") {
  struct Row {
    const char *patch, *expected;
    int status;
  };
  auto row = GENERATE(values<Row>({
      {R"([{"op":"add","path":"/data/b","value":"2"}])", R"({"a":"1","b":"2"})", 200},
      {R"([{"op":"replace","path":"/data/a","value":"2"}])", R"({"a":"2"})", 200},
      {R"([{"op":"remove","path":"/data/a"},{"op":"add","path":"/data/c","value":"3"}])",
       R"({"c":"3"})", 200},
      {R"([{"op":"test","path":"/data/a","value":"1"},{"op":"copy","from":"/data/a","path":"/data/b"}])",
       R"({"a":"1","b":"1"})", 200},
      {R"([{"op":"move","from":"/data/a","path":"/data/x~1y"}])", R"({"x/y":"1"})", 200},
      {R"([{"op":"test","path":"/data/a","value":"2"}])", "", 422},
      {R"([{"op":"remove","path":"/data/none"}])", "", 422},
      {R"([{"op":"replace","path":"/nothing/at","value":1}])", "", 422},
  }));
  CAPTURE(row.patch);
  ServerFixture api;
  api.Post(kConfigMaps, R"({"metadata":{"name":"a"},"data":{"a":"1"}})");
  Reply reply = api.Patch(kPath, "json-patch+json", row.patch);
  CHECK(reply.status == row.status);
  if (row.status == 200) CHECK(ToJson(reply.body["data"]) == row.expected);
}

TEST_CASE("patch types that a server does not know are refused") {
  ServerFixture api;
  api.Post(kConfigMaps, ConfigMap("a"));
  CHECK(api.Patch(kPath, "json", "{}").status == 415);
  CHECK(api.Patch(kPath + "?force=true", "merge-patch+json", "{}").status == 422);
  CHECK(api.Patch(kPath, "apply-patch+yaml", Config("{}")).status == 422);
}

TEST_CASE("an applied object may be YAML") {
  ServerFixture api;
  Reply created = api.Apply(
      kPath, "one", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n");
  CHECK(created.status == 201);
  CHECK(created.body["data"]["k"].String() == "v");
}
