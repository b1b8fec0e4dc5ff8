// Rollout: one immutable run of one change of target (DESIGN sections 2 and 4; delivery.md 9.2).
//
// The spec is the snapshot that the run works from and never changes; the status is the audit
// record. Both together are what a restarted controller reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/conditions.h"
#include "api/meta.h"
#include "api/rollout_plan.h"
#include "api/slo.h"
#include "base/result.h"

namespace flotilla::api {

enum class RolloutReason : unsigned char {
  kRevision,       // the source changed
  kConfiguration,  // the Application, its plan or its overrides changed
  kManual,         // started by hand (an Outdated release, a retry)
  kReleased,       // a quarantine or a pin was released
};
const char* ToString(RolloutReason reason);

enum class RolloutPhase : unsigned char {
  kPending,
  kValidating,  // render, policy, signatures, permissions, dry-run; nothing is written yet
  kAwaitingApproval,
  kProgressing,
  kBaking,
  kPruning,
  kPaused,
  kSucceeded,
  kRejected,  // before the first write
  kSuperseded,
  kRollingBack,
  kRolledBack,
  kRollbackIncomplete,
};
const char* ToString(RolloutPhase phase);
// Succeeded, Rejected, Superseded and RolledBack; RollbackIncomplete goes on trying.
bool IsTerminal(RolloutPhase phase);

enum class StagePhase : unsigned char {
  kPending,
  kAwaitingApproval,
  kProgressing,
  kBaking,
  kPassed,
  kFailed,
};
const char* ToString(StagePhase phase);

enum class ClusterPhase : unsigned char {
  kPending,
  kApplying,
  kApplied,
  kVerifying,  // waiting for health
  kHot,        // healthy, being judged
  kPassed,
  kSkippedOffline,
  kUnverified,  // its dry-run was Unavailable
  kBreached,
  kFailed,
  kRollingBack,
  kRolledBack,
  kRollbackBlocked,
  kRollbackPendingOffline,
};
const char* ToString(ClusterPhase phase);

// Clusters with equal render inputs share one rendered object set.
struct Variant {
  std::string digest;
  int objects = 0;
  std::vector<std::string> clusters;  // sorted; empty: every cluster of the rollout
  bool operator==(const Variant&) const = default;
};

struct Release {
  std::string release_digest;
  std::string input_digest;
  std::string revision;  // "main@sha1:<commit>"
  std::vector<Variant> variants;
  bool operator==(const Release&) const = default;
};

// A stage with its clusters frozen when the rollout was created.
struct RolloutStage {
  Stage stage;
  std::vector<std::string> clusters;  // sorted
  bool operator==(const RolloutStage&) const = default;
};

struct RolloutSlo {
  std::string name;
  ServiceLevelObjectiveSpec spec;
  bool operator==(const RolloutSlo&) const = default;
};

// Which policy admitted the release, and as whom members are written.
struct RolloutPolicy {
  std::string name;
  int64_t generation = 0;
  std::string impersonate;  // user name; "": the controller's own identity
  bool operator==(const RolloutPolicy&) const = default;
};

struct RolloutSpec {
  std::string application;  // name, same namespace
  std::string application_uid;
  int64_t fence = 0;
  RolloutReason reason = RolloutReason::kRevision;
  Release release;
  std::optional<Release> previous;  // last known good when this run began; absent for the first
  std::vector<RolloutStage> stages;
  std::vector<RolloutSlo> slos;
  std::optional<RolloutPolicy> policy;
  bool operator==(const RolloutSpec&) const = default;
};

struct StageCounts {
  int total = 0;
  int updated = 0;
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  bool operator==(const StageCounts&) const = default;
};

struct StageStatus {
  std::string name;
  StagePhase phase = StagePhase::kPending;
  StageCounts clusters;
  std::optional<WallTime> started;
  std::optional<WallTime> baking_since;  // when the last cluster passed
  std::optional<WallTime> finished;
  bool operator==(const StageStatus&) const = default;
};

// A cluster that is not in its stage's normal state.
struct ClusterException {
  std::string cluster;
  std::string stage;
  ClusterPhase phase = ClusterPhase::kFailed;
  std::string reason;   // CamelCase
  std::string message;  // names object, field and HTTP status where there are any
  std::optional<WallTime> since;
  bool operator==(const ClusterException&) const = default;
};
inline constexpr size_t kMaxClusterExceptions = 20;

// What a verdict rests on.
struct Evidence {
  std::string cluster;
  std::string objective;  // "slo/objective", or "health"
  std::string query;
  std::string expected;  // "< 0.05"
  std::string observed;  // "0.31"
  std::optional<WallTime> sampled;
  std::string message;
  bool operator==(const Evidence&) const = default;
};

// The proof of promise P2, in microseconds.
struct Timeline {
  std::optional<WallTime> breach_visible;  // breachVisibleAt: the first bad sample
  std::optional<WallTime> detected;        // detectedAt
  std::optional<WallTime> decided;         // decidedAt: the Rollback exists
  std::optional<WallTime> first_apply;     // firstApplyAt
  std::optional<WallTime> accepted;        // acceptedAt: by every reachable affected cluster
  std::optional<WallTime> ready;           // readyAt: their workloads
  bool operator==(const Timeline&) const = default;
};

struct RolloutStatus {
  int64_t observed_generation = 0;
  Conditions conditions;  // Ready, Reconciling, Stalled, Verified, RolledBack, SLORecovered
  RolloutPhase phase = RolloutPhase::kPending;
  std::string message;        // one line for people
  std::string current_stage;  // name
  std::vector<StageStatus> stages;
  StageCounts clusters;                      // over all stages
  std::vector<ClusterException> exceptions;  // the first kMaxClusterExceptions by stage and name
  int exceptions_total = 0;
  std::vector<Evidence> evidence;     // at most kMaxClusterExceptions
  std::vector<std::string> deferred;  // objects verified only after the barrier that enables them
  std::string rollback;               // name of the Rollback that ended this run
  std::optional<Timeline> timeline;   // of that rollback
  std::optional<WallTime> started;
  std::optional<WallTime> finished;
  bool operator==(const RolloutStatus&) const = default;
};

struct Rollout {
  Meta meta;
  RolloutSpec spec;
  RolloutStatus status;
  bool operator==(const Rollout&) const = default;
};

// "<app>-<first 8 digits of the digest>-<n>", cut so that it stays a DNS label.
std::string RolloutName(std::string_view application, std::string_view release_digest, int64_t n);

Result<Rollout> ParseRollout(value::Ref object);
value::Value ToValue(const Rollout& rollout);

void Describe(Fields& f, Rollout& rollout);

}  // namespace flotilla::api
