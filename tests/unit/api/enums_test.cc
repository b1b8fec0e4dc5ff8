// The names of enumerations are an interface: manifests, conditions and scripts hold them.
#include <string>

#include "api/application.h"
#include "api/approval.h"
#include "api/cluster.h"
#include "api/delivery_policy.h"
#include "api/rollback.h"
#include "api/rollout.h"
#include "api/rollout_plan.h"
#include "api/slo.h"
#include "catch.h"

namespace flotilla::api {
namespace {

template <typename E>
std::string Names() {
  std::string names;
  for (unsigned char e = 0; ToString(static_cast<E>(e)) != nullptr; ++e) {
    names += names.empty() ? "" : " ";
    names += ToString(static_cast<E>(e));
  }
  return names;
}

TEST_CASE("enumerations have these names") {
  CHECK(Names<AdoptPolicy>() == "IfNoDiff Always Never");
  CHECK(Names<AdoptSource>() == "ArgoCD Flux Helm ApplySet Controller");
  CHECK(Names<ApprovalAction>() == "Proceed SkipBake");
  CHECK(Names<ClusterPhase>() ==
        "Pending Applying Applied Verifying Hot Passed SkippedOffline Unverified Breached Failed "
        "RollingBack RolledBack RollbackBlocked RollbackPendingOffline");
  CHECK(Names<Comparison>() == "< <= > >= == !=");
  CHECK(Names<ConditionStatus>() == "True False Unknown");
  CHECK(Names<Connectivity>() == "Always Intermittent");
  CHECK(Names<DeletionPolicy>() == "Orphan Delete");
  CHECK(Names<DriftMode>() == "Enforce Report Ignore");
  CHECK(Names<OfflinePolicy>() == "Skip Wait Fail");
  CHECK(Names<PatchVerb>() == "add remove replace move copy test");
  CHECK(Names<PolicyMode>() == "deny warn audit");
  CHECK(Names<PruneTime>() == "AfterBake BeforeApply");
  CHECK(Names<RollbackCause>() == "Breach Failure Manual");
  CHECK(Names<RollbackPhase>() ==
        "Pending Applying Verifying Succeeded Incomplete Blocked Planned");
  CHECK(Names<RollbackScope>() == "Revision Stage Cluster");
  CHECK(Names<RolloutPhase>() ==
        "Pending Validating AwaitingApproval Progressing Baking Pruning Paused Succeeded Rejected "
        "Superseded RollingBack RolledBack RollbackIncomplete");
  CHECK(Names<RolloutReason>() == "Revision Configuration Manual Released");
  CHECK(Names<SelectorOperator>() == "In NotIn Exists DoesNotExist");
  CHECK(Names<StagePhase>() == "Pending AwaitingApproval Progressing Baking Passed Failed");
  CHECK(Names<TargetReason>() == "Head Pinned Rollback");
  CHECK(Names<UnmatchedClusters>() == "LastStage Reject");
}

TEST_CASE("a rollout that ended stays as it is") {
  for (unsigned char e = 0; ToString(static_cast<RolloutPhase>(e)) != nullptr; ++e) {
    const auto phase = static_cast<RolloutPhase>(e);
    INFO(ToString(phase));
    CHECK(IsTerminal(phase) ==
          (phase == RolloutPhase::kSucceeded || phase == RolloutPhase::kRejected ||
           phase == RolloutPhase::kSuperseded || phase == RolloutPhase::kRolledBack));
  }
}

}  // namespace
}  // namespace flotilla::api
