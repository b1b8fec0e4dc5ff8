// Which clusters an application goes to, and in which stage each of them has its turn.
//
// Pure: the same clusters and the same plan give the same stages on every machine and after every
// restart.
#pragma once

#include <string>
#include <vector>

#include "api/meta.h"
#include "api/rollout.h"
#include "api/rollout_plan.h"
#include "base/result.h"

namespace flotilla::deliver {

struct PlacedCluster {
  std::string name;
  api::Labels labels;  // Cluster::SelectableLabels
};

// Each cluster goes to the first stage whose selector matches it and that has room (maxClusters, a
// percentage of all clusters given); within a stage they are sorted by name. A cluster that no stage
// takes goes to the last one, or is an error that names it, as the plan says.
Result<std::vector<api::RolloutStage>> AssignStages(const api::RolloutPlanSpec& plan,
                                                    std::vector<PlacedCluster> clusters);

}  // namespace flotilla::deliver
