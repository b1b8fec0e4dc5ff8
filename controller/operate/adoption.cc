#include "operate/adoption.h"

#include <algorithm>

namespace flotilla::operate {
namespace {

struct Owner {
  api::AdoptSource source;
  std::string name;
};

std::optional<Owner> OwnerOf(value::Ref live, const std::string& our_parent_id) {
  auto annotation = [&](std::string_view key) { return kube::AnnotationOf(live, key); };
  auto label = [&](std::string_view key) { return kube::LabelOf(live, key); };
  if (auto id = annotation("argocd.argoproj.io/tracking-id"); !id.empty()) {
    return Owner{api::AdoptSource::kArgoCd, std::string(id)};
  }
  if (auto name = label("argocd.argoproj.io/instance"); !name.empty()) {
    return Owner{api::AdoptSource::kArgoCd, std::string(name)};
  }
  for (std::string_view key : {"kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"}) {
    if (auto name = label(key); !name.empty()) return Owner{api::AdoptSource::kFlux, std::string(name)};
  }
  if (auto name = annotation("meta.helm.sh/release-name"); !name.empty()) {
    return Owner{api::AdoptSource::kHelm, std::string(name)};
  }
  if (auto id = label(kube::kApplySetPartOf); !id.empty() && id != our_parent_id) {
    return Owner{api::AdoptSource::kApplySet, std::string(id)};
  }
  for (value::Ref reference : live.At("metadata", "ownerReferences").Items()) {
    if (!reference["controller"].Bool()) continue;
    return Owner{api::AdoptSource::kController,
                 reference["kind"].Text() + " " + reference["name"].Text()};
  }
  return std::nullopt;
}

}  // namespace

Status CheckAdoption(Member& member, const Delivery& delivery, const SetObject& object,
                     const kube::ApiResponse& dry_run, std::stop_token stop) {
  if (dry_run.status == 201) return {};  // it would be created
  auto live = member.client(delivery.lane).Find(object.resource.gvr, object.key, stop);
  if (!live) return Pass(live);
  if (!*live) return {};
  const std::string parent_id = kube::ParentId(delivery.ParentName());
  if (kube::LabelOf(**live, kube::kApplySetPartOf) == parent_id) return {};

  if (const auto owner = OwnerOf(**live, parent_id)) {
    const auto& allowed = delivery.spec->adopt_from;
    if (std::find(allowed.begin(), allowed.end(), owner->source) == allowed.end()) {
      return Fail(ErrorClass::kDenied,
                  "it belongs to {} ({}): list {} in adoptFrom to take it over", owner->name,
                  api::ToString(owner->source), api::ToString(owner->source));
    }
    return {};
  }
  if (delivery.spec->adopt == api::AdoptPolicy::kAlways) return {};
  if (delivery.spec->adopt == api::AdoptPolicy::kNever) {
    return Fail(ErrorClass::kDenied, "it exists already, and adopt is Never");
  }
  auto applied = dry_run.Object();
  if (!applied) return Pass(applied);
  if (const auto difference = FirstDifference(**live, *applied)) {
    return Fail(ErrorClass::kDenied,
                "it exists already and differs in {}: make them equal, or set adopt: Always",
                *difference);
  }
  return {};
}

}  // namespace flotilla::operate
