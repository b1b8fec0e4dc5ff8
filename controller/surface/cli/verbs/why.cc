#include <fmt/format.h>

#include "surface/cli/verbs/verbs.h"

namespace flotilla::surface {
namespace {

// "  target      main@1234567890   because ..."
void Fact(Console& console, std::string_view name, const std::string& text) {
  console.OutLine(fmt::format("  {:<16}{}", name, text));
}

std::string At(std::optional<WallTime> time) { return time ? " at " + FormatTime(*time) : ""; }

std::string TargetText(const api::TargetStatus& target) {
  std::string why;
  switch (target.reason) {
    case api::TargetReason::kHead:
      why = "the head of its source";
      break;
    case api::TargetReason::kPinned:
      why = "somebody pinned it";
      break;
    case api::TargetReason::kRollback:
      why = "a rollback went back to it";
      break;
  }
  return fmt::format("{} (fence {}, {}): {}", target.revision, target.fence, target.release_digest,
                     why);
}

void ExplainApplication(Console& console, const api::Application& application) {
  const api::ApplicationStatus& status = application.status;
  console.OutLine(fmt::format("Application {}/{}", application.meta.ns, application.meta.name));
  Fact(console, "source", OrDash(status.source_revision));
  Fact(console, "target",
       status.target ? TargetText(*status.target) : "none: nothing was delivered yet");
  if (status.last_known_good) {
    Fact(console, "last known good",
         fmt::format("{} (Rollout {})", status.last_known_good->revision,
                     status.last_known_good->rollout));
  }
  if (status.pin) {
    Fact(
        console, "pinned",
        fmt::format("to {} by {}{}: {} (Rollback {})", status.pin->revision, OrDash(status.pin->by),
                    At(status.pin->since), status.pin->reason, status.pin->rollback));
  }
  for (const api::QuarantineStatus& one : status.quarantine) {
    Fact(console, "quarantine",
         fmt::format("{}{}: {} (Rollback {})", one.revision, At(one.since), one.reason,
                     one.rollback));
  }
  for (const api::Condition& condition : status.conditions) {
    Fact(console, condition.type,
         fmt::format("{}, {}{}", api::ToString(condition.status), condition.reason,
                     condition.message.empty() ? "" : ": " + condition.message));
  }
}

void ExplainTimeline(Console& console, const api::Timeline& timeline) {
  const std::optional<WallTime> start =
      timeline.breach_visible ? timeline.breach_visible : timeline.detected;
  auto step = [&](std::string_view name, std::optional<WallTime> time) {
    if (!time) return;
    Fact(console, name,
         fmt::format("{}{}", FormatMicroTime(*time),
                     start ? fmt::format("  (+{:.3f} s)",
                                         std::chrono::duration<double>(*time - *start).count())
                           : ""));
  };
  console.OutLine("Rollback, step by step");
  step("breach visible", timeline.breach_visible);
  step("detected", timeline.detected);
  step("decided", timeline.decided);
  step("first apply", timeline.first_apply);
  step("accepted", timeline.accepted);
  step("ready", timeline.ready);
}

void ExplainRollout(Console& console, const api::Rollout& rollout) {
  const api::RolloutStatus& status = rollout.status;
  console.OutLine(fmt::format("Rollout {}", rollout.meta.name));
  Fact(console, "began because", api::ToString(rollout.spec.reason));
  Fact(console, "release",
       fmt::format("{} ({})", rollout.spec.release.revision, rollout.spec.release.release_digest));
  if (rollout.spec.previous) Fact(console, "replaces", rollout.spec.previous->revision);
  if (rollout.spec.policy) {
    Fact(console, "admitted by",
         fmt::format("DeliveryPolicy {} (generation {}), as {}", rollout.spec.policy->name,
                     rollout.spec.policy->generation, OrDash(rollout.spec.policy->impersonate)));
  }
  Fact(console, "phase",
       fmt::format("{}{}", api::ToString(status.phase),
                   status.message.empty() ? "" : ": " + status.message));
  for (const api::StageStatus& stage : status.stages) {
    Fact(console, "stage " + stage.name,
         fmt::format("{}, {} of {} clusters passed", api::ToString(stage.phase),
                     stage.clusters.passed, stage.clusters.total));
  }
  for (const api::Evidence& one : status.evidence) {
    Fact(console, "evidence",
         fmt::format("{}: {} was {}, expected {}{} {}", one.cluster, one.objective, one.observed,
                     one.expected, At(one.sampled), one.message));
  }
  for (const api::ClusterException& one : status.exceptions) {
    Fact(console, "cluster " + one.cluster,
         fmt::format("{}, {}: {}", api::ToString(one.phase), one.reason, one.message));
  }
  if (!status.rollback.empty()) Fact(console, "ended by", "Rollback " + status.rollback);
  if (status.timeline) ExplainTimeline(console, *status.timeline);
}

}  // namespace

Result<int> ShowWhy(Session& session, const std::string& name) {
  auto application = GetApplication(session, name);
  if (!application) return Pass(application);
  auto rollout = CurrentRollout(session, application->parsed);
  if (!rollout) return Pass(rollout);
  auto rollbacks = RollbacksOf(session, name);
  if (!rollbacks) return Pass(rollbacks);
  if (!session.console.for_people()) {
    std::vector<value::Value> objects = {application->object};
    if (*rollout) objects.push_back((*rollout)->object);
    for (const auto& rollback : *rollbacks) objects.push_back(rollback.object);
    session.console.PrintObjects(objects, "records");
    return kDone;
  }
  ExplainApplication(session.console, application->parsed);
  if (*rollout) ExplainRollout(session.console, (*rollout)->parsed);
  for (const auto& rollback : *rollbacks) {
    const api::Rollback& one = rollback.parsed;
    session.console.OutLine(fmt::format("Rollback {}", one.meta.name));
    Fact(session.console, "cause",
         fmt::format("{}, asked for by {}: {}", api::ToString(one.spec.cause),
                     one.spec.requested_by, one.spec.reason));
    Fact(session.console, "from", OrDash(one.spec.from.revision));
    Fact(session.console, "to",
         one.status.resolved ? one.status.resolved->revision : "not resolved");
    Fact(session.console, "phase",
         fmt::format("{}{}", api::ToString(one.status.phase),
                     one.status.message.empty() ? "" : ": " + one.status.message));
    if (one.spec.release) {
      Fact(session.console, "released",
           fmt::format("by {}{}: {}", one.spec.release->by, At(one.spec.release->at),
                       one.spec.release->reason));
    }
  }
  return kDone;
}

}  // namespace flotilla::surface
