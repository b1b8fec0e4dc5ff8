#include "sim/api_server/selectors.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

namespace flotilla::sim::api {

using value::Ref;

namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Splits at commas outside of parentheses.
std::vector<std::string_view> SplitTerms(std::string_view text) {
  std::vector<std::string_view> terms;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && depth == 0)) {
      std::string_view term = Trim(text.substr(start, i - start));
      if (!term.empty()) terms.push_back(term);
      start = i + 1;
    } else if (text[i] == '(') {
      ++depth;
    } else if (text[i] == ')') {
      --depth;
    }
  }
  return terms;
}

ApiError Unreadable(std::string_view text) {
  return BadRequest(
      fmt::format("unable to parse requirement: found '{}', expected: a selector", text));
}

std::vector<std::string> ParseValues(std::string_view list) {
  std::vector<std::string> values;
  while (true) {
    size_t end = list.find(',');
    values.emplace_back(Trim(list.substr(0, end)));
    if (end == std::string_view::npos) return values;
    list.remove_prefix(end + 1);
  }
}

bool IsKey(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == '/';
  });
}

}  // namespace

Answer<LabelSelector::Requirement> LabelSelector::ParseRequirement(std::string_view text) {
  Requirement requirement;
  if (text.front() == '!') {
    requirement.op = Operator::kMissing;
    requirement.key = Trim(text.substr(1));
  } else if (text.back() == ')') {
    size_t open = text.find('(');
    std::string_view head = Trim(text.substr(0, open));
    size_t space = head.find(' ');
    if (open == std::string_view::npos || space == std::string_view::npos) {
      return Refuse(Unreadable(text));
    }
    std::string_view op = Trim(head.substr(space));
    if (op != "in" && op != "notin") return Refuse(Unreadable(text));
    requirement.op = op == "in" ? Operator::kIn : Operator::kNotIn;
    requirement.key = head.substr(0, space);
    requirement.values = ParseValues(text.substr(open + 1, text.size() - open - 2));
  } else if (size_t at = text.find_first_of("=!<>"); at != std::string_view::npos) {
    requirement.key = Trim(text.substr(0, at));
    bool negated = text[at] == '!';
    requirement.op = negated           ? Operator::kNotIn
                     : text[at] == '<' ? Operator::kLess
                     : text[at] == '>' ? Operator::kGreater
                                       : Operator::kIn;
    size_t value = at + 1;
    if (value < text.size() && text[value] == '=') ++value;
    if (negated && text.substr(at, 2) != "!=") return Refuse(Unreadable(text));
    requirement.values.emplace_back(Trim(text.substr(value)));
  } else {
    requirement.op = Operator::kExists;
    requirement.key = text;
  }
  if (!IsKey(requirement.key)) return Refuse(Unreadable(text));
  for (const std::string& value : requirement.values) {
    if (!value.empty() && !IsKey(value)) return Refuse(Unreadable(text));
  }
  return requirement;
}

Answer<LabelSelector> LabelSelector::Parse(std::string_view text) {
  LabelSelector selector;
  for (std::string_view term : SplitTerms(text)) {
    auto requirement = ParseRequirement(term);
    if (!requirement) return Refuse(requirement);
    selector.requirements_.push_back(*std::move(requirement));
  }
  return selector;
}

LabelSelector LabelSelector::FromObject(Ref object) {
  LabelSelector selector;
  for (auto [key, value] : object["matchLabels"].Members()) {
    selector.requirements_.push_back({std::string(key), Operator::kIn, {value.Text()}});
  }
  for (Ref expression : object["matchExpressions"].Items()) {
    Requirement requirement;
    requirement.key = expression["key"].Text();
    std::string_view op = expression["operator"].String();
    requirement.op = op == "In"       ? Operator::kIn
                     : op == "NotIn"  ? Operator::kNotIn
                     : op == "Exists" ? Operator::kExists
                                      : Operator::kMissing;
    for (Ref value : expression["values"].Items()) requirement.values.push_back(value.Text());
    selector.requirements_.push_back(std::move(requirement));
  }
  return selector;
}

