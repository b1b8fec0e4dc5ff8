#include "operate/drift.h"

#include <algorithm>
#include <set>

#include "operate/live.h"
#include "operate/object_set.h"

namespace flotilla::operate {

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

}  // namespace flotilla::operate
