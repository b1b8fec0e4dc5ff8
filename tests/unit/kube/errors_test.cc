// What API servers answer and what it means. Answers whose name ends with versions were recorded
// from a kube-apiserver of these versions; the others follow its source (webhooks, etcd, proxies).
#include "kube/errors.h"

#include <string>
#include <vector>

#include "catch.h"
#include "kube/retry.h"

namespace flotilla::kube {
namespace {

Error Judge(Verb verb, int code, std::string_view body, bool dry_run = false) {
  return Classify({.verb = verb, .dry_run = dry_run, .target = "deployments.apps web/front"}, code,
                  {}, body);
}

struct Case {
  const char* name;
  Verb verb;
  int code;
  const char* body;
  Reason reason;
  ErrorClass cls;
  Outcome outcome;
};

constexpr auto kNo = Outcome::kRejected;
constexpr auto kMaybe = Outcome::kUnknown;

const Case kAnswers[] =
    {
        {"RBAC", Verb::kList, 403,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods is forbidden: User \"system:serviceaccount:default:ci\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"","reason":"Forbidden","details":{"kind":"pods"},"code":403})j",
         Reason::kForbidden, ErrorClass::kDenied, kNo},
        {"granting more than one holds", Verb::kApply, 403,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"ci\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}","reason":"Forbidden","details":{"name":"r","group":"rbac.authorization.k8s.io","kind":"roles"},"code":403})j",
         Reason::kEscalation, ErrorClass::kDenied, kNo},
        {"an exhausted quota may be free again", Verb::kCreate, 403,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1","reason":"Forbidden","details":{"name":"x","kind":"pods"},"code":403})j",
         Reason::kQuota, ErrorClass::kUnavailable, kNo},
        {"a pod without the request that a quota counts never will be", Verb::kCreate, 403,
         R"j({"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods \"x\" is forbidden: failed quota: q: must specify limits.cpu for: c","reason":"Forbidden","code":403})j",
         Reason::kQuota, ErrorClass::kDenied, kNo},
        {"a LimitRange", Verb::kCreate, 403,
         R"j({"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods \"x\" is forbidden: maximum cpu usage per Container is 1, but limit is 2","reason":"Forbidden","details":{"name":"x","kind":"pods"},"code":403})j",
         Reason::kQuota, ErrorClass::kDenied, kNo},
        {"pod security", Verb::kCreate, 403,
         R"j({"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false)","reason":"Forbidden","details":{"name":"x","kind":"pods"},"code":403})j",
         Reason::kPodSecurity, ErrorClass::kDenied, kNo},
        {"a namespace on its way out", Verb::kApply, 403,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"c\" is forbidden: unable to create new content in namespace gone because it is being terminated","reason":"Forbidden","details":{"name":"c","kind":"configmaps","causes":[{"reason":"NamespaceTerminating","message":"namespace gone is being terminated","field":"metadata.namespace"}]},"code":403})j",
         Reason::kNamespaceTerminating, ErrorClass::kUnavailable, kNo},
        {"a webhook that says no", Verb::kApply, 400,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"admission webhook \"policy.example.com\" denied the request: no latest tags","code":400})j",
         Reason::kPolicyDenied, ErrorClass::kDenied, kNo},
        {"a webhook that says no with a code of its own", Verb::kApply, 403,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"admission webhook \"validate.kyverno.svc-fail\" denied the request: \n\nresource Deployment/web/front was blocked","reason":"Forbidden","code":403})j",
         Reason::kPolicyDenied, ErrorClass::kDenied, kNo},
        {"a ValidatingAdmissionPolicy", Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"front\" is forbidden: ValidatingAdmissionPolicy 'demo' with binding 'demo' denied request: failed expression: object.spec.replicas <= 5","reason":"Invalid","details":{"name":"front","group":"apps","kind":"deployments","causes":[{"message":"ValidatingAdmissionPolicy 'demo' with binding 'demo' denied request: failed expression: object.spec.replicas <= 5"}]},"code":422})j", Reason::kPolicyDenied,
         ErrorClass::kDenied, kNo},
        {"a webhook that does not answer", Verb::kApply, 500,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Internal error occurred: failed calling webhook \"vault.hashicorp.com\": failed to call webhook: Post \"https://vault-agent-injector-svc.vault.svc:443/mutate?timeout=30s\": no endpoints available for service \"vault-agent-injector-svc\"","reason":"InternalError","details":{"causes":[{"message":"failed calling webhook \"vault.hashicorp.com\": failed to call webhook: Post \"https://vault-agent-injector-svc.vault.svc:443/mutate?timeout=30s\": no endpoints available for service \"vault-agent-injector-svc\""}]},"code":500})j",
         Reason::kWebhookFailed, ErrorClass::kUnavailable, kNo},
        {"an unknown bearer", Verb::kGet, 401,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401})j",
         Reason::kUnauthorized, ErrorClass::kUnauthenticated, kNo},
        {"no such object", Verb::kGet, 404,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"front\" not found","reason":"NotFound","details":{"name":"front","group":"apps","kind":"deployments"},"code":404})j",
         Reason::kNotFound, ErrorClass::kNotFound, kNo},
        {"no such namespace", Verb::kApply, 404,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"namespaces \"web\" not found","reason":"NotFound","details":{"name":"web","kind":"namespaces"},"code":404})j",
         Reason::kNamespaceNotFound, ErrorClass::kNotFound, kNo},
        {"a Namespace itself that is not there", Verb::kGet, 404,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"namespaces \"web\" not found","reason":"NotFound","details":{"name":"web","kind":"namespaces"},"code":404})j",
         Reason::kNotFound, ErrorClass::kNotFound, kNo},
        {"a resource that the server does not serve", Verb::kApply, 404,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404})j",
         Reason::kNoSuchApi, ErrorClass::kNotFound, kNo},
        {"an API group that the server does not serve", Verb::kList, 404, "404 page not found\n",
         Reason::kNoSuchApi, ErrorClass::kNotFound, kNo},
        {"created by somebody else", Verb::kCreate, 409,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"c\" already exists","reason":"AlreadyExists","details":{"name":"c","kind":"configmaps"},"code":409})j",
         Reason::kAlreadyExists, ErrorClass::kConflict, kNo},
        {"a resourceVersion that has moved", Verb::kUpdate, 409,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on configmaps \"c\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","details":{"name":"c","kind":"configmaps"},"code":409})j",
         Reason::kConflict, ErrorClass::kConflict, kNo},
        {"another uid than the precondition of a delete (1.27, 1.37)", Verb::kDelete, 409, R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on ConfigMap \"c\": the UID in the precondition (1a2b3c4d-0000-0000-0000-000000000000) does not match the UID in record (59196cea-aef6-497b-817f-9f2028317586). The object might have been deleted and then recreated","reason":"Conflict","details":{"name":"c","kind":"ConfigMap"},"code":409})j",
         Reason::kPreconditionFailed, ErrorClass::kConflict, kNo},
        {"another resourceVersion than the precondition of a delete (1.27, 1.37)", Verb::kDelete,
         409,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on ConfigMap \"c\": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (229). The object might have been modified","reason":"Conflict","details":{"name":"c","kind":"ConfigMap"},"code":409})j",
         Reason::kConflict, ErrorClass::kConflict, kNo},
        {"an update with the uid of what was replaced (1.27, 1.37)", Verb::kUpdate, 409,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on configmaps \"c\": StorageError: invalid object, Code: 4, Key: /registry/configmaps/t/c, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: 1a2b3c4d-0000-0000-0000-000000000000, UID in object meta: 59196cea-aef6-497b-817f-9f2028317586","reason":"Conflict","details":{"name":"c","kind":"configmaps"},"code":409})j",
         Reason::kPreconditionFailed, ErrorClass::kConflict, kNo},
        {"an apply with the uid of what was replaced is no immutable field (1.27, 1.37)",
         Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ConfigMap \"c\" is invalid: metadata.uid: Invalid value: \"1a2b3c4d-0000-0000-0000-000000000000\": field is immutable","reason":"Invalid","details":{"name":"c","kind":"ConfigMap","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"1a2b3c4d-0000-0000-0000-000000000000\": field is immutable","field":"metadata.uid"}]},"code":422})j",
         Reason::kPreconditionFailed, ErrorClass::kConflict, kNo},
        {"made while the one before is being deleted (1.27, 1.37)", Verb::kCreate, 409,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"object is being deleted: namespaces \"dying\" already exists","reason":"AlreadyExists","details":{"name":"dying","kind":"namespaces"},"code":409})j",
         Reason::kAlreadyExists, ErrorClass::kConflict, kNo},
        {"an apply with a uid to what is gone (1.27, 1.37)", Verb::kApply, 409,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on configmaps \"none\": uid mismatch: the provided object specified uid 1a2b3c4d-0000-0000-0000-000000000000, and no existing object was found","reason":"Conflict","details":{"name":"none","kind":"configmaps"},"code":409})j",
         Reason::kPreconditionFailed, ErrorClass::kConflict, kNo},
        {"a race for the counters of a quota is not about the object", Verb::kCreate, 409,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on resourcequotas \"q\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","details":{"name":"q","kind":"resourcequotas"},"code":409})j",
         Reason::kConflict, ErrorClass::kUnavailable, kNo},
        {"a resourceVersion too old to watch from", Verb::kWatch, 410,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (12345)","reason":"Expired","code":410})j",
         Reason::kExpired, ErrorClass::kConflict, kNo},
        {"a resourceVersion of the future, as after a restore (1.27, 1.37)", Verb::kList, 504, R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: Too large resource version: 99999999, current: 231","reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1},"code":504})j",
         Reason::kExpired, ErrorClass::kConflict, kNo},
        {"a resourceVersion that is none (1.27, 1.37)", Verb::kWatch, 500,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax","code":500})j",
         Reason::kInvalid, ErrorClass::kInvalid, kNo},
        {"more than a ConfigMap may hold (1.37)", Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ConfigMap \"big\" is invalid: []: Too long: may not be more than 1048576 bytes","reason":"Invalid","details":{"name":"big","kind":"ConfigMap","causes":[{"reason":"FieldValueTooLong","message":"Too long: may not be more than 1048576 bytes","field":"[]"}]},"code":422})j",
         Reason::kInvalid, ErrorClass::kInvalid, kNo},
        {"a watch that cannot begin with the list (1.27)", Verb::kWatch, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled","reason":"Invalid","details":{"group":"meta.k8s.io","kind":"ListOptions","causes":[{"reason":"FieldValueForbidden","message":"Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled","field":"sendInitialEvents"}]},"code":422})j",
         Reason::kInvalid, ErrorClass::kInvalid, kNo},
        {"more than a request may hold", Verb::kApply, 413,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Request entity too large: limit is 3145728","reason":"RequestEntityTooLarge","code":413})j",
         Reason::kTooLarge, ErrorClass::kInvalid, kNo},
        {"more than etcd takes", Verb::kApply, 500,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"etcdserver: request is too large","code":500})j",
         Reason::kTooLarge, ErrorClass::kInvalid, kNo},
        {"a value out of range", Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Deployment.apps \"front\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0","reason":"Invalid","details":{"name":"front","group":"apps","kind":"Deployment","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: -1: must be greater than or equal to 0","field":"spec.replicas"}]},"code":422})j",
         Reason::kInvalid, ErrorClass::kInvalid, kNo},
        {"a selector that cannot change", Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Deployment.apps \"front\" is invalid: spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"other\"}}: field is immutable","reason":"Invalid","details":{"name":"front","group":"apps","kind":"Deployment","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: field is immutable","field":"spec.selector"}]},"code":422})j",
         Reason::kImmutable, ErrorClass::kInvalid, kNo},
        {"a StatefulSet that cannot change", Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden","reason":"Invalid","details":{"name":"db","group":"apps","kind":"StatefulSet","causes":[{"reason":"FieldValueForbidden","message":"Forbidden: updates to statefulset spec ...","field":"spec"}]},"code":422})j", Reason::kImmutable,
         ErrorClass::kInvalid, kNo},
        {"the name alone does not make a refusal one of immutability", Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ConfigMap \"immutable-settings\" is invalid: data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters","reason":"Invalid","code":422})j",
         Reason::kInvalid, ErrorClass::kInvalid, kNo},
        {"an unknown field, strictly decoded", Verb::kCreate, 400,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replica\"","reason":"BadRequest","code":400})j",
         Reason::kUnknownField, ErrorClass::kInvalid, kNo},
        {"an unknown field, applied", Verb::kApply, 500,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"failed to create typed patch object (web/front; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema","code":500})j",
         Reason::kUnknownField, ErrorClass::kInvalid, kNo},
        {"a field of the wrong type, applied", Verb::kApply, 500,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"failed to create typed patch object (web/front; apps/v1, Kind=Deployment): .spec.template: expected map, got &{[]}","code":500})j",
         Reason::kInvalid, ErrorClass::kInvalid, kNo},
        {"a Secret that is not base64, applied (1.27, 1.37)", Verb::kApply, 500,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"failed to convert new object (/s; /v1, Kind=Secret) to proper version: unable to convert unstructured object to /v1, Kind=Secret: error decoding from json: illegal base64 data at input byte 7","code":500})j",
         Reason::kInvalid, ErrorClass::kInvalid, kNo},
        {"two entries of one key, applied (1.27, 1.37)", Verb::kApply, 500,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=\"x\"]","code":500})j",
         Reason::kInvalid, ErrorClass::kInvalid, kNo},
        {"a binding to another role (1.27)", Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ClusterRoleBinding.rbac.authorization.k8s.io \"weak\" is invalid: roleRef: Invalid value: rbac.RoleRef{APIGroup:\"rbac.authorization.k8s.io\", Kind:\"ClusterRole\", Name:\"other\"}: cannot change roleRef","reason":"Invalid","details":{"name":"weak","group":"rbac.authorization.k8s.io","kind":"ClusterRoleBinding"},"code":422})j", Reason::kImmutable,
         ErrorClass::kInvalid, kNo},
        {"a StorageClass of another provisioner (1.27)", Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"StorageClass.storage.k8s.io \"sc\" is invalid: provisioner: Forbidden: updates to provisioner are forbidden.","reason":"Invalid","details":{"name":"sc","group":"storage.k8s.io","kind":"StorageClass"},"code":422})j",
         Reason::kImmutable, ErrorClass::kInvalid, kNo},
        {"a ConfigMap that says of itself that it does not change (1.27, 1.37)", Verb::kApply, 422,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ConfigMap \"im\" is invalid: data: Forbidden: field is immutable when `immutable` is set","reason":"Invalid","details":{"name":"im","kind":"ConfigMap"},"code":422})j",
         Reason::kImmutable, ErrorClass::kInvalid, kNo},
        {"impersonation without the right to it (1.37)", Verb::kGet, 403,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods is forbidden: User \"weak\" cannot impersonate-on:user-info:list resource \"pods\" in API group \"\" in the namespace \"t\"","reason":"Forbidden","details":{"kind":"pods"},"code":403})j",
         Reason::kForbidden, ErrorClass::kDenied, kNo},
        {"too many requests", Verb::kApply, 429, "Too many requests, please try again later.\n",
         Reason::kThrottled, ErrorClass::kThrottled, kNo},
        {"an eviction that a disruption budget refuses", Verb::kCreate, 429,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests","details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget x needs 1 healthy pods and has 1 currently"}]},"code":429})j",
         Reason::kDisruptionBudget, ErrorClass::kThrottled, kNo},
        {"storage that lost its leader: the write may be there", Verb::kApply, 500,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"etcdserver: leader changed","code":500})j",
         Reason::kServerError, ErrorClass::kUnavailable, kMaybe},
        {"a write that took too long: it may be there", Verb::kUpdate, 504,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: request did not complete within requested timeout - context deadline exceeded","reason":"Timeout","details":{},"code":504})j",
         Reason::kTimeout, ErrorClass::kTimeout, kMaybe},
        {"a write beyond the timeout it asked for, without kind (1.27)", Verb::kApply, 504,
         R"j({"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","details":{},"code":504})j",
         Reason::kTimeout, ErrorClass::kTimeout, kMaybe},
        {"a read that took too long changed nothing", Verb::kGet, 504,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: request did not complete within requested timeout - context deadline exceeded","reason":"Timeout","details":{},"code":504})j",
         Reason::kTimeout, ErrorClass::kTimeout, kNo},
        {"an extension server that is down", Verb::kList, 503, "service unavailable\n",
         Reason::kUnavailable, ErrorClass::kUnavailable, kNo},
        {"a load balancer between us and a write", Verb::kApply, 502,
         "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>\r\n",
         Reason::kUnavailable, ErrorClass::kUnavailable, kMaybe},
        {"a conversion webhook may fail after the write", Verb::kApply, 500,
         R"j({"kind":"Status","apiVersion":"v1","status":"Failure","message":"conversion webhook for example.com/v1, Kind=Widget failed: Post \"https://x.y.svc:443/convert?timeout=30s\": dial tcp: connection refused","code":500})j",
         Reason::kWebhookFailed, ErrorClass::kUnavailable, kMaybe},
        {"an address that is no API server", Verb::kGet, 302, "", Reason::kNoSuchApi,
         ErrorClass::kInvalid, kNo},
        {"an apply body of the wrong media type (1.27, 1.37)", Verb::kApply, 415,
         R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml","reason":"UnsupportedMediaType","code":415})j",
         Reason::kNotSupported, ErrorClass::kInvalid, kNo},
};

