#include "api/rollback.h"

#include "api/fields.h"

namespace flotilla::api {

const char* ToString(RollbackCause cause) {
  constexpr const char* kNames[] = {"Breach", "Failure", "Manual"};
  return NameOf(kNames, cause);
}
const char* ToString(RollbackPhase phase) {
  constexpr const char* kNames[] = {"Pending",    "Applying", "Verifying", "Succeeded",
                                    "Incomplete", "Blocked",  "Planned"};
  return NameOf(kNames, phase);
}

std::string RollbackName(std::string_view application, int64_t fence) {
  const std::string suffix = fmt::format("-rb-{}", fence);
  std::string_view stem = application.substr(0, 253 - suffix.size());
  while (!stem.empty() && (stem.back() == '-' || stem.back() == '.')) stem.remove_suffix(1);
  return fmt::format("{}{}", stem, suffix);
}

static void Describe(Fields& f, RollbackEnd& end) {
  f.Optional("releaseDigest", end.release_digest, "Digest of the release.");
  f.Optional("inputDigest", end.input_digest, "Digest of what it was rendered from.");
  f.Optional("revision", end.revision, "main@sha1:<commit>, or a commit.");
  f.Optional("rollout", end.rollout, "Name of a Rollout.");
}

static void Describe(Fields& f, Quarantine& quarantine) {
  f.Optional("releaseDigest", quarantine.release_digest, "Not applied until released.");
  f.Optional("inputDigest", quarantine.input_digest, "Not rolled out until released.");
  f.Rule("has(self.releaseDigest) || has(self.inputDigest)", "a digest is needed",
         !quarantine.release_digest.empty() || !quarantine.input_digest.empty());
}

static void Describe(Fields& f, RollbackRelease& release) {
  f.Required("by", release.by, "The requesting user.");
  f.Optional("at", release.at, "When.");
  f.Optional("reason", release.reason, "Why.");
}

static void Describe(Fields& f, RollbackSpec& spec) {
  f.Required("application", spec.application, "Application in the same namespace.",
             {.format = &kDnsSubdomain});
  f.Optional("fence", spec.fence, "Fence of the target that is replaced.", {.min = 0});
  f.Optional("from", spec.from, "What is left.");
  f.Optional("to", spec.to, "What is gone back to; last known good where it is empty.");
  f.Optional("scope", spec.scope, "Which clusters: all that hold the release, a stage, or some.");
  f.Optional("stage", spec.stage, "The stage, for scope Stage.");
  f.Optional("clusters", spec.clusters, "The clusters, for scope Cluster.", {.max_items = 1000});
  f.Optional("cause", spec.cause, "What led to it.");
  f.Optional("reason", spec.reason, "The same in a sentence.");
  f.Optional("pin", spec.pin, "Hold what is gone back to until a new release comes.");
  f.Optional("quarantine", spec.quarantine, "What must not be applied again.");
  f.Optional("dryRun", spec.dry_run, "Commits nothing; status.diffSecret names the answer.");
  f.Optional("force", spec.force, "Go back to a quarantined release all the same.");
  f.Required("requestedBy", spec.requested_by, "The requesting user.");
  f.Optional("release", spec.release, "Set once, by a person: ends pin and quarantine.");
  f.Rule("(self.scope == 'Stage') == has(self.stage)", "scope Stage needs stage, others take none",
         (spec.scope == RollbackScope::kStage) != spec.stage.empty());
  f.Rule("(self.scope == 'Cluster') == (has(self.clusters) && size(self.clusters) > 0)",
         "scope Cluster needs clusters, others take none",
         (spec.scope == RollbackScope::kCluster) != spec.clusters.empty());
  f.Immutable("a Rollback is a record: only spec.release may be set, once", "release");
}

static void Describe(Fields& f, RollbackStatus& status) {
  f.Optional("observedGeneration", status.observed_generation, "The generation last acted on.");
  f.Optional("conditions", status.conditions, "Ready, Reconciling and Stalled.", {.key = "type"});
  f.Optional("phase", status.phase, "Where it stands.");
  f.Optional("message", status.message, "The same in a sentence.");
  f.Optional("fence", status.fence, "The fence under which members are written.");
  f.Optional("resolved", status.resolved, "What spec.to came to mean.");
  f.Optional("clusters", status.clusters, "Clusters by state.");
  f.Optional("diffSecret", status.diff_secret, "Secret with the redacted diff of a dry-run.");
  f.Optional("startedTime", status.started, "When it started.");
  f.Optional("finishedTime", status.finished, "When it ended.");
}

void Describe(Fields& f, Rollback& rollback) {
  f.Kind(kRollbackKind,
         "The commit point of a rollback, and the pin and quarantine that keep it in force.");
  f.Column("Application", "string", ".spec.application", "");
  f.Column("Cause", "string", ".spec.cause", "");
  f.Column("Phase", "string", ".status.phase", "");
  f.Column("To", "string", ".status.resolved.revision", "What is gone back to.");
  f.Column("By", "string", ".spec.requestedBy", "Who asked for it.");
  f.Column("Released-By", "string", ".spec.release.by", "Who ended pin and quarantine.", 1);
  f.Column("Reason", "string", ".spec.reason", "", 1);
  f.Column("Message", "string", ".status.message", "", 1);
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(rollback.spec, "What is rolled back, and why.");
  f.Status(rollback.status, "Its progress.");
}

Result<Rollback> ParseRollback(value::Ref object) { return ParseObject<Rollback>(object); }
value::Value ToValue(const Rollback& rollback) { return PrintObject(rollback); }

}  // namespace flotilla::api
