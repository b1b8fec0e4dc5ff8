#include "api/rollout.h"

#include <algorithm>

#include "api/fields.h"

namespace flotilla::api {

const char* ToString(RolloutReason reason) {
  constexpr const char* kNames[] = {"Revision", "Configuration", "Manual", "Released"};
  return NameOf(kNames, reason);
}
const char* ToString(RolloutPhase phase) {
  constexpr const char* kNames[] = {
      "Pending",     "Validating", "AwaitingApproval",  "Progressing", "Baking",
      "Pruning",     "Paused",     "Succeeded",         "Rejected",    "Superseded",
      "RollingBack", "RolledBack", "RollbackIncomplete"};
  return NameOf(kNames, phase);
}
const char* ToString(StagePhase phase) {
  constexpr const char* kNames[] = {"Pending", "AwaitingApproval", "Progressing",
                                    "Baking",  "Passed",           "Failed"};
  return NameOf(kNames, phase);
}
const char* ToString(ClusterPhase phase) {
  constexpr const char* kNames[] = {"Pending",
                                    "Applying",
                                    "Applied",
                                    "Verifying",
                                    "Hot",
                                    "Passed",
                                    "SkippedOffline",
                                    "Unverified",
                                    "Breached",
                                    "Failed",
                                    "RollingBack",
                                    "RolledBack",
                                    "RollbackBlocked",
                                    "RollbackPendingOffline"};
  return NameOf(kNames, phase);
}

bool IsTerminal(RolloutPhase phase) {
  return phase == RolloutPhase::kSucceeded || phase == RolloutPhase::kRejected ||
         phase == RolloutPhase::kSuperseded || phase == RolloutPhase::kRolledBack;
}

std::string RolloutName(std::string_view application, std::string_view release_digest, int64_t n) {
  // A digest may carry the version of its form: "v1:sha256:<hex>".
  const std::string_view hex = release_digest.substr(release_digest.rfind(':') + 1).substr(0, 8);
  const std::string suffix = fmt::format("-{}-{}", hex, n);
  const size_t room = 63 - std::min<size_t>(suffix.size(), 62);
  std::string_view stem = application.substr(0, room);
  while (!stem.empty() && (stem.back() == '-' || stem.back() == '.')) stem.remove_suffix(1);
  return fmt::format("{}{}", stem, suffix);
}

// --- spec ---

static void Describe(Fields& f, Variant& variant) {
  f.Required("digest", variant.digest, "Digest of the rendered objects.");
  f.Optional("objects", variant.objects, "How many there are.", {.min = 0});
  f.Optional("clusters", variant.clusters, "Who gets it; every cluster where it is empty.");
}

static void Describe(Fields& f, Release& release) {
  f.Required("releaseDigest", release.release_digest,
             "Merkle root over variants, image locks and sealed secrets.");
  f.Required("inputDigest", release.input_digest, "Digest of what it was rendered from.");
  f.Optional("revision", release.revision, "main@sha1:<commit>.");
  f.Optional("variants", release.variants,
             "Rendered object sets; clusters with equal inputs share one.");
}

static void Describe(Fields& f, RolloutStage& stage) {
  Describe(f, stage.stage);
  f.Optional("clusters", stage.clusters, "The clusters, frozen when the rollout was created.");
}

static void Describe(Fields& f, RolloutSlo& slo) {
  f.Required("name", slo.name, "Name of the ServiceLevelObjective.");
  f.Required("spec", slo.spec, "Its spec when the rollout was created.");
}

static void Describe(Fields& f, RolloutPolicy& policy) {
  f.Required("name", policy.name, "Name of the DeliveryPolicy.");
  f.Optional("generation", policy.generation, "Its generation.");
  f.Optional("impersonate", policy.impersonate,
             "User as whom members are written; the controller itself where it is empty.");
}

static void Describe(Fields& f, RolloutSpec& spec) {
  f.Required("application", spec.application, "Application in the same namespace.");
  f.Optional("applicationUID", spec.application_uid, "Its uid.");
  f.Required("fence", spec.fence, "Grows with every change of target of the application.",
             {.min = 0});
  f.Optional("reason", spec.reason, "What started it.");
  f.Required("release", spec.release, "What is delivered.");
  f.Optional("previous", spec.previous, "Last known good when it began; absent for the first.");
  f.Required("stages", spec.stages, "The plan, with its clusters.",
             {.max_items = 50, .key = "name"});
  f.Optional("slos", spec.slos, "The objectives.", {.max_items = 20, .key = "name"});
  f.Optional("policy", spec.policy, "The DeliveryPolicy that admitted it.");
  f.Immutable("a Rollout is a record: its spec never changes");
}

// --- status ---

static void Describe(Fields& f, StageCounts& counts) {
  f.Optional("total", counts.total, "Clusters of the stage.");
  f.Optional("updated", counts.updated, "Those that accepted the release.");
  f.Optional("passed", counts.passed, "Those that passed health and objectives.");
  f.Optional("failed", counts.failed, "Those that failed or breached.");
  f.Optional("skipped", counts.skipped, "Those that were offline.");
}

static void Describe(Fields& f, StageStatus& stage) {
  f.Required("name", stage.name, "Name of the stage.");
  f.Optional("phase", stage.phase, "Where it stands.");
  f.Optional("clusters", stage.clusters, "Its clusters by state.");
  f.Optional("startedTime", stage.started, "When it started.");
  f.Optional("bakingSince", stage.baking_since, "When its last cluster passed.");
  f.Optional("finishedTime", stage.finished, "When it ended.");
}

static void Describe(Fields& f, ClusterException& exception) {
  f.Required("cluster", exception.cluster, "Name of the cluster.");
  f.Optional("stage", exception.stage, "Its stage.");
  f.Optional("phase", exception.phase, "Where it stands.");
  f.Optional("reason", exception.reason, "Why, in one CamelCase word.");
  f.Optional("message", exception.message, "Why: object, field and HTTP status.");
  f.Optional("since", exception.since, "Since when.");
}

static void Describe(Fields& f, Evidence& evidence) {
  f.Optional("cluster", evidence.cluster, "Where it was seen.");
  f.Optional("objective", evidence.objective, "slo/objective, or health.");
  f.Optional("query", evidence.query, "What was asked.");
  f.Optional("expected", evidence.expected, "What the objective demands.");
  f.Optional("observed", evidence.observed, "What was answered.");
  f.Optional("sampledTime", evidence.sampled, "Time of the sample.");
  f.Optional("message", evidence.message, "For people.");
}

static void Describe(Fields& f, Timeline& timeline) {
  f.Optional("breachVisibleAt", timeline.breach_visible,
             "First bad sample readable in the metrics backend, or the watch event.");
  f.Optional("detectedAt", timeline.detected, "The gate's verdict.");
  f.Optional("decidedAt", timeline.decided, "The Rollback was stored.");
  f.Optional("firstApplyAt", timeline.first_apply, "First write to a member.");
  f.Optional("acceptedAt", timeline.accepted,
             "Every reachable affected cluster had accepted the last known good set.");
  f.Optional("readyAt", timeline.ready, "Its workloads were ready there.");
}

static void Describe(Fields& f, RolloutStatus& status) {
  f.Optional("observedGeneration", status.observed_generation, "The generation last acted on.");
  f.Optional("conditions", status.conditions,
             "Ready, Reconciling, Stalled, Verified, RolledBack and SLORecovered.",
             {.key = "type"});
  f.Optional("phase", status.phase, "Where the run stands.");
  f.Optional("message", status.message, "The same in a sentence.");
  f.Optional("currentStage", status.current_stage, "Name of the stage in progress.");
  f.Optional("stages", status.stages, "Progress by stage.", {.key = "name"});
  f.Optional("clusters", status.clusters, "All clusters by state.");
  f.Optional("exceptions", status.exceptions,
             "Clusters that are not in their stage's normal state; the first 20.",
             {.max_items = static_cast<int>(kMaxClusterExceptions)});
  f.Optional("exceptionsTotal", status.exceptions_total, "How many such clusters there are.");
  f.Optional("evidence", status.evidence, "What the verdict rests on.",
             {.max_items = static_cast<int>(kMaxClusterExceptions)});
  f.Optional("deferred", status.deferred,
             "Objects that could be dry-run only after what they need was created.");
  f.Optional("rollback", status.rollback, "The Rollback that ended the run.");
  f.Optional("timeline", status.timeline, "Of that rollback.");
  f.Optional("startedTime", status.started, "When the run started.");
  f.Optional("finishedTime", status.finished, "When it ended.");
}

void Describe(Fields& f, Rollout& rollout) {
  f.Kind(kRolloutKind,
         "One run of one change of target: what was delivered where, and how it went.");
  f.Column("Application", "string", ".spec.application", "");
  f.Column("Phase", "string", ".status.phase", "");
  f.Column("Stage", "string", ".status.currentStage", "");
  f.Column("Passed", "integer", ".status.clusters.passed", "Clusters that passed.");
  f.Column("Clusters", "integer", ".status.clusters.total", "All clusters.");
  f.Column("Revision", "string", ".spec.release.revision", "");
  f.Column("Reason", "string", ".spec.reason", "", 1);
  f.Column("Fence", "integer", ".spec.fence", "", 1);
  f.Column("Rollback", "string", ".status.rollback", "The rollback that ended it.", 1);
  f.Column("Message", "string", ".status.message", "", 1);
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(rollout.spec, "The snapshot that the run works from.");
  f.Status(rollout.status, "Its progress.");
}

Result<Rollout> ParseRollout(value::Ref object) { return ParseObject<Rollout>(object); }
value::Value ToValue(const Rollout& rollout) { return PrintObject(rollout); }

}  // namespace flotilla::api
