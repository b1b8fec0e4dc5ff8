// What an ApplicationLoop records on the hub: Rollouts, Rollbacks, the status of the Application.
#include <fmt/format.h>

#include <algorithm>

#include "deliver/record.h"
#include "operate/application.h"
#include "operate/overload.h"
#include "render/canonical.h"

namespace flotilla::operate {
namespace {

constexpr Duration kBeginAgain = 10s;

// How long until the next try of something that must not be given up.
Duration PersistBackOff(int attempt, const Error& error) {
  Duration wait = std::min<Duration>(200ms * (1 << std::min(attempt, 4)), 2s);
  if (error.retry_after) wait = std::max<Duration>(wait, *error.retry_after);
  return wait;
}

}  // namespace

bool ApplicationLoop::Persist(const deliver::Command& command, std::stop_token stop) {
  for (int attempt = 0;; ++attempt) {
    Status saved = PersistOnce(command, stop);
    if (saved) return true;
    if (stop.stop_requested() || !shell_.leader.Valid()) return false;
    log_.Warning("cannot record", {{"command", deliver::NameOf(command)}, {"error", saved.error()}});
    if (!IsTransient(saved.error().cls) && saved.error().cls != ErrorClass::kUnauthenticated) {
      // The hub refuses it for good. What depends on it must not happen: begin again from the record.
      shell_.hub.Tell(api::kApplicationKind, application_->meta, true, "RecordRefused",
                      saved.error().ToString());
      begun_ = false;
      shell_.wake_at(name_, shell_.runtime.Now() + kBeginAgain);
      return false;
    }
    if (!shell_.runtime.SleepFor(PersistBackOff(attempt, saved.error()), stop)) return false;
  }
}

Status ApplicationLoop::PersistOnce(const deliver::Command& command, std::stop_token stop) {
  return std::visit(
      Overload{
          [&](const deliver::CreateRollout&) { return CreateRollout(stop); },
          [&](const deliver::SaveRollout&) { return SaveRollout(stop); },
          [&](const deliver::CloseRollout& c) { return CloseRollout(c, stop); },
          [&](const deliver::SaveRollback&) { return SaveRollback(stop); },
          [&](const deliver::CreateRollback& c) { return CreateRollback(c, stop); },
          [&](const deliver::RefuseRollback& c) { return RefuseRollback(c, stop); },
          [&](const deliver::SaveApplication&) { return SaveApplication(stop); },
          [&](const deliver::FreezeApplication& c) { return Freeze(c.reason, stop); },
          [](const auto&) { return Status(); },
      },
      command);
}

Status ApplicationLoop::CreateRollout(std::stop_token stop) {
  const deliver::Run& run = *state_.run;
  std::shared_ptr<const Release> release;
  {
    MutexLock lock(mutex_);
    auto it = prepared_.find(run.release.release_digest);
    if (it != prepared_.end()) release = it->second;
  }
  if (!release) {
    auto stored = shell_.releases.Get(run.release.release_digest, stop);
    if (!stored) return Pass(stored);
    release = std::move(*stored);
  }
  if (Status put = shell_.releases.Put(release, stop); !put) return put;

  api::Release described;
  described.release_digest = run.release.release_digest;
  described.input_digest = run.release.input_digest;
  described.revision = run.release.revision;
  for (size_t i = 0; i < release->variants.size(); ++i) {
    api::Variant variant;
    variant.digest = render::ToString(release->variants[i]->digest);
    variant.objects = static_cast<int>(release->variants[i]->objects.size());
    if (release->variants.size() > 1) {
      for (const auto& [cluster, index] : release->clusters) {
        if (index == i) variant.clusters.push_back(cluster);
      }
    }
    described.variants.push_back(std::move(variant));
  }
  std::vector<api::RolloutSlo> slos;
  for (const std::string& name : application_->spec.slos) {
    if (auto slo = shell_.hub.slos().Find(NameOf(application_->meta.ns, name))) {
      slos.push_back({name, slo->spec});
    }
  }
  const api::Rollout record =
      deliver::RolloutRecord(state_, *application_, std::move(described), std::move(slos));
  auto created = shell_.hub.Create(record, stop);
  if (!created && kube::ReasonOf(created.error()) == kube::Reason::kAlreadyExists) {
    // Ours, from a request whose answer was lost; another's fence is a refusal.
    auto read = shell_.hub.client().Get(ResourceOf(api::kRolloutKind),
                                        {record.meta.ns, record.meta.name}, stop);
    if (!read) return Pass(read);
    created = api::ParseRollout(*read);
    if (created && created->spec.fence != run.fence) {
      return Fail(ErrorClass::kInternal, "Rollout {} exists with fence {}", record.meta.name,
                  created->spec.fence);
    }
  }
  if (!created) return Pass(created);
  rollout_ = std::move(*created);
  return SaveRollout(stop);
}

Status ApplicationLoop::SaveRollout(std::stop_token stop) {
  if (!state_.run || !rollout_ || rollout_->meta.name != state_.run->name) return {};
  api::RolloutStatus status = deliver::RolloutStatusOf(state_, *state_.run, shell_.runtime.WallNow(),
                                                       rollout_->status);
  if (status == rollout_->status) return {};
  api::Rollout next = *rollout_;
  next.status = std::move(status);
  if (Status saved = shell_.hub.SaveStatus(next, shell_.leader, stop); !saved) return saved;
  rollout_ = std::move(next);
  return {};
}

Status ApplicationLoop::CloseRollout(const deliver::CloseRollout& command, std::stop_token stop) {
  if (!rollout_ || rollout_->meta.name != command.name) return {};
  rollout_->status.phase = command.phase;
  rollout_->status.message = command.message;
  rollout_->status.finished = shell_.runtime.WallNow();
  return shell_.hub.SaveStatus(*rollout_, shell_.leader, stop);
}

Status ApplicationLoop::SaveRollback(std::stop_token stop) {
  if (!state_.rollback) return {};
  if (!rollback_ || rollback_->meta.name != state_.rollback->name) {
    auto read = shell_.hub.client().Get(ResourceOf(api::kRollbackKind),
                                        {application_->meta.ns, state_.rollback->name}, stop);
    if (!read) return Pass(read);
    auto parsed = api::ParseRollback(*read);
    if (!parsed) return Pass(parsed);
    rollback_ = std::move(*parsed);
  }
  api::Rollback next = *rollback_;
  next.status = deliver::RollbackStatusOf(*state_.rollback, shell_.runtime.WallNow(), next.status);
  if (next.status == rollback_->status) return {};
  if (Status saved = shell_.hub.SaveStatus(next, shell_.leader, stop); !saved) return saved;
  rollback_ = std::move(next);
  return {};
}

Status ApplicationLoop::CreateRollback(const deliver::CreateRollback& command,
                                       std::stop_token stop) {
  api::Rollback record = deliver::RollbackRecord(state_, command, *application_);
  record.spec.requested_by = shell_.identity;
  auto created = shell_.hub.Create(record, stop);
  if (!created && kube::ReasonOf(created.error()) == kube::Reason::kAlreadyExists) {
    auto read = shell_.hub.client().Get(ResourceOf(api::kRollbackKind),
                                        {record.meta.ns, record.meta.name}, stop);
    if (!read) return Pass(read);
    created = api::ParseRollback(*read);
  }
  if (!created) return Pass(created);
  Post(SeenOf(*created));
  rollback_ = std::move(*created);
  return {};
}

Status ApplicationLoop::RefuseRollback(const deliver::RefuseRollback& command,
                                       std::stop_token stop) {
  auto rollback = shell_.hub.rollbacks().Find(NameOf(application_->meta.ns, command.name));
  if (!rollback) return {};
  api::Rollback next = *rollback;
  next.status.observed_generation = next.meta.generation;
  next.status.phase = api::RollbackPhase::kBlocked;
  next.status.message = command.why;
  api::SetCondition(next.status.conditions, api::condition::kStalled, api::ConditionStatus::kTrue,
                    "Refused", command.why, next.meta.generation, shell_.runtime.WallNow());
  return shell_.hub.SaveStatus(next, shell_.leader, stop);
}

Status ApplicationLoop::SaveApplication(std::stop_token stop) {
  api::ApplicationStatus status =
      deliver::ApplicationStatusOf(state_, *application_, View(), shell_.runtime.WallNow());
  if (saved_status_ && *saved_status_ == status) return {};
  api::Application next = *application_;
  next.status = status;
  if (Status saved = shell_.hub.SaveStatus(next, shell_.leader, stop); !saved) return saved;
  saved_status_ = std::move(status);
  return {};
}

Status ApplicationLoop::Freeze(const std::string& reason, std::stop_token stop) {
  api::Freeze freeze;
  freeze.meta.name = fmt::format("{}-{}", application_->meta.name, state_.max_fence);
  freeze.meta.ns = application_->meta.ns;
  freeze.spec.application = application_->meta.name;
  freeze.spec.reason = reason;
  freeze.spec.requested_by = shell_.identity;
  auto created = shell_.hub.Create(freeze, stop);
  if (!created && kube::ReasonOf(created.error()) != kube::Reason::kAlreadyExists) return Pass(created);
  return {};
}

deliver::Event ApplicationLoop::SeenOf(const api::Rollback& rollback) const {
  deliver::RollbackSeen seen;
  seen.name = rollback.meta.name;
  seen.cause = api::ToString(rollback.spec.cause);
  seen.reason = rollback.spec.reason;
  seen.requested_by = rollback.spec.requested_by;
  seen.force = rollback.spec.force;
  const api::RollbackEnd& to = rollback.spec.to;
  for (const deliver::HistoryEntry& entry : state_.history) {
    const bool named = (!to.release_digest.empty() && entry.release.release_digest == to.release_digest) ||
                       (!to.rollout.empty() && entry.rollout == to.rollout) ||
                       (!to.revision.empty() && entry.release.revision == to.revision);
    if (named) {
      seen.to = entry.release;
      break;
    }
  }
  if (!seen.to && !to.release_digest.empty()) {
    seen.to = deliver::ReleaseId{to.release_digest, to.input_digest, to.revision};
  }
  return seen;
}

}  // namespace flotilla::operate
