#include "api/selector.h"

#include <algorithm>

#include "api/fields.h"

namespace flotilla::api {
namespace {

bool Holds(const SelectorRequirement& requirement, const Labels& labels) {
  const auto found = labels.find(requirement.key);
  const bool exists = found != labels.end();
  const auto listed = [&] {
    return std::find(requirement.values.begin(), requirement.values.end(), found->second) !=
           requirement.values.end();
  };
  switch (requirement.op) {
    case SelectorOperator::kIn:
      return exists && listed();
    case SelectorOperator::kNotIn:
      return !exists || !listed();
    case SelectorOperator::kExists:
      return exists;
    case SelectorOperator::kDoesNotExist:
      return !exists;
  }
  return false;
}

bool NeedsValues(SelectorOperator op) {
  return op == SelectorOperator::kIn || op == SelectorOperator::kNotIn;
}

// One requirement of kubectl's notation at a time.
class SelectorParser {
 public:
  explicit SelectorParser(std::string_view text) : text_(text) {}

  Result<LabelSelector> Parse() {
    LabelSelector selector;
    SkipSpace();
    while (at_ < text_.size()) {
      auto requirement = Requirement();
      if (!requirement) return Pass(requirement);
      selector.match_expressions.push_back(std::move(*requirement));
      SkipSpace();
      if (at_ == text_.size()) break;
      if (!Take(",")) return Wrong("expected a comma");
      SkipSpace();
      if (at_ == text_.size()) return Wrong("expected a requirement after the comma");
    }
    return selector;
  }

 private:
  Result<SelectorRequirement> Requirement() {
    SelectorRequirement requirement;
    const bool negated = Take("!");
    SkipSpace();
    requirement.key = Word();
    if (!kLabelKey.accepts(requirement.key)) return Wrong("expected a label key");
    SkipSpace();
    if (negated) {
      requirement.op = SelectorOperator::kDoesNotExist;
    } else if (Take("!=")) {
      requirement.op = SelectorOperator::kNotIn;
      return OneValue(std::move(requirement));
    } else if (Take("==") || Take("=")) {
      requirement.op = SelectorOperator::kIn;
      return OneValue(std::move(requirement));
    } else if (at_ == text_.size() || text_[at_] == ',') {
      requirement.op = SelectorOperator::kExists;
    } else {
      const std::string word = Word();
      if (word != "in" && word != "notin") return Wrong("expected =, !=, in or notin");
      requirement.op = word == "in" ? SelectorOperator::kIn : SelectorOperator::kNotIn;
      return ValueList(std::move(requirement));
    }
    return requirement;
  }

  Result<SelectorRequirement> OneValue(SelectorRequirement requirement) {
    SkipSpace();
    requirement.values.push_back(Word());
    if (!kLabelValue.accepts(requirement.values[0])) return Wrong("expected a label value");
    return requirement;
  }

  Result<SelectorRequirement> ValueList(SelectorRequirement requirement) {
    SkipSpace();
    if (!Take("(")) return Wrong("expected a list of values in parentheses");
    do {
      SkipSpace();
      requirement.values.push_back(Word());
      if (!kLabelValue.accepts(requirement.values.back())) return Wrong("expected a label value");
      SkipSpace();
    } while (Take(","));
    if (!Take(")")) return Wrong("expected a comma or a closing parenthesis");
    return requirement;
  }

  void SkipSpace() { at_ = std::min(text_.find_first_not_of(" \t", at_), text_.size()); }
  bool Take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  std::string Word() {
    const size_t end = std::min(text_.find_first_of(" \t,=!()", at_), text_.size());
    const std::string_view word = text_.substr(at_, end - at_);
    at_ = end;
    return std::string(word);
  }
  tl::unexpected<Error> Wrong(const char* problem) const {
    return Fail(ErrorClass::kInvalid, "label selector \"{}\": {} at position {}", text_, problem,
                at_ + 1);
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

const char* ToString(SelectorOperator op) {
  constexpr const char* kNames[] = {"In", "NotIn", "Exists", "DoesNotExist"};
  return NameOf(kNames, op);
}

bool LabelSelector::Matches(const Labels& labels) const {
  const auto equal = [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  };
  return std::all_of(match_labels.begin(), match_labels.end(), equal) &&
         std::all_of(match_expressions.begin(), match_expressions.end(),
                     [&](const SelectorRequirement& r) { return Holds(r, labels); });
}

std::string LabelSelector::ToString() const {
  if (IsEmpty()) return "everything";
  std::string text;
  for (const auto& [key, value] : match_labels) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  }
  for (const SelectorRequirement& requirement : match_expressions) {
    if (!text.empty()) text += ',';
    if (requirement.op == SelectorOperator::kDoesNotExist) text += '!';
    text += requirement.key;
    if (!NeedsValues(requirement.op)) continue;
    text += requirement.op == SelectorOperator::kIn ? " in (" : " notin (";
    for (size_t i = 0; i < requirement.values.size(); ++i) {
      text += fmt::format("{}{}", i == 0 ? "" : ", ", requirement.values[i]);
    }
    text += ')';
  }
  return text;
}

Result<LabelSelector> ParseSelector(std::string_view text) { return SelectorParser(text).Parse(); }

static void Describe(Fields& f, SelectorRequirement& requirement) {
  f.Required("key", requirement.key, "The label.", {.format = &kLabelKey});
  f.Required("operator", requirement.op, "How the label relates to the values.");
  f.Optional("values", requirement.values,
             "At least one for In and NotIn, none for Exists and DoesNotExist.",
             {.format = &kLabelValue, .max_items = 100});
  f.Rule("(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
         "In and NotIn need values, Exists and DoesNotExist take none",
         NeedsValues(requirement.op) == !requirement.values.empty());
}

void Describe(Fields& f, LabelSelector& selector) {
  f.Optional("matchLabels", selector.match_labels, "Labels that must have these values.",
             {.format = &kLabelValue});
  f.Optional("matchExpressions", selector.match_expressions,
             "Further requirements; all of them must hold.", {.max_items = 20});
}

}  // namespace flotilla::api
