#include <fmt/format.h>

#include "api/approval.h"
#include "api/cluster.h"
#include "api/delivery_policy.h"
#include "api/freeze.h"
#include "api/repository.h"
#include "api/rollout_plan.h"
#include "api/slo.h"
#include "base/tree.h"
#include "kube/schema/builtin.h"
#include "kube/schema/conform.h"
#include "render/render.h"
#include "surface/cli/verbs/verbs.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::surface {
namespace {

render::RenderRequest RequestOf(const RenderFlags& flags) {
  if (flags.application) return render::RequestFor(flags.application->spec);
  render::RenderRequest request;
  request.path = flags.path;
  request.target_namespace = flags.ns;
  return request;
}

// The overrides that this cluster gets.
render::VariantInputs InputsFor(const RenderFlags& flags) {
  if (!flags.application || flags.cluster.empty()) return {};
  api::Labels labels = flags.labels;
  labels["name"] = flags.cluster;
  const auto plan =
      render::PlanVariants(flags.application->spec.overrides, {{flags.cluster, std::move(labels)}});
  return plan.variants.at(plan.clusters.at(flags.cluster));
}

// Without overrides, with each alone, and with all: a patch that does not apply shows.
std::vector<render::VariantInputs> EveryVariant(const RenderFlags& flags) {
  std::vector<render::VariantInputs> variants(1);
  if (!flags.application) return variants;
  render::VariantInputs all;
  for (const api::Override& override : flags.application->spec.overrides) {
    variants.push_back({override.patches});
    all.patches.insert(all.patches.end(), override.patches.begin(), override.patches.end());
  }
  if (variants.size() > 2) variants.push_back(std::move(all));
  return variants;
}

struct Report {
  std::vector<std::string> problems;
  std::vector<std::string> not_evaluated;  // kinds that nobody here knows
  size_t objects = 0;
};

template <typename T>
std::optional<Error> ErrorOf(const Result<T>& parsed) {
  if (parsed) return std::nullopt;
  return parsed.error();
}

// One of our own kinds; nullopt where it is right, or not of a kind that people write.
std::optional<Error> ProblemOfOurs(const render::Object& object) {
  const std::string& kind = object.gvk.kind;
  if (kind == api::kApplicationKind.kind) return ErrorOf(api::ParseApplication(object.value));
  if (kind == api::kApprovalKind.kind) return ErrorOf(api::ParseApproval(object.value));
  if (kind == api::kClusterKind.kind) return ErrorOf(api::ParseCluster(object.value));
  if (kind == api::kClusterFreezeKind.kind) return ErrorOf(api::ParseClusterFreeze(object.value));
  if (kind == api::kDeliveryPolicyKind.kind) return ErrorOf(api::ParseDeliveryPolicy(object.value));
  if (kind == api::kFreezeKind.kind) return ErrorOf(api::ParseFreeze(object.value));
  if (kind == api::kRepositoryKind.kind) return ErrorOf(api::ParseRepository(object.value));
  if (kind == api::kRolloutPlanKind.kind) return ErrorOf(api::ParseRolloutPlan(object.value));
  if (kind == api::kServiceLevelObjectiveKind.kind) {
    return ErrorOf(api::ParseServiceLevelObjective(object.value));
  }
  return std::nullopt;
}

void Judge(const render::Object& object, Report& report) {
  auto problem = [&](const std::string& what) {
    report.problems.push_back(
        fmt::format("{}: {}: {}", object.Source(), object.Id().ToString(), what));
  };
  if (object.gvk.group == api::kGroup) {
    if (auto error = ProblemOfOurs(object)) problem(error->ToString());
    return;
  }
  const auto* facts = kube::schema::FindKind(object.gvk.group, object.gvk.version, object.gvk.kind);
  if (!facts) {
    if (kube::schema::FindKindInAnyVersion(object.gvk.group, object.gvk.kind)) {
      problem(fmt::format("Kubernetes has no {} any more, or not yet", object.gvk.ToString()));
    } else {
      report.not_evaluated.push_back(fmt::format("{}: {}", object.Source(), object.gvk.ToString()));
    }
    return;
  }
  std::vector<kube::schema::FieldIssue> issues;
  (void)kube::schema::Conform(object.value, *facts->type, kube::schema::Defaults::kNone, issues);
  for (const auto& issue : issues) {
    problem(issue.kind == kube::schema::FieldIssue::Kind::kUnknown
                ? fmt::format("unknown field {}", issue.path)
                : fmt::format("{}: {}", issue.path, issue.detail));
  }
}

value::Value ListOf(const std::vector<std::string>& texts) {
  return value::Value::List(std::vector<value::Value>(texts.begin(), texts.end()));
}

void Print(Console& console, const Report& report) {
  if (console.for_people()) {
    for (const std::string& line : report.problems)
      console.OutLine(console.Paint(line, Tone::kBad));
    for (const std::string& line : report.not_evaluated) {
      console.OutLine(console.Paint("not evaluated: " + line, Tone::kFaint));
    }
    console.OutLine(fmt::format("{} objects, {} problems, {} not evaluated", report.objects,
                                report.problems.size(), report.not_evaluated.size()));
    return;
  }
  const value::Value answer = value::Value::Map({{"objects", uint64_t{report.objects}},
                                                 {"problems", ListOf(report.problems)},
                                                 {"notEvaluated", ListOf(report.not_evaluated)}});
  console.Out(console.format() == OutputFormat::kYaml ? value::ToYaml(answer)
                                                      : value::ToPrettyJson(answer) + "\n");
}

}  // namespace

Result<int> Render(Console& console, Tree& tree, const RenderFlags& flags) {
  render::RenderRequest request = RequestOf(flags);
  request.variants = {InputsFor(flags)};
  auto output = render::Render(tree, request);
  if (!output) return Pass(output);
  std::vector<value::Value> objects;
  for (const render::Object& object : output->variants[0]->objects) objects.push_back(object.value);
  if (console.format() == OutputFormat::kName) {
    for (const render::Object& object : output->variants[0]->objects) {
      console.OutLine(object.Id().ToString());
    }
  } else if (console.format() == OutputFormat::kJson) {
    console.PrintObjects(objects, "");
  } else {
    for (const value::Value& object : objects) console.Out("---\n" + value::ToYaml(object));
  }
  return kDone;
}

Result<int> Check(Console& console, Tree& tree, const RenderFlags& flags) {
  render::RenderRequest request = RequestOf(flags);
  request.variants = EveryVariant(flags);
  auto output = render::Render(tree, request);
  if (!output) return Pass(output);
  Report report;
  std::map<Digest, bool> judged;
  report.objects = output->variants[0]->objects.size();
  for (const auto& variant : output->variants) {
    for (const render::Object& object : variant->objects) {
      if (judged.emplace(object.digest, true).second) Judge(object, report);
    }
  }
  Print(console, report);
  return report.problems.empty() ? kDone : kError;
}

}  // namespace flotilla::surface
