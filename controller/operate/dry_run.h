// Asks a cluster what it would say to every object of a release, before anything is written.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operate/delivery.h"

namespace flotilla::operate {

struct DryRunReport {
  deliver::DryRunAnswer answer = deliver::DryRunAnswer::kAccepted;
  std::string message;                // every object that was refused, and why
  std::vector<std::string> deferred;  // verified only after the barrier that makes them possible
};

// Accepted: the API server, its webhooks and quotas take every object, and nobody else's objects
// stand in the way. Invalid: at least one is refused for what it is. Unavailable: the cluster could
// not answer. Writes nothing.
DryRunReport DryRunRelease(Member& member, const Delivery& delivery, std::stop_token stop);

}  // namespace flotilla::operate
