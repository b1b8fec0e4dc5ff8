// When a failed request may be sent again, and after how long. Pure.
//
// Class decides: Throttled and Unavailable are tried again, Timeout where it is safe; everything
// else is an answer that the same request would get again. What may have taken effect
// (Outcome::kUnknown) is only repeated where that changes nothing: reads, reviews, dry-runs, and
// applies, whose second run is the first one's result. Everything else is read back first. A quota
// or a namespace on its way out is Unavailable too, but no back-off of seconds makes it go away.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "base/time.h"
#include "base/work_queue.h"
#include "kube/errors.h"

namespace flotilla::kube {

struct RetryPolicy {
  int attempts = 4;  // in all, the first one included
  BackOff back_off{.base = 200ms, .cap = 10s};
};

// True where sending the request twice has the effect of sending it once.
bool IsRepeatable(Verb verb, bool dry_run);

// The delay before attempt `attempt + 1`, after `attempt` of them failed (from 1); nullopt to give
// up. At least what the server asked for. `random` is any 64 random bits.
std::optional<Duration> RetryDelay(const RetryPolicy& policy, const Error& error, int attempt,
                                   bool repeatable, uint64_t random);

}  // namespace flotilla::kube
