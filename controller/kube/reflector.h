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
};

// One line of a watch.
struct WatchEvent {
  enum class Type : unsigned char { kAdded, kModified, kDeleted, kBookmark, kError };
  Type type = Type::kError;
  value::Value object;  // of kError: the Status
};
Result<WatchEvent> ParseWatchEvent(std::string_view line);

// --- what happens ---
struct Start {};
struct TimerFired {};
struct PageListed {
  Result<ListPage> page;
};
struct WatchOpened {};  // 200
struct WatchRefused {
  Error error;
};  // any other answer, or none
struct WatchSaid {
  WatchEvent event;
};
struct WatchEnded {
  Status end;
};  // EOF, reset, silence
using Input =
    std::variant<Start, TimerFired, PageListed, WatchOpened, WatchRefused, WatchSaid, WatchEnded>;

// --- what the consumer hears ---
struct Applied {
  value::Value object;
};
struct Deleted {
  ObjectKey key;
  value::Value last;  // as the server sent it; absent where the deletion was seen by absence
};
struct Synced {};  // everything that exists has been told; again after each relist
using Output = std::variant<Applied, Deleted, Synced>;

// --- what to do next ---
struct ListNext {                // one page
  std::string resource_version;  // of the first page: "0" (cache) or "" (newest)
  std::string continue_token;
};
struct WatchFrom {
  std::string resource_version;
  bool send_initial_events = false;
  Duration timeout{0};  // timeoutSeconds of the request
};
struct WaitFor {
  Duration delay{0};
};               // then TimerFired; a stream that is open is closed
struct GoOn {};  // keep reading, or keep waiting
using Action = std::variant<GoOn, ListNext, WatchFrom, WaitFor>;

class Reflector {
 public:
  explicit Reflector(ReflectorOptions options) : options_(options) {}

  // `random`: 64 random bits. Appends to `outputs`.
  Action Step(Input input, TimePoint now, uint64_t random, std::vector<Output>& outputs);

  // True between a Synced and the next relist: what was told is what exists, as far as we know.
  bool synced() const { return synced_; }
  const std::string& resource_version() const { return resource_version_; }
  size_t size() const { return known_.size(); }

 private:
  enum class Mode : unsigned char { kIdle, kListing, kInitialEvents, kWatching, kBackOff };
  // Enough to tell a change and a replacement; compared for equality only.
  struct Known {
    uint64_t uid = 0;
    uint64_t version = 0;
    uint32_t round = 0;  // the list that it was last seen in
  };

  Action Connect(uint64_t random);
  Action Relist(uint64_t random);
  Action Fail(const Error& error, TimePoint now, uint64_t random);
  Action OnPage(PageListed& input, TimePoint now, uint64_t random, std::vector<Output>& outputs);
  Action OnEvent(WatchEvent& event, TimePoint now, uint64_t random, std::vector<Output>& outputs);
  void See(value::Value object, std::vector<Output>& outputs);
  void FinishList(std::vector<Output>& outputs);

  ReflectorOptions options_;
  Mode mode_ = Mode::kIdle;
  bool synced_ = false;
  bool try_watch_list_ = true;
  bool from_cache_ = true;        // the next list may come from the server's cache
  std::string resource_version_;  // to watch from; "" means list first
  std::string continue_token_;
  int failures_ = 0;
  uint32_t round_ = 0;
  TimePoint watching_since_{};
  std::map<ObjectKey, Known> known_;
};

}  // namespace flotilla::kube
