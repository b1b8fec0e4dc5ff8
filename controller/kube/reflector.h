// The watch protocol of Kubernetes as a pure state machine.
//
// It answers, for each input, what the consumer must hear and what to do next. No I/O, clock or
// threads inside: watch.h drives it. The protocol: list (or, where the server can, a watch that
// begins with the list), then watch from the list's resourceVersion; bookmarks move it; an expired
// version means list again; everything else that goes wrong means watch again from the last
// version, after a back-off. What disappeared while nobody watched is found by comparing with the
// new list.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/work_queue.h"
#include "kube/client.h"
#include "kube/resource.h"
#include "value/value.h"

namespace flotilla::kube {

struct ReflectorOptions {
  bool watch_list = true;  // try sendInitialEvents first
  BackOff back_off{.base = 800ms, .cap = 30s};
  Duration healthy_after = 120s;  // a watch that lived that long resets the back-off
  Duration silent_after = 180s;   // one that heard nothing for that long lists again at its end
};

// One line of a watch.
struct WatchEvent {
  enum class Type : unsigned char { kAdded, kModified, kDeleted, kBookmark, kError };
  Type type = Type::kError;
  value::Value object;  // of kError: the Status
};
Result<WatchEvent> ParseWatchEvent(std::string_view line);

namespace reflector {

// What happens.
struct Start {};
struct TimerFired {};
struct PageListed {
  Result<ListPage> page;
};
struct WatchOpened {};  // answered 200
struct WatchRefused {   // any other answer, or none
  Error error;
};
struct WatchSaid {
  WatchEvent event;
};
struct WatchEnded {  // the end of the stream (success), or what cut it
  Status end;
};
using Input =
    std::variant<Start, TimerFired, PageListed, WatchOpened, WatchRefused, WatchSaid, WatchEnded>;

// What the consumer hears.
struct Applied {
  value::Value object;
};
struct Deleted {
  ObjectKey key;
  value::Value last;  // as the server sent it; absent where the deletion was seen by absence
};
struct Synced {};  // everything that exists has been told; again after each list
using Output = std::variant<Applied, Deleted, Synced>;

// What to do next. Everything but GoOn ends the watch that is open.
struct GoOn {};    // keep reading, or keep waiting
struct ListNext {  // one page; the first, of the newest state, where there is no token
  std::string continue_token;
};
struct WatchFrom {
  std::string resource_version;
  bool send_initial_events = false;
  Duration timeout{0};  // timeoutSeconds of the request
};
struct WaitFor {  // then TimerFired
  Duration delay{0};
};
using Action = std::variant<GoOn, ListNext, WatchFrom, WaitFor>;

}  // namespace reflector

class Reflector {
 public:
  explicit Reflector(ReflectorOptions options)
      : options_(options), try_watch_list_(options.watch_list) {}

  // `random`: 64 random bits. Appends to `outputs`.
  reflector::Action Step(reflector::Input input, TimePoint now, uint64_t random,
                         std::vector<reflector::Output>& outputs);

  // What was told is what exists, as far as we know: false until the first list is complete, and
  // while a new one is read.
  bool synced() const { return synced_; }
  int failures() const { return failures_; }  // in a row
  const std::string& resource_version() const { return resource_version_; }
  size_t size() const { return known_.size(); }

 private:
  enum class Mode : unsigned char {
    kIdle,
    kListing,
    kOpening,
    kInitialEvents,
    kWatching,
    kBackOff
  };
  // Enough to tell a change and a replacement; hashes, compared for equality only.
  struct Known {
    size_t uid = 0;
    size_t version = 0;
    uint32_t round = 0;  // the list that it was last seen in
  };
  using Outputs = std::vector<reflector::Output>;

  // One for each input.
  reflector::Action On(reflector::PageListed& input, uint64_t random, Outputs& outputs);
  reflector::Action On(reflector::WatchRefused& input, uint64_t random);
  reflector::Action On(reflector::WatchSaid& input, TimePoint now, uint64_t random,
                       Outputs& outputs);
  reflector::Action On(reflector::WatchEnded& input, TimePoint now, uint64_t random);

  reflector::Action Connect(uint64_t random);  // the next list or watch
  reflector::Action Watch(uint64_t random);
  reflector::Action Relist(uint64_t random);  // at once the first time, then after a back-off
  reflector::Action Wait(std::optional<Duration> at_least, uint64_t random);
  void BeginList();
  void FinishList(std::string resource_version, Outputs& outputs);
  void See(value::Value object, Outputs& outputs);

  ReflectorOptions options_;
  bool try_watch_list_;
  Mode mode_ = Mode::kIdle;
  bool synced_ = false;
  bool initial_events_ = false;   // the watch that is being opened begins with the list
  bool heard_ = false;            // anything in the watch that is open
  bool continuing_ = false;       // the page that is being read is not the first
  std::string resource_version_;  // to watch from; "" means list first
  int failures_ = 0;
  uint32_t round_ = 0;
  TimePoint watching_since_{};
  std::map<ObjectKey, Known> known_;
};

}  // namespace flotilla::kube
