// RolloutPlan: the order in which a release reaches the clusters (DESIGN section 4).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/cluster.h"
#include "api/meta.h"
#include "api/selector.h"
#include "base/result.h"

namespace flotilla::api {

// What a stage does about a cluster that it cannot reach.
enum class OfflinePolicy : unsigned char {
  kSkip,  // goes on; the cluster converges when it returns
  kWait,  // holds until it returns
  kFail,  // counts against maxFailures
};
const char* ToString(OfflinePolicy policy);

enum class UnmatchedClusters : unsigned char { kLastStage, kReject };
const char* ToString(UnmatchedClusters unmatched);

struct Stage {
  std::string name;
  LabelSelector cluster_selector;  // empty: every cluster that no earlier stage took
  // The most clusters that the stage takes; absent: all that match. The rest stays for later
  // stages.
  std::optional<IntOrPercent> max_clusters;
  IntOrPercent max_concurrency = Percent(50);  // clusters being changed at once; at least one
  IntOrPercent max_failures = Count(0);        // beyond which the rollout pauses
  Duration hot = 1min;            // each cluster: healthy and without a breach for that long
  Duration bake = 5min;           // after the last cluster passed, before the next stage
  bool require_approval = false;  // before the stage starts
  Duration deadline = 10min;      // per cluster, from first write to healthy
  std::optional<OfflinePolicy> offline_policy;  // absent: Skip for Intermittent, Wait for Always

  OfflinePolicy OfflinePolicyFor(Connectivity connectivity) const;
  bool operator==(const Stage&) const = default;
};

struct RolloutPlanSpec {
  std::vector<Stage> stages;
  UnmatchedClusters unmatched_clusters = UnmatchedClusters::kLastStage;
  bool operator==(const RolloutPlanSpec&) const = default;
};

struct RolloutPlan {
  Meta meta;
  RolloutPlanSpec spec;
  bool operator==(const RolloutPlan&) const = default;
};

// What an application without a plan gets: one cluster, then half of all, then the rest.
const RolloutPlanSpec& DefaultPlan();

Result<RolloutPlan> ParseRolloutPlan(value::Ref object);
value::Value ToValue(const RolloutPlan& plan);

void Describe(Fields& f, Stage& stage);
void Describe(Fields& f, RolloutPlanSpec& plan);
void Describe(Fields& f, RolloutPlan& plan);

}  // namespace flotilla::api
