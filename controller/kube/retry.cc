#include "kube/retry.h"

#include <algorithm>

namespace flotilla::kube {

bool IsRepeatable(Verb verb, bool dry_run) {
  return dry_run || !IsWrite(verb) || verb == Verb::kApply;
}

std::optional<Duration> RetryDelay(const RetryPolicy& policy, const Error& error, int attempt,
                                   bool repeatable, uint64_t random) {
  if (attempt >= policy.attempts) return std::nullopt;
  if (error.outcome == Outcome::kUnknown && !repeatable) return std::nullopt;
  switch (error.cls) {
    case ErrorClass::kThrottled:
    case ErrorClass::kUnavailable:
    case ErrorClass::kTimeout:
      break;
    default:
      return std::nullopt;
  }
  switch (ReasonOf(error)) {
    case Reason::kQuota:
    case Reason::kNamespaceTerminating:
    case Reason::kNotSupported:
    case Reason::kUnexplained:
      return std::nullopt;
    default:
      break;
  }
  const Duration delay = policy.back_off.Delay(attempt, random);
  return error.retry_after ? std::max<Duration>(delay, *error.retry_after) : delay;
}

}  // namespace flotilla::kube
