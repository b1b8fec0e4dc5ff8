// A drill: one application, a script of commits and a script of faults, both drawn from a seed.
//
// Everything that a member or the hub accepts is watched as it happens; a broken promise is noted
// with its time. When the script is over all faults end, and the fleet has to arrive at the last
// commit. What happened is told by Journal(), in the order of virtual time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "sim/world.h"

namespace flotilla::sim {

enum class FaultKind : unsigned char {
  kCrash,        // of a controller, at any moment; it comes back
  kStandby,      // a second controller runs from the beginning
  kLost,         // requests and replies to members and hub vanish, connections break
  kLate,         // requests arrive up to a minute late, whatever became of their sender
  kOverload,     // 429 and 5xx
  kWatchCut,     // streams break, histories are forgotten
  kBlackHole,    // a member falls silent and returns
  kHubAway,      // the hub's API refuses connections for a while
  kMetrics,      // empty, NaN, stale, unavailable
  kGitAway,      // the repository cannot be reached
  kCount,
};
const char* ToString(FaultKind kind);
using FaultKinds = std::set<FaultKind>;
FaultKinds AllFaults();

class Drill {
 public:
  // `kinds`: what may happen; each is drawn or not.
  Drill(uint64_t seed, const FaultKinds& kinds, LogSink log);
  ~Drill();

  // Plays the script to its end. The first broken promise, or what did not arrive in time; empty
  // when all is well.
  std::string Run();
  std::string Journal() const;
  World& world() { return *world_; }

 private:
  struct Commit {
    enum class Kind : unsigned char { kGood, kBad, kInvalid, kEmpty } kind = Kind::kGood;
    std::string image;
    bool extra = false;  // a ConfigMap that other commits do not have
  };

  size_t Draw(size_t below) { return static_cast<size_t>(random_() % below); }
  bool Chance(unsigned percent) { return random_() % 100 < percent; }
  Duration Between(Duration least, Duration most);

  void Build();
  void WatchMember(const std::string& name);
  void WatchHub();
  void OnMemberWrite(const std::string& name, const AuditRecord& record);
  void OnHubWrite(const AuditRecord& record);
  void Note(std::string text);
  void Broken(std::string promise);

  void Make(const Commit& commit);
  void Break(FaultKind kind);
  void EndFaults();
  void At(Duration from_now, std::function<void()> what);
  void Play(Duration duration);  // with everything that is due meanwhile
  bool PlayUntil(const std::function<bool()>& done, Duration limit);
  void Supervise();
  void SetLinks();

  std::string Settled() const;           // why not; empty: nothing is under way
  std::string Arrived(const Commit& commit) const;  // why not
  std::string CheckIdle();

  const uint64_t seed_;
  std::mt19937_64 random_;
  FaultKinds kinds_;
  std::unique_ptr<World> world_;
  std::vector<std::string> later_;  // members beyond the canary
  std::vector<std::string> controllers_;
  std::multimap<TimePoint, std::function<void()>> due_;
  Link link_;                        // of everybody now
  std::set<std::string> silent_;     // members that are black-holed
  bool hub_away_ = false;
  bool ended_ = false;               // no fault begins any more

  std::set<std::string> may_go_;     // objects that some commit left out
  std::map<std::string, std::string> held_;  // member → the release that its parent names
  std::set<std::string> left_;       // digests that a Rollback was made for
  bool succeeded_ = false;           // some release has reached every cluster
  std::vector<std::string> journal_;
  std::string broken_;
};

}  // namespace flotilla::sim
