#include "value/json_patch.h"

#include "catch.h"
#include "value/json.h"

namespace flotilla::value {
namespace {

Result<std::string> Patched(const char* document, const char* patch) {
  auto ops = ParseJsonPatch(*ParseJson(patch));
  if (!ops) return Pass(ops);
  auto result = ApplyJsonPatch(*ParseJson(document), *ops);
  if (!result) return Pass(result);
  return ToJson(*result);
}

TEST_CASE("RFC 6902, appendix A: what succeeds") {
  struct Row {
    const char* document;
    const char* patch;
    const char* result;
  };
  const Row rows[] = {
      {R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])",
       R"({"foo":"bar","baz":"qux"})"},
      {R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])",
       R"({"foo":["bar","qux","baz"]})"},
      {R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])", R"({"foo":"bar"})"},
      {R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])",
       R"({"foo":["bar","baz"]})"},
      {R"({"baz":"qux","foo":"bar"})", R"([{"op":"replace","path":"/baz","value":"boo"}])",
       R"({"baz":"boo","foo":"bar"})"},
      {R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
       R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])",
       R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})"},
      {R"({"foo":["all","grass","cows","eat"]})",
       R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])",
       R"({"foo":["all","cows","eat","grass"]})"},
      {R"({"baz":"qux","foo":["a",2,"c"]})",
       R"([{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}])",
       R"({"baz":"qux","foo":["a",2,"c"]})"},
      {R"({"foo":"bar"})", R"([{"op":"add","path":"/child","value":{"grandchild":{}}}])",
       R"({"foo":"bar","child":{"grandchild":{}}})"},
      {R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])", R"({"/":9,"~1":10})"},
      {R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])",
       R"({"foo":["bar",["abc","def"]]})"},
      // Beyond the appendix.
      {R"({"a":1})", R"([{"op":"add","path":"","value":[1]}])", "[1]"},
      {R"({"a":1})", R"([{"op":"replace","path":"/a","value":null}])", R"({"a":null})"},
      {R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":"/a/c"}])",
       R"({"a":{"b":1,"c":{"b":1}}})"},
      {R"({"":{"":1}})", R"([{"op":"replace","path":"//","value":2}])", R"({"":{"":2}})"},
      {R"({"a":1})", R"([{"op":"test","path":"/a","value":1.0}])", R"({"a":1})"},
      {R"({"a":{"x":1,"y":2}})", R"([{"op":"test","path":"/a","value":{"y":2,"x":1}}])",
       R"({"a":{"x":1,"y":2}})"},
      {R"({"a":1})", R"([{"op":"move","from":"/a","path":"/a"}])", R"({"a":1})"},
      {R"({"0":"x"})", R"([{"op":"replace","path":"/0","value":"y"}])", R"({"0":"y"})"},
  };
  for (const Row& row : rows) {
    INFO(row.patch);
    auto result = Patched(row.document, row.patch);
    INFO((result ? "" : result.error().ToString()));
    REQUIRE(result);
    CHECK(*result == row.result);
  }
}

TEST_CASE("a patch that is not possible names the operation, the place and the reason") {
  struct Row {
    const char* document;
    const char* patch;
    const char* error;
  };
  const Row rows[] = {
      {R"({"baz":"qux"})", R"([{"op":"test","path":"/baz","value":"bar"}])",
       R"(operation 0 (test "/baz"): the value there is another one)"},
      {R"({"foo":"bar"})", R"([{"op":"add","path":"/baz/bat","value":"qux"}])",
       R"(operation 0 (add "/baz/bat"): "" has no member "baz")"},
      {R"({"a":1})",
       R"([{"op":"test","path":"/a","value":1},{"op":"replace","path":"/b","value":1}])",
       R"(operation 1 (replace "/b"): "" has no member "b")"},
      {R"({"a":{"b":1}})", R"([{"op":"remove","path":"/a/c"}])", R"("/a" has no member "c")"},
      {R"({"a":[1]})", R"([{"op":"add","path":"/a/2","value":1}])",
       R"("/a" has 1 items: there is none at 2)"},
      {R"({"a":[1]})", R"([{"op":"remove","path":"/a/-"}])", R"(there is none at -)"},
      {R"({"a":[1]})", R"([{"op":"remove","path":"/a/-1"}])", R"("-1" is no index)"},
      {R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/01"}])", R"("01" is no index)"},
      {R"({"a":[1]})", R"([{"op":"remove","path":"/a/x"}])", R"("x" is no index)"},
      {R"({"a":1})", R"([{"op":"remove","path":"/a/x"}])",
       R"("/a" is no list or map but of type integer)"},
      {R"({"a":1})", R"([{"op":"remove","path":""}])", "cannot be removed"},
      {R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":"/a/b"}])", "into itself"},
      {R"({"a":1})", R"([{"op":"copy","from":"/x","path":"/y"}])", R"("" has no member "x")"},
      // What is no patch at all.
      {"{}", R"({"op":"add"})", "a list of operations, not a map"},
      {"{}", R"([{"op":"spam","path":"/a"}])", "operation 0: op is one of"},
      {"{}", R"([{"op":"remove"}])", "operation 0 (remove): path is missing"},
      {"{}", R"([{"op":"add","path":"/a"}])", "value is missing"},
      {"{}", R"([{"op":"remove","path":"/a","value":1}])", "value belongs to"},
      {"{}", R"([{"op":"move","path":"/a"}])", "from is missing"},
      {"{}", R"([{"op":"add","path":"/a","value":1,"from":"/b"}])", "from belongs to"},
      {"{}", R"([{"op":"add","path":"a","value":1}])", "has to begin with '/'"},
      {"{}", R"([{"op":"add","path":"/~2","value":1}])", "\"~0\""},
  };
  for (const Row& row : rows) {
    INFO(row.patch);
    auto result = Patched(row.document, row.patch);
    REQUIRE_FALSE(result);
    CHECK(result.error().cls == ErrorClass::kInvalid);
    CHECK_THAT(result.error().ToString(), Catch::Contains(row.error));
  }
}

TEST_CASE("a patch is written as it was read") {
  const char* text =
      R"([{"op":"add","path":"/a","value":null},{"op":"move","path":"/b","from":"/a"},{"op":"remove","path":"/b"}])";
  CHECK(ToJson(ToValue(*ParseJsonPatch(*ParseJson(text)))) == text);
}

TEST_CASE("a pointer finds what it names") {
  Value v = *ParseJson(R"({"a/b":[{"m~n":1}]})");
  CHECK(FindPointer(v, "/a~1b/0/m~0n").Int() == 1);
  CHECK(FindPointer(v, "").IsMap());
  CHECK(FindPointer(v, "/a~1b/1").IsAbsent());
  CHECK(FindPointer(v, "no pointer").IsAbsent());
}

}  // namespace
}  // namespace flotilla::value