bool LabelSelector::Matches(Ref labels) const {
  for (const Requirement& requirement : requirements_) {
    Ref label = labels[requirement.key];
    bool listed = std::find(requirement.values.begin(), requirement.values.end(), label.String()) !=
                  requirement.values.end();
    bool holds = false;
    switch (requirement.op) {
      case Operator::kIn:
        holds = !label.IsAbsent() && listed;
        break;
      case Operator::kNotIn:
        holds = label.IsAbsent() || !listed;
        break;
      case Operator::kExists:
        holds = !label.IsAbsent();
        break;
      case Operator::kMissing:
        holds = label.IsAbsent();
        break;
      case Operator::kGreater:
      case Operator::kLess: {
        int64_t have = 0, want = 0;
        std::string_view text = label.String();
        const std::string& bound = requirement.values.front();
        holds =
            !label.IsAbsent() &&
            std::from_chars(text.data(), text.data() + text.size(), have).ec == std::errc() &&
            std::from_chars(bound.data(), bound.data() + bound.size(), want).ec == std::errc() &&
            (requirement.op == Operator::kGreater ? have > want : have < want);
        break;
      }
    }
    if (!holds) return false;
  }
  return true;
}

Answer<FieldSelector> FieldSelector::Parse(std::string_view text,
                                           const std::vector<std::string_view>& supported) {
  FieldSelector selector;
  for (std::string_view term : SplitTerms(text)) {
    size_t at = term.find_first_of("=!");
    if (at == std::string_view::npos) {
      return Refuse(
          BadRequest(fmt::format("invalid selector: '{}'; can't understand '{}'", text, term)));
    }
    Term parsed;
    parsed.equal = term[at] == '=';
    std::string_view field = term.substr(0, at);
    std::string_view value = term.substr(at + 1);
    if (!value.empty() && value.front() == '=') value.remove_prefix(1);
    parsed.value = value;
    if (field != "metadata.name" && field != "metadata.namespace" &&
        std::find(supported.begin(), supported.end(), field) == supported.end()) {
      return Refuse(BadRequest(
          supported.empty()
              ? fmt::format("\"{}\" is not a known field selector: only \"metadata.name\", "
                            "\"metadata.namespace\"",
                            field)
              : fmt::format("field label not supported: {}", field)));
    }
    size_t start = 0;
    while (start <= field.size()) {
      size_t dot = std::min(field.find('.', start), field.size());
      parsed.path.emplace_back(field.substr(start, dot - start));
      start = dot + 1;
    }
    selector.terms_.push_back(std::move(parsed));
  }
  return selector;
}

bool FieldSelector::Matches(Ref object) const {
  for (const Term& term : terms_) {
    Ref at = object;
    for (const std::string& step : term.path) at = at[step];
    std::string text = at.IsBool()      ? (at.Bool() ? "true" : "false")
                       : at.IsInteger() ? std::to_string(at.Int())
                                        : at.Text();
    if ((text == term.value) != term.equal) return false;
  }
  return true;
}

std::vector<std::string_view> SelectableFields(std::string_view group, std::string_view plural) {
  if (group.empty() && plural == "pods") {
    return {
        "spec.nodeName",    "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase",       "status.podIP",       "status.nominatedNodeName"};
  }
  if (group.empty() && plural == "nodes") return {"spec.unschedulable"};
  if (group.empty() && plural == "namespaces") return {"status.phase"};
  if (group.empty() && plural == "secrets") return {"type"};
  if (group.empty() && plural == "services") return {"spec.clusterIP", "spec.type"};
  if (group.empty() && plural == "replicationcontrollers") return {"status.replicas"};
  if (group == "apps" && plural == "replicasets") return {"status.replicas"};
  if (group == "batch" && plural == "jobs") return {"status.successful"};
  if (plural == "events") {
    return {"involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type"};
  }
  return {};
}

}  // namespace flotilla::sim::api
