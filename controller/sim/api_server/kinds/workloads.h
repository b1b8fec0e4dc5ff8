// Controllers in miniature: workloads get their status, become ready or not as the rules tell, and
// jobs complete.
#pragma once

#include "sim/api_server/server.h"

namespace flotilla::sim::api {

// After an object of a workload kind was written.
void SettleWorkload(Server& server, const ResourcePtr& resource, const Change& change);

}  // namespace flotilla::sim::api
