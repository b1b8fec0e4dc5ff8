// Label selectors (metav1.LabelSelector): which clusters a placement, stage or policy means.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/meta.h"
#include "base/result.h"

namespace flotilla::api {

enum class SelectorOperator : unsigned char { kIn, kNotIn, kExists, kDoesNotExist };
const char* ToString(SelectorOperator op);

struct SelectorRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kIn;
  std::vector<std::string> values;  // In, NotIn: at least one; otherwise none
  bool operator==(const SelectorRequirement&) const = default;
};

// All of it must hold. An empty selector selects everything; where a field may be absent, the field
// says what absence means.
struct LabelSelector {
  Labels match_labels;
  std::vector<SelectorRequirement> match_expressions;

  bool IsEmpty() const { return match_labels.empty() && match_expressions.empty(); }
  // NotIn also holds where the label is missing, as in Kubernetes.
  bool Matches(const Labels& labels) const;
  // "tier=canary,region in (a, b),!legacy"; "everything" where it is empty.
  std::string ToString() const;
  bool operator==(const LabelSelector&) const = default;
};

// kubectl's notation: a=b, a==b, a!=b, a in (x, y), a notin (x), a, !a; joined by commas.
Result<LabelSelector> ParseSelector(std::string_view text);

void Describe(Fields& f, LabelSelector& selector);

}  // namespace flotilla::api
