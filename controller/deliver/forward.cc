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

  // What a superseded run has put anywhere stays to be replaced, or taken back.
  std::set<std::string> inherited;
  if (state.run && (RunIsActive(state) || state.run->phase == RunPhase::kSuperseded ||
                    state.run->phase == RunPhase::kRejected)) {
    for (const ClusterRun& cluster : state.run->clusters) {
      if (cluster.touched || cluster.inherited) inherited.insert(cluster.name);
    }
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
      cluster.inherited = inherited.count(name) > 0;
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

// Nothing of the release was written anywhere, and nothing will be.
void Reject(Context& ctx, const ClusterRun& refusing) {
  AppState& state = ctx.state;
  Run& run = *state.run;
  state.rejected_digest = run.release.release_digest;
  state.rejected_key = run.schema_key;
  state.stalled_reason = "Rejected";
  state.stalled_message = fmt::format("{}: {}", refusing.name, refusing.message);
  Finish(ctx, RunPhase::kRejected, state.stalled_message);
  ctx.Do(SaveApplication{});
  ctx.Warn("RolloutRejected", "{}: nothing was written: {}", run.name, run.message);
  if (state.target.empty()) return;
  // Clusters that hold what it superseded go back to the target, under a fence that is above theirs.
  bool any = false;
  for (const ClusterRun& cluster : run.clusters) any |= cluster.inherited;
  if (any) state.target_fence = run.fence;
  for (const ClusterRun& cluster : run.clusters) {
    if (cluster.inherited) Converge(ctx, cluster.name, "holds a superseded release");
  }
}

void Validate(Context& ctx) {
  Run& run = *ctx.state.run;
  for (const ClusterRun& cluster : run.clusters) {
    if (cluster.dry_run_pending) return;
  }
  for (const ClusterRun& cluster : run.clusters) {
    if (cluster.refused) return Reject(ctx, cluster);
  }
  if (ctx.state.max_fence > run.fence) {
    // A member has seen a higher fence (of an Application of this name before, of a hub that was
    // restored): ours must be above it before anything is written.
    StartRun(ctx, {run.release, run.stages, run.schema_key});
    return;
  }
  run.phase = RunPhase::kProgressing;
  run.stage_started_at = WallTime{};
}

// A rate over a minute still counts the errors of what was rolled back. A run begins when these are
// forgotten and the clusters are well, or had their time for that: else it would be blamed for them.
bool AwaitsRecovery(const AppState& state, TimePoint now) {
  if (!state.rollback || state.rollback->cause != "Breach") return false;
  const RollbackRun& rollback = *state.rollback;
  if (rollback.verify_at == kForever || state.run->fence < rollback.fence) return false;
  return state.settings.judged &&
         std::any_of(rollback.clusters.begin(), rollback.clusters.end(), [&](const ClusterRun& c) {
           return c.phase == ClusterPhase::kRolledBack &&
                  (c.verdict != Verdict::kPass || now < c.since + state.settings.lookback);
         });
}

// Returns false while the stage must not begin.
bool BeginStage(Context& ctx) {
  Run& run = *ctx.state.run;
  const api::RolloutStage& stage = run.stages[run.stage];
  if (run.stage_started_at != WallTime{}) return true;
  if (AwaitsRecovery(ctx.state, ctx.now.mono)) {
    const std::string why =
        fmt::format("waits until the objectives hold again after {}", ctx.state.rollback->name);
    if (run.message != why) {
      run.message = why;
      ctx.Do(SaveRollout{});
    }
    return false;
  }
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
  run.message.clear();
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
  if (!cluster.verified) {
    // It could not be asked when the others were.
    if (cluster.dry_run_pending || (cluster.retry_at != kForever && cluster.retry_at > ctx.now.mono)) {
      return;
    }
    Enter(cluster, ClusterPhase::kUnverified, ctx.now, cluster.message);
    cluster.dry_run_pending = true;
    ctx.Do(DryRun{cluster.name, ctx.state.run->fence, ctx.state.run->release});
    return;
  }
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
    case ClusterPhase::kSkippedOffline:
      if (reachable && reached) StartCluster(ctx, cluster);
      break;
    case ClusterPhase::kFailed:
      // It failed by being away, and nothing else: another chance when it is back.
      if (reachable && !cluster.touched && !cluster.refused) Enter(cluster, ClusterPhase::kPending, ctx.now);
      break;
    default:
      break;
  }
}

