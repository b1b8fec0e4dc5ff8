#include <fmt/format.h>

#include "kube/errors.h"
#include "surface/cli/verbs/verbs.h"

namespace flotilla::surface {
namespace {

// What runs, or has begun to.
struct Leaving {
  int64_t fence = 0;
  api::RollbackEnd release;
};

bool HasBegun(const api::Rollout& rollout) {
  switch (rollout.status.phase) {
    case api::RolloutPhase::kProgressing:
    case api::RolloutPhase::kBaking:
    case api::RolloutPhase::kPruning:
    case api::RolloutPhase::kPaused:
    case api::RolloutPhase::kAwaitingApproval:
      break;
    default:
      return false;
  }
  for (const api::StageStatus& stage : rollout.status.stages) {
    if (stage.phase != api::StagePhase::kPending &&
        stage.phase != api::StagePhase::kAwaitingApproval)
      return true;
  }
  return false;
}

Result<Leaving> FindLeaving(Session& session, const api::Application& application) {
  auto rollout = CurrentRollout(session, application);
  if (!rollout) return Pass(rollout);
  const std::optional<api::TargetStatus>& target = application.status.target;
  if (*rollout) {
    const api::RolloutSpec& spec = (*rollout)->parsed.spec;
    if (HasBegun((*rollout)->parsed) && spec.fence > (target ? target->fence : 0)) {
      return Leaving{spec.fence,
                     {spec.release.release_digest, spec.release.input_digest, spec.release.revision,
                      (*rollout)->parsed.meta.name}};
    }
  }
  if (!target) {
    return Fail(ErrorClass::kInvalid, "{} has delivered nothing yet: there is nothing to leave",
                application.meta.name);
  }
  return Leaving{target->fence,
                 {target->release_digest, target->input_digest, target->revision, ""}};
}

bool Names(const std::string& text, const api::Rollout& rollout) {
  const api::Release& release = rollout.spec.release;
  constexpr std::string_view kMark = "@sha1:";
  const size_t mark = release.revision.find(kMark);
  const std::string commit =
      mark == std::string::npos ? "" : release.revision.substr(mark + kMark.size());
  return text == rollout.meta.name || text == release.release_digest || text == release.revision ||
         (text.size() >= 7 && commit.rfind(text, 0) == 0);
}

Result<api::RollbackEnd> FindEnd(const std::vector<Fetched<api::Rollout>>& rollouts,
                                 const RollbackFlags& flags) {
  if (flags.to.empty()) return api::RollbackEnd{};
  for (const auto& rollout : rollouts) {
    if (!Names(flags.to, rollout.parsed)) continue;
    const api::Release& release = rollout.parsed.spec.release;
    return api::RollbackEnd{release.release_digest, release.input_digest, release.revision,
                            rollout.parsed.meta.name};
  }
  return Fail(ErrorClass::kNotFound,
              "no Rollout of {} is, or brought, \"{}\": `flotilla history {}` lists them",
              flags.application, flags.to, flags.application);
}

// Said before anything is created: a Rollback that the controller refuses stays, and is in the way
// of the next one that leaves the same target.
Status CheckEnd(const std::vector<Fetched<api::Rollout>>& rollouts,
                const api::Application& application, const Leaving& leaving,
                const api::RollbackEnd& end, bool force) {
  auto quarantined = [&](const std::string& release_digest, const std::string& input_digest) {
    for (const api::QuarantineStatus& one : application.status.quarantine) {
      if (one.release_digest == release_digest) return true;
      if (!input_digest.empty() && one.input_digest == input_digest) return true;
    }
    return false;
  };
  if (!end.release_digest.empty()) {
    if (end.release_digest == leaving.release.release_digest) {
      return Fail(ErrorClass::kConflict, "{} is what runs already", end.revision);
    }
    if (!force && quarantined(end.release_digest, end.input_digest)) {
      return Fail(ErrorClass::kConflict, "{} is in quarantine: give --force, or release it first",
                  end.revision);
    }
    return {};
  }
  for (const auto& rollout : rollouts) {
    const api::Release& release = rollout.parsed.spec.release;
    if (rollout.parsed.status.phase == api::RolloutPhase::kSucceeded &&
        release.release_digest != leaving.release.release_digest &&
        !quarantined(release.release_digest, release.input_digest)) {
      return {};
    }
  }
  return Fail(ErrorClass::kConflict,
              "no earlier release of {} has succeeded and is not in quarantine: name one by --to",
              application.meta.name);
}

// Refused before it began: it holds nothing back, and tells nobody anything any more.
bool WasRefused(const api::Rollback& rollback) {
  return rollback.status.phase == api::RollbackPhase::kBlocked && rollback.status.fence == 0;
}

// The one that exists has the same name, so it leaves the same target; it must also go where we
// want. One that was refused makes room.
Result<api::Rollback> JoinOrReplace(Session& session, const api::Rollback& wanted) {
  const kube::ObjectKey key{wanted.meta.ns, wanted.meta.name};
  auto object = session.hub.Get(ResourceOf(api::kRollbackKind), key, session.stop);
  if (!object) return Fail(object, "read Rollback {}", wanted.meta.name);
  auto existing = api::ParseRollback(*object);
  if (!existing) return Pass(existing);
  if (WasRefused(*existing)) {
    session.console.Note(fmt::format("replacing {}, which was refused: {}", existing->meta.name,
                                     existing->status.message));
    auto gone = session.hub.Do(
        kube::DeleteRequest(ResourceOf(api::kRollbackKind), key, {.uid = existing->meta.uid}),
        session.stop);
    if (!gone && gone.error().cls != ErrorClass::kNotFound) {
      return Fail(gone, "replace Rollback {}", wanted.meta.name);
    }
    auto created = CreateObject(session, api::kRollbackKind, api::ToValue(wanted));
    if (!created) return Pass(created);
    return api::ParseRollback(*created);
  }
  if (!wanted.spec.to.release_digest.empty() &&
      existing->spec.to.release_digest != wanted.spec.to.release_digest) {
    return Fail(ErrorClass::kConflict, "{} is rolled back already, to {}, by {}",
                wanted.spec.application, OrDash(existing->spec.to.revision),
                existing->spec.requested_by);
  }
  session.console.Note(
      fmt::format("{} asked for this rollback already: following it", existing->spec.requested_by));
  return existing;
}

Result<api::Rollback> CreateOrJoin(Session& session, const RollbackFlags& flags) {
  auto application = GetApplication(session, flags.application);
  if (!application) return Pass(application);
  auto leaving = FindLeaving(session, application->parsed);
  if (!leaving) return Pass(leaving);
  auto rollouts = RolloutsOf(session, flags.application);
  if (!rollouts) return Pass(rollouts);
  auto end = FindEnd(*rollouts, flags);
  if (!end) return Pass(end);
  if (Status possible = CheckEnd(*rollouts, application->parsed, *leaving, *end, flags.force);
      !possible) {
    return tl::unexpected(possible.error());
  }
  auto user = UserName(session);
  if (!user) return Pass(user);

  api::Rollback rollback;
  rollback.meta.ns = session.ns;
  rollback.meta.name = api::RollbackName(flags.application, leaving->fence);
  rollback.meta.labels[std::string(api::kApplicationLabel)] = flags.application;
  rollback.spec.application = flags.application;
  rollback.spec.fence = leaving->fence;
  rollback.spec.from = leaving->release;
  rollback.spec.to = *end;
  rollback.spec.cause = api::RollbackCause::kManual;
  rollback.spec.reason = flags.reason.empty() ? "by hand" : flags.reason;
  rollback.spec.quarantine =
      api::Quarantine{leaving->release.release_digest, leaving->release.input_digest};
  rollback.spec.force = flags.force;
  rollback.spec.requested_by = *user;
  auto created = CreateObject(session, api::kRollbackKind, api::ToValue(rollback));
  if (created) return api::ParseRollback(*created);
  if (kube::ReasonOf(created.error()) == kube::Reason::kAlreadyExists)

    return JoinOrReplace(session, rollback);
  return Pass(created);
}

std::optional<int> CodeOf(const api::Rollback& rollback) {
  switch (rollback.status.phase) {
    case api::RollbackPhase::kSucceeded:
    case api::RollbackPhase::kPlanned:
      return kDone;
    case api::RollbackPhase::kBlocked:
      return kBlocked;
    default:
      return std::nullopt;
  }
}

// Until it is over, or `wait` is.
Result<int> Follow(Session& session, const std::string& name, Duration wait) {
  const TimePoint give_up = session.runtime.Now() + wait;
  std::string last;
  for (;;) {
    auto object = session.hub.Get(ResourceOf(api::kRollbackKind), {session.ns, name}, session.stop);
    std::optional<api::RollbackPhase> phase;
    if (object) {
      auto rollback = api::ParseRollback(*object);
      if (!rollback) return Pass(rollback);
      phase = rollback->status.phase;
      const std::string line =
          fmt::format("{}: {}", api::ToString(*phase), rollback->status.message);
      if (line != last) session.console.Note(line);
      last = line;
      if (auto code = CodeOf(*rollback)) return *code;
    } else if (!IsTransient(object.error().cls)) {
      return Fail(object, "follow Rollback {}", name);
    }
    if (session.runtime.Now() >= give_up) {
      session.console.Note(fmt::format("not over after {}: it goes on", FormatDuration(wait)));
      return phase == api::RollbackPhase::kIncomplete ? kPartial : kTimeOut;
    }
    if (!session.runtime.SleepFor(250ms, session.stop))
      return Fail(ErrorClass::kCancelled, "stopped");
  }
}

}  // namespace

Result<int> RollBack(Session& session, const RollbackFlags& flags) {
  auto rollback = CreateOrJoin(session, flags);
  if (!rollback && rollback.error().cls == ErrorClass::kConflict) {
    session.console.Note(rollback.error().ToString());
    return kBlocked;
  }
  if (!rollback) return Pass(rollback);
  int code = kDone;
  if (flags.wait) {
    auto followed = Follow(session, rollback->meta.name, *flags.wait);
    if (!followed) return followed;
    code = *followed;
  }
  if (session.console.for_people()) {
    session.console.OutLine(fmt::format("rollback/{}: {} leaves {}", rollback->meta.name,
                                        flags.application, OrDash(rollback->spec.from.revision)));
    if (!flags.wait)
      session.console.Note(
          fmt::format("follow it by `flotilla status {} --watch`", flags.application));
    return code;
  }
  auto object = session.hub.Get(ResourceOf(api::kRollbackKind), {session.ns, rollback->meta.name},
                                session.stop);
  if (!object) return Fail(object, "read Rollback {}", rollback->meta.name);
  session.console.PrintObject(*object, api::kRollbackKind.plural);
  return code;
}

}  // namespace flotilla::surface
