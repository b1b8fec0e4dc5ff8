// Label selectors mean what they mean in Kubernetes.
#include "api/selector.h"

#include "catch.h"

namespace flotilla::api {
namespace {

bool Selects(const SelectorRequirement& requirement, const Labels& labels) {
  LabelSelector selector;
  selector.match_expressions = {requirement};
  return selector.Matches(labels);
}

TEST_CASE("an empty selector selects everything") {
  CHECK(LabelSelector{}.Matches({}));
  CHECK(LabelSelector{}.Matches({{"a", "b"}}));
}

TEST_CASE("all of matchLabels must be present and equal") {
  const LabelSelector selector{.match_labels = {{"tier", "canary"}, {"region", "a"}},
                               .match_expressions = {}};
  CHECK(selector.Matches({{"tier", "canary"}, {"region", "a"}, {"more", "x"}}));
  CHECK_FALSE(selector.Matches({{"tier", "canary"}}));
  CHECK_FALSE(selector.Matches({{"tier", "canary"}, {"region", "b"}}));
}

TEST_CASE("operators compare as in Kubernetes") {
  using Op = SelectorOperator;
  struct Row {
    SelectorRequirement requirement;
    bool equal, other, missing;  // labels {k: v}, {k: w}, {}
  };
  const Row rows[] = {
      {{"k", Op::kIn, {"v", "x"}}, true, false, false},
      {{"k", Op::kNotIn, {"v", "x"}}, false, true, true},
      {{"k", Op::kExists, {}}, true, true, false},
      {{"k", Op::kDoesNotExist, {}}, false, false, true},
  };
  for (const Row& row : rows) {
    INFO(ToString(row.requirement.op));
    CHECK(Selects(row.requirement, {{"k", "v"}}) == row.equal);
    CHECK(Selects(row.requirement, {{"k", "w"}}) == row.other);
    CHECK(Selects(row.requirement, {}) == row.missing);
  }
}

TEST_CASE("labels and expressions must hold together") {
  const LabelSelector selector{.match_labels = {{"a", "1"}},
                               .match_expressions = {{"b", SelectorOperator::kExists, {}},
                                                     {"c", SelectorOperator::kDoesNotExist, {}}}};
  CHECK(selector.Matches({{"a", "1"}, {"b", ""}}));
  CHECK_FALSE(selector.Matches({{"a", "1"}}));
  CHECK_FALSE(selector.Matches({{"a", "1"}, {"b", ""}, {"c", ""}}));
  CHECK_FALSE(selector.Matches({{"b", ""}}));
}

TEST_CASE("kubectl's notation is read and written") {
  struct Row {
    const char* text;
    const char* printed;
  };
  for (const Row& row :
       {Row{"", "everything"}, Row{"  ", "everything"}, Row{"tier=canary", "tier in (canary)"},
        Row{"tier == canary , region!=b", "tier in (canary),region notin (b)"},
        Row{"region in (a,b)", "region in (a, b)"},
        Row{"region notin ( a , b )", "region notin (a, b)"}, Row{"legacy", "legacy"},
        Row{"!legacy,x", "!legacy,x"}, Row{"a=", "a in ()"}, Row{"in in (in)", "in in (in)"},
        Row{"example.com/x=1", "example.com/x in (1)"}}) {
    INFO(row.text);
    const auto selector = ParseSelector(row.text);
    REQUIRE(selector);
    CHECK(selector->ToString() == row.printed);
  }
  CHECK(
      LabelSelector{.match_labels = {{"a", "1"}, {"b", "2"}}, .match_expressions = {}}.ToString() ==
      "a=1,b=2");
}

TEST_CASE("a wrong notation is refused with the position") {
  struct Row {
    const char* text;
    const char* complaint;
  };
  for (const Row& row : {Row{"a=1,", "expected a requirement after the comma at position 5"},
                         Row{"=1", "expected a label key at position 1"},
                         Row{"a b", "expected =, !=, in or notin at position 4"},
                         Row{"a in b", "expected a list of values in parentheses at position 6"},
                         Row{"a in (b", "expected a comma or a closing parenthesis at position 8"},
                         Row{"a=b!c", "expected a comma at position 4"},
                         Row{"a=-", "expected a label value at position 4"},
                         Row{"!", "expected a label key at position 2"}}) {
    INFO(row.text);
    const auto selector = ParseSelector(row.text);
    REQUIRE_FALSE(selector);
    CHECK(selector.error().cls == ErrorClass::kInvalid);
    CHECK(selector.error().message ==
          "label selector \"" + std::string(row.text) + "\": " + row.complaint);
  }
}

}  // namespace
}  // namespace flotilla::api
