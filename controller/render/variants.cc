#include "render/variants.h"

#include <algorithm>
#include <utility>

#include "render/canonical.h"
#include "render/render.h"
#include "value/json.h"
#include "value/json_patch.h"

namespace flotilla::render {
namespace {

value::PatchVerb VerbOf(api::PatchVerb verb) {
  switch (verb) {
    case api::PatchVerb::kAdd:
      return value::PatchVerb::kAdd;
    case api::PatchVerb::kRemove:
      return value::PatchVerb::kRemove;
    case api::PatchVerb::kReplace:
      return value::PatchVerb::kReplace;
    case api::PatchVerb::kMove:
      return value::PatchVerb::kMove;
    case api::PatchVerb::kCopy:
      return value::PatchVerb::kCopy;
    case api::PatchVerb::kTest:
      return value::PatchVerb::kTest;
  }
  return value::PatchVerb::kTest;
}

std::vector<value::PatchOp> OpsOf(const api::Patch& patch) {
  std::vector<value::PatchOp> ops;
  ops.reserve(patch.operations.size());
  for (const api::PatchOperation& operation : patch.operations) {
    ops.push_back({VerbOf(operation.op), operation.path, operation.from, operation.value});
  }
  return ops;
}

// "kind Deployment, name web": what a pattern asks for.
std::string Describe(const api::ObjectPattern& pattern) {
  std::string text;
  auto add = [&](std::string_view what, const std::string& value) {
    if (value.empty()) return;
    if (!text.empty()) text += ", ";
    text.append(what).append(1, ' ').append(value);
  };
  add("group", pattern.group);
  add("kind", pattern.kind);
  add("namespace", pattern.ns);
  add("name", pattern.name);
  return text.empty() ? "every object" : text;
}

}  // namespace

bool Matches(const api::ObjectPattern& pattern, const kube::ObjectId& id) {
  if (!pattern.group.empty() && (pattern.group == "core" ? "" : pattern.group) != id.group) {
    return false;
  }
  return (pattern.kind.empty() || pattern.kind == id.kind) &&
         (pattern.ns.empty() || pattern.ns == id.ns) &&
         (pattern.name.empty() || pattern.name == id.name);
}

void ApplyPatches(const std::vector<api::Patch>& patches, std::vector<Decoded>& objects,
                  Problems& problems) {
  for (const api::Patch& patch : patches) {
    const std::vector<value::PatchOp> ops = OpsOf(patch);
    bool matched = false;
    for (Decoded& object : objects) {
      const kube::ObjectId id = kube::IdOf(object.value);
      if (!Matches(patch.target, id)) continue;
      matched = true;
      auto report = [&](std::string_view what) {
        problems.Add(object.file, {object.line, 0},
                     fmt::format("the override for {} on {}: {}", Describe(patch.target),
                                 id.ToString(), what));
      };
      auto patched = value::ApplyJsonPatch(object.value, ops);
      if (!patched) {
        report(patched.error().ToString());
        continue;
      }
      const std::vector<FieldProblem> found = CheckObject(*patched);
      for (const FieldProblem& problem : found) {
        report(value::ToString(problem.path) + ' ' + problem.what);
      }
      if (!found.empty()) continue;
      if (kube::IdOf(*patched) != id || kube::GvkOf(*patched) != kube::GvkOf(object.value)) {
        report("an override must not change apiVersion, kind, namespace or name");
        continue;
      }
      object.value = WithoutServerFields(*patched);
    }
    if (!matched) {
      problems.Add(fmt::format("the override for {} matches no object", Describe(patch.target)));
    }
  }
}

std::string CanonicalText(const std::vector<api::Override>& overrides) {
  std::string text;
  for (const api::Override& override_ : overrides) {
    text += override_.cluster_selector.ToString() + '\n';
    for (const api::Patch& patch : override_.patches) {
      text += Describe(patch.target) + '\n' + value::ToCanonicalJson(value::ToValue(OpsOf(patch))) +
              '\n';
    }
  }
  return text;
}

RenderRequest RequestFor(const api::ApplicationSpec& application) {
  RenderRequest request;
  if (!application.sources.empty()) {
    const api::Source& source = application.sources.front();
    request.path = source.path;
    request.selection = {source.include, source.exclude, source.recurse};
  }
  request.target_namespace = application.target_namespace;
  request.create_namespace = application.create_namespace;
  request.common_labels = application.common_labels;
  request.overrides = application.overrides;
  return request;
}

VariantPlan PlanVariants(const std::vector<api::Override>& overrides,
                         const std::map<std::string, api::Labels>& clusters) {
  VariantPlan plan;
  for (const auto& [name, labels] : clusters) {
    VariantInputs inputs;
    for (const api::Override& override_ : overrides) {
      if (!override_.cluster_selector.Matches(labels)) continue;
      inputs.patches.insert(inputs.patches.end(), override_.patches.begin(),
                            override_.patches.end());
    }
    const auto same = std::find(plan.variants.begin(), plan.variants.end(), inputs);
    plan.clusters.emplace(name, static_cast<size_t>(same - plan.variants.begin()));
    if (same == plan.variants.end()) plan.variants.push_back(std::move(inputs));
  }
  return plan;
}

}  // namespace flotilla::render
