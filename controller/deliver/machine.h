// The delivery machine of one application: what runs where, what happens next.
//
// Pure: no I/O, no clock, no randomness, no threads. The shell (operate/) feeds it what happened
// and executes what it answers, in order: a command that records something durable (Create*, Save*)
// takes effect before any command that follows it is started, and when it fails nothing that follows
// it happens. So the machine may treat what it said as done.
//
//   Commands commands;
//   Step(state, RevisionSeen{...}, now, commands);
//   // commands == {Prepare{...}}
//
// Results carry the fence of the command that they answer; those of an older fence are dropped.
// After a restart the shell rebuilds the state with Restore (restore.h) from what is durable, and
// goes on. tests/unit/deliver reads as the specification.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "api/cluster.h"
#include "api/rollout.h"
#include "base/result.h"
#include "base/time.h"
#include "deliver/release.h"

namespace flotilla::deliver {

// The present, as the shell reads it from its two clocks: deadlines use `mono`, records use `wall`.
struct Moment {
  TimePoint mono;
  WallTime wall;
};

// ---------------------------------------------------------------------------------------------
// What the machine knows.

using RunPhase = api::RolloutPhase;
using ClusterPhase = api::ClusterPhase;
bool IsFinal(RunPhase phase);  // no step of this run follows by itself

enum class Verdict : unsigned char { kPass, kNoData, kError, kBreach };  // in order of severity
const char* ToString(Verdict verdict);

enum class Health : unsigned char { kUnknown, kInProgress, kHealthy, kFailed };
const char* ToString(Health health);

struct ClusterRun {
  std::string name;
  int stage = 0;
  ClusterPhase phase = ClusterPhase::kPending;
  bool dry_run_pending = false;
  bool touched = false;  // something of this run may have been written there
  bool inherited = false;  // something of a run that this one superseded may be there
  bool verified = false;   // the cluster has accepted a dry run of the release
  bool refused = false;    // ... or has refused it
  Health health = Health::kUnknown;
  std::optional<Verdict> verdict;  // the newest since it was applied
  TimePoint since{};               // entered this phase
  TimePoint started{};             // its first apply; the progress deadline counts from here
  TimePoint healthy_since{};
  int attempts = 0;
  TimePoint retry_at = kForever;
  WallTime applied_at{};  // the API server accepted the whole set
  std::string message;
};

struct Timeline {
  std::optional<WallTime> breach_visible_at, detected_at, decided_at, first_apply_at, accepted_at,
      ready_at;
};

struct Evidence {
  std::string cluster;
  std::string objective;
  Verdict verdict = Verdict::kPass;
  std::string query;
  std::string expected;  // "< 0.05"
  std::string observed;  // "0.31"
  std::string detail;    // for people: "0.31, expected < 0.05, sampled 2026-11-20T08:00:00Z"
  WallTime sample_time{};   // of the sample itself
  WallTime readable_at{};   // first answer that held it
};

// One run of a release over the fleet: the Rollout object.
struct Run {
  std::string name;  // "<app>-<digest8>-<n>"
  int number = 0;
  Fence fence = 0;
  ReleaseId release;
  ReleaseId base;  // the target before: what clusters hold that this run has not reached
  Fence base_fence = 0;
  RunPhase phase = RunPhase::kValidating;
  size_t stage = 0;
  std::vector<api::RolloutStage> stages;
  std::vector<ClusterRun> clusters;  // sorted by stage, then name
  bool stage_approved = false;
  bool bake_skipped = false;
  TimePoint bake_until = kForever;
  TimePoint watch_until = kForever;  // SLO watch after success
  std::string schema_key;  // of what its verdicts depended on beside the release
  std::string pause_reason;
  std::string message;
  WallTime started_at{}, stage_started_at{}, finished_at{};
  std::set<std::string> pruning;  // clusters that were asked to prune for this run
  std::set<std::string> pruned;  // clusters whose prune of this run is done
};

// The rollback that is running or has run: the Rollback object.
struct RollbackRun {
  std::string name;  // "<app>-rb-<fence of the target it replaces>"
  Fence fence = 0;
  std::string from_rollout;
  ReleaseId from;
  ReleaseId to;
  std::vector<ClusterRun> clusters;  // that hold, or may hold, another release than `to`; by name
  std::string cause;  // Breach, Failure, Manual
  std::string reason;
  std::string requested_by;
  bool complete = false;  // every cluster is rolled back, blocked or offline
  TimePoint verify_at = kForever;  // when the SLO is looked at again
  Timeline timeline;
};

struct Quarantine {
  std::string release_digest;
  std::string input_digest;
  std::string rollback;  // the Rollback that holds it
  bool operator==(const Quarantine&) const = default;
};

struct HistoryEntry {
  std::string rollout;
  ReleaseId release;
  RunPhase result = RunPhase::kSucceeded;
  Fence fence = 0;
  WallTime finished_at{};
};

struct Settings {
  std::string name;          // of the application
  std::string namespace_name;
  bool prune = true;
  bool judged = false;  // there are objectives: a cluster passes only with a Pass of its gate
  bool automatic_rollback = true;
  bool enforce_drift = true;
  int max_rollbacks_per_day = 3;
  Duration lookback{0};  // how long after an error the objectives still count it
  Duration watch_after_success = 10min;
  Duration verify_after_rollback = 2min;
};

// What the fleet machine says about this application.
struct FleetView {
  struct Cluster {
    bool reachable = true;
    bool suspended = false;
    api::Connectivity connectivity = api::Connectivity::kAlways;
  };
  std::map<std::string, Cluster> clusters;  // every registered cluster, by name
  std::optional<std::string> frozen;        // why forward progress stops: "Freeze holiday by alice"
};

struct PreparedRelease {
  ReleaseId release;
  std::vector<api::RolloutStage> stages;  // with their clusters
  std::string schema_key;     // of what the verdicts depended on beside the release
};

struct Convergence {
  Fence fence = 0;
  int attempts = 0;
  TimePoint retry_at = kForever;
  std::string message;
};

struct AppState {
  Settings settings;