TEST_CASE("each answer of an API server has one meaning") {
  for (const Case& answer : kAnswers) {
    INFO(answer.name);
    const Error error = Judge(answer.verb, answer.code, answer.body);
    CHECK(std::string(ToString(ReasonOf(error))) == ToString(answer.reason));
    CHECK(std::string(ToString(error.cls)) == ToString(answer.cls));
    CHECK(std::string(ToString(error.outcome)) == ToString(answer.outcome));
    REQUIRE(StatusOf(error) != nullptr);
    CHECK(StatusOf(error)->code == answer.code);
  }
}

TEST_CASE("an apply conflict names managers and fields") {
  const Error error = Judge(
      Verb::kApply, 409,
      R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Apply failed with 2 conflicts: conflicts with \"kubectl-client-side-apply\" using apps/v1:\n- .spec.replicas\nconflicts with \"hpa\" with subresource \"scale\" using apps/v1:\n- .spec.template","reason":"Conflict","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"kubectl-client-side-apply\" using apps/v1","field":".spec.replicas"},{"reason":"FieldManagerConflict","message":"conflict with \"hpa\" with subresource \"scale\" using apps/v1","field":".spec.template"}]},"code":409})j");
  CHECK(error.cls == ErrorClass::kConflict);
  REQUIRE(ReasonOf(error) == Reason::kApplyConflict);
  CHECK(StatusOf(error)->conflicts ==
        std::vector<FieldConflict>{{"kubectl-client-side-apply", ".spec.replicas"},
                                   {"hpa", ".spec.template"}});
}

