// What a Kubernetes API server means by an answer that is not a success.
//
// One table (errors.cc) maps HTTP code, Status reason, causes and the kind of request to a class of
// Error and to a Reason, which splits what the class lumps together: a 403 can be a missing RBAC
// rule, an exhausted quota, pod security, a policy or a namespace on its way out, and each wants a
// different reaction. Matching of messages happens in that table and nowhere else.
//
//   if (const ApiStatus* status = StatusOf(error); status && status->reason == Reason::kQuota) ...
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/http.h"
#include "kube/resource.h"

namespace flotilla::kube {

// What a request does; decides the meaning of some answers, and whether it may be repeated.
enum class Verb : unsigned char {
  kGet,
  kList,
  kWatch,
  kCreate,      // POST of an object to a collection
  kReview,      // POST of a question (SelfSubjectAccessReview, TokenRequest, ...): changes nothing
  kUpdate,      // PUT
  kApply,       // server-side apply
  kMergePatch,  // RFC 7386
  kJsonPatch,   // RFC 6902
  kDelete,
};
const char* ToString(Verb verb);  // "get", "apply", ...
bool IsWrite(Verb verb);

enum class Reason : unsigned char {
  kNone,                  // not an answer of an API server, or one that says nothing
  kUnauthorized,          // 401
  kForbidden,             // 403: RBAC, or an authorizer like it
  kEscalation,            // 403: grants permissions that the writer does not hold
  kQuota,                 // 403: a ResourceQuota or LimitRange says no
  kPodSecurity,           // 403: violates the pod security level of the namespace
  kPolicyDenied,          // a webhook or a ValidatingAdmissionPolicy says no
  kNamespaceTerminating,  // 403: the namespace is being deleted
  kNotFound,              // 404: no such object
  kNamespaceNotFound,     // 404: the namespace does not exist
  kNoSuchApi,             // 404: the server does not serve this group, version or resource
  kAlreadyExists,         // 409 to a create
  kConflict,              // 409: resourceVersion has moved
  kPreconditionFailed,    // 409: another uid: the object was replaced
  kApplyConflict,         // 409: other field managers own fields; see `conflicts`
  kExpired,               // 410, or an ERROR event of a watch: list again
  kInvalid,               // 422, and 400s about the object's content
  kImmutable,             // 422: a field that cannot change
  kUnknownField,          // a field that the schema does not have
  kTooLarge,              // 413, or more than etcd takes
  kNotSupported,          // 405, 406, 415: this API cannot do that
  kThrottled,             // 429
  kDisruptionBudget,      // 429 to an eviction
  kWebhookFailed,         // 500: an admission webhook could not be called
  kTimeout,               // 504 and ServerTimeout
  kUnavailable,           // 502, 503
  kServerError,           // 500 with a reason, or from storage
  kUnexplained,           // 500 without a reason to an apply: Invalid if it repeats on dry-run
};
const char* ToString(Reason reason);  // "Forbidden", "Quota", ...

struct Cause {
  std::string reason;  // "FieldValueInvalid", "FieldManagerConflict", ...
  std::string message;
  std::string field;  // "spec.replicas"
  bool operator==(const Cause&) const = default;
};

struct FieldConflict {
  std::string manager;  // "kubectl-client-side-apply"
  std::string field;    // ".spec.replicas"
  bool operator==(const FieldConflict&) const = default;
};

// The answer behind an Error, for those who need more than its class.
struct ApiStatus : ErrorDetail {
  int code = 0;  // HTTP
  Reason reason = Reason::kNone;
  std::string server_reason;             // Status.reason, as sent
  std::string server_message;            // Status.message, or the start of a body that is no Status
  std::string continue_token;            // of an expired list: where it could go on, inconsistently
  std::vector<Cause> causes;             // at most 100
  std::vector<FieldConflict> conflicts;  // of kApplyConflict
};

// Null where the error does not come from an answer of an API server.
const ApiStatus* StatusOf(const Error& error);
// kNone where there is none.
Reason ReasonOf(const Error& error);

struct AnswerContext {
  Verb verb = Verb::kGet;
  bool dry_run = false;
  // The same apply was refused with a 500 without reason before, for real or dry.
  bool repeated = false;
  // What was sent may be secret: a server's words about its content are withheld.
  bool sensitive = false;
  std::string_view
      target{};  // how messages name what was asked for: "Deployment.apps web/frontend"
};

// The Error for an answer with status >= 400 (or an ERROR event of a watch, with the code of its
// Status). Never fails: a body that is no Status is judged by the code alone.
Error Classify(const AnswerContext& context, int code, const http::Headers& headers,
               std::string_view body);
Error Classify(const AnswerContext& context, int code, const http::Headers& headers,
               value::Ref status);

}  // namespace flotilla::kube
