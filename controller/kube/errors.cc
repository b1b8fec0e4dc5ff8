#include "kube/errors.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iterator>
#include <memory>

#include "base/limits.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

constexpr std::chrono::seconds kLongestRetryAfter{300};

enum class When : unsigned char { kAny, kCreateOrApply, kApply, kDryRun, kRepeatedApply };

// One kind of answer. Fields that are null (0 for the code) match anything; the first rule that
// matches decides.
struct Rule {
  int code;
  const char* reason;  // Status.reason; "-": there is none
  const char* cause;   // the reason of one of the causes
  const char* text;    // part of the message
  When when;
  Reason means;
  ErrorClass cls;
  Outcome outcome;  // of a write that was not dry; everything else changes nothing
};

constexpr auto kYes = Outcome::kRejected;   // the server surely did nothing
constexpr auto kMaybe = Outcome::kUnknown;  // it may have

using C = ErrorClass;
using R = Reason;
using W = When;

// The table. What the API server's own code decides stands before what admission plugins add, and
// the general rule of a code stands last. Texts are those of Kubernetes 1.27 to 1.37
// (apimachinery api/errors, apiserver admission, registry and storage); tests/unit/kube has answers
// as servers sent them.
constexpr Rule kRules[] = {
    // From before a restore of etcd: the version will not exist for long.
    {0, nullptr, "ResourceVersionTooLarge", nullptr, W::kAny, R::kExpired, C::kConflict, kYes},

    // Policies may choose their own code (webhooks any, ValidatingAdmissionPolicies four).
    {0, nullptr, nullptr, "ValidatingAdmissionPolicy '", W::kAny, R::kPolicyDenied, C::kDenied,
     kYes},
    {0, nullptr, nullptr, " denied the request", W::kAny, R::kPolicyDenied, C::kDenied, kYes},

    // 400
    {400, nullptr, nullptr, "does not support dry run", W::kDryRun, R::kNotSupported,
     C::kUnavailable, kYes},
    {400, nullptr, nullptr, "unknown field \"", W::kAny, R::kUnknownField, C::kInvalid, kYes},
    {400, nullptr, nullptr, "field not declared in schema", W::kAny, R::kUnknownField, C::kInvalid,
     kYes},
    {400, nullptr, nullptr, nullptr, W::kAny, R::kInvalid, C::kInvalid, kYes},

    {401, nullptr, nullptr, nullptr, W::kAny, R::kUnauthorized, C::kUnauthenticated, kYes},

    // 403
    {403, nullptr, "NamespaceTerminating", nullptr, W::kAny, R::kNamespaceTerminating,
     C::kUnavailable, kYes},
    {403, nullptr, nullptr, "because it is being terminated", W::kAny, R::kNamespaceTerminating,
     C::kUnavailable, kYes},
    {403, nullptr, nullptr, "exceeded quota: ", W::kAny, R::kQuota, C::kUnavailable, kYes},
    {403, nullptr, nullptr, "status unknown for quota: ", W::kAny, R::kQuota, C::kUnavailable,
     kYes},
    {403, nullptr, nullptr, "insufficient quota to ", W::kAny, R::kQuota, C::kUnavailable, kYes},
    // The object does not say what the quota or limit range counts: no waiting helps.
    {403, nullptr, nullptr, "failed quota: ", W::kAny, R::kQuota, C::kDenied, kYes},
    {403, nullptr, nullptr, " usage per ", W::kAny, R::kQuota, C::kDenied, kYes},
    {403, nullptr, nullptr, "limit to request ratio per ", W::kAny, R::kQuota, C::kDenied, kYes},
    {403, nullptr, nullptr, "violates PodSecurity \"", W::kAny, R::kPodSecurity, C::kDenied, kYes},
    {403, nullptr, nullptr, "attempting to grant RBAC permissions not currently held", W::kAny,
     R::kEscalation, C::kDenied, kYes},
    {403, nullptr, nullptr, nullptr, W::kAny, R::kForbidden, C::kDenied, kYes},

    // 404
    {404, nullptr, nullptr, "namespaces \"", W::kCreateOrApply, R::kNamespaceNotFound, C::kNotFound,
     kYes},
    {404, nullptr, nullptr, "could not find the requested resource", W::kAny, R::kNoSuchApi,
     C::kNotFound, kYes},
    {404, "NotFound", nullptr, nullptr, W::kAny, R::kNotFound, C::kNotFound, kYes},
    {404, nullptr, nullptr, nullptr, W::kAny, R::kNoSuchApi, C::kNotFound, kYes},

    {405, nullptr, nullptr, nullptr, W::kAny, R::kNotSupported, C::kInvalid, kYes},
    {406, nullptr, nullptr, nullptr, W::kAny, R::kNotSupported, C::kInvalid, kYes},
    {408, nullptr, nullptr, nullptr, W::kAny, R::kTimeout, C::kTimeout, kMaybe},

    // 409
    {409, "AlreadyExists", nullptr, nullptr, W::kAny, R::kAlreadyExists, C::kConflict, kYes},
    {409, nullptr, "FieldManagerConflict", nullptr, W::kAny, R::kApplyConflict, C::kConflict, kYes},
    {409, nullptr, nullptr, "Precondition failed: UID", W::kAny, R::kPreconditionFailed,
     C::kConflict, kYes},
    {409, nullptr, nullptr, "the UID in the precondition ", W::kAny, R::kPreconditionFailed,
     C::kConflict, kYes},
    {409, nullptr, nullptr, "uid mismatch: ", W::kAny, R::kPreconditionFailed, C::kConflict, kYes},
    // Two creates raced for the quota's counters; ours may be fine.
    {409, nullptr, nullptr, "resourcequotas \"", W::kCreateOrApply, R::kConflict, C::kUnavailable,
     kYes},
    {409, nullptr, nullptr, nullptr, W::kAny, R::kConflict, C::kConflict, kYes},

    {410, nullptr, nullptr, nullptr, W::kAny, R::kExpired, C::kConflict, kYes},
    {412, nullptr, nullptr, nullptr, W::kAny, R::kPreconditionFailed, C::kConflict, kYes},
    {413, nullptr, nullptr, nullptr, W::kAny, R::kTooLarge, C::kInvalid, kYes},
    {415, nullptr, nullptr, nullptr, W::kAny, R::kNotSupported, C::kInvalid, kYes},

    // 422
    // How an apply with the uid of an object that was replaced is refused.
    {422, nullptr, nullptr, "metadata.uid: Invalid value: ", W::kAny, R::kPreconditionFailed,
     C::kConflict, kYes},
    {422, nullptr, nullptr, "is immutable", W::kAny, R::kImmutable, C::kInvalid, kYes},
    {422, nullptr, nullptr, "may not be changed", W::kAny, R::kImmutable, C::kInvalid, kYes},
    {422, nullptr, nullptr, "may not change ", W::kAny, R::kImmutable, C::kInvalid, kYes},
    {422, nullptr, nullptr, "cannot change roleRef", W::kAny, R::kImmutable, C::kInvalid, kYes},
    {422, nullptr, nullptr, "Forbidden: updates to ", W::kAny, R::kImmutable, C::kInvalid, kYes},
    {422, nullptr, nullptr, "unknown field \"", W::kAny, R::kUnknownField, C::kInvalid, kYes},
    {422, nullptr, nullptr, nullptr, W::kAny, R::kInvalid, C::kInvalid, kYes},

    {429, nullptr, "DisruptionBudget", nullptr, W::kAny, R::kDisruptionBudget, C::kThrottled, kYes},
    {429, nullptr, nullptr, nullptr, W::kAny, R::kThrottled, C::kThrottled, kYes},

    // 500
    {500, nullptr, nullptr, "failed calling webhook", W::kAny, R::kWebhookFailed, C::kUnavailable,
     kYes},
    {500, nullptr, nullptr, "failed calling admission webhook", W::kAny, R::kWebhookFailed,
     C::kUnavailable, kYes},
    // Also runs on the way back, after the write.
    {500, nullptr, nullptr, "conversion webhook for ", W::kAny, R::kWebhookFailed, C::kUnavailable,
     kMaybe},
    {500, nullptr, nullptr, "request is too large", W::kAny, R::kTooLarge, C::kInvalid, kYes},
    {500, nullptr, nullptr, "trying to send message larger than max", W::kAny, R::kTooLarge,
     C::kInvalid, kYes},
    {500, "Timeout", nullptr, nullptr, W::kAny, R::kTimeout, C::kTimeout, kMaybe},
    {500, "ServerTimeout", nullptr, nullptr, W::kAny, R::kTimeout, C::kUnavailable, kMaybe},
    {500, nullptr, nullptr, "field not declared in schema", W::kAny, R::kUnknownField, C::kInvalid,
     kYes},
    {500, nullptr, nullptr, "failed to create typed patch object", W::kApply, R::kInvalid,
     C::kInvalid, kYes},
    {500, nullptr, nullptr, "failed to convert new object", W::kApply, R::kInvalid, C::kInvalid,
     kYes},
    {500, nullptr, nullptr, "resourceVersion: Invalid value: ", W::kAny, R::kInvalid, C::kInvalid,
     kYes},
    {500, nullptr, nullptr, "etcdserver: ", W::kAny, R::kServerError, C::kUnavailable, kMaybe},
    {500, nullptr, nullptr, "context deadline exceeded", W::kAny, R::kTimeout, C::kTimeout, kMaybe},
    {500, "-", nullptr, nullptr, W::kRepeatedApply, R::kInvalid, C::kInvalid, kYes},
    {500, "-", nullptr, nullptr, W::kApply, R::kUnexplained, C::kUnavailable, kMaybe},
    {500, nullptr, nullptr, nullptr, W::kAny, R::kServerError, C::kUnavailable, kMaybe},

    {501, nullptr, nullptr, nullptr, W::kAny, R::kNotSupported, C::kInvalid, kYes},
    {504, nullptr, nullptr, nullptr, W::kAny, R::kTimeout, C::kTimeout, kMaybe},
};

