#include "api/crd.h"

#include <algorithm>

#include "api/application.h"
#include "api/approval.h"
#include "api/cluster.h"
#include "api/delivery_policy.h"
#include "api/fields.h"
#include "api/freeze.h"
#include "api/repository.h"
#include "api/rollback.h"
#include "api/rollout.h"
#include "api/rollout_plan.h"
#include "api/slo.h"

namespace flotilla::api {

std::vector<Crd> AllCrds() {
  std::vector<Crd> crds;
  for (value::Value& object : std::vector{
           CrdOf<Application>(), CrdOf<Approval>(), CrdOf<Cluster>(), CrdOf<ClusterFreeze>(),
           CrdOf<DeliveryPolicy>(), CrdOf<Freeze>(), CrdOf<Repository>(), CrdOf<Rollback>(),
           CrdOf<Rollout>(), CrdOf<RolloutPlan>(), CrdOf<ServiceLevelObjective>()}) {
    std::string name = object.At("metadata", "name").Text();
    crds.push_back({std::move(name), std::move(object)});
  }
  std::sort(crds.begin(), crds.end(), [](const Crd& a, const Crd& b) { return a.name < b.name; });
  return crds;
}

}  // namespace flotilla::api
