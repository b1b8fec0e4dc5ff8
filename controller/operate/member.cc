#include "operate/member.h"

#include <algorithm>

namespace flotilla::operate {

Member::Member(Runtime& runtime, http::HttpClient& http, kube::Timers& timers, api::Cluster cluster,
               kube::Access access)
    : cluster_(std::move(cluster)),
      client_(runtime, http, access, {.connections = cluster_.spec.limits.max_requests_in_flight}),
      rollback_client_(runtime, http, access, {.connections = kube::RollbackWindow().max}),
      watch_client_(runtime, http, access),
      window_(runtime, timers, client_,
              {.initial = std::min(16, cluster_.spec.limits.max_requests_in_flight),
               .max = cluster_.spec.limits.max_requests_in_flight}),
      rollback_window_(runtime, timers, rollback_client_, kube::RollbackWindow()),
      discovery_(client_) {}

}  // namespace flotilla::operate