  // Where the application should be when nothing is going on. `target` is what the last finished run
  // or rollback left; clusters lists where it was put.
  ReleaseId target;
  Fence target_fence = 0;
  std::set<std::string> target_clusters;
  Fence max_fence = 0;  // the highest ever seen, anywhere

  std::vector<HistoryEntry> history;  // newest first
  std::vector<Quarantine> quarantine;
  bool pinned = false;

  std::optional<Run> run;            // the latest; kept after it has finished
  std::optional<RollbackRun> rollback;
  bool rollback_requested = false;   // CreateRollback was said; RollbackSeen has not come yet
  Timeline pending_timeline;         // of the rollback that was requested
  std::vector<Evidence> evidence;    // of the breach that asked for it
  std::vector<WallTime> rollbacks;   // of the last day, for the breaker

  // Forward: what was last prepared, and what waits for the running one to end.
  uint64_t prepare_id = 0;  // of the newest Prepare; older answers are dropped
  bool preparing = false;
  std::string wanted_revision;
  std::optional<PreparedRelease> queued;
  std::string rejected_digest, rejected_key;  // Invalid, until one of the two changes
  // Why the application is not moving forward, for its conditions.
  std::string stalled_reason, stalled_message;
  std::string outdated_message;
  // Convergence of clusters outside a run (drift, return, late joiners): what is under way.
  std::map<std::string, Convergence> converging;
  // What the shell was last told, so that it is told changes only.
  Fence watched_fence = 0;
  std::vector<std::string> watched;
  TimePoint wake_at = kForever;
};

// ---------------------------------------------------------------------------------------------
// What happened.

// First of all, after Restore: what was under way goes on.
struct Restored {};
// The head of the source moved, or is known for the first time.
struct RevisionSeen { std::string revision; };
struct SourceFailed { Error error; };  // it cannot be fetched, and was not before
// The shell asks for a new preparation: the spec, the placement, a policy or an input changed.
struct InputsChanged {};
struct Prepared { uint64_t id = 0; PreparedRelease prepared; };
struct PrepareFailed { uint64_t id = 0; Error error; };

enum class DryRunAnswer : unsigned char { kAccepted, kInvalid, kUnavailable };
struct DryRunDone {
  std::string cluster;
  Fence fence = 0;
  DryRunAnswer answer = DryRunAnswer::kAccepted;
  std::string message;
  Fence held_fence = 0;  // of the parent there, as it was before
};

// The API server of the cluster accepted the whole set of this fence.
struct Applied { std::string cluster; Fence fence = 0; int written = 0; WallTime at{}; };
struct ApplyFailed { std::string cluster; Fence fence = 0; Error error; };
struct Pruned { std::string cluster; Fence fence = 0; int deleted = 0; std::string blocked; };
struct HealthSeen { std::string cluster; Fence fence = 0; Health health = Health::kUnknown; std::string message; };
// One tick of the gate over every watched cluster; evidence of what is not Pass.
struct VerdictSeen { std::string cluster; Fence fence = 0; Verdict verdict = Verdict::kPass; std::vector<Evidence> evidence; };

struct ReachabilityChanged { std::string cluster; };  // see FleetView
// What the parent on a member says it holds (read on connect, and when somebody changed it).
struct HeldSeen {
  std::string cluster;
  Fence fence = 0;
  std::string release_digest;
  bool complete = false;
  bool surplus = false;  // the record lists objects that the release does not hold
};
struct Drifted { std::string cluster; std::string what; };

// A Rollback object exists: made by the machine's own CreateRollback, or by a person.
struct RollbackSeen {
  std::string name;
  std::string cause, reason, requested_by;
  std::optional<ReleaseId> to;  // resolved by the shell where the spec names one; else last known good
  bool force = false;  // also to a quarantined release
};
struct RollbackReleased { std::string name; };
struct ApprovalSeen { std::string rollout; std::string stage; std::string release_digest; bool skip_bake = false; };
struct FleetChanged {};  // the FleetView differs from the last one
struct TimeCame {};      // a time asked for by WakeAt has come

using Event = std::variant<Restored, RevisionSeen, SourceFailed, InputsChanged, Prepared, PrepareFailed, DryRunDone, Applied,
                           ApplyFailed, Pruned, HealthSeen, VerdictSeen, ReachabilityChanged,
                           HeldSeen, Drifted, RollbackSeen, RollbackReleased, ApprovalSeen,
                           FleetChanged, TimeCame>;
const char* NameOf(const Event& event);

// ---------------------------------------------------------------------------------------------
// What to do.

// Render, check and plan the newest revision. Answered by Prepared or PrepareFailed with this id.
struct Prepare { uint64_t id = 0; };
// Durable: the release's snapshot, then the Rollout object with its fence.
struct CreateRollout {};
// Durable: the status of the Rollout, the Rollback or the Application as the state now says.
struct SaveRollout {};
struct CloseRollout { std::string name; RunPhase phase = RunPhase::kSuperseded; std::string message; };  // of an earlier run
struct SaveRollback {};
struct SaveApplication {};
// Durable: the commit point of a rollback. An object of that name that exists is as good.
struct CreateRollback { std::string name; std::string cause, reason; };
// Durable: the status of a Rollback that is not carried out, and why.
struct RefuseRollback { std::string name; std::string why; };
struct FreezeApplication { std::string reason; };

struct DryRun { std::string cluster; Fence fence = 0; ReleaseId release; };
enum class Lane : unsigned char { kForward, kRollback };
// Bring the cluster to the release. Answered by Applied or ApplyFailed. A later Apply for the same cluster
// with a higher fence cancels an earlier one.
struct Apply { std::string cluster; Fence fence = 0; ReleaseId release; Lane lane = Lane::kForward; };
struct Prune { std::string cluster; Fence fence = 0; ReleaseId release; Lane lane = Lane::kForward; };
// Stop every forward apply of a fence below this one, and start none.
struct CancelBelow { Fence fence = 0; };
// Judge these clusters' objectives every tick, from the given moments on. Replaces what was watched.
struct Watch { Fence fence = 0; std::vector<std::string> clusters; };
struct WakeAt { TimePoint time; };
// An Event for people (and notifiers): `reason` is CamelCase, `warning` its type.
struct Say { bool warning = false; std::string reason; std::string message; };

using Command = std::variant<Prepare, CreateRollout, SaveRollout, CloseRollout, SaveRollback, SaveApplication,
                             CreateRollback, RefuseRollback,
                             FreezeApplication, DryRun, Apply, Prune,
                             CancelBelow, Watch, WakeAt, Say>;
using Commands = std::vector<Command>;
const char* NameOf(const Command& command);

void Step(AppState& state, const Event& event, const Moment& now, const FleetView& fleet,
          Commands& commands);

// The release and fence that a cluster should hold now; empty where the application has none for it.
struct Wanted {
  ReleaseId release;
  Fence fence = 0;
};
Wanted WantedOf(const AppState& state, const std::string& cluster);

// Whether a release may be applied at all. The lowest-level apply function asks this again.
const Quarantine* FindQuarantine(const AppState& state, const ReleaseId& release);

// The newest success that is neither quarantined nor `failing`; nullopt where there is none.
std::optional<ReleaseId> RollbackTarget(const AppState& state, const ReleaseId& failing);

}  // namespace flotilla::deliver
