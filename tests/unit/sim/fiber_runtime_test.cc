#include "sim/fiber_runtime.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/work_queue.h"
#include "catch.h"

namespace flotilla::sim {
namespace {

FiberOptions Seed(uint64_t seed) {
  FiberOptions options;
  options.seed = seed;
  return options;
}

// Three tasks that take three turns each; returns who ran in which order.
std::string Interleaving(uint64_t seed, uint64_t* hash = nullptr) {
  FiberRuntime runtime(Seed(seed));
  std::string order;
  std::vector<std::unique_ptr<Task>> tasks;
  for (char name : {'a', 'b', 'c'}) {
    tasks.push_back(runtime.Spawn(std::string(1, name), [&, name](std::stop_token stop) {
      for (int turn = 0; turn < 3; ++turn) {
        order += name;
        runtime.SleepFor(1ms, stop);
      }
    }));
  }
  for (auto& task : tasks) task->Join();
  if (hash) *hash = runtime.ScheduleHash();
  return order;
}

TEST_CASE("one seed is one schedule, and other seeds are others") {
  uint64_t first, second;
  CHECK(Interleaving(7, &first) == Interleaving(7, &second));
  CHECK(first == second);
  std::set<std::string> orders;
  std::set<uint64_t> hashes;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    uint64_t hash;
    orders.insert(Interleaving(seed, &hash));
    hashes.insert(hash);
  }
  CHECK(orders.size() > 20);
  CHECK(hashes.size() >= orders.size());
}

TEST_CASE("the hash of the schedule tells when a program takes another way") {
  const auto run = [](int sleeps) {
    FiberRuntime runtime(Seed(3));
    auto task = runtime.Spawn("t", [&](std::stop_token stop) {
      for (int i = 0; i < sleeps; ++i) runtime.SleepFor(1s, stop);
    });
    task->Join();
    return runtime.ScheduleHash();
  };
  CHECK(run(3) == run(3));
  CHECK(run(3) != run(4));
}

TEST_CASE("notes are part of the trace and of the hash") {
  const auto run = [](const char* note, std::string* trace) {
    FiberRuntime runtime;
    runtime.Note(note);
    *trace = runtime.Trace();
    return runtime.ScheduleHash();
  };
  std::string a, b;
  CHECK(run("leader is a", &a) != run("leader is b", &b));
  CHECK(a == "0.000000 (outside)#0 leader is a\n");
}

TEST_CASE("time stands still while anybody can run, and then jumps to the next deadline") {
  FiberRuntime runtime;
  const TimePoint start = runtime.Now();
  const WallTime wall = runtime.WallNow();
  std::vector<Duration> seen;
  auto busy = runtime.Spawn("busy", [&](std::stop_token stop) {
    for (int i = 0; i < 100; ++i)
      runtime.SleepUntil(start, stop);  // gives way, without time passing
    seen.push_back(runtime.Now() - start);
  });
  auto sleeper = runtime.Spawn("sleeper", [&](std::stop_token stop) {
    CHECK(runtime.SleepFor(24h, stop));
    seen.push_back(runtime.Now() - start);
  });
  busy->Join();
  sleeper->Join();
  CHECK(seen == std::vector<Duration>{0s, 24h});
  CHECK(runtime.WallNow() - wall == Duration(24h));
}

TEST_CASE("the wall clock may jump without any deadline noticing") {
  FiberRuntime runtime;
  const TimePoint now = runtime.Now();
  const WallTime wall = runtime.WallNow();
  runtime.ShiftWallClock(-1h);
  CHECK(runtime.Now() == now);
  CHECK(runtime.WallNow() - wall == Duration(-1h));
}

TEST_CASE("an event wakes every waiter, and a set one lets everybody pass") {
  FiberRuntime runtime;
  auto event = runtime.NewEvent();
  int woken = 0;
  std::vector<std::unique_ptr<Task>> tasks;
  for (int i = 0; i < 3; ++i) {
    tasks.push_back(runtime.Spawn("waiter", [&](std::stop_token stop) {
      CHECK(event->Wait(kForever, stop) == WaitResult::kSet);
      ++woken;
    }));
  }
  runtime.RunFor(1s);
  CHECK(woken == 0);
  event->Set();
  runtime.RunFor(0s);
  CHECK(woken == 3);
  CHECK(event->Wait(runtime.Now(), {}) == WaitResult::kSet);
}

TEST_CASE("a set that is reset before the waiter runs again has woken it all the same") {
  FiberRuntime runtime;
  auto event = runtime.NewEvent();
  WaitResult result = WaitResult::kStopped;
  auto task =
      runtime.Spawn("waiter", [&](std::stop_token stop) { result = event->Wait(kForever, stop); });
  runtime.RunFor(0s);
  event->Set();
  event->Reset();
  task->Join();
  CHECK(result == WaitResult::kSet);
}

TEST_CASE("a set event wins over a passed deadline, and both over a stop") {
  FiberRuntime runtime;
  auto set = runtime.NewEvent();
  auto unset = runtime.NewEvent();
  set->Set();
  auto task = runtime.Spawn("waiter", [&](std::stop_token stop) {
    CHECK(stop.stop_requested());
    CHECK(set->Wait(runtime.Now(), stop) == WaitResult::kSet);
    CHECK(unset->Wait(runtime.Now(), stop) == WaitResult::kDeadline);
    CHECK(unset->Wait(kForever, stop) == WaitResult::kStopped);
  });
  task->RequestStop();
  task->Join();
}

TEST_CASE("destroying a task stops it and waits for its end") {
  FiberRuntime runtime;
  bool ended = false;
  {
    auto task = runtime.Spawn("t", [&](std::stop_token stop) {
      CHECK_FALSE(runtime.SleepUntil(kForever, stop));
      runtime.SleepFor(5s, {});  // takes its time
      ended = true;
    });
    runtime.RunFor(1s);
  }
  CHECK(ended);
}

TEST_CASE("tasks spawn, join and destroy tasks of their own") {
  FiberRuntime runtime;
  int leaves = 0;
  std::function<void(int)> grow = [&](int depth) {
    if (depth == 0) {
      ++leaves;
      return;
    }
    auto left = runtime.Spawn("left", [&, depth](std::stop_token) { grow(depth - 1); });
    auto right = runtime.Spawn("right", [&, depth](std::stop_token) { grow(depth - 1); });
    left->Join();
    right->Join();
  };
  grow(8);
  CHECK(leaves == 256);
}

TEST_CASE("tasks that wait in the middle of an exception do not mix up theirs") {
  FiberRuntime runtime;
  struct WaitsOnExit {
    FiberRuntime& runtime;
    ~WaitsOnExit() {
      runtime.SleepFor(1s, {});
      CHECK(std::uncaught_exceptions() == 1);
    }
  };
  std::vector<std::string> caught;
  std::vector<std::unique_ptr<Task>> tasks;
  for (const char* name : {"first", "second", "third"}) {
    tasks.push_back(runtime.Spawn(name, [&, name](std::stop_token stop) {
      try {
        try {
          WaitsOnExit guard{runtime};
          throw std::runtime_error(name);
        } catch (const std::exception&) {
          runtime.SleepFor(1s, stop);
          throw;  // the one that this task has caught
        }
      } catch (const std::exception& error) {
        CHECK(std::string(error.what()) == name);
        caught.push_back(error.what());
      }
      CHECK(std::uncaught_exceptions() == 0);
    }));
  }
  for (auto& task : tasks) task->Join();
  CHECK(caught.size() == 3);
}

TEST_CASE("the deadline of a wait that ended early moves no time") {
  FiberRuntime runtime;
  auto event = runtime.NewEvent();
  auto task = runtime.Spawn("waiter", [&](std::stop_token stop) {
    CHECK(event->Wait(runtime.Now() + 1h, stop) == WaitResult::kSet);
  });
  runtime.RunFor(1s);
  event->Set();
  task->Join();
  const TimePoint now = runtime.Now();
  CHECK(runtime.RunUntil([] { return false; }, now + 2h).error().cls == ErrorClass::kInternal);
  CHECK(runtime.Now() == now);
}

TEST_CASE("RunUntil names the tasks that wait when nothing can ever run again") {
  FiberRuntime runtime;
  auto event = runtime.NewEvent();
  auto task = runtime.Spawn("lost", [&](std::stop_token stop) { event->Wait(kForever, stop); });
  const Status status = runtime.RunUntil([] { return false; }, kForever);
  REQUIRE_FALSE(status);
  CHECK(status.error().cls == ErrorClass::kInternal);
  CHECK(status.error().message ==
        "deadlock: nothing will ever run again\n  lost#1 waits for an event");
}

TEST_CASE("RunUntil ends at its deadline in virtual time") {
  FiberRuntime runtime;
  auto task = runtime.Spawn("slow", [&](std::stop_token stop) { runtime.SleepFor(2h, stop); });
  const TimePoint deadline = runtime.Now() + 1h;
  const Status status = runtime.RunUntil([] { return false; }, deadline);
  REQUIRE_FALSE(status);
  CHECK(status.error().cls == ErrorClass::kTimeout);
  CHECK(runtime.Now() == deadline);
  CHECK(runtime.RunUntil([&] { return task->Done(); }, runtime.Now() + 1h));
}

TEST_CASE("a crash ends every wait of its incarnation, and touches no other") {
  FiberRuntime runtime;
  auto doomed = runtime.NewIncarnation("doomed");
  auto healthy = runtime.NewIncarnation("healthy");
  std::vector<std::string> log;
  const auto body = [&](Incarnation& life) {
    return [&](std::stop_token stop) {
      auto event = life.NewEvent();
      const WaitResult result = event->Wait(life.Now() + 10s, stop);
      log.push_back(fmt::format("{} {}", life.name(), static_cast<int>(result)));
      // What a crashed program still does has no effect, and takes no time.
      if (life.Crashed()) {
        CHECK(stop.stop_requested());
        event->Set();
        CHECK(event->Wait(kForever, {}) == WaitResult::kStopped);
        CHECK_FALSE(life.SleepFor(1h, {}));
        auto child = life.Spawn("child", [&](std::stop_token) { log.push_back("child"); });
        CHECK(child->Done());
      }
    };
  };
  auto a = doomed->Spawn("a", body(*doomed));
  auto b = healthy->Spawn("b", body(*healthy));
  runtime.RunFor(1s);
  const TimePoint crash = runtime.Now();
  doomed->Crash();
  a->Join();
  CHECK(runtime.Now() == crash);
  b->Join();
  CHECK(log == std::vector<std::string>{"doomed 2", "healthy 1"});
}

TEST_CASE("a task may crash its own incarnation, and its parents still wait for it") {
  FiberRuntime runtime;
  auto life = runtime.NewIncarnation("life");
  std::vector<std::string> order;
  auto parent = life->Spawn("parent", [&](std::stop_token) {
    std::string on_my_stack = "alive";
    auto child = life->Spawn("child", [&](std::stop_token) {
      life->Crash();
      life->SleepFor(1s, {});
      CHECK(on_my_stack == "alive");
      order.push_back("child");
    });
    child->Join();
    order.push_back("parent");
  });
  parent->Join();
  CHECK(order == std::vector<std::string>{"child", "parent"});
}

TEST_CASE("a crashed task that joins one of another life waits for its end all the same") {
  FiberRuntime runtime;
  auto life = runtime.NewIncarnation("life");
  bool ended = false;
  auto parent = life->Spawn("parent", [&](std::stop_token) {
    auto other = runtime.Spawn("other", [&](std::stop_token) {
      runtime.SleepFor(5s, {});
      ended = true;
    });
    other->Join();
    CHECK(ended);
  });
  runtime.RunFor(1s);
  life->Crash();
  parent->Join();
  CHECK(ended);
}

TEST_CASE("the trace keeps the newest steps") {
  FiberOptions options;
  options.trace_entries = 2;
  FiberRuntime runtime(options);
  auto task = runtime.Spawn("t", [&](std::stop_token stop) { runtime.SleepFor(1500ms, stop); });
  task->Join();
  CHECK(runtime.Trace() == "1.500000 t#1 runs: time came\n1.500000 t#1 ended\n");
}

TEST_CASE("random values are seeded, and a fork leaves them alone") {
  FiberRuntime a(Seed(1)), b(Seed(1)), c(Seed(2));
  b.ForkSeed();
  const uint64_t value = a.Random();
  CHECK(value == b.Random());
  CHECK(value != c.Random());
  CHECK(a.ForkSeed() != a.ForkSeed());
}

TEST_CASE("a hundred thousand waits that end early leave no timers behind for ever") {
  FiberRuntime runtime;
  auto ping = runtime.NewEvent();
  auto pong = runtime.NewEvent();
  int rounds = 0;
  auto a = runtime.Spawn("a", [&](std::stop_token stop) {
    while (rounds < 100'000) {
      pong->Set();
      ping->Wait(runtime.Now() + 1h, stop);
      ping->Reset();
    }
  });
  auto b = runtime.Spawn("b", [&](std::stop_token stop) {
    while (rounds < 100'000) {
      if (pong->Wait(runtime.Now() + 1h, stop) != WaitResult::kSet) break;
      pong->Reset();
      ++rounds;
      ping->Set();
    }
  });
  a->Join();
  b->Join();
  CHECK(rounds == 100'000);
}

TEST_CASE("a work queue runs on fibers as on threads") {
  FiberRuntime runtime;
  WorkQueue queue(runtime);
  int done = 0;
  auto worker = runtime.Spawn("worker", [&](std::stop_token stop) {
    while (auto key = queue.Take(stop)) {
      runtime.SleepFor(10ms, stop);
      ++done;
      queue.Done(*key);
    }
  });
  for (int i = 0; i < 10; ++i) queue.Add(fmt::format("key-{}", i % 5));
  runtime.RunFor(1s);
  CHECK(done == 5);
}

}  // namespace
}  // namespace flotilla::sim
