#include "operate/drift.h"

#include <algorithm>
#include <set>

#include "operate/live.h"
#include "operate/object_set.h"
#include "operate/parents.h"
#include "operate/prune.h"

namespace flotilla::operate {
namespace {

bool CreatedByUs(value::Ref live) {
  for (value::Ref entry : live.At("metadata", "managedFields").Items()) {
    if (entry["manager"].String() == kube::kFieldManager && entry["operation"].String() == "Apply") {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<DriftReport> CheckDrift(Member& member, const Delivery& delivery,
                               const std::vector<kube::ObjectId>& suspects, std::stop_token stop) {
  DriftReport report;
  const render::Variant* variant = delivery.release->VariantFor(member.name());
  if (!variant) return report;
  auto objects = ResolveObjects(member, delivery, *variant, stop);
  if (!objects) return Pass(objects);
  const std::set<kube::ObjectId> wanted(suspects.begin(), suspects.end());
  const std::string parent_id = kube::ParentId(delivery.ParentName());
  kube::WriteOptions options;
  options.dry_run = true;
  options.force = true;
  options.impersonation = delivery.As();
  for (const SetObject& object : *objects) {
    if (!wanted.count(object.Id()) || object.deferred()) continue;
    auto live = member.client().Find(object.resource.gvr, object.key, stop);
    if (!live) return Pass(live);
    if (!*live) {
      report.drifted.push_back(object.Describe() + ": deleted");
      continue;
    }
    const LiveObject version = ToLive(**live);
    auto request = kube::ApplyRequest(object.resource.gvr, object.key,
                                      BodyOf(object, delivery, parent_id, &version, **live), options);
    request.target = object.Describe();
    auto applied = member.client().Do(std::move(request), stop);
    if (!applied && applied.error().cls == ErrorClass::kConflict) {
      continue;  // it changes at this moment: the next event brings it up again
    }
    if (!applied) return Pass(applied);
    if (auto difference = FirstDifference(**live, *applied)) {
      report.drifted.push_back(object.Describe() + ": " + *difference);
    } else {
      report.accepted.push_back(object.Id());
    }
  }
  return report;
}

Result<std::vector<std::string>> RemoveLateCreates(Member& member, const Delivery& delivery,
                                                   const std::vector<kube::ObjectId>& suspects,
                                                   std::stop_token stop) {
  std::vector<std::string> removed;
  const render::Variant* variant = delivery.release->VariantFor(member.name());
  if (!variant) return removed;
  std::set<kube::ObjectId> wanted;
  for (const render::Object& object : variant->objects) wanted.insert(object.Id());
  const bool any = std::any_of(suspects.begin(), suspects.end(), [&](const kube::ObjectId& id) {
    return wanted.count(id) == 0 && !IsProtected(id.ToGroupKind());
  });
  if (!any) return removed;
  // What the record lists left the set by a commit: that is for the prune, after its bake, within its
  // budget. While an apply is under way the record is not final.
  auto parent = ReadParent(member, delivery.lane, delivery.ParentName(), stop);
  if (!parent) return Pass(parent);
  if (!*parent || (*parent)->phase != "Applied") return removed;
  for (const kube::InventoryEntry& entry : (*parent)->inventory) wanted.insert(entry.id);
  const std::string parent_id = kube::ParentId(delivery.ParentName());
  for (const kube::ObjectId& id : suspects) {
    if (wanted.count(id) || IsProtected(id.ToGroupKind())) continue;
    auto resource = member.discovery().Resolve(id.ToGroupKind(), stop);
    if (!resource) return Pass(resource);
    auto live = member.client().Find(resource->gvr, id.Key(), stop);
    if (!live) return Pass(live);
    if (!*live || kube::LabelOf(**live, kube::kApplySetPartOf) != parent_id || !CreatedByUs(**live)) continue;
    const LiveObject version = ToLive(**live);
    if (version.fence == 0 || version.fence >= (*parent)->fence || version.controlled) continue;
    if (!delivery.leader.Valid()) return Fail(ErrorClass::kCancelled, "leadership was lost");
    kube::DeleteOptions options;
    options.uid = version.uid;
    options.resource_version = version.resource_version;
    options.propagation = "Background";
    options.impersonation = delivery.As();
    auto gone = member.client().Do(kube::DeleteRequest(resource->gvr, id.Key(), options), stop);
    if (!gone && gone.error().cls != ErrorClass::kNotFound) return Pass(gone);
    removed.push_back(id.ToString());
  }
  return removed;
}

}  // namespace flotilla::operate
