#include "base/thread_runtime.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "catch.h"

namespace flotilla {
namespace {

TEST_CASE("an event wakes all who wait, and lets later ones pass until it is reset") {
  ThreadRuntime runtime;
  auto event = runtime.NewEvent();
  std::atomic<int> passed = 0;
  std::vector<std::unique_ptr<Task>> tasks;
  for (int i = 0; i < 4; ++i) {
    tasks.push_back(runtime.Spawn("waiter", [&](std::stop_token stop) {
      if (event->Wait(kForever, stop) == WaitResult::kSet) ++passed;
    }));
  }
  event->Set();
  for (auto& task : tasks) task->Join();
  CHECK(passed == 4);
  CHECK(event->Wait(runtime.Now(), {}) == WaitResult::kSet);
  event->Reset();
  CHECK_FALSE(event->IsSet());
  CHECK(event->Wait(runtime.Now(), {}) == WaitResult::kDeadline);
}

TEST_CASE("a set event wins over a passed deadline, and both over a stop") {
  ThreadRuntime runtime;
  auto set = runtime.NewEvent(), unset = runtime.NewEvent();
  set->Set();
  std::stop_source stopped;
  stopped.request_stop();
  CHECK(set->Wait(runtime.Now() - 1s, stopped.get_token()) == WaitResult::kSet);
  CHECK(unset->Wait(runtime.Now() - 1s, stopped.get_token()) == WaitResult::kDeadline);
  CHECK(unset->Wait(kForever, stopped.get_token()) == WaitResult::kStopped);
}

TEST_CASE("a wait ends at its deadline and not before") {
  ThreadRuntime runtime;
  auto event = runtime.NewEvent();
  const TimePoint deadline = runtime.Now() + 20ms;
  CHECK(event->Wait(deadline, {}) == WaitResult::kDeadline);
  CHECK(runtime.Now() >= deadline);
  const TimePoint later = runtime.Now() + 20ms;
  CHECK(runtime.SleepUntil(later, {}));
  CHECK(runtime.Now() >= later);
}

TEST_CASE("a stop ends a wait without deadline") {
  ThreadRuntime runtime;
  auto event = runtime.NewEvent();
  WaitResult result = WaitResult::kSet;
  bool slept = true;
  auto task = runtime.Spawn("waiter", [&](std::stop_token stop) {
    result = event->Wait(kForever, stop);
    slept = runtime.SleepUntil(kForever, stop);
  });
  task->RequestStop();
  task->Join();
  CHECK(result == WaitResult::kStopped);
  CHECK_FALSE(slept);
}

TEST_CASE("two tasks hand a turn to and fro without losing one") {
  ThreadRuntime runtime;
  auto ping = runtime.NewEvent(), pong = runtime.NewEvent();
  constexpr int kRounds = 2000;
  auto other = runtime.Spawn("other", [&](std::stop_token) {
    for (int i = 0; i < kRounds; ++i) {
      ping->Wait(kForever, {});
      ping->Reset();
      pong->Set();
    }
  });
  int turns = 0;
  for (int i = 0; i < kRounds; ++i) {
    ping->Set();
    if (pong->Wait(kForever, {}) == WaitResult::kSet) ++turns;
    pong->Reset();
  }
  other->Join();
  CHECK(turns == kRounds);
}

TEST_CASE("an event may be destroyed as soon as its waiter has returned") {
  ThreadRuntime runtime;
  auto setters = runtime.Spawn("setters", [&](std::stop_token) {
    for (int i = 0; i < 300; ++i) {
      auto event = runtime.NewEvent();
      Event* const raw = event.get();
      auto setter = runtime.Spawn("setter", [raw](std::stop_token) { raw->Set(); });
      raw->Wait(kForever, {});
      event.reset();
    }
  });
  setters->Join();
}

TEST_CASE("stops and sets at the same time are both answers, and neither is lost") {
  ThreadRuntime runtime;
  for (int i = 0; i < 300; ++i) {
    auto event = runtime.NewEvent();
    auto waiter = runtime.Spawn("waiter", [&](std::stop_token stop) {
      CHECK(event->Wait(kForever, stop) != WaitResult::kDeadline);
    });
    auto setter = runtime.Spawn("setter", [&](std::stop_token) { event->Set(); });
    waiter->RequestStop();
    waiter->Join();
    setter->Join();
  }
}

TEST_CASE("threads are reused") {
  ThreadRuntime runtime(2);
  for (int i = 0; i < 100; ++i) {
    auto a = runtime.Spawn("a", [](std::stop_token) {});
    auto b = runtime.Spawn("b", [](std::stop_token) {});
    a->Join();
    b->Join();
  }
  SUCCEED("200 tasks ran on two threads");
}

TEST_CASE("what a task captured is gone when it is done") {
  ThreadRuntime runtime;
  auto captured = std::make_shared<int>(1);
  auto task = runtime.Spawn("t", [captured](std::stop_token) {});
  task->Join();
  CHECK(captured.use_count() == 1);
  CHECK(task->Done());
}

TEST_CASE("destroying a task stops it and waits for its end") {
  ThreadRuntime runtime;
  bool ended = false;
  runtime.Spawn("t", [&](std::stop_token stop) {
    runtime.SleepUntil(kForever, stop);
    ended = true;
  });
  CHECK(ended);
}

TEST_CASE("random values do not repeat, on any thread") {
  ThreadRuntime runtime;
  std::set<uint64_t> values;
  Mutex mutex;
  {
    std::vector<std::unique_ptr<Task>> tasks;
    for (int i = 0; i < 4; ++i) {
      tasks.push_back(runtime.Spawn("t", [&](std::stop_token) {
        for (int k = 0; k < 100; ++k) {
          const uint64_t value = runtime.Random();
          MutexLock lock(mutex);
          values.insert(value);
        }
      }));
    }
    for (auto& task : tasks) task->Join();
  }
  CHECK(values.size() == 400);
}

TEST_CASE("a mutex counts for the thread that holds it") {
  Mutex mutex;
  CHECK(Mutex::HeldByThisThread() == 0);
  {
    MutexLock lock(mutex);
    CHECK(Mutex::HeldByThisThread() == 1);
    ThreadRuntime runtime;
    std::atomic<int> held = -1;
    std::atomic<bool> taken = true;
    auto task = runtime.Spawn("t", [&](std::stop_token) {
      held = Mutex::HeldByThisThread();
      taken = mutex.try_lock();
    });
    while (!task->Done()) {
    }
    CHECK(held == 0);
    CHECK_FALSE(taken);
    mutex.unlock();  // destroying the task waits, which must not happen under a lock
    task.reset();
    mutex.lock();
  }
  CHECK(Mutex::HeldByThisThread() == 0);
}

#if !defined(__SANITIZE_THREAD__)  // it does not survive a fork in a process with threads
// What `body` prints to stderr when it aborts, in a process of its own.
std::string Death(const std::function<void()>& body) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);  // Catch's handler would report a failed test
    dup2(ends[1], STDERR_FILENO);
    body();
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  return text;
}

