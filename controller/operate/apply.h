// Brings one cluster to one release, by the protocol of the fence (DESIGN.md, section 2).
//
//   1. The parent is swapped to our fence. From then on nobody with an older one begins anything.
//   2. The live objects are listed: metadata only, one list per kind.
//   3. What differs from the record is written, phase by phase, each write conditional on the uid and
//      resourceVersion that were listed. What equals the record is not touched, unless an older
//      target could still be in flight.
//   4. The parent is swapped to the new inventory. Objects that left the set stay in it until the
//      prune.
#pragma once

#include <functional>
#include <stop_token>

#include "base/result.h"
#include "operate/delivery.h"

namespace flotilla::operate {

struct ApplyReport {
  int written = 0;
  int unchanged = 0;
  kube::Parent parent;  // as it was left
};


// Blocks until the API server has accepted the whole set, or something failed. Safe to repeat.
// Conflict: a newer fence is in charge here. Invalid and Denied name the object and the reason.
Result<ApplyReport> ApplyRelease(Member& member, const Delivery& delivery, std::stop_token stop);

}  // namespace flotilla::operate