TEST_CASE("a 500 without reason to an apply is unexplained until it repeats on dry-run") {
  const char* body =
      R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"errors in conversion of managed fields","code":500})j";
  const Error first = Judge(Verb::kApply, 500, body);
  CHECK(ReasonOf(first) == Reason::kUnexplained);
  CHECK(first.cls == ErrorClass::kUnavailable);
  CHECK(first.outcome == Outcome::kUnknown);

  const Error again =
      Classify({.verb = Verb::kApply, .dry_run = true, .repeated = true}, 500, {}, body);
  CHECK(again.cls == ErrorClass::kInvalid);
  CHECK(again.outcome == Outcome::kRejected);

  SECTION("other requests have no such rule") {
    CHECK(ReasonOf(Judge(Verb::kUpdate, 500, body)) == Reason::kServerError);
  }
}

TEST_CASE("a dry-run changes nothing, whatever became of it") {
  CHECK(Judge(Verb::kApply, 504, "", true).outcome == Outcome::kRejected);
}

TEST_CASE("a webhook without dry-run makes the dry-run unanswerable, not the object wrong") {
  const Error error = Judge(
      Verb::kApply, 400,
      R"j({"kind":"Status","apiVersion":"v1","status":"Failure","message":"admission webhook \"x.y\" does not support dry run","reason":"BadRequest","code":400})j",
      true);
  CHECK(ReasonOf(error) == Reason::kNotSupported);
  CHECK(error.cls == ErrorClass::kUnavailable);
}

