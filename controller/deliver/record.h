// Between the machine's state and what is durable of it: Rollouts, Rollbacks, Application.status.
//
// Record what is known, and read it back after a restart: both pure. What cannot be read back from
// there is read from the members' parents (HeldSeen) or found out again (health, verdicts).
#pragma once

#include <memory>
#include <vector>

#include "api/application.h"
#include "api/rollback.h"
#include "api/rollout.h"
#include "deliver/machine.h"

namespace flotilla::deliver {

// Spec and status of the running rollout. `release` comes with the variants that only the shell
// knows; `slos` are snapshots.
api::Rollout RolloutRecord(const AppState& state, const api::Application& application,
                           api::Release release, std::vector<api::RolloutSlo> slos);
api::RolloutStatus RolloutStatusOf(const AppState& state, const Run& run, WallTime now,
                                   api::RolloutStatus before);

// What CreateRollback asks for.
api::Rollback RollbackRecord(const AppState& state, const CreateRollback& command,
                             const api::Application& application);
api::RollbackStatus RollbackStatusOf(const RollbackRun& rollback, WallTime now,
                                     api::RollbackStatus before);

api::ApplicationStatus ApplicationStatusOf(const AppState& state, const api::Application& application,
                                           const FleetView& fleet, WallTime now);

struct Recorded {
  std::shared_ptr<const api::Application> application;
  std::vector<std::shared_ptr<const api::Rollout>> rollouts;    // of this application, any order
  std::vector<std::shared_ptr<const api::Rollback>> rollbacks;
};

// The state as far as it is recorded. Settings are the caller's to set before. A rollout that was
// under way goes on in its stage: its clusters are applied again, which changes nothing where they
// hold the release already; hot times begin again. A rollback that was under way goes on everywhere.
AppState Restore(Settings settings, const Recorded& recorded, const Moment& now);

}  // namespace flotilla::deliver
