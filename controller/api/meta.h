// What objects of every kind have in common: metadata, references, conditions, and the facts that
// a client needs to address a kind.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/names.h"
#include "base/time.h"
#include "value/value.h"

namespace flotilla::api {

// Describes the fields of one struct, once, for parsing, printing and its schema (api/fields.h).
class Fields;

using Labels = std::map<std::string, std::string, std::less<>>;

struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;
  bool block_owner_deletion = false;
  bool operator==(const OwnerReference&) const = default;
};

// The part of ObjectMeta that we read or write; other members are ignored when parsing.
struct Meta {
  std::string name;
  std::string ns;  // "" for cluster-scoped kinds
  std::string uid;
  std::string resource_version;
  int64_t generation = 0;
  std::optional<WallTime> created;  // creationTimestamp
  std::optional<WallTime> deleted;  // deletionTimestamp
  Labels labels;
  Labels annotations;
  std::vector<std::string> finalizers;
  std::vector<OwnerReference> owners;

  // "namespace/name", or "name" where there is no namespace.
  std::string Key() const;
  bool operator==(const Meta&) const = default;
};

struct KindInfo {
  std::string_view kind;        // "Application"
  std::string_view plural;      // "applications"
  std::string_view singular;    // "application"
  std::string_view short_name;  // "" where the kind has none
  bool namespaced = true;
};

inline constexpr KindInfo kClusterKind{"Cluster", "clusters", "cluster", "fcl", false};
inline constexpr KindInfo kRepositoryKind{"Repository", "repositories", "repository", "frepo",
                                          true};
inline constexpr KindInfo kApplicationKind{"Application", "applications", "application", "fapp",
                                           true};
inline constexpr KindInfo kRolloutPlanKind{"RolloutPlan", "rolloutplans", "rolloutplan", "fplan",
                                           true};
inline constexpr KindInfo kServiceLevelObjectiveKind{
    "ServiceLevelObjective", "servicelevelobjectives", "servicelevelobjective", "fslo", true};
inline constexpr KindInfo kDeliveryPolicyKind{"DeliveryPolicy", "deliverypolicies",
                                              "deliverypolicy", "fpol", false};
inline constexpr KindInfo kRolloutKind{"Rollout", "rollouts", "rollout", "fro", true};
inline constexpr KindInfo kRollbackKind{"Rollback", "rollbacks", "rollback", "frb", true};
inline constexpr KindInfo kApprovalKind{"Approval", "approvals", "approval", "", true};
inline constexpr KindInfo kFreezeKind{"Freeze", "freezes", "freeze", "", true};
inline constexpr KindInfo kClusterFreezeKind{"ClusterFreeze", "clusterfreezes", "clusterfreeze", "",
                                             false};

inline constexpr const KindInfo* kKinds[] = {&kApplicationKind,
                                             &kApprovalKind,
                                             &kClusterKind,
                                             &kClusterFreezeKind,
                                             &kDeliveryPolicyKind,
                                             &kFreezeKind,
                                             &kRepositoryKind,
                                             &kRollbackKind,
                                             &kRolloutKind,
                                             &kRolloutPlanKind,
                                             &kServiceLevelObjectiveKind};

// An absolute number, or a percentage of a total: "25%" or 3.
struct IntOrPercent {
  int value = 0;
  bool percent = false;

  // How many of `total` it means: RoundUp for "at least one may go on" (maxConcurrency), RoundDown
  // for "at most" (maxFailures).
  int RoundUp(int total) const;
  int RoundDown(int total) const;
  std::string ToString() const;
  bool operator==(const IntOrPercent&) const = default;
};
constexpr IntOrPercent Percent(int value) { return {value, true}; }
constexpr IntOrPercent Count(int value) { return {value, false}; }

void Describe(Fields& f, Meta& meta);
void Describe(Fields& f, OwnerReference& owner);

}  // namespace flotilla::api
