// Custom resources: served as soon as they are defined, with defaults, pruning and validation.
#include "server_fixture.h"

using namespace flotilla;
using namespace flotilla::sim;
using flotilla::value::ToJson;

namespace {

constexpr const char* kDefinitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
constexpr const char* kThings = "/apis/example.com/v1/namespaces/default/things";

const char* kDefinition =
    R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
  "metadata":{"name":"things.example.com"},"spec":{"group":"example.com","scope":"Namespaced",
  "names":{"plural":"things","kind":"Thing","shortNames":["th"],"categories":["all"]},
  "versions":[
   {"name":"v1","served":true,"storage":true,"subresources":{"status":{}},
    "additionalPrinterColumns":[{"name":"Size","type":"integer","jsonPath":".spec.size"},
      {"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"},
      {"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}],
    "schema":{"openAPIV3Schema":{"type":"object","required":["spec"],"properties":{
      "spec":{"type":"object","required":["size"],"properties":{
        "size":{"type":"integer","minimum":1},"color":{"type":"string","enum":["red","blue"],"default":"red"},
        "free":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}},
      "status":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}},
   {"name":"v2","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}})";

struct CustomFixture : ServerFixture {
  CustomFixture() { REQUIRE(Post(kDefinitions, kDefinition).status == 201); }
  Reply Make(const std::string& spec) {
    return Post(kThings,
                R"({"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"a"},"spec":)" +
                    spec + "}");
  }
};

}  // namespace

TEST_CASE("a definition is established and served at once") {
  CustomFixture api;
  Reply definition = api.Get(std::string(kDefinitions) + "/things.example.com");
  CHECK(ToJson(definition.body["status"]["storedVersions"]) == R"(["v1"])");
  std::vector<std::string> conditions;
  for (value::Ref one : definition.body["status"]["conditions"].Items()) {
    conditions.push_back(one["type"].Text() + "=" + one["status"].Text());
  }
  CHECK(conditions == std::vector<std::string>{"NamesAccepted=True", "Established=True"});
  CHECK(api.Get(kThings).body["kind"].String() == "ThingList");
  CHECK(api.Get("/apis/example.com/v1").body["resources"].size() == 2);
}

TEST_CASE("custom objects are pruned, filled in and counted") {
  CustomFixture api;
  Reply created = api.Make(R"({"size":1,"other":2,"free":{"kept":{"x":1}}})");
  REQUIRE(created.status == 201);
  CHECK(ToJson(created.body["spec"]) == R"({"size":1,"free":{"kept":{"x":1}},"color":"red"})");
  CHECK(created.header("Warning") == R"(299 - "unknown field \"spec.other\"")");
  CHECK(created.body["metadata"]["generation"].Int() == 1);
}

TEST_CASE("custom objects that break their schema are invalid") {
  struct Row {
    const char *spec, *field, *reason;
  };
  auto row = GENERATE(values<Row>({
      {"{}", "spec.size", "FieldValueRequired"},
      {R"({"size":0})", "spec.size", "FieldValueInvalid"},
      {R"({"size":"x"})", "spec.size", "FieldValueTypeInvalid"},
      {R"({"size":1,"color":"green"})", "spec.color", "FieldValueNotSupported"},
  }));
  CAPTURE(row.spec);
  CustomFixture api;
  Reply refused = api.Make(row.spec);
  CHECK(refused.status == 422);
  value::Ref cause = refused.body["details"]["causes"][size_t{0}];
  CHECK(cause["field"].String() == row.field);
  CHECK(cause["reason"].String() == row.reason);
}

TEST_CASE("one object is read through all served versions") {
  CustomFixture api;
  api.Make(R"({"size":1})");
  Reply other = api.Get("/apis/example.com/v2/namespaces/default/things/a");
  CHECK(other.body["apiVersion"].String() == "example.com/v2");
  CHECK(other.body["spec"]["size"].Int() == 1);
}

TEST_CASE("status of custom objects has a subresource of its own") {
  CustomFixture api;
  api.Make(R"({"size":1})");
  std::string path = std::string(kThings) + "/a";
  CHECK(api.Patch(path, "merge-patch+json", R"({"status":{"x":1}})").body["status"].IsAbsent());
  Reply status =
      api.Patch(path + "/status", "merge-patch+json", R"({"status":{"x":1},"spec":{"size":5}})");
  CHECK(ToJson(status.body["status"]) == R"({"x":1})");
  CHECK(status.body["spec"]["size"].Int() == 1);
  CHECK(status.body["metadata"]["generation"].Int() == 1);
}

TEST_CASE("printer columns make the table") {
  CustomFixture api;
  api.Make(R"({"size":3})");
  api.Patch(
      std::string(kThings) + "/a/status", "merge-patch+json",
      R"({"status":{"conditions":[{"type":"Other","status":"x"},{"type":"Ready","status":"True"}]}})");
  api.now += 65s;
  Reply table = api.Get(kThings, {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}});
  REQUIRE(table.body["kind"].String() == "Table");
  CHECK(ToJson(table.body["rows"][size_t{0}]["cells"]) == R"(["a",3,"True","65s"])");
  CHECK(table.body["columnDefinitions"][1]["name"].String() == "Size");
}

TEST_CASE("a definition that changes changes what is served") {
  CustomFixture api;
  api.Make(R"({"size":1})");
  Reply refused =
      api.Patch(std::string(kThings) + "/a", "merge-patch+json", R"({"spec":{"color":"green"}})");
  CHECK(refused.status == 422);
  REQUIRE(
      api.Patch(
             std::string(kDefinitions) + "/things.example.com", "json-patch+json",
             R"([{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/color/enum/-","value":"green"}])")
          .status == 200);
  CHECK(api.Patch(std::string(kThings) + "/a", "merge-patch+json", R"({"spec":{"color":"green"}})")
            .status == 200);
}

TEST_CASE("a definition goes with its objects, once their finalizers let them") {
  CustomFixture api;
  api.Make(R"({"size":1})");
  std::string path = std::string(kThings) + "/a";
  api.Patch(path, "merge-patch+json", R"({"metadata":{"finalizers":["example.com/wait"]}})");
  Events events = api.Watch(std::string(kThings) + "?watch=1");
  api.Delete(std::string(kDefinitions) + "/things.example.com");
  CHECK(api.Get(path).body["metadata"]["deletionTimestamp"]);
  CHECK(api.Get(std::string(kDefinitions) + "/things.example.com").status == 200);
  api.Patch(path, "merge-patch+json", R"({"metadata":{"finalizers":null}})");
  CHECK(api.Get(std::string(kDefinitions) + "/things.example.com").status == 404);
  CHECK(api.Get(kThings).status == 404);
  CHECK(events->ended);
}

TEST_CASE("definitions that make no sense are refused") {
  ServerFixture api;
  Reply refused = api.Post(
      kDefinitions,
      R"({"metadata":{"name":"wrong"},"spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"things","kind":"Thing"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"a":{}}}}}]}})");
  CHECK(refused.status == 422);
  CHECK(refused.body["details"]["causes"].size() == 2);
}
