// From a revision to a release on every cluster: prepare, validate, stage by stage, prune.
#include "deliver/steps.h"

namespace flotilla::deliver {
namespace {

void Finish(Context& ctx, RunPhase phase, std::string message) {
  Run& run = *ctx.state.run;
  run.phase = phase;
  run.message = std::move(message);
  run.finished_at = ctx.now.wall;
  ctx.Do(SaveRollout{});
}

void Pause(Context& ctx, const char* reason, std::string message) {
  Run& run = *ctx.state.run;
  if (run.phase == RunPhase::kPaused && run.pause_reason == reason) return;
  run.phase = RunPhase::kPaused;
  run.pause_reason = reason;
  run.message = std::move(message);
  ctx.Do(SaveRollout{});
  ctx.Do(SaveApplication{});
  ctx.Warn(reason, "{} is paused: {}", run.name, run.message);
}

void StartRun(Context& ctx, PreparedRelease prepared) {
  AppState& state = ctx.state;
  const int number = state.run ? state.run->number + 1 : 1;
  if (state.run && RunIsActive(state)) {
    ctx.Do(CloseRollout{state.run->name, RunPhase::kSuperseded, "a newer release takes its place"});
  }

  Run run;
  run.number = number;
  run.fence = ++state.max_fence;
  run.name = api::RolloutName(state.settings.name, prepared.release.release_digest, number);
  run.release = std::move(prepared.release);
  run.schema_key = std::move(prepared.schema_key);
  run.base = state.target;
  run.base_fence = state.target_fence;
  run.stages = std::move(prepared.stages);
  run.started_at = ctx.now.wall;
  for (size_t stage = 0; stage < run.stages.size(); ++stage) {
    for (const std::string& name : run.stages[stage].clusters) {
      ClusterRun cluster;
      cluster.name = name;
      cluster.stage = static_cast<int>(stage);
      cluster.since = ctx.now.mono;
      cluster.dry_run_pending = ctx.Reachable(name);
      if (!cluster.dry_run_pending) cluster.phase = ClusterPhase::kUnverified;
      run.clusters.push_back(std::move(cluster));
    }
  }
  state.run = std::move(run);
  state.stalled_reason.clear();
  state.stalled_message.clear();
  state.outdated_message.clear();
  ctx.Do(CreateRollout{});
  ctx.Do(SaveApplication{});
  ctx.Inform("RolloutStarted", "{}: {} to {} clusters in {} stages", state.run->name,
             state.run->release.revision, state.run->clusters.size(), state.run->stages.size());
  for (const ClusterRun& cluster : state.run->clusters) {
    if (cluster.dry_run_pending) ctx.Do(DryRun{cluster.name, state.run->fence, state.run->release});
  }
}

// The release is what runs already: only where it runs may have changed.
void TakePlacement(Context& ctx, const PreparedRelease& prepared) {
  AppState& state = ctx.state;
  std::set<std::string> placed;
  for (const api::RolloutStage& stage : prepared.stages) placed.insert(stage.clusters.begin(), stage.clusters.end());
  const bool was_stalled = !state.stalled_reason.empty() || !state.outdated_message.empty();
  state.stalled_reason.clear();
  state.stalled_message.clear();
  state.outdated_message.clear();
  state.rejected_digest.clear();
  if (state.pinned) {
    // Git says again what the rollback put in place: automation goes on from here.
    state.pinned = false;
    ctx.Inform("PinDissolved", "{} is what Git asks for", state.target.revision);
  } else if (placed == state.target_clusters && !was_stalled) {
    return;
  }
  state.target.revision = prepared.release.revision;
  std::swap(state.target_clusters, placed);
  for (const std::string& name : state.target_clusters) {
    if (!placed.count(name)) Converge(ctx, name, "newly placed");
  }
  ctx.Do(SaveApplication{});
}

void Validate(Context& ctx) {
  Run& run = *ctx.state.run;
  for (const ClusterRun& cluster : run.clusters) {
    if (cluster.dry_run_pending) return;
  }
  for (const ClusterRun& cluster : run.clusters) {
    if (cluster.phase != ClusterPhase::kFailed) continue;
    ctx.state.rejected_digest = run.release.release_digest;
    ctx.state.rejected_key = run.schema_key;
    ctx.state.stalled_reason = "Rejected";
    ctx.state.stalled_message = fmt::format("{}: {}", cluster.name, cluster.message);
    Finish(ctx, RunPhase::kRejected, ctx.state.stalled_message);
    ctx.Do(SaveApplication{});
    ctx.Warn("RolloutRejected", "{}: nothing was written: {}", run.name, run.message);
    return;
  }
  run.phase = RunPhase::kProgressing;
  run.stage_started_at = WallTime{};
}

// Returns false while the stage must not begin.
bool BeginStage(Context& ctx) {
  Run& run = *ctx.state.run;
  const api::RolloutStage& stage = run.stages[run.stage];
  if (run.stage_started_at != WallTime{}) return true;
  if (stage.stage.require_approval && !run.stage_approved) {
    if (run.phase != RunPhase::kAwaitingApproval) {
      run.phase = RunPhase::kAwaitingApproval;
      ctx.Do(SaveRollout{});
      ctx.Do(SaveApplication{});
      ctx.Inform("AwaitingApproval", "{}: stage {} waits for approval", run.name, stage.stage.name);
    }
    return false;
  }
  run.phase = RunPhase::kProgressing;
  run.stage_started_at = ctx.now.wall;
  ctx.Do(SaveRollout{});
  ctx.Inform("StageStarted", "{}: stage {} ({} clusters)", run.name, stage.stage.name,
             stage.clusters.size());
  return true;
}

void SendApply(Context& ctx, ClusterRun& cluster) {
  Run& run = *ctx.state.run;
  ++cluster.attempts;
  cluster.retry_at = kForever;
  ctx.Do(Apply{cluster.name, run.fence, run.release, Lane::kForward});
}

void StartCluster(Context& ctx, ClusterRun& cluster) {
  Enter(cluster, ClusterPhase::kApplying, ctx.now);
  cluster.started = ctx.now.mono;
  cluster.touched = true;
  cluster.attempts = 0;
  SendApply(ctx, cluster);
}

// An offline cluster whose turn has come.
void MeetOffline(Context& ctx, ClusterRun& cluster, const api::Stage& stage) {
  auto known = ctx.fleet.clusters.find(cluster.name);
  const api::Connectivity connectivity =
      known == ctx.fleet.clusters.end() ? api::Connectivity::kAlways : known->second.connectivity;
  switch (stage.OfflinePolicyFor(connectivity)) {
    case api::OfflinePolicy::kSkip:
      Enter(cluster, ClusterPhase::kSkippedOffline, ctx.now, "offline when its turn came");
      break;
    case api::OfflinePolicy::kWait:
      cluster.message = "offline: the stage waits for it";
      break;
    case api::OfflinePolicy::kFail:
      Enter(cluster, ClusterPhase::kFailed, ctx.now, "offline when its turn came");
      break;
  }
}

// What one cluster can do by itself: repeat an apply, become hot, pass, fail its deadline, return.
void AdvanceCluster(Context& ctx, ClusterRun& cluster) {
  const Run& run = *ctx.state.run;
  const api::Stage& stage = run.stages[static_cast<size_t>(cluster.stage)].stage;
  const TimePoint now = ctx.now.mono;
  const bool reachable = ctx.Reachable(cluster.name);
  const bool reached = cluster.stage <= static_cast<int>(run.stage);
  const bool late = cluster.started != TimePoint{} && now >= cluster.started + stage.deadline;

  switch (cluster.phase) {
    case ClusterPhase::kApplying:
      if (late) {
        Enter(cluster, ClusterPhase::kFailed, ctx.now,
              reachable ? fmt::format("not applied within {}: {}", FormatDuration(stage.deadline),
                                      cluster.message)
                        : "offline past its deadline");
      } else if (reachable && cluster.retry_at <= now) {
        SendApply(ctx, cluster);
      }
      break;
    case ClusterPhase::kVerifying:
      if (cluster.health == Health::kHealthy) {
        Enter(cluster, ClusterPhase::kHot, ctx.now);
      } else if (cluster.health == Health::kFailed) {
        Enter(cluster, ClusterPhase::kFailed, ctx.now, "not healthy: " + cluster.message);
      } else if (late) {
        Enter(cluster, ClusterPhase::kFailed, ctx.now,
              fmt::format("not healthy within {}: {}", FormatDuration(stage.deadline), cluster.message));
      }
      break;
    case ClusterPhase::kHot:
    case ClusterPhase::kPassed:
      if (cluster.health == Health::kFailed) {
        Enter(cluster, ClusterPhase::kFailed, ctx.now, "not healthy: " + cluster.message);
      } else if (cluster.phase == ClusterPhase::kHot && cluster.health != Health::kHealthy) {
        Enter(cluster, ClusterPhase::kVerifying, ctx.now, cluster.message);
      } else if (cluster.phase == ClusterPhase::kHot && now >= cluster.healthy_since + stage.hot) {
        if (!ctx.state.settings.judged || cluster.verdict == Verdict::kPass) {
          Enter(cluster, ClusterPhase::kPassed, ctx.now);
        } else {
          cluster.message = fmt::format(
              "held: the gate says {}", cluster.verdict ? ToString(*cluster.verdict) : "nothing yet");
        }
      }
      break;
    case ClusterPhase::kUnverified:
      if (reachable) Enter(cluster, ClusterPhase::kPending, ctx.now);
      break;
    case ClusterPhase::kSkippedOffline:
      if (reachable && reached) StartCluster(ctx, cluster);
      break;
    case ClusterPhase::kFailed:
      // It failed by being away, and nothing else: another chance when it is back.
      if (reachable && !cluster.touched) Enter(cluster, ClusterPhase::kPending, ctx.now);
      break;
    default:
      break;
  }
}

bool InFlight(const ClusterRun& cluster) {
  return cluster.phase == ClusterPhase::kApplying || cluster.phase == ClusterPhase::kVerifying ||
         cluster.phase == ClusterPhase::kHot;
}

// Starts as many clusters of the current stage as its concurrency allows.
void FillStage(Context& ctx) {
  Run& run = *ctx.state.run;
  const api::RolloutStage& stage = run.stages[run.stage];
  const int limit =
      std::max(1, stage.stage.max_concurrency.RoundUp(static_cast<int>(stage.clusters.size())));
  int in_flight = 0;
  for (const ClusterRun& cluster : run.clusters) {
    if (cluster.stage == static_cast<int>(run.stage) && InFlight(cluster)) ++in_flight;
  }
  for (ClusterRun& cluster : run.clusters) {
    if (cluster.stage != static_cast<int>(run.stage)) continue;
    if (cluster.phase != ClusterPhase::kPending && cluster.phase != ClusterPhase::kUnverified) continue;
    if (!ctx.Reachable(cluster.name)) {
      MeetOffline(ctx, cluster, stage.stage);
    } else if (in_flight < limit) {
      StartCluster(ctx, cluster);
      ++in_flight;
    }
  }
}

// More failures than the stage allows: those of a release roll back, those of absence only pause.
// Returns false when the run must not go on.
bool TolerateFailures(Context& ctx) {
  Run& run = *ctx.state.run;
  int allowed = 0;
  int failed = 0;
  const ClusterRun* culprit = nullptr;
  for (size_t index = 0; index <= run.stage; ++index) {
    const api::RolloutStage& stage = run.stages[index];
    allowed += stage.stage.max_failures.RoundDown(static_cast<int>(stage.clusters.size()));
  }
  for (const ClusterRun& cluster : run.clusters) {
    if (cluster.phase != ClusterPhase::kFailed) continue;
    ++failed;
    if (cluster.touched && ctx.Reachable(cluster.name) && !culprit) culprit = &cluster;
  }
  if (failed <= allowed) return true;
  if (culprit) {
    RequestRollback(ctx, "Failure", fmt::format("{}: {}", culprit->name, culprit->message), {});
  } else {
    Pause(ctx, "ClustersOffline",
          fmt::format("{} clusters are offline, {} may be", failed, allowed));
  }
  return false;
}

bool StageDone(const Run& run) {
  for (const ClusterRun& cluster : run.clusters) {
    if (cluster.stage != static_cast<int>(run.stage)) continue;
    if (cluster.phase != ClusterPhase::kPassed && cluster.phase != ClusterPhase::kSkippedOffline &&
        cluster.phase != ClusterPhase::kFailed) {
      return false;
    }
  }
  return true;
}

// True once the bake of the current stage is over.
bool Bake(Context& ctx) {
  Run& run = *ctx.state.run;
  const api::Stage& stage = run.stages[run.stage].stage;
  if (stage.bake == Duration{0} || run.bake_skipped) return true;
  if (run.phase != RunPhase::kBaking) {
    run.phase = RunPhase::kBaking;
    run.bake_until = ctx.now.mono + stage.bake;
    ctx.Do(SaveRollout{});
  }
  return ctx.now.mono >= run.bake_until;
}

void Succeed(Context& ctx) {
  AppState& state = ctx.state;
  Run& run = *state.run;
  state.target = run.release;
  state.target_fence = run.fence;
  state.target_clusters.clear();
  for (const ClusterRun& cluster : run.clusters) state.target_clusters.insert(cluster.name);
  state.pinned = false;
  run.watch_until = ctx.now.mono + state.settings.watch_after_success;
  Finish(ctx, RunPhase::kSucceeded, {});
  state.history.insert(state.history.begin(),
                       {run.name, run.release, RunPhase::kSucceeded, run.fence, run.finished_at});
  ctx.Do(SaveApplication{});
  ctx.Inform("RolloutSucceeded", "{}: {} runs on {} clusters", run.name, run.release.revision,
             run.clusters.size());
}

void PruneOrSucceed(Context& ctx) {
  Run& run = *ctx.state.run;
  if (run.phase != RunPhase::kPruning) {
    run.phase = RunPhase::kPruning;
    ctx.Do(SaveRollout{});
    if (ctx.state.settings.prune) {
      for (const ClusterRun& cluster : run.clusters) {
        if (cluster.phase == ClusterPhase::kPassed && ctx.Reachable(cluster.name)) {
          ctx.Do(Prune{cluster.name, run.fence, run.release});
        }
      }
    }
  }
  if (ctx.state.settings.prune) {
    for (const ClusterRun& cluster : run.clusters) {
      const bool owed = cluster.phase == ClusterPhase::kPassed && ctx.Reachable(cluster.name);
      if (owed && !run.pruned.count(cluster.name)) return;
    }
  }
  Succeed(ctx);
}

// Clusters of the stage, then the next stage, until something has to be waited for.
void AdvanceStages(Context& ctx) {
  Run& run = *ctx.state.run;
  while (run.stage < run.stages.size()) {
    if (!BeginStage(ctx)) return;
    FillStage(ctx);
    if (!TolerateFailures(ctx)) return;
    if (!StageDone(run)) {
      if (run.phase == RunPhase::kBaking) run.phase = RunPhase::kProgressing;
      return;
    }
    if (!Bake(ctx)) return;
    if (run.stage + 1 == run.stages.size()) return PruneOrSucceed(ctx);
    ++run.stage;
    run.stage_approved = false;
    run.bake_skipped = false;
    run.bake_until = kForever;
    run.stage_started_at = WallTime{};
  }
}

}  // namespace

bool RunIsActive(const AppState& state) {
  return state.run && !IsFinal(state.run->phase) && state.run->phase != RunPhase::kRollingBack;
}

void StartPrepare(Context& ctx) {
  ctx.state.preparing = true;
  ctx.Do(Prepare{++ctx.state.prepare_id});
}

void Consider(Context& ctx, PreparedRelease prepared) {
  AppState& state = ctx.state;
  const ReleaseId& release = prepared.release;
  state.queued.reset();

  if (state.rollback_requested || RollbackIsActive(state)) {
    state.queued = std::move(prepared);
    return;
  }
  if (const Quarantine* entry = FindQuarantine(state, release)) {
    state.stalled_reason = "Quarantined";
    state.stalled_message = fmt::format("{} is quarantined by {}: release it, or commit a change",
                                        release.revision, entry->rollback);
    ctx.Do(SaveApplication{});
    ctx.Inform("StillQuarantined", "{}", state.stalled_message);
    return;
  }
  if (RunIsActive(state)) {
    const Run& run = *state.run;
    if (run.release == release) return;
    // A newer release pre-empts waiting, never a write in progress.
    const bool waiting = run.phase == RunPhase::kValidating || run.phase == RunPhase::kPaused ||
                         run.phase == RunPhase::kAwaitingApproval;
    if (!waiting || ctx.fleet.frozen) {
      state.queued = std::move(prepared);
      return;
    }
  } else if (release == state.target) {
    return TakePlacement(ctx, prepared);
  } else if (state.rejected_digest == release.release_digest &&
             state.rejected_key == prepared.schema_key) {
    return;
  }
  const bool same_inputs = !state.target.empty() && !state.pinned && !RunIsActive(state) &&
                           state.target.input_digest == release.input_digest;
  if (same_inputs) {
    bool everywhere = true;
    for (const api::RolloutStage& stage : prepared.stages) {
      for (const std::string& name : stage.clusters) everywhere &= state.target_clusters.count(name) > 0;
    }
    if (everywhere) {
      state.outdated_message =
          "the same commit would render otherwise now (a moved tag, a new version): start it by hand";
      ctx.Do(SaveApplication{});
      return;
    }
  }
  const bool nowhere = std::all_of(prepared.stages.begin(), prepared.stages.end(),
                                   [](const api::RolloutStage& stage) { return stage.clusters.empty(); });
  if (nowhere) {
    state.stalled_reason = "NoClusters";
    state.stalled_message = "no cluster matches the placement: nothing is delivered, nothing removed";
    ctx.Do(SaveApplication{});
    return;
  }
  if (ctx.fleet.frozen) {
    state.stalled_reason = "Frozen";
    state.stalled_message = *ctx.fleet.frozen;
    state.queued = std::move(prepared);
    ctx.Do(SaveApplication{});
    return;
  }
  StartRun(ctx, std::move(prepared));
}

void AdvanceRun(Context& ctx) {
  AppState& state = ctx.state;
  if (RunIsActive(state) && !state.rollback_requested) {
    Run& run = *state.run;
    if (run.phase == RunPhase::kValidating) Validate(ctx);
    if (run.phase != RunPhase::kValidating && RunIsActive(state)) {
      for (ClusterRun& cluster : run.clusters) AdvanceCluster(ctx, cluster);
      const bool waits_for_person =
          run.phase == RunPhase::kPaused && run.pause_reason != "ClustersOffline";
      if (run.phase == RunPhase::kPruning) {
        PruneOrSucceed(ctx);
      } else if (ctx.fleet.frozen || waits_for_person) {
        TolerateFailures(ctx);
      } else {
        AdvanceStages(ctx);
      }
    }
  }
  if (!RunIsActive(state) && state.queued && !state.rollback_requested && !RollbackIsActive(state) &&
      !ctx.fleet.frozen) {
    PreparedRelease queued = std::move(*state.queued);
    Consider(ctx, std::move(queued));
    if (state.run && state.run->phase == RunPhase::kValidating) Validate(ctx);
  }
}

}  // namespace flotilla::deliver
