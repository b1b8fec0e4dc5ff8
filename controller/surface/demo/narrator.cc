#include "surface/demo/narrator.h"

#include <fmt/format.h>

#include <cstdio>

#include "api/rollback.h"
#include "api/rollout.h"
#include "surface/demo/fleet.h"

namespace flotilla::surface::demo {
namespace {

const char* EscapeOf(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kQuiet:
      return "\033[2m";
    case Tone::kGood:
      return "\033[32m";
    case Tone::kBad:
      return "\033[31m";
    case Tone::kTitle:
      return "\033[1m";
  }
  return "";
}

// "main@sha1:c9a4612c": eight digits are enough for people.
std::string Shortened(std::string_view revision) {
  constexpr size_t kDigits = 8;
  const size_t colon = revision.rfind(':');
  return std::string(revision.substr(0, colon == revision.npos ? colon : colon + 1 + kDigits));
}

std::string Join(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

// What begins or ends when a stage comes to that phase.
void SayStage(Narrator& narrator, const api::RolloutStage& stage, api::StagePhase phase) {
  const std::string who = "stage " + stage.stage.name;
  const std::string clusters = Join(stage.clusters);
  switch (phase) {
    case api::StagePhase::kProgressing:
      return narrator.Say(Tone::kPlain, "hub",
                          fmt::format("{}: apply to {}; then healthy and within the SLO for {}",
                                      who, clusters, FormatDuration(stage.stage.hot)));
    case api::StagePhase::kBaking:
      if (stage.stage.bake == 0s) return;
      return narrator.Say(Tone::kPlain, "hub",
                          fmt::format("{}: {} passed; bake for {}", who, clusters,
                                      FormatDuration(stage.stage.bake)));
    case api::StagePhase::kPassed:
      return narrator.Say(Tone::kGood, "hub", who + ": passed");
    case api::StagePhase::kFailed:
      return narrator.Say(Tone::kBad, "hub", who + ": failed");
    case api::StagePhase::kPending:
    case api::StagePhase::kAwaitingApproval:
      return;
  }
}

}  // namespace

Narrator::Narrator(Runtime& runtime, bool colour)
    : runtime_(runtime), colour_(colour), start_(runtime.Now()) {}

void Narrator::Print(Tone tone, std::string_view text) {
  std::string line;
  if (colour_) line += EscapeOf(tone);
  line += text;
  if (colour_ && tone != Tone::kPlain) line += "\033[0m";
  line += '\n';
  MutexLock lock(mutex_);
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

void Narrator::Say(Tone tone, std::string_view who, std::string_view what) {
  const double seconds = std::chrono::duration<double>(runtime_.Now() - start_).count();
  Print(tone, fmt::format("{:5.1f}s  {:<8}  {}", seconds, who, what));
}

void Narrator::OnHub(const sim::AuditRecord& record) {
  if (record.after.IsAbsent()) return;
  if (record.request.resource == "rollouts") OnRollout(record);
  if (record.request.resource == "rollbacks") OnRollback(record);
}

void Narrator::OnRollout(const sim::AuditRecord& record) {
  const auto now = api::ParseRollout(record.after);
  if (!now) return;
  api::RolloutStatus before;
  if (record.before.IsAbsent()) {
    std::vector<std::string> stages;
    for (const api::RolloutStage& stage : now->spec.stages) stages.push_back(stage.stage.name);
    Say(Tone::kTitle, "hub",
        fmt::format("Rollout {}: {}, stages {}", record.name, Shortened(now->spec.release.revision),
                    fmt::join(stages, " > ")));
  } else if (auto parsed = api::ParseRollout(record.before)) {
    before = std::move(parsed->status);
  }
  for (size_t i = 0; i < now->status.stages.size() && i < now->spec.stages.size(); ++i) {
    const api::StagePhase phase = now->status.stages[i].phase;
    const api::StagePhase last =
        i < before.stages.size() ? before.stages[i].phase : api::StagePhase::kPending;
    if (phase != last) SayStage(*this, now->spec.stages[i], phase);
  }
  if (now->status.phase == before.phase) return;
  switch (now->status.phase) {
    case api::RolloutPhase::kSucceeded:
      return Say(Tone::kGood, "hub", fmt::format("Rollout {}: succeeded", record.name));
    case api::RolloutPhase::kRolledBack:
      return Say(Tone::kGood, "hub", fmt::format("Rollout {}: rolled back", record.name));
    case api::RolloutPhase::kRejected:
    case api::RolloutPhase::kPaused:
    case api::RolloutPhase::kRollbackIncomplete:
      return Say(Tone::kBad, "hub",
                 fmt::format("Rollout {}: {}: {}", record.name, api::ToString(now->status.phase),
                             now->status.message));
    default:
      return;
  }
}

void Narrator::OnRollback(const sim::AuditRecord& record) {
  const auto now = api::ParseRollback(record.after);
  if (!now || !record.before.IsAbsent()) return;
  Say(Tone::kBad, "hub", fmt::format("{}: {}", api::ToString(now->spec.cause), now->spec.reason));
  Say(Tone::kBad, "hub",
      fmt::format("Rollback {}: to {}, and {} stays out", record.name,
                  Shortened(now->spec.to.revision), Shortened(now->spec.from.revision)));
}

void Narrator::OnMember(const std::string& member, const sim::AuditRecord& record) {
  if (record.request.resource != "deployments" || record.after.IsAbsent()) return;
  const std::string image = ImageOf(record.after);
  if (image != ImageOf(record.before)) {
    Say(Tone::kPlain, member, fmt::format("Deployment {}: {}", record.name, image));
  }
  if (IsReady(record.after) && !IsReady(record.before)) {
    Say(Tone::kQuiet, member,
        fmt::format("Deployment {}: {} pods ready", record.name,
                    value::Ref(record.after).At("status", "readyReplicas").Int()));
  }
}

std::string ImageOf(value::Ref deployment) {
  return deployment.At("spec", "template", "spec", "containers")[size_t{0}]["image"].Text();
}

}  // namespace flotilla::surface::demo
