// Everything that makes a program non-deterministic: time, randomness, concurrency, waiting.
//
// Code above base/ is written in blocking style and waits only here. Production runs it on a
// bounded set of threads (base/thread_runtime.h); the simulation runs the same code on fibers under
// a seeded scheduler (sim/fiber_runtime.h), where Now() moves only when everybody waits.
//
// Rules that both implementations check:
//   - no Mutex is held across a wait (Event::Wait, SleepUntil, Task::Join abort where one is);
//   - every wait has a deadline, and ends early when its stop token is asked to stop;
//   - nothing but a Runtime starts a thread, sleeps, or reads a clock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/time.h"

namespace flotilla {

enum class WaitResult : unsigned char { kSet, kDeadline, kStopped };

// A flag that one side sets and the other waits for. Any number of waiters; Set wakes all of them.
class Event {
 public:
  virtual ~Event() = default;
  virtual void Set() = 0;  // may be called from any thread, and from a stop callback
  virtual void Reset() = 0;
  virtual bool IsSet() const = 0;
  // A set event wins over a passed deadline, and both over a stop.
  virtual WaitResult Wait(TimePoint deadline, std::stop_token stop) = 0;
};

// Something running that was spawned. Destroying it asks it to stop and waits for its end.
class Task {
 public:
  virtual ~Task() = default;
  virtual void RequestStop() = 0;
  virtual void
  Join() = 0;  // waits without deadline; the owner has asked it to stop, or knows it ends
  virtual bool Done() const = 0;
};

class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual TimePoint Now() const = 0;
  virtual WallTime WallNow() const = 0;
  virtual uint64_t Random() = 0;  // in production fit for keys and nonces

  // Runs `body` concurrently. `name` appears in logs and in the traces of the simulation. The token
  // is asked to stop when the Task is.
  virtual std::unique_ptr<Task> Spawn(std::string name,
                                      std::function<void(std::stop_token)> body) = 0;
  virtual std::unique_ptr<Event> NewEvent() = 0;

  // Returns false when stopped before the time came.
  virtual bool SleepUntil(TimePoint time, std::stop_token stop) = 0;
  bool SleepFor(Duration duration, std::stop_token stop) {
    return SleepUntil(Now() + duration, std::move(stop));
  }
};

// A mutex that knows how many are held by the running thread, so that waiting while holding one is
// found at once, in production as in the simulation. Guard with std::lock_guard<Mutex>.
class Mutex {
 public:
  void lock();
  bool try_lock();
  void unlock();

  // How many Mutexes the calling thread holds.
  static int HeldByThisThread();
  // Aborts, naming the wait, where the calling thread holds any: every wait begins with it.
  static void AbortIfHeld(const char* wait);

 private:
  std::mutex mutex_;
};
using MutexLock = std::lock_guard<Mutex>;

}  // namespace flotilla
