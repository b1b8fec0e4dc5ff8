#include <fmt/format.h>

#include "api/approval.h"
#include "kube/errors.h"
#include "surface/cli/verbs/verbs.h"

namespace flotilla::surface {
namespace {

// What is waited for; an error says what else goes on.
Status Expect(const api::Rollout& rollout, bool skip_bake) {
  const api::RolloutPhase wanted =
      skip_bake ? api::RolloutPhase::kBaking : api::RolloutPhase::kAwaitingApproval;
  if (rollout.status.phase == wanted) return {};
  return Fail(ErrorClass::kConflict, "Rollout {} is {}: there is nothing to {}", rollout.meta.name,
              api::ToString(rollout.status.phase), skip_bake ? "promote" : "approve");
}

}  // namespace

Result<int> Approve(Session& session, const ApproveFlags& flags) {
  auto application = GetApplication(session, flags.application);
  if (!application) return Pass(application);
  auto rollout = CurrentRollout(session, application->parsed);
  if (!rollout) return Pass(rollout);
  if (!*rollout) return Fail(ErrorClass::kNotFound, "{} has no rollout", flags.application);
  const api::Rollout& parsed = (*rollout)->parsed;
  const std::string stage = flags.stage.empty() ? parsed.status.current_stage : flags.stage;
  // A stage that is named may be approved ahead of time.
  if (flags.stage.empty()) {
    if (Status waits = Expect(parsed, flags.skip_bake); !waits) {
      session.console.Note(waits.error().message);
      return kBlocked;
    }
  }
  auto user = UserName(session);
  if (!user) return Pass(user);

  api::Approval approval;
  approval.meta.ns = session.ns;
  approval.meta.name =
      fmt::format("{}-{}-{}", parsed.meta.name, stage, flags.skip_bake ? "promote" : "approve");
  approval.meta.labels[std::string(api::kApplicationLabel)] = flags.application;
  approval.spec.application = flags.application;
  approval.spec.rollout = parsed.meta.name;
  approval.spec.stage = stage;
  approval.spec.release_digest = parsed.spec.release.release_digest;
  approval.spec.action =
      flags.skip_bake ? api::ApprovalAction::kSkipBake : api::ApprovalAction::kProceed;
  approval.spec.requested_by = *user;
  approval.spec.reason = flags.reason;
  if (flags.duration) approval.spec.expires = session.runtime.WallNow() + *flags.duration;
  auto created = CreateObject(session, api::kApprovalKind, api::ToValue(approval));
  if (!created && kube::ReasonOf(created.error()) == kube::Reason::kAlreadyExists) {
    session.console.Note(fmt::format("approval/{} exists already", approval.meta.name));
    return kDone;
  }
  if (!created) return Pass(created);
  if (session.console.for_people()) {
    session.console.OutLine(fmt::format("approval/{}: {} of {}", approval.meta.name, stage,
                                        parsed.spec.release.revision));
  } else {
    session.console.PrintObject(*created, api::kApprovalKind.plural);
  }
  return kDone;
}

}  // namespace flotilla::surface
