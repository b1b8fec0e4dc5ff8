#include "sim/api_server/status.h"

#include <fmt/format.h>

#include "value/json.h"

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

namespace {

// As Go's %#v and %q print values inside messages of field errors.
std::string Shown(Ref value) {
  if (value.IsAbsent()) return "\"\"";
  if (value.IsNull()) return "null";
  return value::ToJson(value);
}

ApiError Make(int code, std::string_view reason, std::string message) {
  ApiError error;
  error.code = code;
  error.reason = reason;
  error.message = std::move(message);
  return error;
}

ApiError About(ApiError error, GroupResource resource, std::string_view name) {
  error.group = resource.group;
  error.kind = resource.resource;
  error.name = name;
  return error;
}

Value TextOrAbsent(const std::string& text) { return text.empty() ? Value() : Value(text); }

}  // namespace

std::string GroupResource::ToString() const {
  if (group.empty()) return std::string(resource);
  return fmt::format("{}.{}", resource, group);
}

FieldError FieldError::Invalid(std::string field, Ref value, std::string_view detail) {
  return {"FieldValueInvalid", fmt::format("Invalid value: {}: {}", Shown(value), detail),
          std::move(field)};
}
FieldError FieldError::Required(std::string field, std::string_view detail) {
  return {"FieldValueRequired",
          detail.empty() ? "Required value" : fmt::format("Required value: {}", detail),
          std::move(field)};
}
FieldError FieldError::Duplicate(std::string field, Ref value) {
  return {"FieldValueDuplicate", fmt::format("Duplicate value: {}", Shown(value)),
          std::move(field)};
}
FieldError FieldError::NotSupported(std::string field, Ref value,
                                    const std::vector<std::string>& supported) {
  std::string list;
  for (const std::string& one : supported) {
    if (!list.empty()) list += ", ";
    list += fmt::format("\"{}\"", one);
  }
  return {"FieldValueNotSupported",
          fmt::format("Unsupported value: {}: supported values: {}", Shown(value), list),
          std::move(field)};
}
FieldError FieldError::Forbidden(std::string field, std::string_view detail) {
  return {"FieldValueForbidden", fmt::format("Forbidden: {}", detail), std::move(field)};
}
FieldError FieldError::TypeInvalid(std::string field, Ref value, std::string_view detail) {
  return {"FieldValueTypeInvalid", fmt::format("Invalid value: {}: {}", Shown(value), detail),
          std::move(field)};
}
FieldError FieldError::TooLong(std::string field, int limit) {
  return {"FieldValueTooLong", fmt::format("Too long: may not be more than {} bytes", limit),
          std::move(field)};
}
FieldError FieldError::TooMany(std::string field, size_t count, size_t limit) {
  return {
      "FieldValueTooMany",
      fmt::format("Too many: {}: must have at most {} item{}", count, limit, limit == 1 ? "" : "s"),
      std::move(field)};
}

Value ApiError::ToStatus() const {
  std::vector<Value> listed;
  for (const FieldError& cause : causes) {
    listed.push_back(Value::Map({{"reason", TextOrAbsent(cause.reason)},
                                 {"message", TextOrAbsent(cause.message)},
                                 {"field", TextOrAbsent(cause.field)}}));
  }
  Value details = Value::Map({{"name", TextOrAbsent(name)},
                              {"group", TextOrAbsent(group)},
                              {"kind", TextOrAbsent(kind)},
                              {"uid", TextOrAbsent(uid)},
                              {"causes", listed.empty() ? Value() : Value::List(listed)},
                              {"retryAfterSeconds", retry_after ? Value(retry_after) : Value()}});
  bool empty_details = details.ref().size() == 0 && reason != "NotFound" && reason != "Conflict";
  return Value::Map({{"kind", "Status"},
                     {"apiVersion", "v1"},
                     {"metadata", Value::Map({})},
                     {"status", "Failure"},
                     {"message", message},
                     {"reason", TextOrAbsent(reason)},
                     {"details", empty_details ? Value() : details},
                     {"code", code}});
}