// What no rule of the code's own matches.
Rule Default(int code) {
  if (code >= 500) {
    return {0, nullptr, nullptr, nullptr, W::kAny, R::kUnavailable, C::kUnavailable, kMaybe};
  }
  if (code >= 300 && code < 400) {  // never followed: an address that is no API server
    return {0, nullptr, nullptr, nullptr, W::kAny, R::kNoSuchApi, C::kInvalid, kYes};
  }
  return {0, nullptr, nullptr, nullptr, W::kAny, R::kInvalid, C::kInvalid, kYes};
}

bool Holds(When when, const AnswerContext& context) {
  const bool apply = context.verb == Verb::kApply;
  switch (when) {
    case When::kAny:
      return true;
    case When::kCreateOrApply:
      return apply || context.verb == Verb::kCreate;
    case When::kApply:
      return apply;
    case When::kDryRun:
      return context.dry_run;
    case When::kRepeatedApply:
      return apply && context.repeated;
  }
  return false;
}

bool Matches(const Rule& rule, const AnswerContext& context, const ApiStatus& status) {
  if (rule.code != 0 && rule.code != status.code) return false;
  if (rule.reason) {
    const std::string_view want = rule.reason;
    if (want == "-" ? !status.server_reason.empty() && status.server_reason != "Unknown"
                    : status.server_reason != want) {
      return false;
    }
  }
  if (rule.cause && std::none_of(status.causes.begin(), status.causes.end(),
                                 [&](const Cause& cause) { return cause.reason == rule.cause; })) {
    return false;
  }
  if (rule.text && status.server_message.find(rule.text) == std::string::npos) return false;
  return Holds(rule.when, context);
}

