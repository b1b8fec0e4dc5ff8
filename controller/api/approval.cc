#include "api/approval.h"

#include "api/fields.h"

namespace flotilla::api {

const char* ToString(ApprovalAction action) {
  constexpr const char* kNames[] = {"Proceed", "SkipBake"};
  return NameOf(kNames, action);
}

static void Describe(Fields& f, ApprovalSpec& spec) {
  f.Required("application", spec.application, "Application in the same namespace.");
  f.Required("rollout", spec.rollout, "The Rollout that may go on.");
  f.Required("stage", spec.stage, "The stage that may start, or whose bake ends.");
  f.Required("releaseDigest", spec.release_digest, "The release that was looked at.");
  f.Optional("action", spec.action, "Proceed starts the stage, SkipBake ends its bake.");
  f.Optional("expires", spec.expires, "Without effect from then on.");
  f.Required("requestedBy", spec.requested_by, "The requesting user.");
  f.Optional("reason", spec.reason, "Why.");
  f.Immutable("an Approval is a record: its spec never changes");
}

static void Describe(Fields& f, ApprovalStatus& status) {
  f.Optional("observedGeneration", status.observed_generation, "The generation last acted on.");
  f.Optional("conditions", status.conditions, "Ready: it was used, or why not.", {.key = "type"});
}

void Describe(Fields& f, Approval& approval) {
  f.Kind(kApprovalKind, "Lets one stage of one rollout of one release go on.");
  f.Column("Rollout", "string", ".spec.rollout", "");
  f.Column("Stage", "string", ".spec.stage", "");
  f.Column("Action", "string", ".spec.action", "");
  f.Column("By", "string", ".spec.requestedBy", "");
  f.Column("Expires", "string", ".spec.expires", "");
  f.Column("Used", "string", ".status.conditions[?(@.type=='Ready')].status", "");
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(approval.spec, "What is approved.");
  f.Status(approval.status, "Whether it was used.");
}

Result<Approval> ParseApproval(value::Ref object) { return ParseObject<Approval>(object); }
value::Value ToValue(const Approval& approval) { return PrintObject(approval); }

}  // namespace flotilla::api
