#include <algorithm>

#include "surface/cli/verbs/verbs.h"

namespace flotilla::surface {
namespace {

struct Line {
  int64_t fence = 0;
  std::vector<Table::Cell> row;
};

std::string Took(std::optional<WallTime> started, std::optional<WallTime> finished) {
  return started && finished ? Age(*finished, started) : "-";
}

std::string Started(std::optional<WallTime> started) {
  return started ? FormatTime(*started) : "-";
}

Line LineOf(const api::Rollout& rollout) {
  const api::RolloutStatus& status = rollout.status;
  const Tone tone = status.phase == api::RolloutPhase::kSucceeded    ? Tone::kGood
                    : status.phase == api::RolloutPhase::kRolledBack ? Tone::kBad
                                                                     : Tone::kPlain;
  return {rollout.spec.fence,
          {std::to_string(rollout.spec.fence),
           "rollout/" + rollout.meta.name,
           ShortRevision(rollout.spec.release.revision),
           {api::ToString(status.phase), tone},
           Started(status.started),
           Took(status.started, status.finished),
           OrDash(status.message)}};
}

Line LineOf(const api::Rollback& rollback) {
  const api::RollbackStatus& status = rollback.status;
  return {
      std::max(status.fence, rollback.spec.fence),
      {std::to_string(std::max(status.fence, rollback.spec.fence)),
       "rollback/" + rollback.meta.name,
       status.resolved ? ShortRevision(status.resolved->revision) : "-",
       api::ToString(status.phase), Started(status.started), Took(status.started, status.finished),
       OrDash(rollback.spec.reason.empty() ? status.message : rollback.spec.reason)}};
}

}  // namespace

Result<int> ShowHistory(Session& session, const std::string& application) {
  auto exists = GetApplication(session, application);
  auto rollouts = RolloutsOf(session, application);
  if (!rollouts) return Pass(rollouts);
  auto rollbacks = RollbacksOf(session, application);
  if (!rollbacks) return Pass(rollbacks);
  // The records outlive their Application.
  if (!exists && rollouts->empty() && rollbacks->empty()) return Pass(exists);
  if (!session.console.for_people()) {
    std::vector<value::Value> objects;
    for (auto& rollout : *rollouts) objects.push_back(std::move(rollout.object));
    for (auto& rollback : *rollbacks) objects.push_back(std::move(rollback.object));
    session.console.PrintObjects(objects, "records");
    return kDone;
  }
  std::vector<Line> lines;
  for (const auto& rollout : *rollouts) lines.push_back(LineOf(rollout.parsed));
  for (const auto& rollback : *rollbacks) lines.push_back(LineOf(rollback.parsed));
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line& a, const Line& b) { return a.fence > b.fence; });
  Table table({"FENCE", "RECORD", "REVISION", "RESULT", "STARTED", "TOOK", "WHY"});
  for (Line& line : lines) table.Add(std::move(line.row));
  session.console.Print(table);
  return kDone;
}

}  // namespace flotilla::surface
