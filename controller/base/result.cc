#include "base/result.h"

namespace flotilla {

std::string Error::ToString() const {
  std::string text = message;
  for (const Error* below = cause.get(); below; below = below->cause.get()) {
    text += ": ";
    text += below->message;
  }
  return text;
}

const char* ToString(ErrorClass cls) {
  switch (cls) {
    case ErrorClass::kInvalid:
      return "Invalid";
    case ErrorClass::kDenied:
      return "Denied";
    case ErrorClass::kUnauthenticated:
      return "Unauthenticated";
    case ErrorClass::kNotFound:
      return "NotFound";
    case ErrorClass::kConflict:
      return "Conflict";
    case ErrorClass::kThrottled:
      return "Throttled";
    case ErrorClass::kUnavailable:
      return "Unavailable";
    case ErrorClass::kTimeout:
      return "Timeout";
    case ErrorClass::kCancelled:
      return "Cancelled";
    case ErrorClass::kInternal:
      return "Internal";
  }
  return "Internal";
}

const char* ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kNotSent:
      return "NotSent";
    case Outcome::kRejected:
      return "Rejected";
    case Outcome::kUnknown:
      return "Unknown";
  }
  return "Unknown";
}

bool IsTransient(ErrorClass cls) {
  return cls == ErrorClass::kConflict || cls == ErrorClass::kThrottled ||
         cls == ErrorClass::kUnavailable || cls == ErrorClass::kTimeout;
}

}  // namespace flotilla
