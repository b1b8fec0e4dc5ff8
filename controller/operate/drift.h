// Whether objects that changed since they were written are still what they should be.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operate/delivery.h"

namespace flotilla::operate {

struct DriftReport {
  std::vector<std::string> drifted;    // "Deployment.apps web/shop: spec.replicas", "...: deleted"
  std::vector<kube::ObjectId> accepted;  // changed, but an apply would change nothing
};

// Asks the cluster what an apply of each suspect would change: a dry run, no write. Objects that are
// not part of the release are nobody's drift.
Result<DriftReport> CheckDrift(Member& member, const Delivery& delivery,
                               const std::vector<kube::ObjectId>& suspects, std::stop_token stop);

// Removes suspects that are no part of the release and that we created: a create of an older target
// that was late on its way has no precondition that could refuse it (DESIGN.md, section 2, "The
// fence", step 4). A copy that somebody made of an object of ours, label and all, is not ours: its
// managedFields name another manager. Protected kinds stay. Returns what was removed.
Result<std::vector<std::string>> RemoveLateCreates(Member& member, const Delivery& delivery,
                                                   const std::vector<kube::ObjectId>& suspects,
                                                   std::stop_token stop);

}  // namespace flotilla::operate