TEST_CASE("Retry-After comes from the header or the details, the longer of both, up to 5 minutes") {
  const auto after = [](const char* header, const char* body) {
    http::Headers headers;
    if (*header) headers.emplace_back("retry-after", header);
    return Classify({.verb = Verb::kGet}, 429, headers, body).retry_after;
  };
  CHECK(after("3", "busy") == 3s);
  CHECK(after("", R"j({"kind":"Status","details":{"retryAfterSeconds":7}})j") == 7s);
  CHECK(after("3", R"j({"kind":"Status","details":{"retryAfterSeconds":7}})j") == 7s);
  CHECK(after("999999999", "busy") == 300s);
  CHECK(after("", "busy") == std::nullopt);
  CHECK(after("-1", "busy") == std::nullopt);
  CHECK(after("Wed, 21 Oct 2026 07:28:00 GMT", "busy") == std::nullopt);
}

TEST_CASE("the message says what was asked, the code, the reason and the server's words") {
  CHECK(Judge(Verb::kGet, 401, R"j({"kind":"Status","message":"Unauthorized","code":401})j")
            .message == "get deployments.apps web/front: 401 Unauthorized: Unauthorized");
}

TEST_CASE("of a Secret only field names are repeated, not what a server quotes") {
  const char* body =
      R"j({"kind":"Status","message":"failed to create typed patch object (web/s; /v1, Kind=Secret): .stringData.password: expected string, got &value.valueUnstructured{Value:hunter2}","details":{"causes":[{"reason":"x","message":"hunter2","field":".stringData.password"}]},"code":500})j";
  const Error error =
      Classify({.verb = Verb::kApply, .sensitive = true, .target = "secrets web/s"}, 500, {}, body);
  CHECK(error.ToString().find("hunter2") == std::string::npos);
  CHECK(error.message.find(".stringData.password") != std::string::npos);
  for (const Cause& cause : StatusOf(error)->causes) CHECK(cause.message.empty());
}

