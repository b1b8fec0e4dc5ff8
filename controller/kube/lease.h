// Leader election over a coordination.k8s.io/v1 Lease.
//
// A lease has expired when its record has not changed for its duration on OUR clock, counted from
// when we saw it change: its renewTime is written for people. The leader renews by a PUT with the
// resourceVersion that it knows, and gives up by itself before the others may take over: renew
// deadline < lease duration, counted from before the last successful renewal was sent.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/runtime.h"
#include "kube/client.h"
#include "value/value.h"

namespace flotilla::kube {

// What every write path asks for: proof that somebody decided that this process may write now.
// Leadership ends by the clock, so that neither a hanging request nor a process that was suspended
// can make it last longer.
class LeaderToken {
 public:
  struct Term {
    explicit Term(const Runtime& r) : runtime(r) {}
    const Runtime& runtime;
    std::atomic<TimePoint::rep> until{0};  // of runtime.Now()
  };
  LeaderToken(std::stop_token lost, std::shared_ptr<const Term> term)
      : lost_(std::move(lost)), term_(std::move(term)) {}
  // Of a process that has no rival for what it writes (the CLI).
  static LeaderToken WithoutElection() { return LeaderToken({}, nullptr); }

  bool Valid() const {
    return !lost_.stop_requested() &&
           (!term_ || term_->runtime.Now().time_since_epoch().count() < term_->until.load());
  }
  // Asked to stop when leadership is lost.
  const std::stop_token& lost() const { return lost_; }

 private:
  std::stop_token lost_;
  std::shared_ptr<const Term> term_;
};

struct LeaseOptions {
  std::string ns{};
  std::string name{};
  std::string identity{};  // unique per process: pod name and a random part
  Duration lease = 5s;     // whole seconds
  Duration renew = 4s;     // lease > renew > 1.2 × retry
  Duration retry = 1s;
};
Status Check(const LeaseOptions& options);

struct LeaseRecord {
  std::string holder{};  // "" : released
  Duration duration{0};
  WallTime acquired{};
  WallTime renewed{};
  int64_t transitions = 0;
  std::string resource_version{};
  std::string uid{};
  bool operator==(const LeaseRecord&) const = default;
};
Result<LeaseRecord> ParseLease(value::Ref object);
// The whole object; with its resourceVersion, where it has one.
value::Value ToLease(const LeaseOptions& options, const LeaseRecord& record);

// What we know of the lease.
struct LeaseView {
  std::optional<LeaseRecord> record;  // nullopt: it does not exist
  TimePoint changed_at{};             // when we saw `record` become what it is
};
// Takes note of what was read at `now`.
void Observe(LeaseView& view, std::optional<LeaseRecord> record, TimePoint now);

enum class LeaseMove : unsigned char { kCreate, kTake, kRenew, kWait };
// Pure: what a candidate does next.
LeaseMove Decide(const LeaseOptions& options, const LeaseView& view, TimePoint now);
// The record that this move writes.
LeaseRecord NextRecord(const LeaseOptions& options, const LeaseView& view, LeaseMove move,
                       WallTime now);

struct LeaderEvents {
  std::function<void(LeaderToken token)> on_elected{};  // must not block
  std::function<void()> on_lost{};  // after the token was revoked; must not block
  std::function<void(const std::string& identity)> on_leader{};  // another, or us
};

// Runs until stopped. Returns with the reason when leadership is lost; run it again to be a
// candidate again. After a stop it revokes the token, releases the lease and returns success: stop
// it after everything that writes. `client` should have a connection of its own
// (ClientOptions::connections = 1), so that no queue can cost leadership.
Status RunElection(Runtime& runtime, Client& client, const LeaseOptions& options,
                   const LeaderEvents& events, std::stop_token stop);

}  // namespace flotilla::kube
