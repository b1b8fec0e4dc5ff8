// When a failed request may be sent again, and after how long. Pure.
//
// Class decides: Throttled and Unavailable are tried again, Timeout where it is safe; everything
// else is an answer that the same request would get again. What may have taken effect
// (Outcome::kUnknown) is only repeated where that changes nothing: reads, reviews, dry-runs, and
// applies, whose second run is the first one's result. Everything else is read back first.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "base/time.h"
#include "kube/errors.h"

namespace flotilla::kube {

struct RetryPolicy {
  int attempts = 4;  // in all, the first one included
  Duration base = 200ms;
  Duration cap = 10s;
};

// True where sending the request twice has the effect of sending it once.
bool IsRepeatable(Verb verb, bool dry_run);

// The delay before attempt `attempt + 1`, after `attempt` of them failed (from 1); nullopt to give up.
// base·2ⁿ within ±20 %, at least what the server asked for. `random` is any 64 random bits.
std::optional<Duration> RetryDelay(const RetryPolicy& policy, const Error& error, int attempt,
                                   bool repeatable, uint64_t random);

// The delay alone: for loops that never give up (watches, probes).
Duration BackOff(const RetryPolicy& policy, int attempt, uint64_t random);

}  // namespace flotilla::kube
