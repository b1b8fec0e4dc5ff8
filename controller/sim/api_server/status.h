// Failures as a Kubernetes API server words them (metav1.Status).
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "value/value.h"

namespace flotilla::sim::api {

struct GroupResource {
  std::string_view group;
  std::string_view resource;
  std::string ToString() const;  // "deployments.apps", "pods"
};

// One entry of details.causes, and one part of the message of an Invalid.
struct FieldError {
  std::string reason;   // "FieldValueInvalid", ...
  std::string message;  // `Invalid value: "x": must be ...`
  std::string field;    // "spec.replicas"

  static FieldError Invalid(std::string field, value::Ref value, std::string_view detail);
  static FieldError Required(std::string field, std::string_view detail);
  static FieldError Duplicate(std::string field, value::Ref value);
  static FieldError NotSupported(std::string field, value::Ref value,
                                 const std::vector<std::string>& supported);
  static FieldError Forbidden(std::string field, std::string_view detail);
  static FieldError TypeInvalid(std::string field, value::Ref value, std::string_view detail);
  static FieldError TooLong(std::string field, int limit);
  static FieldError TooMany(std::string field, size_t count, size_t limit);
};

struct ApiError {
  int code = 500;
  std::string reason;
  std::string message;
  // details; left out as a whole where all of it is empty
  std::string name;
  std::string group;
  std::string kind;
  std::string uid;
  int retry_after = 0;  // seconds; also the Retry-After header
  std::vector<FieldError> causes;

  value::Value ToStatus() const;
};

template <typename T>
using Answer = tl::expected<T, ApiError>;

ApiError NotFound(GroupResource resource, std::string_view name);
// The path names no resource that is served.
ApiError NoSuchResource();
ApiError AlreadyExists(GroupResource resource, std::string_view name);
ApiError GenerateNameConflict(GroupResource resource, std::string_view name);
ApiError Conflict(GroupResource resource, std::string_view name, std::string_view why);
ApiError ModifiedConflict(GroupResource resource, std::string_view name);
ApiError ApplyConflict(std::string message, std::vector<FieldError> causes);
ApiError Invalid(std::string_view group, std::string_view kind, std::string_view name,
                 std::vector<FieldError> errors);
ApiError BadRequest(std::string message);
ApiError Unauthorized();
ApiError Forbidden(GroupResource resource, std::string_view name, std::string_view why);
ApiError MethodNotAllowed(GroupResource resource, std::string_view action);
ApiError UnsupportedMediaType(std::string_view given, std::string_view supported);
ApiError Expired(std::string message);
ApiError InternalError(std::string_view why);

template <typename T>
tl::unexpected<ApiError> Refuse(const Answer<T>& below) {
  return tl::unexpected<ApiError>(below.error());
}
inline tl::unexpected<ApiError> Refuse(ApiError error) {
  return tl::unexpected<ApiError>(std::move(error));
}

}  // namespace flotilla::sim::api
