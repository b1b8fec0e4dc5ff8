// Leaving a release: from the reason to the last known good set on every cluster.
#include "api/rollback.h"
#include "deliver/steps.h"

namespace flotilla::deliver {
namespace {

// The release that a rollback replaces: what the latest run put anywhere, else the target.
struct Leaving {
  ReleaseId release;
  Fence fence = 0;
};
Leaving LeavingOf(const AppState& state) {
  if (state.run && state.run->phase != RunPhase::kRolledBack &&
      state.run->phase != RunPhase::kRollbackIncomplete && state.run->fence > state.target_fence) {
    for (const ClusterRun& cluster : state.run->clusters) {
      if (cluster.touched) return {state.run->release, state.run->fence};
    }
  }
  return {state.target, state.target_fence};
}

bool LeavesRun(const AppState& state, const RollbackRun& rollback) {
  return state.run && state.run->release == rollback.from &&
         state.run->phase != RunPhase::kRejected;
}

// Clusters that hold, or may hold, something else than `to`.
std::vector<ClusterRun> Affected(const AppState& state, const RollbackRun& rollback) {
  std::vector<ClusterRun> affected;
  auto add = [&](const std::string& name, int stage) {
    ClusterRun cluster;
    cluster.name = name;
    cluster.stage = stage;
    affected.push_back(std::move(cluster));
  };
  std::set<std::string> named;
  if (LeavesRun(state, rollback)) {
    // Clusters that were away during the run may have come to its release since it succeeded.
    const bool everywhere = state.target == rollback.from;
    for (const ClusterRun& cluster : state.run->clusters) {
      const bool holds = cluster.touched || cluster.inherited || everywhere;
      if (!holds && state.run->base == rollback.to) continue;
      if (!holds && !state.target_clusters.count(cluster.name)) continue;
      add(cluster.name, cluster.stage);
      named.insert(cluster.name);
    }
  }
  if (!(state.target == rollback.to)) {
    for (const std::string& name : state.target_clusters) {
      if (!named.count(name)) add(name, 0);
    }
  }
  return affected;
}

int RollbacksOfTheDay(const AppState& state, WallTime now) {
  return static_cast<int>(std::count_if(state.rollbacks.begin(), state.rollbacks.end(),
                                        [&](WallTime at) { return now - at < 24h; }));
}

void PauseRun(Context& ctx, const char* reason, std::string message) {
  Run& run = *ctx.state.run;
  if (run.pause_reason == reason) return;
  run.pause_reason = reason;
  run.message = message;
  if (!IsFinal(run.phase)) run.phase = RunPhase::kPaused;
  ctx.Do(SaveRollout{});
  ctx.Do(SaveApplication{});
  ctx.Warn(reason, "{}: {}", run.name, message);
}

void SendRollbackApply(Context& ctx, ClusterRun& cluster) {
  RollbackRun& rollback = *ctx.state.rollback;
  Enter(cluster, ClusterPhase::kRollingBack, ctx.now);
  ++cluster.attempts;
  cluster.retry_at = kForever;
  ctx.Do(Apply{cluster.name, rollback.fence, rollback.to, Lane::kRollback});
}

void Conclude(Context& ctx) {
  AppState& state = ctx.state;
  RollbackRun& rollback = *state.rollback;
  std::string left;
  for (const ClusterRun& cluster : rollback.clusters) {
    if (cluster.phase == ClusterPhase::kRolledBack) continue;
    if (!left.empty()) left += "; ";
    left += fmt::format("{}: {}", cluster.name,
                        cluster.message.empty() ? ToString(cluster.phase) : cluster.message);
  }
  const RunPhase phase = left.empty() ? RunPhase::kRolledBack : RunPhase::kRollbackIncomplete;
  if (!rollback.complete) {
    std::set<std::string> placed = state.target_clusters;
    for (const ClusterRun& cluster : rollback.clusters) placed.insert(cluster.name);
    state.target = rollback.to;
    state.target_fence = rollback.fence;
    state.target_clusters = std::move(placed);
    rollback.complete = true;
    rollback.timeline.accepted_at = rollback.timeline.decided_at;
    for (const ClusterRun& cluster : rollback.clusters) {
      if (cluster.phase != ClusterPhase::kRolledBack) continue;
      rollback.timeline.accepted_at = std::max(*rollback.timeline.accepted_at, cluster.applied_at);
    }
    rollback.verify_at = ctx.now.mono + VerifyAfter(state.settings);
  }
  if (LeavesRun(state, rollback)) {
    Run& run = *state.run;
    run.phase = phase;
    run.message = left;
    run.finished_at = ctx.now.wall;
    for (HistoryEntry& entry : state.history) {
      if (entry.rollout == run.name) entry.result = phase;
    }
    const bool known = std::any_of(state.history.begin(), state.history.end(),
                                   [&](const HistoryEntry& entry) { return entry.rollout == run.name; });
    if (!known) {
      state.history.insert(state.history.begin(),
                           {run.name, run.release, phase, run.fence, ctx.now.wall});
    }
    ctx.Do(SaveRollout{});
  }
  ctx.Do(SaveRollback{});
  ctx.Do(SaveApplication{});
  if (left.empty()) {
    ctx.Inform("RolledBack", "{}: {} runs again on {} clusters", rollback.name,
               rollback.to.revision, rollback.clusters.size());
  } else {
    ctx.Warn("RollbackIncomplete", "{}: {}", rollback.name, left);
  }
}

// Whether the way back helped. There is no second one by itself.
void Verify(Context& ctx) {
  RollbackRun& rollback = *ctx.state.rollback;
  rollback.verify_at = kForever;
  if (rollback.cause != "Breach") return;
  for (const ClusterRun& cluster : rollback.clusters) {
    if (cluster.verdict != Verdict::kBreach) continue;
    const std::string message =
        fmt::format("{}: the SLO is still breached on {} with {}: the release was not the cause",
                    rollback.name, cluster.name, rollback.to.revision);
    ctx.Warn("RollbackIneffective", "{}", message);
    ctx.Do(FreezeApplication{message});
    return;
  }
  ctx.Inform("SLORecovered", "{}: no objective is breached", rollback.name);
}

}  // namespace

bool RollbackIsActive(const AppState& state) {
  return state.rollback && !state.rollback->complete;
}

void RequestRollback(Context& ctx, const char* cause, std::string reason,
                     std::vector<Evidence> evidence) {
  AppState& state = ctx.state;
  if (state.rollback_requested || RollbackIsActive(state) || !state.run) return;
  const Run& run = *state.run;
  if (!state.settings.automatic_rollback) {
    return PauseRun(ctx, "AutomaticRollbackOff", reason + "; automatic rollback is off");
  }
  if (!RollbackTarget(state, run.release)) {
    return PauseRun(ctx, "NoRollbackTarget", reason + "; no earlier release has succeeded");
  }
  if (RollbacksOfTheDay(state, ctx.now.wall) >= state.settings.max_rollbacks_per_day) {
    const std::string message =
        fmt::format("{}; {} rollbacks within a day are enough", reason, state.settings.max_rollbacks_per_day);
    PauseRun(ctx, "RollbackLimit", message);
    ctx.Do(FreezeApplication{message});
    return;
  }
  state.rollback_requested = true;
  state.pending_timeline = {};
  state.pending_timeline.detected_at = ctx.now.wall;
  for (const Evidence& item : evidence) {
    if (item.verdict != Verdict::kBreach) continue;
    auto& visible = state.pending_timeline.breach_visible_at;
    if (!visible || item.readable_at < *visible) visible = item.readable_at;
  }
  state.evidence = std::move(evidence);
  ctx.Do(CreateRollback{api::RollbackName(state.settings.name, run.fence), cause,
                        std::move(reason)});
}

void OnRollbackSeen(Context& ctx, const RollbackSeen& seen) {
  AppState& state = ctx.state;
  if (state.rollback && state.rollback->name == seen.name) return;

  const Leaving leaving = LeavingOf(state);
  RollbackRun rollback;
  rollback.name = seen.name;
  rollback.from = leaving.release;
  rollback.cause = seen.cause;
  rollback.reason = seen.reason;
  rollback.requested_by = seen.requested_by;
  rollback.timeline = state.pending_timeline;
  state.rollback_requested = false;
  state.pending_timeline = {};

  std::string refused;
  const std::optional<ReleaseId> to = seen.to ? seen.to : RollbackTarget(state, leaving.release);
  if (seen.name != api::RollbackName(state.settings.name, leaving.fence)) {
    refused = fmt::format("it names fence {}, but fence {} is what runs: create it again",
                                   seen.name.substr(seen.name.rfind('-') + 1), leaving.fence);
  } else if (!to) {
    refused = "no earlier release has succeeded";
  } else if (*to == leaving.release) {
    refused = "that release is what runs already";
  } else if (FindQuarantine(state, *to) && !seen.force) {
    refused = "that release is quarantined; force it, or release it first";
  }
  if (!refused.empty()) {
    ctx.Warn("RollbackRefused", "{}: {}", seen.name, refused);
    ctx.Do(RefuseRollback{seen.name, refused});
    return;
  }

  rollback.to = *to;
  rollback.fence = ++state.max_fence;
  rollback.timeline.decided_at = ctx.now.wall;
  rollback.clusters = Affected(state, rollback);
  if (LeavesRun(state, rollback)) {
    state.run->phase = RunPhase::kRollingBack;
    state.run->watch_until = kForever;
    rollback.from_rollout = state.run->name;
  }
  state.quarantine.push_back({rollback.from.release_digest, rollback.from.input_digest, rollback.name});
  state.pinned = true;
  state.rollbacks.push_back(ctx.now.wall);
  state.converging.clear();
  state.rollback = std::move(rollback);
  ctx.Do(SaveRollback{});
  ctx.Do(CancelBelow{state.rollback->fence});
  for (ClusterRun& cluster : state.rollback->clusters) {
    if (ctx.Reachable(cluster.name)) {
      SendRollbackApply(ctx, cluster);
    } else {
      Enter(cluster, ClusterPhase::kRollbackPendingOffline, ctx.now, "offline");
    }
  }
  state.rollback->timeline.first_apply_at = ctx.now.wall;
  ctx.Warn("RollbackStarted", "{}: {} to {} on {} clusters: {}", state.rollback->name,
           state.rollback->from.revision, state.rollback->to.revision,
           state.rollback->clusters.size(), state.rollback->reason);
  if (LeavesRun(state, *state.rollback)) ctx.Do(SaveRollout{});
}

void OnRollbackReleased(Context& ctx, const RollbackReleased& released) {
  AppState& state = ctx.state;
  const size_t before = state.quarantine.size();
  std::erase_if(state.quarantine,
                [&](const Quarantine& entry) { return entry.rollback == released.name; });
  if (state.quarantine.size() == before) return;
  if (state.rollback && state.rollback->name == released.name && state.rollback->complete) {
    state.pinned = false;
  }
  state.stalled_reason.clear();
  state.stalled_message.clear();
  ctx.Inform("QuarantineReleased", "{} holds nothing back any more", released.name);
  ctx.Do(SaveApplication{});
  StartPrepare(ctx);
}

// Clusters that a rollback still owes, and that a newer run reaches first, follow that run.
void LeaveToNewerRun(Context& ctx) {
  AppState& state = ctx.state;
  RollbackRun& rollback = *state.rollback;
  bool any = false;
  bool all = true;
  for (ClusterRun& cluster : rollback.clusters) {
    if (cluster.phase == ClusterPhase::kRolledBack) continue;
    const ClusterRun* newer = state.run && state.run->fence > rollback.fence
                                  ? FindCluster(state.run->clusters, cluster.name)
                                  : nullptr;
    if (state.target_fence > rollback.fence || (newer && newer->touched)) {
      Enter(cluster, ClusterPhase::kRolledBack, ctx.now, "a newer release is there");
      any = true;
    }
    all &= cluster.phase == ClusterPhase::kRolledBack;
  }
  if (any && all) ctx.Do(SaveRollback{});
}

void AdvanceRollback(Context& ctx) {
  AppState& state = ctx.state;
  if (!state.rollback) return;
  RollbackRun& rollback = *state.rollback;
  if (rollback.complete) LeaveToNewerRun(ctx);
  if (rollback.complete && state.target_fence != rollback.fence) return;

  bool under_way = false;
  bool changed = !rollback.complete;
  for (ClusterRun& cluster : rollback.clusters) {
    const bool reachable = ctx.Reachable(cluster.name);
    if (cluster.phase == ClusterPhase::kRollbackPendingOffline && reachable) {
      SendRollbackApply(ctx, cluster);
    } else if (cluster.phase == ClusterPhase::kRollingBack && cluster.retry_at <= ctx.now.mono) {
      if (reachable) {
        SendRollbackApply(ctx, cluster);
      } else {
        Enter(cluster, ClusterPhase::kRollbackPendingOffline, ctx.now, "offline");
      }
    }
    under_way |= cluster.phase == ClusterPhase::kRollingBack;
  }
  if (rollback.complete && LeavesRun(state, rollback) &&
      state.run->phase == RunPhase::kRollbackIncomplete) {
    changed = std::all_of(rollback.clusters.begin(), rollback.clusters.end(), [](const ClusterRun& c) {
      return c.phase == ClusterPhase::kRolledBack;
    });
  }
  if (!under_way && changed) Conclude(ctx);
  // A newer run that has written something is judged instead, at once: what the way back did can't be
  // told any more.
  if (state.run && state.run->fence > rollback.fence &&
      std::any_of(state.run->clusters.begin(), state.run->clusters.end(),
                  [](const ClusterRun& cluster) { return cluster.touched; })) {
    rollback.verify_at = kForever;
  }
  if (rollback.verify_at <= ctx.now.mono) Verify(ctx);
}

}  // namespace flotilla::deliver