ApiError NotFound(GroupResource resource, std::string_view name) {
  return About(Make(404, "NotFound", fmt::format("{} \"{}\" not found", resource.ToString(), name)),
               resource, name);
}
ApiError NoSuchResource() {
  return Make(404, "NotFound", "the server could not find the requested resource");
}
ApiError AlreadyExists(GroupResource resource, std::string_view name) {
  return About(Make(409, "AlreadyExists",
                    fmt::format("{} \"{}\" already exists", resource.ToString(), name)),
               resource, name);
}
ApiError GenerateNameConflict(GroupResource resource, std::string_view name) {
  ApiError error = AlreadyExists(resource, name);
  error.message += ", the server was not able to generate a unique name for the object";
  error.retry_after = 1;
  return error;
}
ApiError Conflict(GroupResource resource, std::string_view name, std::string_view why) {
  return About(Make(409, "Conflict",
                    fmt::format("Operation cannot be fulfilled on {} \"{}\": {}",
                                resource.ToString(), name, why)),
               resource, name);
}
ApiError ModifiedConflict(GroupResource resource, std::string_view name) {
  return Conflict(resource, name,
                  "the object has been modified; please apply your changes to the latest version "
                  "and try again");
}
ApiError ApplyConflict(std::string message, std::vector<FieldError> causes) {
  ApiError error = Make(409, "Conflict", std::move(message));
  error.causes = std::move(causes);
  return error;
}
ApiError Invalid(std::string_view group, std::string_view kind, std::string_view name,
                 std::vector<FieldError> errors) {
  std::vector<std::string> parts;
  for (const FieldError& error : errors) {
    std::string part =
        error.field.empty() ? error.message : fmt::format("{}: {}", error.field, error.message);
    // As Go's aggregate: equal messages once.
    bool repeated = false;
    for (const std::string& earlier : parts) repeated |= earlier == part;
    if (!repeated) parts.push_back(std::move(part));
  }
  std::string list = fmt::format("{}", fmt::join(parts, ", "));
  if (parts.size() > 1) list = "[" + list + "]";
  std::string qualified = group.empty() ? std::string(kind) : fmt::format("{}.{}", kind, group);
  ApiError error = About(Make(422, "Invalid",
                              fmt::format("{} \"{}\" is invalid{}{}", qualified, name,
                                          parts.empty() ? "" : ": ", list)),
                         {group, kind}, name);
  error.causes = std::move(errors);
  return error;
}
ApiError BadRequest(std::string message) { return Make(400, "BadRequest", std::move(message)); }
ApiError Unauthorized() { return Make(401, "Unauthorized", "Unauthorized"); }
ApiError Forbidden(GroupResource resource, std::string_view name, std::string_view why) {
  std::string message;
  if (resource.resource.empty()) {
    message = fmt::format("forbidden: {}", why);
  } else if (name.empty()) {
    message = fmt::format("{} is forbidden: {}", resource.ToString(), why);
  } else {
    message = fmt::format("{} \"{}\" is forbidden: {}", resource.ToString(), name, why);
  }
  return About(Make(403, "Forbidden", std::move(message)), resource, name);
}
ApiError MethodNotAllowed(GroupResource resource, std::string_view action) {
  if (resource.resource.empty()) {
    return Make(405, "MethodNotAllowed",
                "the server does not allow this method on the requested resource");
  }
  return About(Make(405, "MethodNotAllowed",
                    fmt::format("{} is not supported on resources of kind \"{}\"", action,
                                resource.ToString())),
               resource, "");
}
ApiError UnsupportedMediaType(std::string_view given, std::string_view supported) {
  return Make(415, "UnsupportedMediaType",
              fmt::format("the body of the request was in an unknown format - accepted media types "
                          "include: {} (given: {})",
                          supported, given));
}
ApiError Expired(std::string message) { return Make(410, "Expired", std::move(message)); }
ApiError InternalError(std::string_view why) {
  ApiError error = Make(500, "InternalError", fmt::format("Internal error occurred: {}", why));
  error.causes.push_back({"", std::string(why), ""});
  return error;
}

}  // namespace flotilla::sim::api