TEST_CASE("control characters of a body that is no Status do not reach messages") {
  const Error error = Judge(Verb::kGet, 503, "a\x1b[31mb\nc");
  CHECK(error.message.find('\x1b') == std::string::npos);
  CHECK(error.message.find('\n') == std::string::npos);
}

TEST_CASE("the status is found below what callers add") {
  const Result<int> result = Fail(Judge(Verb::kGet, 404, "404 page not found"), "roll out {}", "x");
  CHECK(ReasonOf(result.error()) == Reason::kNoSuchApi);
  CHECK(ReasonOf(Error{}) == Reason::kNone);
}

Error Failure(ErrorClass cls, Outcome outcome = Outcome::kRejected) {
  Error error;
  error.cls = cls;
  error.outcome = outcome;
  return error;
}

TEST_CASE("what is transient is tried again, what is an answer is not") {
  const auto again = [](ErrorClass cls) {
    return RetryDelay({}, Failure(cls), 1, true, 0).has_value();
  };
  CHECK(again(ErrorClass::kThrottled));
  CHECK(again(ErrorClass::kUnavailable));
  CHECK(again(ErrorClass::kTimeout));
  CHECK_FALSE(again(ErrorClass::kInvalid));
  CHECK_FALSE(again(ErrorClass::kDenied));
  CHECK_FALSE(again(ErrorClass::kUnauthenticated));
  CHECK_FALSE(again(ErrorClass::kNotFound));
  CHECK_FALSE(again(ErrorClass::kConflict));
  CHECK_FALSE(again(ErrorClass::kCancelled));
  CHECK_FALSE(again(ErrorClass::kInternal));
}

