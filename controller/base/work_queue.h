// Keys that need work, each worked on by one worker at a time.
//
// Any number of Adds of one key before it is taken are one piece of work; an Add while it is being
// worked on runs it once more afterwards. The key carries no data: a worker reads the current
// state. Semantics of client-go's util/workqueue.
//
//   while (auto key = queue.Take(stop)) {
//     Status done = Reconcile(*key);
//     if (done) queue.Forget(*key); else queue.AddRateLimited(*key);
//     queue.Done(*key);
//   }
//
// Safe for concurrent use.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"

namespace flotilla {

struct BackOff {
  Duration base = 200ms;  // after the first failure; doubles with each
  Duration cap = 5min;
  double jitter = 0.2;  // each delay is multiplied by a factor of 1 ± this

  // The delay after `failures` (≥ 1) in a row.
  Duration Delay(int failures, uint64_t random) const;
};

class WorkQueue {
 public:
  explicit WorkQueue(Runtime& runtime, BackOff back_off = {});

  void Add(std::string_view key);
  // No later than then: the earliest of several times counts.
  void AddAt(std::string_view key, TimePoint time);
  void AddAfter(std::string_view key, Duration delay) { AddAt(key, runtime_.Now() + delay); }
  // Later by one more step of the key's back-off; returns the delay. Forget resets it.
  Duration AddRateLimited(std::string_view key);
  void Forget(std::string_view key);
  int Failures(std::string_view key) const;

  // The next key, oldest first; waits for one. nullopt when stopped or shut down. Done must follow.
  std::optional<std::string> Take(const std::stop_token& stop);
  void Done(std::string_view key);

  void ShutDown();       // every Take ends; Adds are ignored
  size_t Ready() const;  // keys that wait for a worker, without delayed ones

 private:
  struct Delayed {
    TimePoint time;
    uint64_t order;  // of the call, among equal times
    std::string key;
    bool operator>(const Delayed& other) const {
      return time != other.time ? time > other.time : order > other.order;
    }
  };

  void AddLocked(std::string_view key);
  void AddAtLocked(std::string_view key, TimePoint time);
  void PromoteDueLocked(TimePoint now);

  Runtime& runtime_;
  const BackOff back_off_;
  const std::unique_ptr<Event> ready_;  // set while a Take could find something to do
  mutable Mutex mutex_;
  bool shut_down_ = false;
  uint64_t order_ = 0;
  std::deque<std::string> queue_;
  std::set<std::string, std::less<>> dirty_;
  std::set<std::string, std::less<>> processing_;
  std::vector<Delayed> delayed_;                       // a heap, the earliest first
  std::map<std::string, TimePoint, std::less<>> due_;  // the earliest time of a delayed key
  std::map<std::string, int, std::less<>> failures_;
};

}  // namespace flotilla
