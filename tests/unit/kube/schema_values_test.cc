// Quantities, decoding of built-in objects, and schemas of custom resources.
#include "catch.h"
#include "kube/schema/builtin.h"
#include "kube/schema/conform.h"
#include "kube/schema/custom.h"
#include "kube/schema/quantity.h"
#include "value/json.h"

using namespace flotilla;
using namespace flotilla::kube::schema;
using value::ParseJson;
using value::ToJson;

namespace {

std::string Conformed(const char* type, const char* json,
                      std::vector<std::string>* issues = nullptr,
                      Defaults defaults = Defaults::kNone) {
  std::vector<FieldIssue> found;
  auto value = Conform(*ParseJson(json), *FindType(type), defaults, found);
  if (issues) {
    for (const FieldIssue& issue : found) {
      issues->push_back((issue.kind == FieldIssue::Kind::kUnknown ? "unknown " : "type ") +
                        issue.path);
    }
  }
  return ToJson(value);
}

std::shared_ptr<const CustomSchema> Compiled(const std::string& properties) {
  auto schema =
      CustomSchema::Compile(*ParseJson(R"({"type":"object","properties":)" + properties + "}"));
  REQUIRE(schema);
  return *schema;
}

}  // namespace

TEST_CASE("quantities have one canonical form") {
  struct Row {
    const char *text, *canonical;
  };
  auto row = GENERATE(values<Row>({
      {"1", "1"},
      {"0", "0"},
      {"0.0", "0"},
      {"1000m", "1"},
      {"0.1", "100m"},
      {"1500m", "1500m"},
      {"1.5", "1500m"},
      {"1024", "1024"},
      {"1024Ki", "1Mi"},
      {"1536Mi", "1536Mi"},
      {"1.5Gi", "1536Mi"},
      {"0.5Gi", "512Mi"},
      {"1000Ki", "1000Ki"},
      {"1000k", "1M"},
      {"10e3", "10e3"},
      {"1e3", "1e3"},
      {"0.5Ki", "512"},
      {"-1Gi", "-1Gi"},
      {"1Ei", "1Ei"},
      {"100u", "100u"},
      {"0.0001", "100u"},
      {"0.0000000001", "1n"},
      {"+5", "5"},
      {".5", "500m"},
      {"5.", "5"},
      {"2000Mi", "2000Mi"},
      {"12345678901234567890", "12345678901234567890"},
  }));
  CAPTURE(row.text);
  CHECK(CanonicalQuantity(row.text) == std::string(row.canonical));
}

TEST_CASE("what is no quantity is told apart") {
  for (const char* text : {"", "x", "1x", "1 Gi", "Gi", "1.2.3", "--1", "1e", "1e99", "1ki"}) {
    CAPTURE(text);
    CHECK_FALSE(CanonicalQuantity(text));
  }
}

TEST_CASE("unknown fields are dropped and named") {
  std::vector<std::string> issues;
  CHECK(Conformed("core.v1.PodSpec", R"({"containers":[{"name":"a","imag":"x"}],"what":{"x":1}})",
                  &issues) == R"({"containers":[{"name":"a","resources":{}}]})");
  CHECK(issues == std::vector<std::string>{"unknown containers[0].imag", "unknown what"});
}

TEST_CASE("values of the wrong type are named") {
  std::vector<std::string> issues;
  Conformed("apps.v1.DeploymentSpec", R"({"replicas":"3","template":[],"paused":1})", &issues);
  CHECK(issues == std::vector<std::string>{"type replicas", "type template", "type paused"});
}

TEST_CASE("zero values are dropped or written as Go would") {
  CHECK(
      Conformed(
          "core.v1.PodSpec",
          R"({"hostNetwork":false,"nodeSelector":{},"containers":[],"automountServiceAccountToken":false,"hostname":"","priority":0})") ==
      R"({"automountServiceAccountToken":false,"priority":0,"containers":null})");
  CHECK(Conformed("core.v1.Container", R"({"name":"a"})") == R"({"name":"a","resources":{}})");
  CHECK(Conformed("core.v1.Container", R"({"name":"a","env":null})") ==
        R"({"name":"a","resources":{}})");
}

TEST_CASE("defaults are filled in where a field is absent, also in what is filled in") {
  CHECK(
      Conformed("core.v1.Container", R"({"name":"a","ports":[{"containerPort":80}]})", nullptr,
                Defaults::kFill) ==
      R"({"name":"a","ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"})");
  CHECK(Conformed("rbac.v1.RoleRef", R"({"kind":"Role","name":"r"})", nullptr, Defaults::kFill) ==
        R"({"kind":"Role","name":"r","apiGroup":"rbac.authorization.k8s.io"})");
}

TEST_CASE("an object that needs no change is shared, not copied") {
  value::Value pod = *ParseJson(R"({"containers":[{"name":"a","resources":{}}]})");
  std::vector<FieldIssue> issues;
  CHECK(Conform(pod, *FindType("core.v1.PodSpec"), Defaults::kNone, issues).ref().node() ==
        pod.ref().node());
}

