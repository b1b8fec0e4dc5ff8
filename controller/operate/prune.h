// Removes what left the set, by the record of what we put there and by nothing else.
//
// An object is removed when the inventory lists it with its uid, it carries our label, no controller
// owns it, its kind is not protected (Namespace, CRD, PersistentVolume, PersistentVolumeClaim,
// StatefulSet, StorageClass, APIService) and it is not annotated flotilla.dev/prune: Disabled. Each
// delete is conditional on uid and resourceVersion. Beyond the budget nothing is removed at all.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "operate/delivery.h"

namespace flotilla::operate {

struct PruneReport {
  int deleted = 0;
  std::vector<std::string> kept;  // protected or somebody else's by now, with the reason
  std::string blocked;            // why nothing was removed: the budget
};

bool IsProtected(const kube::GroupKind& kind);

// Needs the parent to be at this delivery's fence and applied: Conflict otherwise.
Result<PruneReport> PruneRelease(Member& member, const Delivery& delivery, std::stop_token stop);

// Everything of the application on this member, without budget (deletionPolicy: Delete), then the
// record. `orphan`: nothing but the record, and the label on the objects stays.
Result<PruneReport> RemoveApplication(Member& member, const Delivery& delivery, bool orphan,
                                      std::stop_token stop);

}  // namespace flotilla::operate
