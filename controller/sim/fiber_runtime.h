// A Runtime whose tasks are fibers on one thread, under a scheduler that a seed decides.
//
// Whenever several fibers can run, the seed picks one; it runs until it waits. Virtual time stands
// still while anybody can run, and then jumps to the earliest deadline. The same seed and the same
// program give the same schedule, on every machine: ScheduleHash() tells.
//
// Waits may also be called from outside any fiber (a test's own body): they run the fibers until
// the wait is over. Everything here is for one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/runtime.h"

namespace flotilla::sim {

class Incarnation;

struct FiberOptions {
  uint64_t seed = 1;
  WallTime start = WallTime(std::chrono::seconds(1'767'225'600));  // 2026-01-01T00:00:00Z
  size_t stack_bytes =
      256u << 10;               // per fiber, besides a guard page; four times as much under ASan
  size_t trace_entries = 4096;  // the newest ones are kept
};

class FiberRuntime final : public Runtime {
 public:
  explicit FiberRuntime(FiberOptions options = {});
  // Asks every fiber that is left to stop and runs it to its end.
  ~FiberRuntime() override;

  TimePoint Now() const override;
  WallTime WallNow() const override;
  uint64_t Random() override;
  std::unique_ptr<Task> Spawn(std::string name, std::function<void(std::stop_token)> body) override;
  std::unique_ptr<Event> NewEvent() override;
  bool SleepUntil(TimePoint time, std::stop_token stop) override;

  // Runs fibers until `done` (asked after every step) answers true. Timeout when virtual time would
  // pass `deadline`, Internal when nothing can ever run again; both name the waiting fibers. Only
  // from outside any fiber.
  Status RunUntil(const std::function<bool()>& done, TimePoint deadline);
  // Runs everything that happens until then, and leaves Now() there.
  void RunFor(Duration duration);

  // A process in the simulation. Give it to the code under test as its Runtime.
  std::unique_ptr<Incarnation> NewIncarnation(std::string name);

  // Moves the wall clock alone (a clock that jumps).
  void ShiftWallClock(Duration by);

  // An independent seeded stream for a part of the simulated world: its draws change nobody else's.
  uint64_t ForkSeed();

  // Adds a line to the trace and to the hash.
  void Note(std::string_view text);
  // The newest events, "time task event" per line.
  std::string Trace() const;
  // Of every step so far (which fiber, when, why, notes). Two runs that differ took different ways.
  uint64_t ScheduleHash() const;
  uint64_t Switches() const;
  // The names of the fibers that wait, and for what.
  std::vector<std::string> Waiting() const;

 private:
  friend class Incarnation;
  class Scheduler;
  std::unique_ptr<Scheduler> scheduler_;
};

// One life of a simulated process, from start to crash. After Crash each of its fibers finds every
// wait over (kStopped), its stop token asked to stop, and Spawn without effect: its code runs out
// without doing anything that another process could see (the simulated network and disk refuse it).
// Its Tasks still join, and it runs after everybody else of the instant, when the network has ended
// its requests: memory stays safe.
class Incarnation final : public Runtime {
 public:
  ~Incarnation() override;  // its fibers must be gone

  void Crash();
  bool Crashed() const { return crashed_.stop_requested(); }
  std::stop_token Life() const { return crashed_.get_token(); }  // asked to stop by Crash
  const std::string& name() const { return name_; }

  TimePoint Now() const override { return world_.Now(); }
  WallTime WallNow() const override { return world_.WallNow(); }
  uint64_t Random() override { return world_.Random(); }
  std::unique_ptr<Task> Spawn(std::string name, std::function<void(std::stop_token)> body) override;
  std::unique_ptr<Event> NewEvent() override { return world_.NewEvent(); }
  bool SleepUntil(TimePoint time, std::stop_token stop) override;

 private:
  friend class FiberRuntime;
  Incarnation(FiberRuntime& world, std::string name) : world_(world), name_(std::move(name)) {}
  FiberRuntime& world_;
  const std::string name_;
  std::stop_source crashed_;
};

}  // namespace flotilla::sim
