#include "value/diff.h"

#include <algorithm>

#include "catch.h"
#include "random_tree.h"
#include "value/json.h"

namespace flotilla::value {
namespace {

TEST_CASE("a diff names each field that changed, came or went") {
  struct Row {
    const char* before;
    const char* after;
    const char* changes;
  };
  const Row rows[] = {
      {R"({"a":1,"b":2})", R"({"b":2,"a":1})", ""},
      {R"({"a":1})", R"({"a":2})", "a: 1 -> 2\n"},
      {R"({"a":1})", R"({"a":1.0})", "a: 1 -> 1\n"},
      {R"({"a":{"x":1}})", R"({"a":{"y":2}})", "a.x: removed 1\na.y: added 2\n"},
      {R"({"a":null})", "{}", "a: removed null\n"},
      {R"({"a":{"b":1}})", R"({"a":[1]})", "a: {\"b\":1} -> [1]\n"},
      {R"({"a":[1,2,3]})", R"({"a":[1,5]})", "a[1]: 2 -> 5\na[2]: removed 3\n"},
      {R"({"labels":{"x.io/y":"1"}})", R"({"labels":{}})", "labels[\"x.io/y\"]: removed \"1\"\n"},
      // Items with names of their own are compared by name, wherever they stand.
      {R"({"c":[{"name":"a","v":1},{"name":"b","v":2}]})",
       R"({"c":[{"name":"new"},{"name":"a","v":1},{"name":"b","v":3}]})",
       "c[2].v: 2 -> 3\nc[0]: added {\"name\":\"new\"}\n"},
      {R"({"c":[{"name":"a"},{"name":"b"}]})", R"({"c":[{"name":"b"}]})",
       "c[0]: removed {\"name\":\"a\"}\n"},
      {R"({"c":[{"name":"a"},{"name":"b"}]})", R"({"c":[{"name":"b"},{"name":"a"}]})",
       "c: [{\"name\":\"a\"},{\"name\":\"b\"}] -> [{\"name\":\"b\"},{\"name\":\"a\"}]\n"},
      // Ports of one name: by index.
      {R"({"c":[{"name":"a","p":1},{"name":"a","p":2}]})",
       R"({"c":[{"name":"a","p":1},{"name":"a","p":3}]})", "c[1].p: 2 -> 3\n"},
  };
  for (const Row& row : rows) {
    INFO(row.before << " " << row.after);
    Value before = *ParseJson(row.before);
    Value after = *ParseJson(row.after);
    CHECK(ToString(Diff(before, after)) == row.changes);
  }
}

TEST_CASE("long values are shortened between characters") {
  std::string text(118, 'x');
  Value before = Value::Map({{"a", text + "☺☺"}});
  Value after = Value::Map({{"a", 1}});
  CHECK(ToString(Diff(before, after)) == "a: \"" + text + "... -> 1\n");
}

TEST_CASE("a diff is empty exactly where the trees are equal") {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    RandomTree random(seed);
    Value before = random.Make();
    Value after = random.Below(3) == 0 ? Value::Copy(before)
                                       : Edited(before).Set({"a"}, random.Make(2)).Done();
    REQUIRE(Diff(before, after).empty() == (before == after));
  }
}

TEST_CASE("large maps in another order are compared in reasonable time") {
  std::vector<std::pair<std::string, Value>> members;
  for (int i = 0; i < 100'000; ++i) members.emplace_back("key" + std::to_string(i), i);
  Value before = Value::Map(members);
  std::reverse(members.begin(), members.end());
  members.back().second = 7;
  Value after = Value::Map(members);
  CHECK(ToString(Diff(before, after)) == "key0: 0 -> 7\n");
  CHECK_FALSE(before == after);
}

}  // namespace
}  // namespace flotilla::value
