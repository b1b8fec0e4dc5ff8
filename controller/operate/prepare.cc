#include "operate/prepare.h"

#include <fmt/format.h>

#include "deliver/plan.h"
#include "operate/fleet.h"
#include "render/canonical.h"

namespace flotilla::operate {
namespace {

bool SameRequest(const render::RenderRequest& a, const render::RenderRequest& b) {
  return a.path == b.path && a.selection == b.selection && a.target_namespace == b.target_namespace &&
         a.create_namespace == b.create_namespace && a.common_labels == b.common_labels &&
         a.variants == b.variants;
}

// What any of these members serves: kinds that neither the set nor Kubernetes itself defines.
render::ScopeOf ScopeFrom(std::vector<std::shared_ptr<Member>> members) {
  return [members = std::move(members)](
             const kube::GroupVersionKind& gvk) -> std::optional<render::Scope> {
    for (const auto& member : members) {
      auto map = member->discovery().Cached();
      const kube::ApiResource* resource = map ? map->Find(gvk) : nullptr;
      if (resource) return resource->namespaced ? render::Scope::kNamespaced : render::Scope::kCluster;
    }
    return std::nullopt;
  };
}

}  // namespace

Result<std::shared_ptr<const render::RenderOutput>> Preparer::RenderOnce(
    const ObjectName& application, const SourceRevision& source,
    const render::RenderRequest& request) {
  auto tree = store_.OpenTree(source.url, source.commit);
  if (!tree) return Pass(tree);
  Rendered last;
  {
    MutexLock lock(mutex_);
    if (auto it = rendered_.find(application); it != rendered_.end()) last = it->second;
  }
  if (last.output && last.output->unresolved.empty() && SameRequest(last.request, request) &&
      last.output->read_set.StillValid(**tree)) {
    return last.output;
  }
  auto output = render::Render(**tree, request);
  if (!output) return Fail(output, "render {} at {}", application, source.revision);
  auto shared = std::make_shared<const render::RenderOutput>(std::move(*output));
  MutexLock lock(mutex_);
  rendered_[application] = {request, shared};
  return shared;
}

Result<Preparation> Preparer::Prepare(const api::Application& application, std::stop_token stop) {
  const ObjectName name = application.meta.Key();
  if (application.spec.sources.size() != 1) {
    return Fail(ErrorClass::kInvalid, "spec.sources must have exactly one entry");
  }
  auto source = sources_.Current(NameOf(application.meta.ns, application.spec.sources[0].repository));
  if (!source) return Pass(source);

  std::vector<deliver::PlacedCluster> placed;
  std::map<std::string, api::Labels> labels;
  std::vector<std::shared_ptr<Member>> members;
  for (const auto& [cluster_name, cluster] : hub_.clusters().All()) {
    api::Labels own = cluster->SelectableLabels();
    if (!application.spec.placement.cluster_selector.Matches(own)) continue;
    placed.push_back({cluster_name, own});
    labels.emplace(cluster_name, std::move(own));
    std::shared_ptr<Member> member = fleet_.Find(cluster_name);
    if (member && member->reachable()) {
      // Fills the cache that ScopeFrom reads; a member that cannot answer is asked again later.
      (void)member->discovery().Get(stop);
      members.push_back(std::move(member));
    }
  }

  render::RenderRequest request = render::RequestFor(application.spec);
  const render::VariantPlan variants = render::PlanVariants(application.spec.overrides, labels);
  if (!variants.variants.empty()) request.variants = variants.variants;
  request.scope = ScopeFrom(std::move(members));
  auto output = RenderOnce(name, *source, request);
  if (!output) return Pass(output);

  api::RolloutPlanSpec plan = api::DefaultPlan();
  if (!application.spec.plan.empty()) {
    auto named = hub_.plans().Find(NameOf(application.meta.ns, application.spec.plan));
    if (!named) {
      return Fail(ErrorClass::kInvalid, "spec.plan: there is no RolloutPlan {} in namespace {}",
                  application.spec.plan, application.meta.ns);
    }
    plan = named->spec;
  }
  for (const std::string& slo : application.spec.slos) {
    if (!hub_.slos().Find(NameOf(application.meta.ns, slo))) {
      return Fail(ErrorClass::kInvalid,
                  "spec.slos: there is no ServiceLevelObjective {} in namespace {}", slo,
                  application.meta.ns);
    }
  }
  auto stages = deliver::AssignStages(plan, std::move(placed));
  if (!stages) return Pass(stages);

  auto release = std::make_shared<Release>();
  render::ReleaseParts parts;
  for (const auto& variant : (*output)->variants) parts.variants.push_back(variant->digest);
  release->variants = (*output)->variants;
  release->id.release_digest = render::ToString(render::ReleaseDigest(parts));
  release->id.input_digest = render::ToString((*output)->input_digest);
  release->id.revision = source->revision;
  for (const auto& [cluster, index] : variants.clusters) release->clusters.emplace(cluster, index);

  Preparation preparation;
  preparation.prepared.release = release->id;
  preparation.prepared.stages = std::move(*stages);
  preparation.release = std::move(release);
  return preparation;
}

}  // namespace flotilla::operate
