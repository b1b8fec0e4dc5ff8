// Calls functions at points in time, from one task, however many are waiting.
//
// Watches, windows and leases need thousands of timers but no thread of their own for each. The
// functions run one after the other on the timers' task and must not block; they may set and cancel
// timers. Destroying the Timers drops what has not run and waits for the one that is running.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/runtime.h"

namespace flotilla::kube {

class Timers {
 public:
  using Id = uint64_t;  // never 0

  explicit Timers(Runtime& runtime);
  ~Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  // Any thread. A time that has passed means as soon as possible, and never from inside At.
  Id At(TimePoint when, std::function<void()> run);
  // True where it will not run any more. False: it ran, or is running now. 0 is no timer.
  bool Cancel(Id id);

 private:
  void Loop(std::stop_token stop);

  Runtime& runtime_;
  Mutex mutex_;
  // By time, then in the order they were set; guarded by mutex_.
  std::map<std::pair<TimePoint, Id>, std::function<void()>> queue_;
  std::map<Id, TimePoint> times_;
  Id next_ = 1;
  std::unique_ptr<Event> changed_;
  std::unique_ptr<Task> task_;  // last: it uses all of the above
};

}  // namespace flotilla::kube