TEST_CASE("a wait under a lock aborts and names the wait") {
  ThreadRuntime* runtime = nullptr;
  Mutex mutex;
  const std::string death = Death([&] {
    runtime = new ThreadRuntime;
    auto event = runtime->NewEvent();
    MutexLock lock(mutex);
    event->Wait(runtime->Now(), {});
  });
  CHECK(death.find("Event::Wait while holding 1 Mutex(es)") != std::string::npos);
}

TEST_CASE("one task too many aborts and names those that run") {
  const std::string death = Death([] {
    ThreadRuntime runtime(2);
    const auto sleep = [&](std::stop_token stop) { runtime.SleepUntil(kForever, stop); };
    auto a = runtime.Spawn("watch hub", sleep);
    auto b = runtime.Spawn("poll git", sleep);
    auto c = runtime.Spawn("one more", sleep);
  });
  CHECK(death.find("more than 2 tasks at once: one more, poll git, watch hub") !=
        std::string::npos);
}

TEST_CASE("a task that throws aborts under its name") {
  const std::string death = Death([] {
    ThreadRuntime runtime;
    runtime.Spawn("careless", [](std::stop_token) { throw std::runtime_error("oops"); })->Join();
  });
  CHECK(death.find("task 'careless' threw: oops") != std::string::npos);
}
#endif

}  // namespace
}  // namespace flotilla