Rule Find(const AnswerContext& context, const ApiStatus& status) {
  for (const Rule& rule : kRules) {
    if (Matches(rule, context, status)) return rule;
  }
  return Default(status.code);
}

std::optional<std::chrono::milliseconds> RetryAfter(const http::Headers& headers,
                                                    value::Ref status) {
  int64_t seconds = status.At("details", "retryAfterSeconds").Int();
  const std::string_view header = http::Find(headers, "Retry-After");
  int64_t sent = 0;
  const auto [end, code] = std::from_chars(header.data(), header.data() + header.size(), sent);
  if (!header.empty() && code == std::errc() && end == header.data() + header.size()) {
    seconds = std::max(seconds, sent);
  }
  if (seconds <= 0) return std::nullopt;
  return std::min(std::chrono::seconds(seconds), kLongestRetryAfter);
}

// `conflict with "MANAGER" using apps/v1` and `... with subresource "status" using ...`: the name
// is quoted the Go way; managers with quotes in their names do not exist in practice.
std::string Manager(std::string_view message) {
  const size_t open = message.find('"');
  if (open == std::string_view::npos) return {};
  const size_t close = message.find('"', open + 1);
  if (close == std::string_view::npos) return {};
  return std::string(message.substr(open + 1, close - open - 1));
}

ApiStatus Read(int code, value::Ref body) {
  ApiStatus status;
  status.code = code;
  status.server_reason = body["reason"].String();
  status.server_message = body["message"].String();
  status.continue_token = body.At("metadata", "continue").String();
  for (value::Ref cause : body.At("details", "causes").Items()) {
    if (status.causes.size() == limits::kStatusCauses) break;
    status.causes.push_back(
        {cause["reason"].Text(), cause["message"].Text(), cause["field"].Text()});
  }
  return status;
}

// Only the names of fields: what a server says about them may quote what they hold.
void Withhold(ApiStatus& status) {
  std::string fields;
  for (Cause& cause : status.causes) {
    cause.message.clear();
    if (cause.field.empty()) continue;
    fields.append(fields.empty() ? " (" : ", ").append(cause.field);
  }
  if (!fields.empty()) fields += ')';
  status.server_message = "the server refused the content" + fields;
}

bool IsAboutContent(Reason reason) {
  switch (reason) {
    case Reason::kInvalid:
    case Reason::kImmutable:
    case Reason::kUnknownField:
    case Reason::kPolicyDenied:
    case Reason::kServerError:
    case Reason::kUnexplained:
    case Reason::kWebhookFailed:
      return true;
    default:
      return false;
  }
}

