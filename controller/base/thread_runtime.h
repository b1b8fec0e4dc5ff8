// The Runtime of production: threads, the system's clocks, the system's randomness.
//
// Threads are kept and reused. A task gets an idle thread, or a new one up to `max_threads`; beyond
// that Spawn aborts the process and prints the names of the running tasks. It does not queue: a
// task that waits for one that is queued behind it would hang for ever, and the number of tasks of
// this program is known by design (loops and workers, never one per object or request).
//
// Random() is the system's cryptographic generator: fit for keys and nonces.
#pragma once

#include <memory>

#include "base/runtime.h"

namespace flotilla {

class ThreadRuntime final : public Runtime {
 public:
  explicit ThreadRuntime(int max_threads = 256);
  ~ThreadRuntime() override;  // every Task must be gone

  TimePoint Now() const override;
  WallTime WallNow() const override;
  uint64_t Random() override;
  std::unique_ptr<Task> Spawn(std::string name, std::function<void(std::stop_token)> body) override;
  std::unique_ptr<Event> NewEvent() override;
  bool SleepUntil(TimePoint time, std::stop_token stop) override;

 private:
  class Pool;
  std::unique_ptr<Pool> pool_;
};

}  // namespace flotilla