TEST_CASE("a schema prunes what it does not specify") {
  auto schema = Compiled(
      R"({"spec":{"type":"object","properties":{"a":{"type":"string"},"any":{"type":"object","x-kubernetes-preserve-unknown-fields":true},
      "list":{"type":"array","items":{"type":"object","properties":{"x":{"type":"integer"}}}},"map":{"type":"object","additionalProperties":{"type":"object","properties":{"k":{"type":"string"}}}}}}})");
  std::vector<std::string> unknown;
  auto pruned = schema->Prune(
      *ParseJson(
          R"({"apiVersion":"v","kind":"K","metadata":{"name":"n"},"spec":{"a":"1","b":2,"any":{"z":1},"list":[{"x":1,"y":2}],"map":{"m":{"k":"v","l":"w"}}},"other":1})"),
      &unknown);
  CHECK(
      ToJson(pruned) ==
      R"({"apiVersion":"v","kind":"K","metadata":{"name":"n"},"spec":{"a":"1","any":{"z":1},"list":[{"x":1}],"map":{"m":{"k":"v"}}}})");
  CHECK(unknown == std::vector<std::string>{"spec.b", "spec.list[0].y", "spec.map.m.l", "other"});
}

TEST_CASE("a schema fills defaults in, also below defaults, and drops nulls it does not allow") {
  auto schema = Compiled(
      R"({"spec":{"type":"object","default":{},"properties":{"a":{"type":"string","default":"x"},"b":{"type":"string","nullable":true},"c":{"type":"string"}}}})");
  CHECK(ToJson(schema->Default(*ParseJson("{}"))) == R"({"spec":{"a":"x"}})");
  CHECK(ToJson(schema->Default(*ParseJson(R"({"spec":{"a":null,"b":null,"c":null}})"))) ==
        R"({"spec":{"b":null,"a":"x"}})");
}

TEST_CASE("a schema refuses what breaks its rules") {
  struct Row {
    const char *property, *value;
    int violations;
  };
  auto row = GENERATE(values<Row>({
      {R"({"type":"integer","minimum":2,"maximum":4})", "3", 0},
      {R"({"type":"integer","minimum":2})", "1", 1},
      {R"({"type":"integer","minimum":2,"exclusiveMinimum":true})", "2", 1},
      {R"({"type":"integer","maximum":4})", "5", 1},
      {R"({"type":"integer"})", "\"5\"", 1},
      {R"({"type":"integer"})", "5.5", 1},
      {R"({"type":"number"})", "5", 0},
      {R"({"type":"number","multipleOf":5})", "12", 1},
      {R"({"type":"string","minLength":2})", "\"a\"", 1},
      {R"({"type":"string","maxLength":2})", "\"\u00e4\u00f6\"", 0},
      {R"({"type":"string","maxLength":2})", "\"abc\"", 1},
      {R"({"type":"string","pattern":"^a+$"})", "\"aab\"", 1},
      {R"({"type":"string","format":"date-time"})", "\"2026-01-01T00:00:00Z\"", 0},
      {R"({"type":"string","format":"date-time"})", "\"yesterday\"", 1},
      {R"({"type":"string","enum":["a","b"]})", "\"c\"", 1},
      {R"({"type":"string"})", "null", 1},
      {R"({"type":"string","nullable":true})", "null", 0},
      {R"({"type":"array","maxItems":1,"items":{"type":"integer"}})", "[1,2]", 1},
      {R"({"type":"array","minItems":1,"items":{"type":"integer"}})", "[]", 1},
      {R"({"type":"array","items":{"type":"integer"}})", "[1,\"2\",\"3\"]", 2},
      {R"({"type":"array","x-kubernetes-list-type":"set","items":{"type":"integer"}})", "[1,2,1]",
       1},
      {R"({"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"],"items":{"type":"object","properties":{"k":{"type":"string"}}}})",
       R"([{"k":"a"},{"k":"a"}])", 1},
      {R"({"type":"object","required":["a"],"properties":{"a":{"type":"string"}}})", "{}", 1},
      {R"({"type":"object","maxProperties":1,"additionalProperties":{"type":"integer"}})",
       R"({"a":1,"b":2})", 1},
      {R"({"type":"object","additionalProperties":{"type":"integer"}})", R"({"a":"x"})", 1},
      {R"({"x-kubernetes-int-or-string":true})", "1", 0},
      {R"({"x-kubernetes-int-or-string":true})", "\"1\"", 0},
      {R"({"x-kubernetes-int-or-string":true})", "1.5", 1},
  }));
  CAPTURE(row.property, row.value);
  auto schema = Compiled(std::string(R"({"p":)") + row.property + "}");
  auto object = ParseJson(std::string(R"({"p":)") + row.value + "}");
  REQUIRE(object);
  CHECK(schema->Validate(*object).size() == static_cast<size_t>(row.violations));
}

TEST_CASE("schemas that are not structural are refused") {
  for (const char* json :
       {R"({})", R"({"type":"object","properties":{"a":{}}})", R"({"type":"array"})",
        R"({"type":"object","properties":{"a":{"type":"string","pattern":"("}}})"}) {
    CAPTURE(json);
    CHECK_FALSE(CustomSchema::Compile(*ParseJson(json)));
  }
  std::string deep = R"({"type":"object")";
  for (int i = 0; i < 90; ++i)
    deep = R"({"type":"object","properties":{"a":)" + deep + (i == 0 ? "}}" : "}") + "}";
  auto parsed = ParseJson(deep);
  if (parsed) CHECK_FALSE(CustomSchema::Compile(*parsed));
}
