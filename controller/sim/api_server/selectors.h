// Label and field selectors of lists and watches.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/api_server/status.h"
#include "value/value.h"

namespace flotilla::sim::api {

class LabelSelector {
 public:
  // "a=b,c!=d,e in (f,g),h notin (i),j,!k"
  static Answer<LabelSelector> Parse(std::string_view text);
  // A metav1.LabelSelector: matchLabels and matchExpressions. Empty selects everything.
  static LabelSelector FromObject(value::Ref selector);

  bool Matches(value::Ref labels) const;
  bool empty() const { return requirements_.empty(); }

 private:
  enum class Operator : uint8_t { kIn, kNotIn, kExists, kMissing, kGreater, kLess };
  struct Requirement {
    std::string key;
    Operator op;
    std::vector<std::string> values;
  };
  static Answer<Requirement> ParseRequirement(std::string_view text);
  std::vector<Requirement> requirements_;
};

class FieldSelector {
 public:
  // "metadata.name=x,status.phase!=Running". `supported` are fields beside metadata.name and
  // metadata.namespace; others are refused as a server does.
  static Answer<FieldSelector> Parse(std::string_view text,
                                     const std::vector<std::string_view>& supported);
  bool Matches(value::Ref object) const;
  bool empty() const { return terms_.empty(); }

 private:
  struct Term {
    std::vector<std::string> path;
    std::string value;
    bool equal;
  };
  std::vector<Term> terms_;
};

// The selectable fields of a built-in resource, beside name and namespace.
std::vector<std::string_view> SelectableFields(std::string_view group, std::string_view plural);

}  // namespace flotilla::sim::api