bool InFlight(const ClusterRun& cluster) {
  return cluster.phase == ClusterPhase::kApplying || cluster.phase == ClusterPhase::kVerifying ||
         cluster.phase == ClusterPhase::kHot || cluster.dry_run_pending;
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
    } else if (in_flight < limit && !cluster.dry_run_pending) {
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
  bool written = false;
  const ClusterRun* culprit = nullptr;
  const ClusterRun* refusing = nullptr;
  for (size_t index = 0; index <= run.stage; ++index) {
    const api::RolloutStage& stage = run.stages[index];
    allowed += stage.stage.max_failures.RoundDown(static_cast<int>(stage.clusters.size()));
  }
  for (const ClusterRun& cluster : run.clusters) {
    written |= cluster.touched;
    if (cluster.phase != ClusterPhase::kFailed) continue;
    ++failed;
    if (cluster.refused && !refusing) refusing = &cluster;
    if (cluster.touched && ctx.Reachable(cluster.name) && !culprit) culprit = &cluster;
  }
  if (refusing && !written) {
    Reject(ctx, *refusing);
    return false;
  }
  if (failed <= allowed) return true;
  if (culprit) {
    RequestRollback(ctx, "Failure", fmt::format("{}: {}", culprit->name, culprit->message), {});
  } else if (refusing) {
    // What a dry run says never quarantines: people decide between a fix and a rollback.
    Pause(ctx, "DryRunRefused", fmt::format("{}: {}", refusing->name, refusing->message));
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

// A reachable cluster up to this stage whose objectives do not all pass now: it is not known to be good.
const ClusterRun* Doubtful(const Context& ctx) {
  const Run& run = *ctx.state.run;
  if (!ctx.state.settings.judged) return nullptr;
  for (const ClusterRun& cluster : run.clusters) {
    if (cluster.phase == ClusterPhase::kPassed && cluster.verdict != Verdict::kPass &&
        cluster.stage == static_cast<int>(run.stage) && ctx.Reachable(cluster.name)) {
      return &cluster;
    }
  }
  return nullptr;
}

// True once the bake of the current stage is over. It does not end while metrics are missing.
bool Bake(Context& ctx) {
  Run& run = *ctx.state.run;
  const api::Stage& stage = run.stages[run.stage].stage;
  if (stage.bake == Duration{0} || run.bake_skipped) return true;
  if (run.phase != RunPhase::kBaking) {
    run.phase = RunPhase::kBaking;
    run.bake_until = ctx.now.mono + stage.bake;
    ctx.Do(SaveRollout{});
  }
  return ctx.now.mono >= run.bake_until && !Doubtful(ctx);
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
  // Clusters that were skipped, and had returned but not arrived, come after it by themselves.
  for (ClusterRun& cluster : run.clusters) {
    if (cluster.phase == ClusterPhase::kPassed || cluster.phase == ClusterPhase::kFailed) continue;
    Enter(cluster, ClusterPhase::kSkippedOffline, ctx.now, cluster.message);
    cluster.dry_run_pending = false;
    Converge(ctx, cluster.name, "was not reached by the rollout");
  }
  ctx.Do(SaveApplication{});
  ctx.Inform("RolloutSucceeded", "{}: {} runs on {} clusters", run.name, run.release.revision,
             run.clusters.size());
}

void PruneOrSucceed(Context& ctx) {
  Run& run = *ctx.state.run;
  if (!ctx.state.settings.prune) return Succeed(ctx);
  if (run.phase != RunPhase::kPruning) {
    run.phase = RunPhase::kPruning;
    ctx.Do(SaveRollout{});
  }
  bool done = true;
  for (const ClusterRun& cluster : run.clusters) {
    const bool owed = cluster.phase == ClusterPhase::kPassed && ctx.Reachable(cluster.name);
    if (!owed || run.pruned.count(cluster.name)) continue;
    done = false;
    if (run.pruning.insert(cluster.name).second) ctx.Do(Prune{cluster.name, run.fence, run.release});
  }
  if (done) Succeed(ctx);
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

bool QueueMayBegin(const AppState& state, const FleetView& fleet) {
  return state.queued && !RunIsActive(state) && !state.rollback_requested &&
         !RollbackIsActive(state) && !fleet.frozen;
}

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
  if (ctx.idle_before && QueueMayBegin(state, ctx.fleet)) {
    PreparedRelease queued = std::move(*state.queued);
    Consider(ctx, std::move(queued));
    if (state.run && state.run->phase == RunPhase::kValidating) Validate(ctx);
  }
}

}  // namespace flotilla::deliver
