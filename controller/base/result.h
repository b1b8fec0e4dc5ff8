// Errors as values.
//
// Every function that can fail for a reason that a person or a caller must know returns Result<T>.
// An Error says what went wrong (message), what kind of failure it is (Class decides retry, stall
// or rollback), what is known of the effect (Outcome), and what caused it.
//
//   Result<Revision> Fetch(...) {
//     auto refs = client.ListRefs(url);
//     if (!refs) return Fail(refs, "list the refs of {}", url);   // keeps class, outcome, chain
//     if (refs->empty()) return Fail(ErrorClass::kNotFound, "{} has no refs", url);
//     ...
//   }
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace flotilla {

enum class ErrorClass : unsigned char {
  kInvalid,          // the input is wrong and stays wrong: do not retry
  kDenied,           // authorization or policy says no
  kUnauthenticated,  // credentials are missing, wrong or expired
  kNotFound,
  kConflict,     // somebody else changed the object: read again, decide again
  kThrottled,    // retry after retry_after
  kUnavailable,  // the other side is not able to answer now: retry with back-off
  kTimeout,      // no answer before the deadline
  kCancelled,    // the caller gave up
  kInternal,     // a defect of ours
};

// What is known of the effect of a request that failed.
enum class Outcome : unsigned char {
  kNotSent,   // it never left: safe to repeat
  kRejected,  // the other side answered no: nothing changed
  kUnknown,   // it may have taken effect: read back before concluding anything
};

// What the layer that made an error knows beyond its class, for those who ask for it by type (the
// Status of a Kubernetes API server: kube/errors.h).
struct ErrorDetail {
  virtual ~ErrorDetail() = default;
};

struct Error {
  ErrorClass cls = ErrorClass::kInternal;
  Outcome outcome = Outcome::kRejected;
  std::optional<std::chrono::milliseconds> retry_after;
  std::string message;                        // for people; never holds a secret value
  std::shared_ptr<const Error> cause;         // what lies below, if anything
  std::shared_ptr<const ErrorDetail> detail;  // of this error itself, not of its causes

  // The nearest detail of type T, here or among the causes; null where there is none.
  template <typename T>
  const T* Detail() const {
    for (const Error* at = this; at; at = at->cause.get()) {
      if (const auto* found = dynamic_cast<const T*>(at->detail.get())) return found;
    }
    return nullptr;
  }

  // The message followed by those of its causes, joined by ": ".
  std::string ToString() const;
};

// "Invalid", "Denied", ...: the names that appear in conditions and logs.
const char* ToString(ErrorClass cls);
const char* ToString(Outcome outcome);

// True where the same request may succeed later without anybody changing its input.
bool IsTransient(ErrorClass cls);

template <typename T>
using Result = tl::expected<T, Error>;
using Status = tl::expected<void, Error>;

// A new error.
template <typename... Args>
tl::unexpected<Error> Fail(ErrorClass cls, fmt::format_string<Args...> format, Args&&... args) {
  Error error;
  error.cls = cls;
  error.message = fmt::format(format, std::forward<Args>(args)...);
  return tl::unexpected<Error>(std::move(error));
}

// What the caller was doing when `below` happened: keeps its class, outcome and retry_after.
template <typename... Args>
tl::unexpected<Error> Fail(Error below, fmt::format_string<Args...> format, Args&&... args) {
  Error error;
  error.cls = below.cls;
  error.outcome = below.outcome;
  error.retry_after = below.retry_after;
  error.message = fmt::format(format, std::forward<Args>(args)...);
  error.cause = std::make_shared<const Error>(std::move(below));
  return tl::unexpected<Error>(std::move(error));
}
template <typename T, typename... Args>
tl::unexpected<Error> Fail(const Result<T>& below, fmt::format_string<Args...> format,
                           Args&&... args) {
  return Fail(Error(below.error()), format, std::forward<Args>(args)...);
}

// Passes an error on unchanged.
template <typename T>
tl::unexpected<Error> Pass(const Result<T>& below) {
  return tl::unexpected<Error>(below.error());
}

}  // namespace flotilla
