// Rollback: creating one is the only commit point of a rollback (DESIGN section 2).
//
// The spec never changes after creation, except that spec.release may be set once. It holds pin and
// quarantine; Application.status only repeats them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/application.h"
#include "api/conditions.h"
#include "api/meta.h"
#include "base/result.h"

namespace flotilla::api {

enum class RollbackCause : unsigned char { kBreach, kFailure, kManual };
const char* ToString(RollbackCause cause);

enum class RollbackPhase : unsigned char {
  kPending,
  kApplying,
  kVerifying,  // every reachable cluster accepted; waiting for SLO and health
  kSucceeded,
  kIncomplete,  // some clusters are missing; goes on trying
  kBlocked,     // nothing to go back to, or a terminal refusal
  kPlanned,     // dry-run: the diff is in status.diffSecret
};
const char* ToString(RollbackPhase phase);

// The release that is left or gone to. Any of the fields may be empty in a request by hand
// (`to` empty: last known good); the controller resolves it into status.
struct RollbackEnd {
  std::string release_digest;
  std::string input_digest;
  std::string revision;
  std::string rollout;  // name
  bool operator==(const RollbackEnd&) const = default;
};

// A release that matches either digest is not applied until somebody releases it.
struct Quarantine {
  std::string release_digest;
  std::string input_digest;
  bool operator==(const Quarantine&) const = default;
};

// Set once, by a person: ends pin and quarantine.
struct RollbackRelease {
  std::string by;  // equals the requesting user (ValidatingAdmissionPolicy)
  std::optional<WallTime> at;
  std::string reason;
  bool operator==(const RollbackRelease&) const = default;
};

struct RollbackSpec {
  std::string application;  // name, same namespace
  int64_t fence = 0;        // of the target that it replaces
  RollbackEnd from;
  RollbackEnd to;
  RollbackScope scope = RollbackScope::kRevision;
  std::string stage;                  // Stage: its name
  std::vector<std::string> clusters;  // Cluster: their names
  RollbackCause cause = RollbackCause::kManual;
  std::string reason;
  bool pin = true;  // hold `to` until a new release or a person ends it
  std::optional<Quarantine> quarantine;
  bool dry_run = false;  // commits nothing; answered by a diff
  bool force = false;    // `to` may be quarantined
  std::string requested_by;
  std::optional<RollbackRelease> release;
  bool operator==(const RollbackSpec&) const = default;
};

struct RollbackStatus {
  int64_t observed_generation = 0;
  Conditions conditions;  // Ready, Reconciling, Stalled
  RollbackPhase phase = RollbackPhase::kPending;
  std::string message;
  int64_t fence = 0;                    // under which it writes: above spec.fence
  std::optional<RollbackEnd> resolved;  // what `to` came to mean
  ClusterCounts clusters;
  std::string diff_secret;  // dry-run: owned Secret with the redacted diff
  std::optional<WallTime> started;
  std::optional<WallTime> finished;
  bool operator==(const RollbackStatus&) const = default;
};

struct Rollback {
  Meta meta;
  RollbackSpec spec;
  RollbackStatus status;
  bool operator==(const Rollback&) const = default;
};

// "<app>-rb-<fence>", cut so that it stays a DNS subdomain: two writers that replace one target
// choose one name. Dry-runs take generateName instead.
std::string RollbackName(std::string_view application, int64_t fence);

Result<Rollback> ParseRollback(value::Ref object);
value::Value ToValue(const Rollback& rollback);

void Describe(Fields& f, Rollback& rollback);

}  // namespace flotilla::api
