// Conditions (metav1.Condition), with the meaning that kstatus gives to Ready, Reconciling and
// Stalled.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/meta.h"
#include "base/time.h"

namespace flotilla::api {

enum class ConditionStatus : unsigned char { kTrue, kFalse, kUnknown };
const char* ToString(ConditionStatus status);

struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::kUnknown;
  int64_t observed_generation = 0;
  WallTime last_transition{};  // whole seconds, as metav1.Time
  std::string reason;          // CamelCase, never empty
  std::string message;
  bool operator==(const Condition&) const = default;
};
using Conditions = std::vector<Condition>;

// Types of conditions, by the kind that has them.
namespace condition {
// every kind with a status
inline constexpr std::string_view kReady = "Ready";
inline constexpr std::string_view kReconciling = "Reconciling";  // absent means false
inline constexpr std::string_view kStalled = "Stalled";          // absent means false
// Application
inline constexpr std::string_view kOutdated = "Outdated";
inline constexpr std::string_view kPinned = "Pinned";
inline constexpr std::string_view kFastRollbackCapable = "FastRollbackCapable";
inline constexpr std::string_view kDrifted = "Drifted";
inline constexpr std::string_view kFrozen = "Frozen";
// Cluster
inline constexpr std::string_view kReachable = "Reachable";
inline constexpr std::string_view kMetricsReachable = "MetricsReachable";
// Rollout
inline constexpr std::string_view kVerified = "Verified";
inline constexpr std::string_view kRolledBack = "RolledBack";
inline constexpr std::string_view kSloRecovered = "SLORecovered";
}  // namespace condition

// Sets the condition `wanted.type`, adding it where it is missing. last_transition becomes `now`
// (cut to seconds) when the status changes and stays otherwise, whatever `wanted` says.
// True where anything changed.
bool SetCondition(Conditions& conditions, Condition wanted, WallTime now);
bool SetCondition(Conditions& conditions, std::string_view type, ConditionStatus status,
                  std::string_view reason, std::string_view message, int64_t observed_generation,
                  WallTime now);
// For types whose absence means false. True where there was one.
bool RemoveCondition(Conditions& conditions, std::string_view type);
const Condition* FindCondition(const Conditions& conditions, std::string_view type);
bool IsTrue(const Conditions& conditions, std::string_view type);

void Describe(Fields& f, Condition& condition);

}  // namespace flotilla::api
