#include "api/rollout_plan.h"

#include "api/fields.h"

namespace flotilla::api {

const char* ToString(OfflinePolicy policy) {
  constexpr const char* kNames[] = {"Skip", "Wait", "Fail"};
  return NameOf(kNames, policy);
}

const char* ToString(UnmatchedClusters unmatched) {
  constexpr const char* kNames[] = {"LastStage", "Reject"};
  return NameOf(kNames, unmatched);
}

OfflinePolicy Stage::OfflinePolicyFor(Connectivity connectivity) const {
  return offline_policy.value_or(
      connectivity == Connectivity::kIntermittent ? OfflinePolicy::kSkip : OfflinePolicy::kWait);
}

const RolloutPlanSpec& DefaultPlan() {
  static const RolloutPlanSpec kPlan = [] {
    RolloutPlanSpec plan;
    plan.stages.resize(3);
    plan.stages[0].name = "first";
    plan.stages[0].max_clusters = Count(1);
    plan.stages[1].name = "half";
    plan.stages[1].max_clusters = Percent(50);
    plan.stages[2].name = "all";
    return plan;
  }();
  return kPlan;
}

void Describe(Fields& f, Stage& stage) {
  f.Required("name", stage.name, "Unique within the plan.", {.format = &kDnsLabel});
  f.Optional("clusterSelector", stage.cluster_selector,
             "Which clusters of the placement; empty: all that no earlier stage took.");
  f.Optional("maxClusters", stage.max_clusters,
             "The most clusters that the stage takes, as a count or a percentage of the placement; "
             "the rest stays for later stages.",
             {.min = 1});
  f.Optional("maxConcurrency", stage.max_concurrency,
             "Clusters that change at once, as a count or a percentage of the stage (rounded up).",
             {.min = 1});
  f.Optional("maxFailures", stage.max_failures,
             "Clusters that may fail, as a count or a percentage of the stage (rounded down), "
             "before the rollout pauses.",
             {.min = 0});
  f.Optional("hot", stage.hot,
             "How long each cluster must be healthy without a breach before it passes.",
             {.longest = 24h});
  f.Optional("bake", stage.bake, "Time after the last cluster passed before the next stage starts.",
             {.longest = 720h});
  f.Optional("requireApproval", stage.require_approval,
             "Wait for an Approval before the stage starts.");
  f.Optional("deadline", stage.deadline,
             "How long a cluster may take from its first write until it is healthy.",
             {.shortest = 1s, .longest = 24h});
  f.Optional("offlinePolicy", stage.offline_policy,
             "Clusters that cannot be reached: Skip goes on without them, Wait holds, Fail counts "
             "them against maxFailures. Absent: Skip for Intermittent clusters, else Wait.");
}

void Describe(Fields& f, RolloutPlanSpec& plan) {
  f.Required("stages", plan.stages, "In order; a cluster belongs to the first that takes it.",
             {.min_items = 1, .max_items = 50, .key = "name"});
  f.Optional("unmatchedClusters", plan.unmatched_clusters,
             "Clusters of the placement that no stage takes: LastStage adds them to the last one, "
             "Reject refuses the rollout.");
}

void Describe(Fields& f, RolloutPlan& plan) {
  f.Kind(kRolloutPlanKind, "The order in which releases reach clusters.");
  f.Column("First", "string", ".spec.stages[0].name", "The first stage.");
  f.Column("Unmatched", "string", ".spec.unmatchedClusters", "", 1);
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(plan.spec, "The stages.");
}

Result<RolloutPlan> ParseRolloutPlan(value::Ref object) { return ParseObject<RolloutPlan>(object); }
value::Value ToValue(const RolloutPlan& plan) { return PrintObject(plan); }

}  // namespace flotilla::api
