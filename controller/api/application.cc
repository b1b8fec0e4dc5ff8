#include "api/application.h"

#include "api/fields.h"

namespace flotilla::api {

const char* ToString(PatchVerb verb) {
  constexpr const char* kNames[] = {"add", "remove", "replace", "move", "copy", "test"};
  return NameOf(kNames, verb);
}
const char* ToString(PruneTime when) {
  constexpr const char* kNames[] = {"AfterBake", "BeforeApply"};
  return NameOf(kNames, when);
}
const char* ToString(DriftMode mode) {
  constexpr const char* kNames[] = {"Enforce", "Report", "Ignore"};
  return NameOf(kNames, mode);
}
const char* ToString(AdoptPolicy policy) {
  constexpr const char* kNames[] = {"IfNoDiff", "Always", "Never"};
  return NameOf(kNames, policy);
}
const char* ToString(AdoptSource source) {
  constexpr const char* kNames[] = {"ArgoCD", "Flux", "Helm", "ApplySet", "Controller"};
  return NameOf(kNames, source);
}
const char* ToString(DeletionPolicy policy) {
  constexpr const char* kNames[] = {"Orphan", "Delete"};
  return NameOf(kNames, policy);
}
const char* ToString(RollbackScope scope) {
  constexpr const char* kNames[] = {"Revision", "Stage", "Cluster"};
  return NameOf(kNames, scope);
}
const char* ToString(TargetReason reason) {
  constexpr const char* kNames[] = {"Head", "Pinned", "Rollback"};
  return NameOf(kNames, reason);
}

// --- spec ---

static void Describe(Fields& f, Source& source) {
  f.RequiredReference("repositoryRef", source.repository, "A Repository in the same namespace.");
  f.Optional("path", source.path, "Directory to render; the root where it is empty.",
             {.format = &kRelativePath});
  f.Optional("include", source.include,
             "Globs over paths below it; all YAML and JSON files where it is empty.",
             {.max_items = 64});
  f.Optional("exclude", source.exclude, "Globs over paths below it that win over include.",
             {.max_items = 64});
  f.Optional("recurse", source.recurse, "Whether directories below it are read.");
}

static void Describe(Fields& f, Placement& placement) {
  f.Required("clusterSelector", placement.cluster_selector,
             "Clusters by their labels, region, zone, tier and name; {} selects every cluster.");
}

static void Describe(Fields& f, ObjectPattern& pattern) {
  f.Optional("group", pattern.group, "API group, \"core\" for the core group; any where absent.");
  f.Optional("kind", pattern.kind, "Kind; any where absent.");
  f.Optional("namespace", pattern.ns, "Namespace; any where absent.");
  f.Optional("name", pattern.name, "Name; any where absent.");
}

static void Describe(Fields& f, PatchOperation& patch) {
  f.Required("op", patch.op, "The operation.");
  // "" is the whole document: a valid pointer, and never what somebody wants here.
  f.Required("path", patch.path, "JSON pointer to the field.", {.format = &kJsonPointer});
  f.Optional("from", patch.from, "Where move and copy take the value.", {.format = &kJsonPointer});
  f.Optional("value", patch.value, "For add, replace and test.");
  const bool takes_from = patch.op == PatchVerb::kMove || patch.op == PatchVerb::kCopy;
  f.Rule("(self.op in ['move', 'copy']) == has(self.from)",
         "move and copy need from, others take none", takes_from != patch.from.empty());
  // CEL does not see fields without a type.
  const bool takes_value = !takes_from && patch.op != PatchVerb::kRemove;
  f.Rule(nullptr, "add, replace and test need value, others take none",
         takes_value != patch.value.IsAbsent());
}

static void Describe(Fields& f, Patch& patch) {
  f.Required("target", patch.target, "Which rendered objects; {} means all.");
  f.Required("operations", patch.operations, "RFC 6902 operations, in order.",
             {.min_items = 1, .max_items = 50});
}

static void Describe(Fields& f, Override& override_) {
  f.Required("clusterSelector", override_.cluster_selector, "Where the patches apply.");
  f.Required("patches", override_.patches, "In order, after rendering.",
             {.min_items = 1, .max_items = 20});
}

static void Describe(Fields& f, PrunePolicy& prune) {
  f.Optional("enabled", prune.enabled, "Delete objects of the inventory that left the source.");
  f.Optional("when", prune.when, "AfterBake keeps them until the release has proved itself.");
  f.Optional("maxObjects", prune.max_objects,
             "Budget per cluster and rollout: the larger of this and maxPercent. A rollout that "
             "needs more prunes nothing and says so.",
             {.min = 0});
  f.Optional("maxPercent", prune.max_percent, "Budget in percent of the inventory.",
             {.min = 0, .max = 100});
}

static void Describe(Fields& f, DriftRule& rule) {
  f.Required("target", rule.target, "Which objects; {} means all.");
  f.Optional("fields", rule.fields, "JSON pointers; the whole object where it is empty.",
             {.format = &kJsonPointer, .max_items = 64});
  f.Required("mode", rule.mode, "What a difference does.");
}

static void Describe(Fields& f, DriftPolicy& drift) {
  f.Optional(
      "mode", drift.mode,
      "What a difference between cluster and release does: Enforce restores it, Report shows "
      "it, Ignore neither.");
  f.Optional("rules", drift.rules, "Exceptions; the first that matches decides.",
             {.max_items = 64});
}

static void Describe(Fields& f, IgnoreFields& ignore) {
  f.Required("target", ignore.target, "Which objects; {} means all.");
  f.Required("fields", ignore.fields, "JSON pointers such as /spec/replicas.",
             {.format = &kJsonPointer, .min_items = 1, .max_items = 64});
}

static void Describe(Fields& f, RollbackPolicy& rollback) {
  f.Optional("automatic", rollback.automatic,
             "Roll back by itself on a breach or a failure; otherwise the rollout pauses.");
  f.Optional("scope", rollback.scope,
             "What rolls back: every cluster that holds the release, its stage, or the cluster.");
  f.Optional("maxPerDay", rollback.max_per_day,
             "Automatic rollbacks in 24 hours before they stop until a person releases one.",
             {.min = 0, .max = 100});
  f.Optional("watchAfterSuccess", rollback.watch_after_success,
             "How long a breach still rolls back after the last stage.", {.longest = 168h});
}

static void Describe(Fields& f, ApplicationSpec& spec) {
  f.Required("sources", spec.sources, "Where the manifests are: exactly one entry.",
             {.min_items = 1, .max_items = 1});
  f.Optional("targetNamespace", spec.target_namespace,
             "Namespace of namespaced objects that name none.", {.format = &kDnsLabel});
  f.Optional("createNamespace", spec.create_namespace,
             "Create targetNamespace where it is missing. It is never deleted.");
  f.Optional("commonLabels", spec.common_labels,
             "Added to the metadata of every object, never to selectors.",
             {.format = &kLabelValue});
  f.Required("placement", spec.placement, "Which clusters it is delivered to.");
  f.Optional("overrides", spec.overrides, "Differences per cluster.", {.max_items = 64});
  f.Reference("planRef", spec.plan,
              "A RolloutPlan in the same namespace. Absent: one cluster, then half, then all.");
  f.References("sloRefs", spec.slos,
               "ServiceLevelObjectives in the same namespace. None: health alone decides.",
               {.max_items = 20});
  f.Optional("prune", spec.prune, "What happens to objects that left the source.");
  f.Optional("drift", spec.drift, "What happens to changes made on a cluster.");
  f.Optional("ignoreFields", spec.ignore_fields,
             "Fields that somebody else owns, such as replicas under an autoscaler: set when the "
             "object is created, never written again.",
             {.max_items = 64});
  f.Optional(
      "adopt", spec.adopt,
      "Objects that exist already: taken over when they equal the render, always, or never.");
  f.Optional("adoptFrom", spec.adopt_from,
             "Other tools whose objects may be taken over; refused by name otherwise.",
             {.max_items = 5});
  f.Optional("deletionPolicy", spec.deletion_policy,
             "What deleting the Application does to delivered objects.");
  f.Optional("rollback", spec.rollback, "When and how far it rolls back by itself.");
  f.References("dependsOn", spec.depends_on,
               "Applications in the same namespace that must be Ready before a rollout starts.",
               {.max_items = 50});
  f.Optional("historyLimit", spec.history_limit, "How many Rollouts are kept.",
             {.min = 2, .max = 100});
  f.Rule("!has(self.createNamespace) || !self.createNamespace || has(self.targetNamespace)",
         "createNamespace needs targetNamespace",
         !spec.create_namespace || !spec.target_namespace.empty());
}

// --- status ---

static void Describe(Fields& f, TargetStatus& target) {
  f.Optional("releaseDigest", target.release_digest, "Digest of the release.");
  f.Optional("inputDigest", target.input_digest, "Digest of what it was rendered from.");
  f.Optional("revision", target.revision, "main@sha1:<commit>.");
  f.Optional("reason", target.reason, "Why this one: Head, Pinned or Rollback.");
  f.Optional("fence", target.fence, "Grows with every change of target.");
}

static void Describe(Fields& f, ReleaseStatus& release) {
  f.Optional("releaseDigest", release.release_digest, "Digest of the release.");
  f.Optional("inputDigest", release.input_digest, "Digest of what it was rendered from.");
  f.Optional("revision", release.revision, "main@sha1:<commit>.");
  f.Optional("rollout", release.rollout, "The Rollout that delivered it.");
  f.Optional("since", release.since, "When it succeeded.");
}

static void Describe(Fields& f, PinStatus& pin) {
  f.Optional("rollback", pin.rollback, "The Rollback that pins.");
  f.Optional("releaseDigest", pin.release_digest, "What is held.");
  f.Optional("revision", pin.revision, "main@sha1:<commit>.");
  f.Optional("by", pin.by, "Who asked for it.");
  f.Optional("reason", pin.reason, "Why.");
  f.Optional("since", pin.since, "Since when.");
}

static void Describe(Fields& f, QuarantineStatus& quarantine) {
  f.Optional("rollback", quarantine.rollback, "The Rollback that holds it.");
  f.Optional("releaseDigest", quarantine.release_digest, "Never applied while held.");
  f.Optional("inputDigest", quarantine.input_digest, "Never rendered into a rollout while held.");
  f.Optional("revision", quarantine.revision, "main@sha1:<commit>.");
  f.Optional("reason", quarantine.reason, "Why.");
  f.Optional("since", quarantine.since, "Since when.");
}

static void Describe(Fields& f, RolloutSummary& rollout) {
  f.Optional("name", rollout.name, "The newest Rollout.");
  f.Optional("phase", rollout.phase, "Its phase.");
  f.Optional("stage", rollout.stage, "Its current stage.");
}

void Describe(Fields& f, ClusterCounts& counts) {
  f.Optional("total", counts.total, "Clusters concerned.");
  f.Optional("updated", counts.updated, "Those that hold the target.");
  f.Optional("healthy", counts.healthy, "Those whose workloads are healthy.");
  f.Optional("breached", counts.breached, "Those that breached an objective.");
  f.Optional("rolledBack", counts.rolled_back, "Those that were rolled back.");
  f.Optional("offline", counts.offline, "Those that cannot be reached.");
  f.Optional("blocked", counts.blocked, "Those that refuse, until somebody acts.");
}

static void Describe(Fields& f, HistoryEntry& entry) {
  f.Optional("rollout", entry.rollout, "Name of the Rollout.");
  f.Optional("releaseDigest", entry.release_digest, "What it delivered.");
  f.Optional("revision", entry.revision, "main@sha1:<commit>.");
  f.Optional("result", entry.result, "Its last phase.");
  f.Optional("startedTime", entry.started, "When it started.");
  f.Optional("finishedTime", entry.finished, "When it ended.");
}

static void Describe(Fields& f, ApplicationStatus& status) {
  f.Optional("observedGeneration", status.observed_generation, "The generation last acted on.");
  f.Optional("conditions", status.conditions,
             "Ready, Reconciling, Stalled, Outdated, Pinned, FastRollbackCapable, Drifted, Frozen.",
             {.key = "type"});
  f.Optional("sourceRevision", status.source_revision, "What the repository's reference means.");
  f.Optional("target", status.target, "What the clusters should hold.");
  f.Optional("lastKnownGood", status.last_known_good, "What a rollback goes to.");
  f.Optional("pin", status.pin, "A rollback that holds the target.");
  f.Optional("quarantine", status.quarantine, "Releases that are not applied; the newest 20.",
             {.max_items = 20});
  f.Optional("rollout", status.rollout, "The newest Rollout.");
  f.Optional("clusters", status.clusters, "Clusters by state.");
  f.Optional("history", status.history, "Rollouts, newest first.", {.max_items = 100});
  f.Optional("lastHandledReconcile", status.last_handled_reconcile,
             "The value of flotilla.dev/reconcile-requested-at that was last answered.");
}

void Describe(Fields& f, Application& application) {
  f.Kind(kApplicationKind, "What is delivered, from where, to which clusters and how.");
  f.Column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status", "");
  f.Column("Phase", "string", ".status.rollout.phase", "Of the newest rollout.");
  f.Column("Stage", "string", ".status.rollout.stage", "Of the newest rollout.");
  f.Column("Updated", "integer", ".status.clusters.updated", "Clusters that hold the target.");
  f.Column("Clusters", "integer", ".status.clusters.total", "Clusters of the placement.");
  f.Column("Revision", "string", ".status.target.revision", "What the clusters should hold.");
  f.Column("Rollout", "string", ".status.rollout.name", "The newest rollout.", 1);
  f.Column("Pinned-By", "string", ".status.pin.rollback", "The rollback that holds the target.", 1);
  f.Column("Message", "string", ".status.conditions[?(@.type=='Ready')].message", "", 1);
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(application.spec, "What is wanted.");
  f.Status(application.status, "What is. A projection of Rollouts and Rollbacks.");
}

Result<Application> ParseApplication(value::Ref object) { return ParseObject<Application>(object); }
value::Value ToValue(const Application& application) { return PrintObject(application); }

}  // namespace flotilla::api
