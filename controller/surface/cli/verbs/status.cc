#include <fmt/format.h>

#include "surface/cli/verbs/verbs.h"

namespace flotilla::surface {
namespace {

const api::Condition* Ready(const api::Application& application) {
  return api::FindCondition(application.status.conditions, api::condition::kReady);
}

int CodeOf(const api::Application& application) {
  if (api::IsTrue(application.status.conditions, api::condition::kStalled)) return kBlocked;
  return api::IsTrue(application.status.conditions, api::condition::kReady) ? kDone : kPartial;
}

Tone ToneOf(const api::Application& application) {
  switch (CodeOf(application)) {
    case kDone:
      return Tone::kGood;
    case kBlocked:
      return Tone::kBad;
    default:
      return Tone::kWarning;
  }
}

std::string Remarks(const api::Application& application) {
  std::string remarks;
  auto add = [&](std::string_view text) {
    remarks += (remarks.empty() ? "" : ",") + std::string(text);
  };
  if (application.status.pin) add("pinned");
  if (!application.status.quarantine.empty()) add("quarantine");
  for (std::string_view type :
       {api::condition::kFrozen, api::condition::kOutdated, api::condition::kDrifted}) {
    if (api::IsTrue(application.status.conditions, type)) add(type);
  }
  return OrDash(remarks);
}

std::vector<Table::Cell> Row(const api::Application& application, bool with_namespace) {
  const api::ApplicationStatus& status = application.status;
  const api::Condition* ready = Ready(application);
  std::string rollout = status.rollout ? status.rollout->phase : "-";
  if (status.rollout && !status.rollout->stage.empty())
    rollout += " (" + status.rollout->stage + ")";
  std::vector<Table::Cell> row;
  if (with_namespace) row.push_back(application.meta.ns);
  row.push_back(application.meta.name);
  row.push_back({ready ? ready->reason : "Unknown", ToneOf(application)});
  row.push_back(status.target ? ShortRevision(status.target->revision) : "-");
  row.push_back(rollout);
  row.push_back(fmt::format("{}/{}", status.clusters.healthy, status.clusters.total));
  row.push_back(Remarks(application));
  return row;
}

Table TableOf(bool with_namespace) {
  std::vector<std::string> headers = {"NAME", "STATUS", "TARGET", "ROLLOUT", "HEALTHY", "REMARKS"};
  if (with_namespace) headers.insert(headers.begin(), "NAMESPACE");
  return Table(std::move(headers));
}

void PrintStages(Session& session, const api::Rollout& rollout) {
  const WallTime now = session.runtime.WallNow();
  Table stages({"STAGE", "PHASE", "UPDATED", "PASSED", "FAILED", "SKIPPED", "STARTED"});
  for (const api::StageStatus& stage : rollout.status.stages) {
    const api::StageCounts& counts = stage.clusters;
    const Tone tone = stage.phase == api::StagePhase::kPassed   ? Tone::kGood
                      : stage.phase == api::StagePhase::kFailed ? Tone::kBad
                                                                : Tone::kPlain;
    stages.Add({stage.name,
                {api::ToString(stage.phase), tone},
                fmt::format("{}/{}", counts.updated, counts.total),
                std::to_string(counts.passed),
                std::to_string(counts.failed),
                std::to_string(counts.skipped),
                stage.started ? Age(now, stage.started) + " ago" : "-"});
  }
  session.console.OutLine("");
  session.console.Print(stages);
  if (rollout.status.exceptions.empty()) return;
  Table clusters({"CLUSTER", "STAGE", "PHASE", "REASON", "MESSAGE"});
  for (const api::ClusterException& one : rollout.status.exceptions) {
    clusters.Add(
        {one.cluster, one.stage, {api::ToString(one.phase), Tone::kBad}, one.reason, one.message});
  }
  session.console.OutLine("");
  session.console.Print(clusters);
  const int more =
      rollout.status.exceptions_total - static_cast<int>(rollout.status.exceptions.size());
  if (more > 0) session.console.OutLine(fmt::format("and {} more clusters", more));
}

Result<int> ShowOne(Session& session, const std::string& name) {
  auto application = GetApplication(session, name);
  if (!application) return Pass(application);
  const api::Application& parsed = application->parsed;
  if (!session.console.for_people()) {
    session.console.PrintObject(application->object, api::kApplicationKind.plural);
    return CodeOf(parsed);
  }
  auto rollout = CurrentRollout(session, parsed);
  if (!rollout) return Pass(rollout);
  Table table = TableOf(false);
  table.Add(Row(parsed, false));
  session.console.Print(table);
  if (const api::Condition* ready = Ready(parsed); ready && !ready->message.empty()) {
    session.console.OutLine(session.console.Paint(ready->message, ToneOf(parsed)));
  }
  if (*rollout) PrintStages(session, (*rollout)->parsed);
  return CodeOf(parsed);
}

Result<int> ShowAll(Session& session, bool all_namespaces) {
  auto objects = ListAll(session, api::kApplicationKind, all_namespaces);
  if (!objects) return Pass(objects);
  if (!session.console.for_people()) {
    session.console.PrintObjects(*objects, api::kApplicationKind.plural);
    return kDone;
  }
  Table table = TableOf(all_namespaces);
  for (const value::Value& object : *objects) {
    auto application = api::ParseApplication(object);
    if (!application) return Fail(application, "Application {}", kube::NameOf(object));
    table.Add(Row(*application, all_namespaces));
  }
  if (table.empty()) {
    session.console.Note(all_namespaces
                             ? "there is no Application"
                             : fmt::format("there is no Application in namespace {}", session.ns));
  } else {
    session.console.Print(table);
  }
  return kDone;
}

// A line whenever something changed, until stopped.
Result<int> Watch(Session& session, const StatusFlags& flags) {
  std::string last;
  for (;;) {
    std::string text;
    Console quiet([&](std::string_view out) { text += out; }, [](std::string_view) {},
                  session.console.format(), false);
    Session inner{session.runtime, session.hub, session.ns, quiet, session.stop};
    auto code = flags.application.empty() ? ShowAll(inner, flags.all_namespaces)
                                          : ShowOne(inner, flags.application);
    if (!code && !IsTransient(code.error().cls)) return code;
    if (!code) session.console.Note(code.error().ToString());
    // Ages alone are no news.
    if (code && text != last) {
      session.console.OutLine(fmt::format("--- {}", FormatTime(session.runtime.WallNow())));
      session.console.Out(text);
      last = text;
    }
    if (!session.runtime.SleepFor(1s, session.stop)) return code;
  }
}

}  // namespace

Result<int> ShowStatus(Session& session, const StatusFlags& flags) {
  if (flags.watch) return Watch(session, flags);
  return flags.application.empty() ? ShowAll(session, flags.all_namespaces)
                                   : ShowOne(session, flags.application);
}

}  // namespace flotilla::surface
