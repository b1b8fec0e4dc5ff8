// How the delivery machine is cut into files: forward.cc (prepare, validate, stages), rollback.cc,
// converge.cc (clusters outside a run). Private to deliver/.
//
// An event handler only notes what happened; Advance, run after every event, then does all that is
// possible in the new state. So a step that was not possible when its event came (frozen, offline,
// waiting) needs no memory of its own.
#pragma once

#include <fmt/format.h>

#include <algorithm>

#include "deliver/machine.h"

namespace flotilla::deliver {

struct Context {
  AppState& state;
  const Moment& now;
  const FleetView& fleet;
  Commands& commands;
  // Nothing was under way when this step began. What ended in this step has still to be recorded, so
  // what is queued begins in the next one.
  bool idle_before = false;

  template <typename C>
  void Do(C command) {
    commands.emplace_back(std::move(command));
  }
  template <typename... Args>
  void Inform(const char* reason, fmt::format_string<Args...> format, Args&&... args) {
    Do(Say{false, reason, fmt::format(format, std::forward<Args>(args)...)});
  }
  template <typename... Args>
  void Warn(const char* reason, fmt::format_string<Args...> format, Args&&... args) {
    Do(Say{true, reason, fmt::format(format, std::forward<Args>(args)...)});
  }
  bool Reachable(const std::string& cluster) const {
    auto it = fleet.clusters.find(cluster);
    return it != fleet.clusters.end() && it->second.reachable && !it->second.suspended;
  }
};

// forward.cc
void StartPrepare(Context& ctx);
void Consider(Context& ctx, PreparedRelease prepared);
void AdvanceRun(Context& ctx);
bool QueueMayBegin(const AppState& state, const FleetView& fleet);
bool RunIsActive(const AppState& state);  // a run that still moves, or could

// rollback.cc
void RequestRollback(Context& ctx, const char* cause, std::string reason,
                     std::vector<Evidence> evidence);
void OnRollbackSeen(Context& ctx, const RollbackSeen& seen);
void OnRollbackReleased(Context& ctx, const RollbackReleased& released);
void AdvanceRollback(Context& ctx);
// When objectives tell whether a rollback has helped: not while they count errors from before it.
inline Duration VerifyAfter(const Settings& settings) {
  return std::max(settings.verify_after_rollback, settings.lookback + 30s);
}
bool RollbackIsActive(const AppState& state);

// converge.cc
void Converge(Context& ctx, const std::string& cluster, const std::string& why);
void OnHeldSeen(Context& ctx, const HeldSeen& held);
void OnDrifted(Context& ctx, const Drifted& drifted);
void AdvanceConvergence(Context& ctx);

ClusterRun* FindCluster(std::vector<ClusterRun>& clusters, const std::string& name);
void Enter(ClusterRun& cluster, ClusterPhase phase, const Moment& now, std::string message = {});

// How long to wait before attempt `attempts` + 1 of something that failed for a passing reason.
Duration BackOff(int attempts, const Error& error);

}  // namespace flotilla::deliver
