#include "deliver/machine.h"

#include "deliver/steps.h"

namespace flotilla::deliver {
namespace {

template <typename... F>
struct Overload : F... {
  using F::operator()...;
};
template <typename... F>
Overload(F...) -> Overload<F...>;

// Clusters whose objectives are judged now, and under which fence.
std::pair<Fence, std::vector<std::string>> WatchedNow(const AppState& state, const Moment& now) {
  std::vector<std::string> clusters;
  if (!state.settings.judged) return {0, {}};
  if (state.rollback && state.target_fence <= state.rollback->fence &&
      state.run && (state.run->phase == RunPhase::kRollingBack || state.rollback->verify_at != kForever)) {
    for (const ClusterRun& cluster : state.rollback->clusters) {
      if (cluster.phase == ClusterPhase::kRolledBack) clusters.push_back(cluster.name);
    }
    return {state.rollback->fence, clusters};
  }
  if (!state.run) return {0, {}};
  const Run& run = *state.run;
  const bool watched = RunIsActive(state) ||
                       (run.phase == RunPhase::kSucceeded && now.mono < run.watch_until);
  if (!watched) return {0, {}};
  for (const ClusterRun& cluster : run.clusters) {
    switch (cluster.phase) {
      case ClusterPhase::kVerifying:
      case ClusterPhase::kHot:
      case ClusterPhase::kPassed:
        clusters.push_back(cluster.name);
        break;
      default:
        break;
    }
  }
  return {run.fence, clusters};
}

void Earliest(TimePoint& at, TimePoint candidate, TimePoint now) {
  if (candidate > now && candidate < at) at = candidate;
}

TimePoint NextWake(const AppState& state, TimePoint now) {
  TimePoint at = kForever;
  if (state.run) {
    const Run& run = *state.run;
    Earliest(at, run.bake_until, now);
    Earliest(at, run.watch_until, now);
    for (const ClusterRun& cluster : run.clusters) {
      Earliest(at, cluster.retry_at, now);
      const api::Stage& stage = run.stages[static_cast<size_t>(cluster.stage)].stage;
      if (cluster.phase == ClusterPhase::kHot) Earliest(at, cluster.healthy_since + stage.hot, now);
      if (cluster.phase == ClusterPhase::kApplying || cluster.phase == ClusterPhase::kVerifying) {
        Earliest(at, cluster.started + stage.deadline, now);
      }
    }
  }
  if (state.rollback) {
    Earliest(at, state.rollback->verify_at, now);
    for (const ClusterRun& cluster : state.rollback->clusters) {
      Earliest(at, cluster.retry_at, now);
      if (cluster.phase == ClusterPhase::kRolledBack && state.rollback->verify_at != kForever) {
        Earliest(at, cluster.since + state.settings.lookback, now);
      }
    }
  }
  for (const auto& [name, convergence] : state.converging) Earliest(at, convergence.retry_at, now);
  return at;
}

void NoteApplied(Context& ctx, const Applied& applied) {
  AppState& state = ctx.state;
  const WallTime accepted = applied.at == WallTime{} ? ctx.now.wall : applied.at;
  if (state.rollback && applied.fence == state.rollback->fence) {
    if (ClusterRun* cluster = FindCluster(state.rollback->clusters, applied.cluster)) {
      Enter(*cluster, ClusterPhase::kRolledBack, ctx.now);
      cluster->applied_at = accepted;
      // What only the bad release brought goes with it.
      if (state.settings.prune) {
        ctx.Do(Prune{cluster->name, state.rollback->fence, state.rollback->to, Lane::kRollback});
      }
    }
  } else if (state.run && applied.fence == state.run->fence) {
    ClusterRun* cluster = FindCluster(state.run->clusters, applied.cluster);
    if (cluster && cluster->phase == ClusterPhase::kApplying) {
      Enter(*cluster, ClusterPhase::kVerifying, ctx.now);
      cluster->applied_at = accepted;
      cluster->health = Health::kUnknown;
      cluster->verdict.reset();
    }
  }
  auto converging = state.converging.find(applied.cluster);
  if (converging != state.converging.end() && converging->second.fence == applied.fence) {
    state.converging.erase(converging);
    if (applied.fence == state.target_fence && state.settings.prune) {
      ctx.Do(Prune{applied.cluster, applied.fence, state.target});
    }
  }
}

// A failure of an apply: of a passing kind it is repeated, of a lasting kind it ends in `blocked`.
void NoteFailure(Context& ctx, ClusterRun& cluster, const Error& error, ClusterPhase offline,
                 ClusterPhase blocked) {
  cluster.message = error.ToString();
  if (!ctx.Reachable(cluster.name)) {
    Enter(cluster, offline, ctx.now, error.ToString());
    cluster.retry_at = ctx.now.mono;  // as soon as it is back
  } else if (IsTransient(error.cls) || error.cls == ErrorClass::kUnauthenticated) {
    cluster.retry_at = ctx.now.mono + BackOff(cluster.attempts, error);
  } else if (error.cls != ErrorClass::kCancelled) {
    Enter(cluster, blocked, ctx.now, error.ToString());
  }
}

void NoteApplyFailed(Context& ctx, const ApplyFailed& failed) {
  AppState& state = ctx.state;
  if (state.rollback && failed.fence == state.rollback->fence) {
    ClusterRun* cluster = FindCluster(state.rollback->clusters, failed.cluster);
    if (cluster && cluster->phase == ClusterPhase::kRollingBack) {
      NoteFailure(ctx, *cluster, failed.error, ClusterPhase::kRollbackPendingOffline,
                  ClusterPhase::kRollbackBlocked);
    }
  } else if (state.run && failed.fence == state.run->fence) {
    ClusterRun* cluster = FindCluster(state.run->clusters, failed.cluster);
    if (cluster && cluster->phase == ClusterPhase::kApplying) {
      // Unreachable in the middle: it stays Applying until it returns or its deadline passes.
      NoteFailure(ctx, *cluster, failed.error, ClusterPhase::kApplying, ClusterPhase::kFailed);
    }
  }
  auto converging = state.converging.find(failed.cluster);
  if (converging != state.converging.end() && converging->second.fence == failed.fence) {
    converging->second.message = failed.error.ToString();
    converging->second.retry_at =
        ctx.now.mono + BackOff(++converging->second.attempts, failed.error);
  }
}

void NoteHealth(Context& ctx, const HealthSeen& seen) {
  if (!ctx.state.run || seen.fence != ctx.state.run->fence) return;
  ClusterRun* cluster = FindCluster(ctx.state.run->clusters, seen.cluster);
  if (!cluster || cluster->applied_at == WallTime{}) return;
  if (seen.health == Health::kHealthy && cluster->health != Health::kHealthy) {
    cluster->healthy_since = ctx.now.mono;
  }
  cluster->health = seen.health;
  cluster->message = seen.message;
}

void NoteVerdict(Context& ctx, const VerdictSeen& seen) {
  AppState& state = ctx.state;
  if (state.rollback && seen.fence == state.rollback->fence) {
    if (ClusterRun* cluster = FindCluster(state.rollback->clusters, seen.cluster)) {
      cluster->verdict = seen.verdict;
    }
    return;
  }
  if (!state.run || seen.fence != state.run->fence) return;
  ClusterRun* cluster = FindCluster(state.run->clusters, seen.cluster);
  if (!cluster || cluster->applied_at == WallTime{}) return;
  cluster->verdict = seen.verdict;
  if (seen.verdict == Verdict::kBreach) {
    cluster->message = seen.evidence.empty() ? "SLO breached" : seen.evidence.front().detail;
    Enter(*cluster, ClusterPhase::kBreached, ctx.now, cluster->message);
    RequestRollback(ctx, "Breach",
                    seen.evidence.empty()
                        ? fmt::format("{}: SLO breached", seen.cluster)
                        : fmt::format("{}: {}: {}", seen.cluster, seen.evidence.front().objective,
                                      seen.evidence.front().detail),
                    seen.evidence);
  }
}

void NoteDryRun(Context& ctx, const DryRunDone& done) {
  ctx.state.max_fence = std::max(ctx.state.max_fence, done.held_fence);
  if (!ctx.state.run || ctx.state.run->fence != done.fence) return;
  ClusterRun* cluster = FindCluster(ctx.state.run->clusters, done.cluster);
  if (!cluster || !cluster->dry_run_pending) return;
  cluster->dry_run_pending = false;
  // The record precedes the first write: what a restart had to assume did not happen.
  if (done.answer != DryRunAnswer::kUnavailable && done.held_fence < done.fence) cluster->touched = false;
  switch (done.answer) {
    case DryRunAnswer::kAccepted:
      cluster->verified = true;
      cluster->attempts = 0;
      Enter(*cluster, ClusterPhase::kPending, ctx.now);
      break;
    case DryRunAnswer::kInvalid:
      cluster->refused = true;
      Enter(*cluster, ClusterPhase::kFailed, ctx.now, done.message);
      break;
    case DryRunAnswer::kUnavailable:
      Enter(*cluster, ClusterPhase::kUnverified, ctx.now, done.message);
      cluster->retry_at = ctx.now.mono + BackOff(++cluster->attempts, {});
      break;
  }
}

void NoteApproval(Context& ctx, const ApprovalSeen& approval) {
  if (!ctx.state.run) return;
  Run& run = *ctx.state.run;
  if (approval.rollout != run.name || approval.release_digest != run.release.release_digest) return;
  if (run.stage >= run.stages.size() || run.stages[run.stage].stage.name != approval.stage) return;
  if (approval.skip_bake) {
    run.bake_skipped = true;
  } else {
    run.stage_approved = true;
  }
}

// What was delivered stays as it is; people learn why nothing new comes.
void Stall(Context& ctx, const char* reason, const Error& error) {
  const std::string message = error.ToString();
  if (ctx.state.stalled_reason == reason && ctx.state.stalled_message == message) return;
  ctx.state.stalled_reason = reason;
  ctx.state.stalled_message = message;
  ctx.Do(SaveApplication{});
  ctx.Warn(reason, "{}", message);
}

void Resume(Context& ctx) {
  if (!ctx.state.run) return;
  if (ctx.state.run->phase != RunPhase::kValidating) return;
  for (ClusterRun& cluster : ctx.state.run->clusters) {
    cluster.dry_run_pending = ctx.Reachable(cluster.name);
    if (cluster.dry_run_pending) {
      ctx.Do(DryRun{cluster.name, ctx.state.run->fence, ctx.state.run->release});
    } else {
      cluster.phase = ClusterPhase::kUnverified;
    }
  }
}

void Note(Context& ctx, const Event& event) {
  AppState& state = ctx.state;
  std::visit(
      Overload{
          [&](const Restored&) { Resume(ctx); },
          [&](const RevisionSeen& seen) {
            if (seen.revision == state.wanted_revision) return;
            state.wanted_revision = seen.revision;
            StartPrepare(ctx);
          },
          [&](const InputsChanged&) {
            if (!state.wanted_revision.empty()) StartPrepare(ctx);
          },
          [&](const Prepared& done) {
            if (done.id != state.prepare_id) return;
            state.preparing = false;
            Consider(ctx, done.prepared);
          },
          [&](const SourceFailed& failed) { Stall(ctx, "SourceFailed", failed.error); },
          [&](const PrepareFailed& failed) {
            if (failed.id != state.prepare_id) return;
            state.preparing = false;
            Stall(ctx, "PrepareFailed", failed.error);
          },
          [&](const DryRunDone& done) { NoteDryRun(ctx, done); },
          [&](const Applied& applied) { NoteApplied(ctx, applied); },
          [&](const ApplyFailed& failed) { NoteApplyFailed(ctx, failed); },
          [&](const Pruned& pruned) {
            if (state.run && state.run->fence == pruned.fence) {
              state.run->pruned.insert(pruned.cluster);
            }
            if (!pruned.blocked.empty()) {
              ctx.Warn("PruneBlocked", "{}: {}", pruned.cluster, pruned.blocked);
            }
          },
          [&](const HealthSeen& seen) { NoteHealth(ctx, seen); },
          [&](const VerdictSeen& seen) { NoteVerdict(ctx, seen); },
          [&](const HeldSeen& held) { OnHeldSeen(ctx, held); },
          [&](const Drifted& drifted) { OnDrifted(ctx, drifted); },
          [&](const RollbackSeen& seen) { OnRollbackSeen(ctx, seen); },
          [&](const RollbackReleased& released) { OnRollbackReleased(ctx, released); },
          [&](const ApprovalSeen& approval) { NoteApproval(ctx, approval); },
          [](const ReachabilityChanged&) {},
          [](const FleetChanged&) {},
          [](const TimeCame&) {},
      },
      event);
}

}  // namespace

const char* ToString(Verdict verdict) {
  constexpr const char* kNames[] = {"Pass", "NoData", "Error", "Breach"};
  return kNames[static_cast<size_t>(verdict)];
}
const char* ToString(Health health) {
  constexpr const char* kNames[] = {"Unknown", "InProgress", "Healthy", "Failed"};
  return kNames[static_cast<size_t>(health)];
}

const char* NameOf(const Event& event) {
  constexpr const char* kNames[] = {
      "Restored", "RevisionSeen", "SourceFailed", "InputsChanged", "Prepared", "PrepareFailed", "DryRunDone", "Applied",
      "ApplyFailed", "Pruned", "HealthSeen", "VerdictSeen", "ReachabilityChanged", "HeldSeen",
      "Drifted", "RollbackSeen", "RollbackReleased", "ApprovalSeen", "FleetChanged", "TimeCame"};
  static_assert(std::size(kNames) == std::variant_size_v<Event>);
  return kNames[event.index()];
}

const char* NameOf(const Command& command) {
  constexpr const char* kNames[] = {
      "Prepare", "CreateRollout", "SaveRollout", "CloseRollout", "SaveRollback", "SaveApplication",
      "CreateRollback", "RefuseRollback", "FreezeApplication", "DryRun", "Apply", "Prune", "CancelBelow", "Watch",
      "WakeAt", "Say"};
  static_assert(std::size(kNames) == std::variant_size_v<Command>);
  return kNames[command.index()];
}

bool IsFinal(RunPhase phase) {
  switch (phase) {
    case RunPhase::kSucceeded:
    case RunPhase::kRejected:
    case RunPhase::kSuperseded:
    case RunPhase::kRolledBack:
    case RunPhase::kRollbackIncomplete:
      return true;
    default:
      return false;
  }
}

ClusterRun* FindCluster(std::vector<ClusterRun>& clusters, const std::string& name) {
  auto it = std::find_if(clusters.begin(), clusters.end(),
                         [&](const ClusterRun& cluster) { return cluster.name == name; });
  return it == clusters.end() ? nullptr : &*it;
}

void Enter(ClusterRun& cluster, ClusterPhase phase, const Moment& now, std::string message) {
  cluster.phase = phase;
  cluster.since = now.mono;
  cluster.message = std::move(message);
  if (phase != ClusterPhase::kApplying && phase != ClusterPhase::kRollingBack) {
    cluster.retry_at = kForever;
  }
}

Duration BackOff(int attempts, const Error& error) {
  Duration wait = 200ms;
  for (int i = 1; i < attempts && wait < Duration(30s); ++i) wait *= 2;
  wait = std::min<Duration>(wait, 30s);
  if (error.retry_after) wait = std::max<Duration>(wait, *error.retry_after);
  return wait;
}

void Step(AppState& state, const Event& event, const Moment& now, const FleetView& fleet,
          Commands& commands) {
  Context ctx{state, now, fleet, commands,
              !RunIsActive(state) && !state.rollback_requested && !RollbackIsActive(state)};
  Note(ctx, event);
  AdvanceRollback(ctx);
  AdvanceRun(ctx);
  AdvanceConvergence(ctx);

  auto [fence, watched] = WatchedNow(state, now);
  if (fence != state.watched_fence || watched != state.watched) {
    state.watched_fence = fence;
    state.watched = watched;
    ctx.Do(Watch{fence, std::move(watched)});
  }
  const TimePoint wake_at =
      QueueMayBegin(state, fleet) ? now.mono : NextWake(state, now.mono);
  if (wake_at != state.wake_at) {
    state.wake_at = wake_at;
    if (wake_at != kForever) ctx.Do(WakeAt{wake_at});
  }
}

Wanted WantedOf(const AppState& state, const std::string& cluster) {
  if (state.rollback && !state.rollback->complete) {
    return {state.rollback->to, state.rollback->fence};
  }
  if (state.run && !IsFinal(state.run->phase)) {
    const Run& run = *state.run;
    for (const ClusterRun& entry : run.clusters) {
      if (entry.name == cluster && entry.touched) return {run.release, run.fence};
    }
  }
  if (state.target_clusters.count(cluster) && !state.target.empty()) {
    return {state.target, state.target_fence};
  }
  return {};
}

const Quarantine* FindQuarantine(const AppState& state, const ReleaseId& release) {
  for (const Quarantine& entry : state.quarantine) {
    if (entry.release_digest == release.release_digest ||
        (!entry.input_digest.empty() && entry.input_digest == release.input_digest)) {
      return &entry;
    }
  }
  return nullptr;
}

std::optional<ReleaseId> RollbackTarget(const AppState& state, const ReleaseId& failing) {
  for (const HistoryEntry& entry : state.history) {
    if (entry.result != RunPhase::kSucceeded || entry.release == failing) continue;
    if (entry.release.input_digest == failing.input_digest && !failing.input_digest.empty()) continue;
    if (!FindQuarantine(state, entry.release)) return entry.release;
  }
  return std::nullopt;
}

}  // namespace flotilla::deliver
