#include "api/conditions.h"

#include <algorithm>

#include "api/fields.h"

namespace flotilla::api {

const char* ToString(ConditionStatus status) {
  constexpr const char* kNames[] = {"True", "False", "Unknown"};
  return NameOf(kNames, status);
}

bool SetCondition(Conditions& conditions, Condition wanted, WallTime now) {
  const auto same_type = [&](const Condition& c) { return c.type == wanted.type; };
  const auto found = std::find_if(conditions.begin(), conditions.end(), same_type);
  const bool is_new = found == conditions.end();
  wanted.last_transition = is_new || found->status != wanted.status
                               ? std::chrono::floor<std::chrono::seconds>(now)
                               : found->last_transition;
  if (is_new) {
    conditions.push_back(std::move(wanted));
    return true;
  }
  if (*found == wanted) return false;
  *found = std::move(wanted);
  return true;
}

bool SetCondition(Conditions& conditions, std::string_view type, ConditionStatus status,
                  std::string_view reason, std::string_view message, int64_t observed_generation,
                  WallTime now) {
  return SetCondition(conditions,
                      {.type = std::string(type),
                       .status = status,
                       .observed_generation = observed_generation,
                       .reason = std::string(reason),
                       .message = std::string(message)},
                      now);
}

bool RemoveCondition(Conditions& conditions, std::string_view type) {
  return std::erase_if(conditions, [&](const Condition& c) { return c.type == type; }) > 0;
}

const Condition* FindCondition(const Conditions& conditions, std::string_view type) {
  for (const Condition& condition : conditions) {
    if (condition.type == type) return &condition;
  }
  return nullptr;
}

bool IsTrue(const Conditions& conditions, std::string_view type) {
  const Condition* condition = FindCondition(conditions, type);
  return condition != nullptr && condition->status == ConditionStatus::kTrue;
}

void Describe(Fields& f, Condition& condition) {
  f.Required("type", condition.type, "What the condition is about.");
  f.Required("status", condition.status, "Whether it holds.");
  f.Optional("observedGeneration", condition.observed_generation,
             "The metadata.generation that was judged.");
  f.Required("lastTransitionTime", condition.last_transition, "When status changed last.");
  f.Required("reason", condition.reason, "Why, in one CamelCase word, for programs.");
  f.Optional("message", condition.message, "Why, for people.");
}

}  // namespace flotilla::api
