#include "operate/application.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <variant>

#include "deliver/record.h"
#include "operate/overload.h"

namespace flotilla::operate {
namespace {

deliver::Settings SettingsOf(const api::Application& application, const Hub& hub) {
  deliver::Settings settings;
  settings.name = application.meta.name;
  settings.namespace_name = application.meta.ns;
  settings.prune = application.spec.prune.enabled;
  settings.judged = !application.spec.slos.empty();
  settings.automatic_rollback = application.spec.rollback.automatic;
  settings.enforce_drift = application.spec.drift.mode == api::DriftMode::kEnforce;
  settings.max_rollbacks_per_day = application.spec.rollback.max_per_day;
  settings.watch_after_success = application.spec.rollback.watch_after_success;
  for (const std::string& name : application.spec.slos) {
    auto slo = hub.slos().Find(NameOf(application.meta.ns, name));
    if (!slo) continue;
    for (const api::Objective& objective : slo->spec.objectives) {
      // A sample is readable up to one interval after the error, and a rate reaches one further.
      settings.lookback = std::max(settings.lookback, deliver::LookbackOf(objective.query) +
                                                          2 * slo->spec.scrape_interval);
    }
  }
  return settings;
}

}  // namespace

ApplicationLoop::ApplicationLoop(Shell& shell, ObjectName name)
    : shell_(shell), name_(std::move(name)), log_(shell.log.With({{"application", name_}})) {}

void ApplicationLoop::Post(deliver::Event event) {
  {
    MutexLock lock(mutex_);
    mailbox_.push_back(std::move(event));
  }
  shell_.wake(name_);
}

void ApplicationLoop::OnRecordsChanged() { shell_.wake(name_); }

deliver::FleetView ApplicationLoop::View() const {
  deliver::FleetView view = shell_.fleet.View();
  const WallTime now = shell_.runtime.WallNow();
  for (const auto& [name, freeze] : shell_.hub.freezes().All()) {
    if (!freeze->AppliesTo(application_->meta, now)) continue;
    view.frozen = fmt::format("Freeze {} by {}: {}", freeze->meta.name, freeze->spec.requested_by,
                              freeze->spec.reason);
  }
  for (const auto& [name, freeze] : shell_.hub.cluster_freezes().All()) {
    if (!freeze->AppliesTo(application_->meta, now)) continue;
    view.frozen = fmt::format("ClusterFreeze {} by {}: {}", name, freeze->spec.requested_by,
                              freeze->spec.reason);
  }
  return view;
}

// --- working off ---

void ApplicationLoop::Begin() {
  deliver::Recorded recorded;
  recorded.application = application_;
  for (const auto& [name, rollout] : shell_.hub.rollouts().All()) {
    if (rollout->meta.ns == application_->meta.ns &&
        rollout->spec.application == application_->meta.name) {
      recorded.rollouts.push_back(rollout);
    }
  }
  for (const auto& [name, rollback] : shell_.hub.rollbacks().All()) {
    if (rollback->meta.ns == application_->meta.ns &&
        rollback->spec.application == application_->meta.name) {
      recorded.rollbacks.push_back(rollback);
    }
  }
  state_ = deliver::Restore(SettingsOf(*application_, shell_.hub), recorded, Now());
  rollout_.reset();
  rollback_.reset();
  for (const auto& rollout : recorded.rollouts) {
    if (state_.run && rollout->meta.name == state_.run->name) rollout_ = *rollout;
  }
  for (const auto& rollback : recorded.rollbacks) {
    if (state_.rollback && rollback->meta.name == state_.rollback->name) rollback_ = *rollback;
  }
  saved_status_ = application_->status;
  begun_ = true;

  std::set<std::string> placed = state_.target_clusters;
  if (state_.run) {
    for (const deliver::ClusterRun& cluster : state_.run->clusters) placed.insert(cluster.name);
  }
  {
    MutexLock lock(mutex_);
    snapshot_ = std::make_shared<const deliver::AppState>(state_);
    mailbox_.push_front(deliver::Restored{});
  }
  for (const std::string& cluster : placed) Attach(cluster);
}

void ApplicationLoop::Run(std::stop_token stop) {
  application_ = shell_.hub.applications().Find(name_);
  if (!application_) return;  // the Controller drops this loop
  if (!begun_) Begin();
  state_.settings = SettingsOf(*application_, shell_.hub);

  std::deque<deliver::Event> events;
  {
    MutexLock lock(mutex_);
    events.swap(mailbox_);
    if (prepare_again_ <= shell_.runtime.Now()) {
      prepare_again_ = kForever;
      events.push_back(deliver::InputsChanged{});
    }
  }
  if (application_->meta.generation != generation_) {
    generation_ = application_->meta.generation;
    events.push_back(deliver::InputsChanged{});
  }
  for (const auto& [name, rollback] : shell_.hub.rollbacks().All()) {
    if (rollback->meta.ns != application_->meta.ns ||
        rollback->spec.application != application_->meta.name || rollback->spec.dry_run) {
      continue;
    }
    if (rollback->spec.release) {
      events.push_back(deliver::RollbackReleased{rollback->meta.name});
    } else if (rollback->status.fence == 0 && rollback->status.phase == api::RollbackPhase::kPending) {
      events.push_back(SeenOf(*rollback));
    }
  }
  for (const auto& [name, approval] : shell_.hub.approvals().All()) {
    const api::ApprovalSpec& spec = approval->spec;
    if (approval->meta.ns != application_->meta.ns || spec.application != application_->meta.name) continue;
    if (spec.expires && *spec.expires <= shell_.runtime.WallNow()) continue;
    events.push_back(deliver::ApprovalSeen{spec.rollout, spec.stage, spec.release_digest,
                                           spec.action == api::ApprovalAction::kSkipBake});
  }
  events.push_back(deliver::TimeCame{});

  while (!events.empty() && !stop.stop_requested()) {
    const deliver::Event event = std::move(events.front());
    events.pop_front();
    if (const auto* prepared = std::get_if<deliver::Prepared>(&event)) Renew(*prepared, stop);
    deliver::Commands commands;
    deliver::Step(state_, event, Now(), View(), commands);
    if (log_.Enabled(LogLevel::kDebug)) {
      std::string answer;
      for (const deliver::Command& command : commands) {
        answer += answer.empty() ? "" : " ";
        answer += deliver::NameOf(command);
      }
      log_.Debug(deliver::NameOf(event), {{"commands", answer}});
    }
    {
      MutexLock lock(mutex_);
      snapshot_ = std::make_shared<const deliver::AppState>(state_);
    }
    if (!Execute(commands, stop)) return;
  }
  // The queue keeps one time per application, the earliest: one that has passed took the others with it.
  TimePoint again = state_.wake_at;
  {
    MutexLock lock(mutex_);
    again = std::min(again, prepare_again_);
  }
  if (again != kForever) shell_.wake_at(name_, again);
}

// A release that runs already may have other clusters now.
void ApplicationLoop::Renew(const deliver::Prepared& prepared, std::stop_token stop) {
  const std::string& digest = prepared.prepared.release.release_digest;
  if (digest != state_.target.release_digest) return;
  std::shared_ptr<const Release> release;
  {
    MutexLock lock(mutex_);
    auto it = prepared_.find(digest);
    if (it != prepared_.end()) release = it->second;
  }
  auto stored = shell_.releases.Get(digest, stop);
  if (!release || (stored && (*stored)->clusters == release->clusters)) return;
  if (Status put = shell_.releases.Put(release, stop); !put) {
    log_.Warning("cannot store release", {{"error", put.error()}});
  }
}

bool ApplicationLoop::Execute(const deliver::Commands& commands, std::stop_token stop) {
  std::set<size_t> recorded;  // kinds of records that this batch has saved: the state is final
  for (const deliver::Command& command : commands) {
    const bool saves = std::holds_alternative<deliver::SaveRollout>(command) ||
                       std::holds_alternative<deliver::SaveApplication>(command) ||
                       std::holds_alternative<deliver::SaveRollback>(command);
    if (saves && !recorded.insert(command.index()).second) continue;
    const bool done = std::visit(
        Overload{
            [&](const deliver::Prepare& c) { return StartPrepare(c), true; },
            [&](const deliver::DryRun& c) { return StartDryRun(c), true; },
            [&](const deliver::Apply& c) { return StartApply(c, stop), true; },
            [&](const deliver::Prune& c) { return StartPrune(c, stop), true; },
            [&](const deliver::CancelBelow& c) { return Cancel(c.fence), true; },
            [&](const deliver::Watch& c) { return Watch(c), true; },
            [&](const deliver::WakeAt&) { return true; },  // see the end of Run
            [&](const deliver::Say& c) {
              shell_.hub.Tell(api::kApplicationKind, application_->meta, c.warning, c.reason, c.message);
              return true;
            },
            [&](const auto&) { return Persist(command, stop); },
        },
        command);
    if (!done) return false;
  }
  return true;
}

}  // namespace flotilla::operate
