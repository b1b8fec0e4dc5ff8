// Application: what is delivered, from where, to which clusters and how (DESIGN sections 2 and 4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/conditions.h"
#include "api/meta.h"
#include "api/rollout_plan.h"
#include "api/selector.h"
#include "base/result.h"
#include "value/value.h"

namespace flotilla::api {

struct Source {
  std::string repository;  // name of a Repository in the same namespace
  std::string path;        // "" or "." is the root
  std::vector<std::string>
      include;  // globs over paths below `path`; empty: every YAML and JSON file
  std::vector<std::string> exclude;  // win over include
  bool recurse = true;
  bool operator==(const Source&) const = default;
};

struct Placement {
  // Absent and empty differ: an application says which clusters it means. Empty: all.
  LabelSelector cluster_selector;
  bool operator==(const Placement&) const = default;
};

// Which rendered objects an override, a drift rule or an ignore rule means. "" matches everything.
struct ObjectPattern {
  std::string group;  // "" matches every group here: name the core group "core"
  std::string kind;
  std::string ns;
  std::string name;
  bool operator==(const ObjectPattern&) const = default;
};

// RFC 6902.
enum class PatchVerb : unsigned char { kAdd, kRemove, kReplace, kMove, kCopy, kTest };
const char* ToString(PatchVerb verb);  // "add", ...

struct PatchOperation {
  PatchVerb op = PatchVerb::kReplace;
  std::string path;    // JSON pointer
  std::string from;    // move and copy
  value::Value value;  // add, replace and test; may be null
  bool operator==(const PatchOperation&) const = default;
};

struct Patch {
  ObjectPattern target;
  std::vector<PatchOperation> operations;
  bool operator==(const Patch&) const = default;
};

// Every override whose selector matches a cluster applies there, in order.
struct Override {
  LabelSelector cluster_selector;
  std::vector<Patch> patches;
  bool operator==(const Override&) const = default;
};

enum class PruneTime : unsigned char { kAfterBake, kBeforeApply };
const char* ToString(PruneTime when);

struct PrunePolicy {
  bool enabled = true;
  PruneTime when = PruneTime::kAfterBake;
  // The budget per cluster and rollout is the larger of the two; beyond it nothing is pruned.
  int max_objects = 5;
  int max_percent = 10;  // of the inventory
  bool operator==(const PrunePolicy&) const = default;
};

enum class DriftMode : unsigned char { kEnforce, kReport, kIgnore };
const char* ToString(DriftMode mode);

// The first rule that matches an object (and, where it names fields, the field) decides.
struct DriftRule {
  ObjectPattern target;
  std::vector<std::string> fields;  // JSON pointers; empty: the whole object
  DriftMode mode = DriftMode::kEnforce;
  bool operator==(const DriftRule&) const = default;
};

struct DriftPolicy {
  DriftMode mode = DriftMode::kEnforce;
  std::vector<DriftRule> rules;
  bool operator==(const DriftPolicy&) const = default;
};

// Fields that somebody else owns: never written after creation, never counted as drift.
struct IgnoreFields {
  ObjectPattern target;
  std::vector<std::string> fields;  // JSON pointers
  bool operator==(const IgnoreFields&) const = default;
};

enum class AdoptPolicy : unsigned char { kIfNoDiff, kAlways, kNever };
const char* ToString(AdoptPolicy policy);

enum class AdoptSource : unsigned char { kArgoCd, kFlux, kHelm, kApplySet, kController };
const char* ToString(AdoptSource source);  // "ArgoCD", "Flux", "Helm", "ApplySet", "Controller"

enum class DeletionPolicy : unsigned char { kOrphan, kDelete };
const char* ToString(DeletionPolicy policy);

enum class RollbackScope : unsigned char { kRevision, kStage, kCluster };
const char* ToString(RollbackScope scope);

struct RollbackPolicy {
  bool automatic = true;
  RollbackScope scope = RollbackScope::kRevision;
  int max_per_day = 3;  // beyond which automatic rollbacks stop until a person releases one
  Duration watch_after_success = 1h;  // a breach in that time still rolls back
  bool operator==(const RollbackPolicy&) const = default;
};

struct ApplicationSpec {
  std::vector<Source> sources;  // exactly one
  std::string target_namespace;
  bool create_namespace = false;
  Labels common_labels;
  Placement placement;
  std::vector<Override> overrides;
  std::string plan;               // name of a RolloutPlan in the same namespace; "": DefaultPlan()
  std::vector<std::string> slos;  // names of ServiceLevelObjectives in the same namespace
  PrunePolicy prune;
  DriftPolicy drift;
  std::vector<IgnoreFields> ignore_fields;
  AdoptPolicy adopt = AdoptPolicy::kIfNoDiff;
  std::vector<AdoptSource> adopt_from;
  DeletionPolicy deletion_policy = DeletionPolicy::kOrphan;
  RollbackPolicy rollback;
  std::vector<std::string> depends_on;  // names of Applications in the same namespace
  int history_limit = 10;               // Rollouts kept
  bool operator==(const ApplicationSpec&) const = default;
};

enum class TargetReason : unsigned char { kHead, kPinned, kRollback };
const char* ToString(TargetReason reason);

struct ReleaseStatus {
  std::string release_digest;
  std::string input_digest;
  std::string revision;
  std::string rollout;  // name of the Rollout that brought it
  std::optional<WallTime> since;
  bool operator==(const ReleaseStatus&) const = default;
};

struct TargetStatus {
  std::string release_digest;
  std::string input_digest;
  std::string revision;
  TargetReason reason = TargetReason::kHead;
  int64_t fence = 0;
  bool operator==(const TargetStatus&) const = default;
};

struct PinStatus {
  std::string rollback;  // name of the Rollback that pins
  std::string release_digest;
  std::string revision;
  std::string by;
  std::string reason;
  std::optional<WallTime> since;
  bool operator==(const PinStatus&) const = default;
};

struct QuarantineStatus {
  std::string rollback;
  std::string release_digest;
  std::string input_digest;
  std::string revision;
  std::string reason;
  std::optional<WallTime> since;
  bool operator==(const QuarantineStatus&) const = default;
};

struct RolloutSummary {
  std::string name;
  std::string phase;
  std::string stage;
  bool operator==(const RolloutSummary&) const = default;
};

struct ClusterCounts {
  int total = 0;
  int updated = 0;  // hold the target
  int healthy = 0;
  int breached = 0;
  int rolled_back = 0;
  int offline = 0;
  int blocked = 0;
  bool operator==(const ClusterCounts&) const = default;
};

struct HistoryEntry {
  std::string rollout;
  std::string release_digest;
  std::string revision;
  std::string result;  // the Rollout's last phase
  std::optional<WallTime> started;
  std::optional<WallTime> finished;
  bool operator==(const HistoryEntry&) const = default;
};

// A projection of Rollouts and Rollbacks, except for the conditions: losing it loses nothing.
struct ApplicationStatus {
  int64_t observed_generation = 0;
  Conditions conditions;  // Ready, Reconciling, Stalled, Outdated, Pinned, FastRollbackCapable, ...
  std::string source_revision;  // of HEAD
  std::optional<TargetStatus> target;
  std::optional<ReleaseStatus> last_known_good;
  std::optional<PinStatus> pin;
  std::vector<QuarantineStatus> quarantine;  // the newest 20
  std::optional<RolloutSummary> rollout;
  ClusterCounts clusters;
  std::vector<HistoryEntry> history;  // newest first, at most historyLimit
  std::string last_handled_reconcile;
  bool operator==(const ApplicationStatus&) const = default;
};

struct Application {
  Meta meta;
  ApplicationSpec spec;
  ApplicationStatus status;
  bool operator==(const Application&) const = default;
};

Result<Application> ParseApplication(value::Ref object);
value::Value ToValue(const Application& application);

void Describe(Fields& f, ClusterCounts& counts);
void Describe(Fields& f, Application& application);

}  // namespace flotilla::api