TEST_CASE("what may have taken effect is repeated only where that changes nothing") {
  const Error unknown = Failure(ErrorClass::kTimeout, Outcome::kUnknown);
  CHECK(RetryDelay({}, unknown, 1, IsRepeatable(Verb::kGet, false), 0));
  CHECK(RetryDelay({}, unknown, 1, IsRepeatable(Verb::kReview, false), 0));
  CHECK(RetryDelay({}, unknown, 1, IsRepeatable(Verb::kApply, false), 0));
  CHECK(RetryDelay({}, unknown, 1, IsRepeatable(Verb::kCreate, true), 0));
  CHECK_FALSE(RetryDelay({}, unknown, 1, IsRepeatable(Verb::kCreate, false), 0));
  CHECK_FALSE(RetryDelay({}, unknown, 1, IsRepeatable(Verb::kUpdate, false), 0));
  CHECK_FALSE(RetryDelay({}, unknown, 1, IsRepeatable(Verb::kDelete, false), 0));
  CHECK(RetryDelay({}, Failure(ErrorClass::kUnavailable, Outcome::kNotSent), 1, false, 0));
}

TEST_CASE("a delay is at least what the server asked for, and attempts end") {
  Error busy = Failure(ErrorClass::kThrottled);
  busy.retry_after = 30s;
  CHECK(*RetryDelay({}, busy, 1, true, 0) >= 30s);
  CHECK(RetryDelay({.attempts = 4}, busy, 3, true, 0));
  CHECK_FALSE(RetryDelay({.attempts = 4}, busy, 4, true, 0));
}

TEST_CASE("a quota or a dying namespace is not waited for by back-off") {
  for (const Case& answer : kAnswers) {
    if (answer.reason != Reason::kQuota && answer.reason != Reason::kNamespaceTerminating) continue;
    INFO(answer.name);
    CHECK_FALSE(RetryDelay({}, Judge(answer.verb, answer.code, answer.body), 1, true, 0));
  }
}

}  // namespace
}  // namespace flotilla::kube
