#include "api/freeze.h"

#include <algorithm>

#include "api/fields.h"

namespace flotilla::api {
namespace {

bool InForce(const Meta& freeze, const std::optional<WallTime>& expires, WallTime now) {
  return !freeze.deleted && (!expires || now < *expires);
}

constexpr const char* kImmutable = "a freeze never changes: delete it and create another";

}  // namespace

bool Freeze::AppliesTo(const Meta& application, WallTime now) const {
  return InForce(meta, spec.expires, now) && meta.ns == application.ns &&
         (spec.application.empty() || spec.application == application.name);
}

bool ClusterFreeze::AppliesTo(const Meta& application, WallTime now) const {
  const auto& names = spec.namespaces;
  return InForce(meta, spec.expires, now) &&
         (names.empty() || std::find(names.begin(), names.end(), application.ns) != names.end());
}

static void Describe(Fields& f, FreezeSpec& spec) {
  f.Optional("application", spec.application,
             "Application in the same namespace; every one of them where it is empty.",
             {.format = &kDnsSubdomain});
  f.Required("reason", spec.reason, "Why.");
  f.Optional("expires", spec.expires, "Without effect from then on; until deleted where absent.");
  f.Required("requestedBy", spec.requested_by, "The requesting user: its owner.");
  f.Immutable(kImmutable);
}

static void Describe(Fields& f, ClusterFreezeSpec& spec) {
  f.Optional("namespaces", spec.namespaces,
             "Namespaces of the Applications that are stopped; all where it is empty.",
             {.format = &kDnsLabel, .max_items = 100});
  f.Required("reason", spec.reason, "Why.");
  f.Optional("expires", spec.expires, "Without effect from then on; until deleted where absent.");
  f.Required("requestedBy", spec.requested_by, "The requesting user: its owner.");
  f.Immutable(kImmutable);
}

void Describe(Fields& f, Freeze& freeze) {
  f.Kind(kFreezeKind, "Stops forward progress of applications in its namespace; rollbacks go on.");
  f.Column("Application", "string", ".spec.application", "");
  f.Column("By", "string", ".spec.requestedBy", "");
  f.Column("Expires", "string", ".spec.expires", "");
  f.Column("Reason", "string", ".spec.reason", "");
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(freeze.spec, "What is stopped, and why.");
}

void Describe(Fields& f, ClusterFreeze& freeze) {
  f.Kind(kClusterFreezeKind, "Stops forward progress in all or some namespaces; rollbacks go on.");
  f.Column("By", "string", ".spec.requestedBy", "");
  f.Column("Expires", "string", ".spec.expires", "");
  f.Column("Reason", "string", ".spec.reason", "");
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(freeze.spec, "What is stopped, and why.");
}

Result<Freeze> ParseFreeze(value::Ref object) { return ParseObject<Freeze>(object); }
Result<ClusterFreeze> ParseClusterFreeze(value::Ref object) {
  return ParseObject<ClusterFreeze>(object);
}
value::Value ToValue(const Freeze& freeze) { return PrintObject(freeze); }
value::Value ToValue(const ClusterFreeze& freeze) { return PrintObject(freeze); }

}  // namespace flotilla::api
