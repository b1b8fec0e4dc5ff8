#include "deliver/plan.h"

#include <algorithm>

namespace flotilla::deliver {

Result<std::vector<api::RolloutStage>> AssignStages(const api::RolloutPlanSpec& plan,
                                                    std::vector<PlacedCluster> clusters) {
  if (plan.stages.empty()) return Fail(ErrorClass::kInvalid, "the rollout plan has no stage");
  std::sort(clusters.begin(), clusters.end(),
            [](const PlacedCluster& a, const PlacedCluster& b) { return a.name < b.name; });

  std::vector<api::RolloutStage> stages;
  stages.reserve(plan.stages.size());
  for (const api::Stage& stage : plan.stages) stages.push_back({stage, {}});
  const int total = static_cast<int>(clusters.size());
  auto has_room = [&](const api::RolloutStage& stage) {
    return !stage.stage.max_clusters ||
           static_cast<int>(stage.clusters.size()) < stage.stage.max_clusters->RoundUp(total);
  };

  for (const PlacedCluster& cluster : clusters) {
    auto home = std::find_if(stages.begin(), stages.end(), [&](const api::RolloutStage& stage) {
      return stage.stage.cluster_selector.Matches(cluster.labels) && has_room(stage);
    });
    if (home == stages.end()) {
      if (plan.unmatched_clusters == api::UnmatchedClusters::kReject) {
        return Fail(ErrorClass::kInvalid,
                    "no stage of the rollout plan takes cluster {}: add one, or set "
                    "unmatchedClusters: LastStage",
                    cluster.name);
      }
      home = std::prev(stages.end());
    }
    home->clusters.push_back(cluster.name);
  }
  return stages;
}

}  // namespace flotilla::deliver
