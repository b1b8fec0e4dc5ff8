#include "value/value.h"

#include "catch.h"
#include "random_tree.h"
#include "value/json.h"

namespace flotilla::value {
namespace {

Value Parse(std::string_view json) {
  auto value = ParseJson(json);
  REQUIRE(value);
  return *value;
}

TEST_CASE("reading along a path that does not exist yields absent, never a crash") {
  Value v = Parse(R"({"metadata":{"name":"web"},"list":[1]})");
  CHECK(v["metadata"]["name"].String() == "web");
  CHECK(v.At("spec", "template", "spec").IsAbsent());
  CHECK(v.At("metadata", "name", "deeper").IsAbsent());
  CHECK(v["list"][7].IsAbsent());
  CHECK(v["list"]["key"].IsAbsent());
  CHECK(v["metadata"][0].IsAbsent());
  CHECK(v["list"][0]["x"].Items().begin() == v["list"][0]["x"].Items().end());
  CHECK(Value().IsAbsent());
  CHECK(Ref() == Ref(Value()));
  CHECK_FALSE(Ref() == Ref(Value(nullptr)));
}

TEST_CASE("a node gives its value as its own kind only, and the default otherwise") {
  Value v = Parse(R"({"b":true,"i":-3,"u":18446744073709551615,"d":1.5,"s":"x","n":null})");
  CHECK(v["b"].Bool());
  CHECK_FALSE(v["s"].Bool());
  CHECK(v["i"].Int() == -3);
  CHECK(v["i"].Uint(9) == 9);
  CHECK(v["u"].Uint() == 18446744073709551615u);
  CHECK(v["u"].Int(9) == 9);
  CHECK(v["d"].Double() == 1.5);
  CHECK(v["i"].Double() == -3.0);
  CHECK(v["d"].Int(9) == 9);
  CHECK(v["s"].String() == "x");
  CHECK(v["i"].String("none") == "none");
  CHECK(v["n"].IsNull());
  CHECK(v["u"].IsInteger());
  CHECK(v["d"].IsNumber());
  CHECK_FALSE(v["d"].IsInteger());
}

TEST_CASE("an unsigned integer that fits is a signed one") {
  CHECK(Value(uint64_t{7}).ref().kind() == Kind::kInt);
  CHECK(Value(uint64_t{1} << 63).ref().kind() == Kind::kUint);
  CHECK(Value(uint64_t{7}) == Value(7));
  CHECK_FALSE(Value(1) == Value(1.0));
}

TEST_CASE("a number that JSON lacks becomes null") {
  CHECK(Value(std::numeric_limits<double>::infinity()).ref().IsNull());
  CHECK(Value(std::numeric_limits<double>::quiet_NaN()).ref().IsNull());
}

TEST_CASE("maps are built from parts, without absent ones, and the last of equal keys counts") {
  Value v = Value::Map({{"a", 1}, {"gone", Value()}, {"b", "two"}, {"a", 3}});
  CHECK(ToJson(v) == R"({"a":3,"b":"two"})");
  std::vector<std::pair<std::string, Value>> many;
  for (int i = 0; i < 100; ++i) many.emplace_back("k" + std::to_string(i % 90), i);
  Value map = Value::Map(many);
  CHECK(map.ref().size() == 90);
  CHECK(map["k5"].Int() == 95);
  CHECK(ToJson(Value::List({1, Value(), "x", nullptr})) == R"([1,"x",null])");
}

TEST_CASE("a part and a copy outlive the document they came from") {
  Value part, copy;
  {
    Value whole = Parse(R"({"a":{"b":["deep",1,2.5,true,null]},"c":"elsewhere"})");
    part = whole.Share(whole["a"]);
    copy = Value::Copy(whole["a"]);
  }
  CHECK(ToJson(part) == R"({"b":["deep",1,2.5,true,null]})");
  CHECK(part == copy);
}

TEST_CASE("equality disregards the order of members and nothing else") {
  CHECK(Parse(R"({"a":1,"b":[1,2]})") == Parse(R"({"b":[1,2],"a":1})"));
  CHECK_FALSE(Parse(R"({"a":1,"b":[1,2]})") == Parse(R"({"b":[2,1],"a":1})"));
  CHECK_FALSE(Parse(R"({"a":1})") == Parse(R"({"a":1,"b":2})"));
  CHECK_FALSE(Parse(R"({"a":1,"b":2})") == Parse(R"({"a":1,"c":2})"));
  CHECK_FALSE(Parse(R"({"a":null})") == Parse(R"({})"));
  CHECK_FALSE(Parse(R"("1")") == Parse("1"));
}

TEST_CASE("edits share what they do not touch and leave the original alone") {
  Value v = Parse(R"({"a":{"x":1},"b":[1,2],"n":null})");
  struct Row {
    Path path;
    Value value;
    const char* result;
  };
  const Row rows[] = {
      {{"a", "x"}, 2, R"({"a":{"x":2},"b":[1,2],"n":null})"},
      {{"a", "y", "z"}, "new", R"({"a":{"x":1,"y":{"z":"new"}},"b":[1,2],"n":null})"},
      {{"n", "m"}, true, R"({"a":{"x":1},"b":[1,2],"n":{"m":true}})"},
      {{"b", 0}, 9, R"({"a":{"x":1},"b":[9,2],"n":null})"},
      {{"b", 2}, 9, R"({"a":{"x":1},"b":[1,2,9],"n":null})"},
      {{"n", 0}, 9, R"({"a":{"x":1},"b":[1,2],"n":[9]})"},
      {{}, 5, "5"},
      // Impossible paths change nothing.
      {{"b", 3}, 9, R"({"a":{"x":1},"b":[1,2],"n":null})"},
      {{"b", "k"}, 9, R"({"a":{"x":1},"b":[1,2],"n":null})"},
      {{"a", 0}, 9, R"({"a":{"x":1},"b":[1,2],"n":null})"},
      {{"a", "x", "y"}, 9, R"({"a":{"x":1},"b":[1,2],"n":null})"},
  };
  for (const Row& row : rows) {
    INFO(ToString(row.path));
    CHECK(ToJson(Edited(v).Set(row.path, row.value).Done()) == row.result);
  }
  CHECK(ToJson(v) == R"({"a":{"x":1},"b":[1,2],"n":null})");
  Value changed = Edited(v).Set({"a", "x"}, 2).Done();
  CHECK(changed["b"].node()->as.items == v["b"].node()->as.items);
}

TEST_CASE("removing takes members and items away, and nothing where there is nothing") {
  Value v = Parse(R"({"a":{"x":1,"y":2},"b":[1,2,3]})");
  CHECK(ToJson(Edited(v).Remove({"a", "x"}).Done()) == R"({"a":{"y":2},"b":[1,2,3]})");
  CHECK(ToJson(Edited(v).Remove({"b", 1}).Done()) == R"({"a":{"x":1,"y":2},"b":[1,3]})");
  CHECK(ToJson(Edited(v).Remove({"b", 3}).Remove({"q"}).Done()) == ToJson(v));
  CHECK(ToJson(Edited(v).Set({"a"}, Value()).Done()) == R"({"b":[1,2,3]})");
  CHECK(Edited(v).Remove({}).Done().IsAbsent());
}

TEST_CASE("inserting makes room in a list") {
  Value v = Parse(R"([1,2])");
  CHECK(ToJson(Edited(v).Insert({0}, 0).Insert({3}, 3).Insert({9}, 9).Done()) == "[0,1,2,3]");
}

TEST_CASE("a tree edited a million times neither grows without end nor breaks the stack") {
  Value v = Parse(R"({"metadata":{"labels":{"a":"b"}},"n":0})");
  for (int i = 0; i < 1'000'000; ++i) v = Edited(std::move(v)).Set({"n"}, i).Done();
  CHECK(ToJson(v) == R"({"metadata":{"labels":{"a":"b"}},"n":999999})");
}

TEST_CASE("paths are named as people and as JSON pointers write them") {
  Path path{"spec", "containers", 0, "app.kubernetes.io/name", "a~b"};
  CHECK(ToString(path) == R"(spec.containers[0]["app.kubernetes.io/name"]["a~b"])");
  CHECK(ToPointer(path) == "/spec/containers/0/app.kubernetes.io~1name/a~0b");
  CHECK(ToString(Path{}).empty());
}

TEST_CASE("random edits agree with the same edits on a rebuilt tree") {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    RandomTree random(seed);
    Value tree = Value::Map({{"a", random.Make()}, {"b", random.Make()}});
    Value mirror = Value::Copy(tree);
    for (int i = 0; i < 20; ++i) {
      const char* key = random.Below(2) ? "a" : "c";
      Value leaf = random.Make(2);
      tree = Edited(tree).Set({key}, leaf).Done();
      std::vector<std::pair<std::string, Value>> members;
      for (auto [k, child] : mirror.ref().Members()) members.emplace_back(k, Value::Copy(child));
      members.emplace_back(key, leaf);
      mirror = Value::Map(members);
      REQUIRE(ToJson(tree) == ToJson(mirror));
    }
  }
}

}  // namespace
}  // namespace flotilla::value