Error Judge(const AnswerContext& context, const http::Headers& headers, value::Ref body,
            ApiStatus status) {
  const Rule rule = Find(context, status);
  status.reason = rule.means;
  if (rule.means == Reason::kApplyConflict) {
    for (const Cause& cause : status.causes) {
      if (cause.reason == "FieldManagerConflict") {
        status.conflicts.push_back({Manager(cause.message), cause.field});
      }
    }
  }
  if (context.sensitive && IsAboutContent(rule.means)) Withhold(status);

  Error error;
  error.cls = rule.cls;
  error.outcome = IsWrite(context.verb) && !context.dry_run ? rule.outcome : Outcome::kRejected;
  error.retry_after = RetryAfter(headers, body);
  error.message =
      fmt::format("{}{}{}: {} {}", ToString(context.verb), context.target.empty() ? "" : " ",
                  context.target, status.code, ToString(rule.means));
  if (!status.server_message.empty()) error.message.append(": ").append(status.server_message);
  error.detail = std::make_shared<const ApiStatus>(std::move(status));
  return error;
}

}  // namespace

const char* ToString(Verb verb) {
  switch (verb) {
    case Verb::kGet:
      return "get";
    case Verb::kList:
      return "list";
    case Verb::kWatch:
      return "watch";
    case Verb::kCreate:
      return "create";
    case Verb::kReview:
      return "review";
    case Verb::kUpdate:
      return "update";
    case Verb::kApply:
      return "apply";
    case Verb::kMergePatch:
      return "patch";
    case Verb::kJsonPatch:
      return "patch";
    case Verb::kDelete:
      return "delete";
  }
  return "request";
}

bool IsWrite(Verb verb) {
  switch (verb) {
    case Verb::kGet:
    case Verb::kList:
    case Verb::kWatch:
    case Verb::kReview:
      return false;
    default:
      return true;
  }
}

const char* ToString(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "None";
    case Reason::kUnauthorized:
      return "Unauthorized";
    case Reason::kForbidden:
      return "Forbidden";
    case Reason::kEscalation:
      return "Escalation";
    case Reason::kQuota:
      return "Quota";
    case Reason::kPodSecurity:
      return "PodSecurity";
    case Reason::kPolicyDenied:
      return "PolicyDenied";
    case Reason::kNamespaceTerminating:
      return "NamespaceTerminating";
    case Reason::kNotFound:
      return "NotFound";
    case Reason::kNamespaceNotFound:
      return "NamespaceNotFound";
    case Reason::kNoSuchApi:
      return "NoSuchApi";
    case Reason::kAlreadyExists:
      return "AlreadyExists";
    case Reason::kConflict:
      return "Conflict";
    case Reason::kPreconditionFailed:
      return "PreconditionFailed";
    case Reason::kApplyConflict:
      return "ApplyConflict";
    case Reason::kExpired:
      return "Expired";
    case Reason::kInvalid:
      return "Invalid";
    case Reason::kImmutable:
      return "Immutable";
    case Reason::kUnknownField:
      return "UnknownField";
    case Reason::kTooLarge:
      return "TooLarge";
    case Reason::kNotSupported:
      return "NotSupported";
    case Reason::kThrottled:
      return "Throttled";
    case Reason::kDisruptionBudget:
      return "DisruptionBudget";
    case Reason::kWebhookFailed:
      return "WebhookFailed";
    case Reason::kTimeout:
      return "Timeout";
    case Reason::kUnavailable:
      return "Unavailable";
    case Reason::kServerError:
      return "ServerError";
    case Reason::kUnexplained:
      return "Unexplained";
  }
  return "None";
}

const ApiStatus* StatusOf(const Error& error) { return error.Detail<ApiStatus>(); }

Reason ReasonOf(const Error& error) {
  const ApiStatus* status = StatusOf(error);
  return status ? status->reason : Reason::kNone;
}

Error Classify(const AnswerContext& context, int code, const http::Headers& headers,
               std::string_view body) {
  if (body.size() <= limits::kStatusBytes) {
    const Result<value::Value> parsed = value::ParseJson(body);
    // Some of the server's own answers lack kind and apiVersion.
    if (parsed &&
        ((*parsed)["kind"].String() == "Status" || (*parsed)["status"].String() == "Failure")) {
      return Judge(context, headers, *parsed, Read(code, *parsed));
    }
  }
  // A proxy, a load balancer, or one of the server's own plain texts ("404 page not found").
  ApiStatus status;
  status.code = code;
  for (const char c : body.substr(0, 200)) {
    status.server_message += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  while (!status.server_message.empty() && status.server_message.back() == ' ') {
    status.server_message.pop_back();
  }
  return Judge(context, headers, {}, std::move(status));
}

Error Classify(const AnswerContext& context, int code, const http::Headers& headers,
               value::Ref status) {
  return Judge(context, headers, status, Read(code, status));
}

}  // namespace flotilla::kube
