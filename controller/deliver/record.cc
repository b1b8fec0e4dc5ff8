#include "deliver/record.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/names.h"
#include "deliver/steps.h"

namespace flotilla::deliver {
namespace {

using api::ConditionStatus;

constexpr size_t kEvidenceKept = api::kMaxClusterExceptions;
constexpr size_t kQuarantineShown = 20;

ReleaseId IdOf(const api::Release& release) {
  return {release.release_digest, release.input_digest, release.revision};
}
ReleaseId IdOf(const api::RollbackEnd& end) {
  return {end.release_digest, end.input_digest, end.revision};
}
api::RollbackEnd EndOf(const ReleaseId& release, std::string rollout = {}) {
  return {release.release_digest, release.input_digest, release.revision, std::move(rollout)};
}

api::RollbackCause CauseOf(std::string_view cause) {
  if (cause == "Breach") return api::RollbackCause::kBreach;
  if (cause == "Failure") return api::RollbackCause::kFailure;
  return api::RollbackCause::kManual;
}

api::Timeline TimelineOf(const Timeline& timeline) {
  return {timeline.breach_visible_at, timeline.detected_at, timeline.decided_at,
          timeline.first_apply_at,    timeline.accepted_at, timeline.ready_at};
}

bool IsNormal(ClusterPhase phase) {
  switch (phase) {
    case ClusterPhase::kPending:
    case ClusterPhase::kApplying:
    case ClusterPhase::kApplied:
    case ClusterPhase::kVerifying:
    case ClusterPhase::kHot:
    case ClusterPhase::kPassed:
    case ClusterPhase::kRolledBack:
      return true;
    default:
      return false;
  }
}

void Count(const ClusterRun& cluster, api::StageCounts& counts) {
  ++counts.total;
  switch (cluster.phase) {
    case ClusterPhase::kVerifying:
    case ClusterPhase::kHot:
      ++counts.updated;
      break;
    case ClusterPhase::kPassed:
      ++counts.updated;
      ++counts.passed;
      break;
    case ClusterPhase::kFailed:
    case ClusterPhase::kBreached:
      ++counts.failed;
      break;
    case ClusterPhase::kSkippedOffline:
      ++counts.skipped;
      break;
    default:
      break;
  }
}

api::StagePhase StagePhaseOf(const Run& run, size_t stage) {
  if (stage < run.stage) return api::StagePhase::kPassed;
  if (stage > run.stage) return api::StagePhase::kPending;
  switch (run.phase) {
    case RunPhase::kAwaitingApproval: return api::StagePhase::kAwaitingApproval;
    case RunPhase::kBaking: return api::StagePhase::kBaking;
    case RunPhase::kPruning:
    case RunPhase::kSucceeded: return api::StagePhase::kPassed;
    case RunPhase::kPending:
    case RunPhase::kValidating: return api::StagePhase::kPending;
    case RunPhase::kProgressing:
    case RunPhase::kSuperseded: return api::StagePhase::kProgressing;
    default: return api::StagePhase::kFailed;
  }
}

void SetConditions(api::Conditions& conditions, bool ready, bool reconciling, bool stalled,
                   std::string_view reason, std::string_view message, int64_t generation,
                   WallTime now) {
  using namespace api::condition;
  SetCondition(conditions, kReady, ready ? ConditionStatus::kTrue : ConditionStatus::kFalse, reason,
               message, generation, now);
  if (reconciling) {
    SetCondition(conditions, kReconciling, ConditionStatus::kTrue, reason, message, generation, now);
  } else {
    RemoveCondition(conditions, kReconciling);
  }
  if (stalled) {
    SetCondition(conditions, kStalled, ConditionStatus::kTrue, reason, message, generation, now);
  } else {
    RemoveCondition(conditions, kStalled);
  }
}

}  // namespace

api::Rollout RolloutRecord(const AppState& state, const api::Application& application,
                           api::Release release, std::vector<api::RolloutSlo> slos) {
  const Run& run = *state.run;
  api::Rollout rollout;
  rollout.meta.name = run.name;
  rollout.meta.ns = application.meta.ns;
  rollout.meta.labels[std::string(api::kApplicationLabel)] = application.meta.name;
  rollout.spec.application = application.meta.name;
  rollout.spec.application_uid = application.meta.uid;
  rollout.spec.fence = run.fence;
  rollout.spec.release = std::move(release);
  if (!run.base.empty()) {
    api::Release previous;
    previous.release_digest = run.base.release_digest;
    previous.input_digest = run.base.input_digest;
    previous.revision = run.base.revision;
    rollout.spec.previous = std::move(previous);
  }
  rollout.spec.stages = run.stages;
  rollout.spec.slos = std::move(slos);
  return rollout;
}

api::RolloutStatus RolloutStatusOf(const AppState& state, const Run& run, WallTime now,
                                   api::RolloutStatus before) {
  api::RolloutStatus status;
  status.conditions = std::move(before.conditions);
  status.deferred = std::move(before.deferred);
  status.observed_generation = 1;  // the spec never changes
  status.phase = run.phase;
  status.message = run.message;
  if (run.stage < run.stages.size()) status.current_stage = run.stages[run.stage].stage.name;
  for (size_t i = 0; i < run.stages.size(); ++i) {
    api::StageStatus stage;
    stage.name = run.stages[i].stage.name;
    stage.phase = StagePhaseOf(run, i);
    if (i < before.stages.size()) {
      stage.started = before.stages[i].started;
      stage.baking_since = before.stages[i].baking_since;
      stage.finished = before.stages[i].finished;
    }
    if (i == run.stage && run.stage_started_at != WallTime{}) stage.started = run.stage_started_at;
    if (i == run.stage && run.phase == RunPhase::kBaking && !stage.baking_since) stage.baking_since = now;
    if (stage.phase == api::StagePhase::kPassed && !stage.finished) stage.finished = now;
    for (const ClusterRun& cluster : run.clusters) {
      if (cluster.stage == static_cast<int>(i)) Count(cluster, stage.clusters);
    }
    status.stages.push_back(std::move(stage));
  }
  for (const ClusterRun& cluster : run.clusters) {
    Count(cluster, status.clusters);
    if (IsNormal(cluster.phase)) continue;
    ++status.exceptions_total;
    if (status.exceptions.size() >= api::kMaxClusterExceptions) continue;
    status.exceptions.push_back({cluster.name,
                                 run.stages[static_cast<size_t>(cluster.stage)].stage.name,
                                 cluster.phase, ToString(cluster.phase), cluster.message, {}});
  }
  status.evidence = std::move(before.evidence);
  if (!state.evidence.empty() && status.evidence.empty()) {
    for (const Evidence& item : state.evidence) {
      if (status.evidence.size() >= kEvidenceKept) break;
      api::Evidence evidence;
      evidence.cluster = item.cluster;
      evidence.objective = item.objective;
      evidence.query = item.query;
      evidence.expected = item.expected;
      evidence.observed = item.observed;
      if (item.sample_time != WallTime{}) evidence.sampled = item.sample_time;
      evidence.message = fmt::format("{}: {}", ToString(item.verdict), item.detail);
      status.evidence.push_back(std::move(evidence));
    }
  }
  status.rollback = before.rollback;
  status.timeline = before.timeline;
  if (state.rollback && state.rollback->from_rollout == run.name) {
    status.rollback = state.rollback->name;
    status.timeline = TimelineOf(state.rollback->timeline);
  }
  status.started = run.started_at;
  if (run.finished_at != WallTime{}) status.finished = run.finished_at;

  const bool succeeded = run.phase == RunPhase::kSucceeded;
  const bool stalled = run.phase == RunPhase::kRejected || run.phase == RunPhase::kPaused ||
                       run.phase == RunPhase::kRollbackIncomplete;
  const std::string reason =
      run.phase == RunPhase::kPaused ? run.pause_reason : api::ToString(run.phase);
  SetConditions(status.conditions, succeeded, !IsFinal(run.phase) && !stalled, stalled, reason,
                run.message, 1, now);
  if (status.timeline && status.timeline->accepted) {
    SetCondition(status.conditions, api::condition::kRolledBack,
                 run.phase == RunPhase::kRolledBack ? ConditionStatus::kTrue : ConditionStatus::kFalse,
                 api::ToString(run.phase), run.message, 1, now);
  }
  return status;
}

api::Rollback RollbackRecord(const AppState& state, const CreateRollback& command,
                             const api::Application& application) {
  const Run& run = *state.run;
  api::Rollback rollback;
  rollback.meta.name = command.name;
  rollback.meta.ns = application.meta.ns;
  rollback.meta.labels[std::string(api::kApplicationLabel)] = application.meta.name;
  rollback.spec.application = application.meta.name;
  rollback.spec.fence = run.fence;
  rollback.spec.from = EndOf(run.release, run.name);
  if (auto to = RollbackTarget(state, run.release)) rollback.spec.to = EndOf(*to);
  rollback.spec.cause = CauseOf(command.cause);
  rollback.spec.reason = command.reason;
  rollback.spec.quarantine =
      api::Quarantine{run.release.release_digest, run.release.input_digest};
  return rollback;
}

api::RollbackStatus RollbackStatusOf(const RollbackRun& rollback, WallTime now,
                                     api::RollbackStatus before) {
  api::RollbackStatus status;
  status.conditions = std::move(before.conditions);
  status.observed_generation = 1;
  status.fence = rollback.fence;
  status.resolved = EndOf(rollback.to);
  status.started = rollback.timeline.decided_at;
  bool blocked = false;
  bool offline = false;
  for (const ClusterRun& cluster : rollback.clusters) {
    ++status.clusters.total;
    switch (cluster.phase) {
      case ClusterPhase::kRolledBack: ++status.clusters.rolled_back; break;
      case ClusterPhase::kRollbackBlocked: ++status.clusters.blocked; blocked = true; break;
      case ClusterPhase::kRollbackPendingOffline: ++status.clusters.offline; offline = true; break;
      default: break;
    }
    if (cluster.phase != ClusterPhase::kRolledBack && !cluster.message.empty()) {
      if (!status.message.empty()) status.message += "; ";
      status.message += cluster.name + ": " + cluster.message;
    }
  }
  if (!rollback.complete) {
    status.phase = api::RollbackPhase::kApplying;
  } else if (blocked || offline) {
    status.phase = api::RollbackPhase::kIncomplete;
  } else {
    status.phase = api::RollbackPhase::kSucceeded;
  }
  if (rollback.complete) status.finished = rollback.timeline.accepted_at;
  SetConditions(status.conditions, status.phase == api::RollbackPhase::kSucceeded, !rollback.complete,
                blocked, api::ToString(status.phase), status.message, 1, now);
  return status;
}

api::ApplicationStatus ApplicationStatusOf(const AppState& state, const api::Application& application,
                                           const FleetView& fleet, WallTime now) {
  api::ApplicationStatus status = application.status;
  status.observed_generation = application.meta.generation;
  status.source_revision = state.wanted_revision;
  status.target.reset();
  if (!state.target.empty()) {
    status.target = api::TargetStatus{state.target.release_digest, state.target.input_digest,
                                      state.target.revision,
                                      state.pinned ? api::TargetReason::kRollback : api::TargetReason::kHead,
                                      state.target_fence};
  }
  status.last_known_good.reset();
  if (auto good = RollbackTarget(state, {})) {
    status.last_known_good = api::ReleaseStatus{good->release_digest, good->input_digest, good->revision, {}, {}};
    for (const HistoryEntry& entry : state.history) {
      if (!(entry.release == *good)) continue;
      status.last_known_good->rollout = entry.rollout;
      status.last_known_good->since = entry.finished_at;
      break;
    }
  }
  status.pin.reset();
  if (state.pinned && state.rollback) {
    status.pin = api::PinStatus{state.rollback->name,        state.rollback->to.release_digest,
                                state.rollback->to.revision, state.rollback->requested_by,
                                state.rollback->reason,      state.rollback->timeline.decided_at};
  }
  status.quarantine.clear();
  for (auto it = state.quarantine.rbegin();
       it != state.quarantine.rend() && status.quarantine.size() < kQuarantineShown; ++it) {
    api::QuarantineStatus entry;
    entry.rollback = it->rollback;
    entry.release_digest = it->release_digest;
    entry.input_digest = it->input_digest;
    status.quarantine.push_back(std::move(entry));
  }
  status.rollout.reset();
  status.clusters = {};
  if (state.run) {
    const Run& run = *state.run;
    status.rollout = api::RolloutSummary{run.name, api::ToString(run.phase), {}};
    if (run.stage < run.stages.size()) status.rollout->stage = run.stages[run.stage].stage.name;
  }
  std::set<std::string> placed = state.target_clusters;
  if (state.run && RunPhase::kSuperseded != state.run->phase) {
    for (const ClusterRun& cluster : state.run->clusters) placed.insert(cluster.name);
  }
  status.clusters.total = static_cast<int>(placed.size());
  for (const std::string& name : placed) {
    auto known = fleet.clusters.find(name);
    if (known == fleet.clusters.end() || !known->second.reachable) ++status.clusters.offline;
  }
  if (state.run) {
    for (const ClusterRun& cluster : state.run->clusters) {
      if (cluster.phase == ClusterPhase::kBreached) ++status.clusters.breached;
      if (cluster.phase == ClusterPhase::kVerifying || cluster.phase == ClusterPhase::kHot ||
          cluster.phase == ClusterPhase::kPassed) {
        ++status.clusters.updated;
        if (cluster.health == Health::kHealthy || cluster.phase == ClusterPhase::kPassed) {
          ++status.clusters.healthy;
        }
      }
    }
  }
  if (state.rollback && state.target_fence == state.rollback->fence) {
    for (const ClusterRun& cluster : state.rollback->clusters) {
      if (cluster.phase == ClusterPhase::kRolledBack) ++status.clusters.rolled_back;
      if (cluster.phase == ClusterPhase::kRollbackBlocked) ++status.clusters.blocked;
    }
  }
  status.history.clear();
  for (const HistoryEntry& entry : state.history) {
    if (static_cast<int>(status.history.size()) >= application.spec.history_limit) break;
    status.history.push_back({entry.rollout, entry.release.release_digest, entry.release.revision,
                              api::ToString(entry.result), {}, entry.finished_at});
  }

  const int64_t generation = application.meta.generation;
  const bool moving = (state.run && !IsFinal(state.run->phase)) ||
                      (state.rollback && !state.rollback->complete);
  std::string reason = "Delivered";
  std::string message;
  bool ready = !state.target.empty();
  if (!state.stalled_reason.empty()) {
    reason = state.stalled_reason;
    message = state.stalled_message;
    ready = false;
  } else if (moving) {
    reason = api::ToString(state.run ? state.run->phase : RunPhase::kRollingBack);
    message = state.run ? state.run->message : "";
    ready = false;
  } else if (state.run && state.run->phase == RunPhase::kRollbackIncomplete) {
    reason = "RollbackIncomplete";
    message = state.run->message;
    ready = false;
  } else if (state.pinned && state.rollback) {
    reason = "RolledBack";
    message = fmt::format("{} runs instead of {}: {}", state.rollback->to.revision,
                          state.rollback->from.revision, state.rollback->reason);
  } else if (state.target.empty()) {
    reason = "Pending";
    message = "nothing was delivered yet";
  }
  const bool paused = state.run && state.run->phase == RunPhase::kPaused;
  SetConditions(status.conditions, ready, moving && !paused, !state.stalled_reason.empty() || paused,
                reason, message, generation, now);
  auto flag = [&](std::string_view type, bool set, std::string_view why, std::string_view text) {
    if (set) {
      SetCondition(status.conditions, type, ConditionStatus::kTrue, why, text, generation, now);
    } else {
      RemoveCondition(status.conditions, type);
    }
  };
  flag(api::condition::kPinned, state.pinned, "Rollback", message);
  flag(api::condition::kOutdated, !state.outdated_message.empty(), "RendersOtherwise",
       state.outdated_message);
  flag(api::condition::kFrozen, fleet.frozen.has_value(), "Freeze", fleet.frozen.value_or(""));
  return status;
}

namespace {

Run RestoreRun(const api::Rollout& rollout, const Moment& now) {
  Run run;
  run.name = rollout.meta.name;
  if (size_t dash = run.name.rfind('-'); dash != std::string::npos) {
    run.number = std::atoi(run.name.c_str() + dash + 1);
  }
  run.fence = rollout.spec.fence;
  run.release = IdOf(rollout.spec.release);
  if (rollout.spec.previous) run.base = IdOf(*rollout.spec.previous);
  run.phase = rollout.status.phase == RunPhase::kPending ? RunPhase::kValidating : rollout.status.phase;
  run.stages = rollout.spec.stages;
  run.message = rollout.status.message;
  if (const auto* stalled = FindCondition(rollout.status.conditions, api::condition::kStalled);
      stalled && run.phase == RunPhase::kPaused) {
    run.pause_reason = stalled->reason;
  }
  run.started_at = rollout.status.started.value_or(now.wall);
  run.finished_at = rollout.status.finished.value_or(WallTime{});
  for (size_t i = 0; i < run.stages.size(); ++i) {
    if (run.stages[i].stage.name == rollout.status.current_stage) run.stage = i;
  }
  const bool begun = run.phase != RunPhase::kValidating && run.phase != RunPhase::kRejected;
  const api::StageStatus* stage =
      run.stage < rollout.status.stages.size() ? &rollout.status.stages[run.stage] : nullptr;
  if (stage && stage->started) run.stage_started_at = *stage->started;
  if (stage && stage->baking_since && run.phase == RunPhase::kBaking) {
    const Duration left = *stage->baking_since + run.stages[run.stage].stage.bake - now.wall;
    run.bake_until = now.mono + std::max<Duration>(left, 0s);
  }
  const bool stage_done = run.phase == RunPhase::kBaking || run.phase == RunPhase::kPruning ||
                          run.phase == RunPhase::kSucceeded;
  std::map<std::string, ClusterPhase> exceptions;
  for (const api::ClusterException& item : rollout.status.exceptions) {
    exceptions[item.cluster] = item.phase;
  }
  for (size_t i = 0; i < run.stages.size(); ++i) {
    for (const std::string& name : run.stages[i].clusters) {
      ClusterRun cluster;
      cluster.name = name;
      cluster.stage = static_cast<int>(i);
      cluster.since = cluster.healthy_since = now.mono;
      const bool reached =
          begun && (i < run.stage || (i == run.stage && run.stage_started_at != WallTime{}));
      const bool done = begun && (i < run.stage || (i == run.stage && stage_done));
      auto exception = exceptions.find(name);
      if (exception != exceptions.end() && exception->second == ClusterPhase::kSkippedOffline) {
        cluster.phase = ClusterPhase::kSkippedOffline;
      } else if (done) {
        cluster.phase = ClusterPhase::kPassed;
        cluster.touched = cluster.verified = true;
        cluster.applied_at = run.stage_started_at == WallTime{} ? now.wall : run.stage_started_at;
        cluster.health = Health::kHealthy;
      } else if (reached) {
        cluster.touched = true;  // perhaps: a rollback has to reach it (see OnHeldSeen)
      }
      cluster.dry_run_pending = run.phase == RunPhase::kValidating;
      run.clusters.push_back(std::move(cluster));
    }
  }
  return run;
}

}  // namespace

namespace {

// What a rollback leaves: as its spec says, or, where a person left that open, what had its fence.
ReleaseId LeftBy(const api::Rollback& rollback, const Recorded& recorded) {
  if (!rollback.spec.from.release_digest.empty()) return IdOf(rollback.spec.from);
  for (const auto& rollout : recorded.rollouts) {
    if (api::RollbackName(rollback.spec.application, rollout->spec.fence) == rollback.meta.name) {
      return IdOf(rollout->spec.release);
    }
  }
  for (const auto& earlier : recorded.rollbacks) {
    if (earlier->status.resolved && earlier->status.fence != 0 &&
        api::RollbackName(rollback.spec.application, earlier->status.fence) == rollback.meta.name) {
      return IdOf(*earlier->status.resolved);
    }
  }
  return {};
}

Timeline TimelineFrom(const api::Timeline& timeline) {
  return {timeline.breach_visible, timeline.detected, timeline.decided,
          timeline.first_apply,    timeline.accepted, timeline.ready};
}

// Clusters that a superseded run had reached since the target came to be.
void RestoreInherited(AppState& state, const Recorded& recorded) {
  if (!state.run) return;
  Fence since = state.target_fence;
  for (const auto& rollback : recorded.rollbacks) {
    const bool complete = rollback->status.phase != api::RollbackPhase::kPending &&
                          rollback->status.phase != api::RollbackPhase::kApplying;
    if (complete) since = std::max(since, rollback->status.fence);
  }
  for (const auto& rollout : recorded.rollouts) {
    if (rollout->status.phase != RunPhase::kSuperseded || rollout->spec.fence <= since ||
        rollout->spec.fence >= state.run->fence) {
      continue;
    }
    for (size_t i = 0; i < rollout->spec.stages.size() && i < rollout->status.stages.size(); ++i) {
      if (!rollout->status.stages[i].started) continue;
      for (const std::string& name : rollout->spec.stages[i].clusters) {
        if (ClusterRun* cluster = FindCluster(state.run->clusters, name)) cluster->inherited = true;
      }
    }
  }
}

}  // namespace

AppState Restore(Settings settings, const Recorded& recorded, const Moment& now) {
  AppState state;
  state.settings = std::move(settings);

  auto rollouts = recorded.rollouts;
  std::sort(rollouts.begin(), rollouts.end(),
            [](const auto& a, const auto& b) { return a->spec.fence > b->spec.fence; });
  for (const auto& rollout : rollouts) {
    state.max_fence = std::max(state.max_fence, rollout->spec.fence);
    if (!IsFinal(rollout->status.phase) && rollout != rollouts.front()) continue;
    if (rollout->status.phase == RunPhase::kSucceeded || rollout->status.phase == RunPhase::kRolledBack ||
        rollout->status.phase == RunPhase::kRollbackIncomplete) {
      state.history.push_back({rollout->meta.name, IdOf(rollout->spec.release), rollout->status.phase,
                               rollout->spec.fence, rollout->status.finished.value_or(WallTime{})});
    }
    if (rollout->status.phase == RunPhase::kSucceeded && state.target.empty()) {
      state.target = IdOf(rollout->spec.release);
      state.target_fence = rollout->spec.fence;
      for (const api::RolloutStage& stage : rollout->spec.stages) {
        state.target_clusters.insert(stage.clusters.begin(), stage.clusters.end());
      }
    }
  }
  if (!rollouts.empty()) {
    state.run = RestoreRun(*rollouts.front(), now);
    if (state.run->phase == RunPhase::kSucceeded) {
      const Duration left =
          state.run->finished_at + state.settings.watch_after_success - now.wall;
      state.run->watch_until = now.mono + std::max<Duration>(left, 0s);
    }
  }

  RestoreInherited(state, recorded);
  auto rollbacks = recorded.rollbacks;
  std::sort(rollbacks.begin(), rollbacks.end(),
            [](const auto& a, const auto& b) { return a->status.fence < b->status.fence; });
  for (const auto& record : rollbacks) {
    const api::Rollback& rollback = *record;
    // Without a fence it was never begun: the shell tells it as seen.
    if (rollback.spec.dry_run || rollback.status.fence == 0 || !rollback.status.resolved) continue;
    state.max_fence = std::max(state.max_fence, rollback.status.fence);
    if (rollback.status.started) state.rollbacks.push_back(*rollback.status.started);
    const ReleaseId from = LeftBy(rollback, recorded);
    if (!rollback.spec.release) {
      state.quarantine.push_back({from.release_digest, from.input_digest, rollback.meta.name});
    }
    if (rollback.status.fence < state.target_fence) continue;
    RollbackRun run;
    run.name = rollback.meta.name;
    run.fence = rollback.status.fence;
    run.from_rollout = rollback.spec.from.rollout;
    run.from = from;
    run.to = IdOf(*rollback.status.resolved);
    run.cause = api::ToString(rollback.spec.cause);
    run.reason = rollback.spec.reason;
    run.requested_by = rollback.spec.requested_by;
    run.timeline.decided_at = rollback.status.started;
    run.complete = rollback.status.phase != api::RollbackPhase::kPending &&
                   rollback.status.phase != api::RollbackPhase::kApplying;
    // Which clusters were missing is not recorded: an incomplete one is applied to all of them again,
    // which changes nothing where it is done.
    const bool done = rollback.status.phase == api::RollbackPhase::kSucceeded;
    std::set<std::string> reached = state.target_clusters;
    if (state.run && state.run->release == run.from) {
      for (const ClusterRun& cluster : state.run->clusters) {
        if (cluster.touched || cluster.inherited) reached.insert(cluster.name);
      }
      if (run.from_rollout.empty()) run.from_rollout = state.run->name;
      if (!run.complete) state.run->phase = RunPhase::kRollingBack;
    }
    for (const auto& rollout : recorded.rollouts) {
      if (rollout->meta.name == run.from_rollout && rollout->status.timeline) {
        run.timeline = TimelineFrom(*rollout->status.timeline);
      }
    }
    if (run.complete && rollback.status.finished) {
      const WallTime verify = *rollback.status.finished + VerifyAfter(state.settings);
      if (verify > now.wall) run.verify_at = now.mono + (verify - now.wall);
    }
    for (const std::string& name : reached) {
      ClusterRun cluster;
      cluster.name = name;
      cluster.phase = done ? ClusterPhase::kRolledBack : ClusterPhase::kRollbackPendingOffline;
      cluster.since = now.mono;
      run.clusters.push_back(std::move(cluster));
    }
    if (run.complete) {
      state.target = run.to;
      state.target_fence = run.fence;
      state.target_clusters = std::move(reached);
    }
    state.pinned = !rollback.spec.release.has_value() || !run.complete;
    state.rollback = std::move(run);
  }
  if (state.run) state.run->base_fence = state.target_fence;
  return state;
}

}  // namespace flotilla::deliver
