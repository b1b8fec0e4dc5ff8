#include "base/work_queue.h"

#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "base/thread_runtime.h"
#include "catch.h"

namespace flotilla {
namespace {

// Time moves when the test says so, and waits end at once: what a single caller sees of the queue.
class ManualRuntime final : public Runtime {
 public:
  TimePoint Now() const override { return now_; }
  WallTime WallNow() const override { return {}; }
  uint64_t Random() override { return random; }
  std::unique_ptr<Task> Spawn(std::string, std::function<void(std::stop_token)>) override {
    return nullptr;
  }
  std::unique_ptr<Event> NewEvent() override { return std::make_unique<NoWait>(*this); }
  bool SleepUntil(TimePoint time, std::stop_token) override {
    now_ = time;
    return true;
  }
  void Pass(Duration duration) { now_ += duration; }

  uint64_t random = uint64_t{1} << 63;  // the middle
  TimePoint last_deadline;              // of the last wait

 private:
  struct NoWait final : Event {
    explicit NoWait(ManualRuntime& r) : runtime(r) {}
    void Set() override {}
    void Reset() override {}
    bool IsSet() const override { return false; }
    WaitResult Wait(TimePoint deadline, std::stop_token) override {
      runtime.last_deadline = deadline;
      if (deadline == kForever) runtime.stop.request_stop();
      if (deadline > runtime.now_) runtime.now_ = deadline;
      return WaitResult::kDeadline;
    }
    ManualRuntime& runtime;
  };
  TimePoint now_{Duration(1s)};

 public:
  std::stop_source stop;  // asked when somebody would wait for ever
};

struct Fixture {
  ManualRuntime runtime;
  WorkQueue queue{runtime};
  // The next key, or "" where a worker would wait for ever.
  std::string Take() { return queue.Take(runtime.stop.get_token()).value_or(""); }
};

TEST_CASE("keys are taken in the order of their first Add") {
  Fixture f;
  for (const char* key : {"a", "b", "a", "c", "b"}) f.queue.Add(key);
  CHECK(f.queue.Ready() == 3);
  CHECK(f.Take() == "a");
  CHECK(f.Take() == "b");
  CHECK(f.Take() == "c");
  CHECK(f.Take().empty());
}

TEST_CASE("an Add while the key is worked on runs it once more afterwards") {
  Fixture f;
  f.queue.Add("a");
  CHECK(f.Take() == "a");
  f.queue.Add("a");
  f.queue.Add("a");
  CHECK(f.queue.Ready() == 0);
  f.queue.Done("a");
  CHECK(f.Take() == "a");
  f.queue.Done("a");
  CHECK(f.Take().empty());
}

TEST_CASE("Done of a key that nobody works on does nothing") {
  Fixture f;
  f.queue.Done("a");
  f.queue.Add("a");
  f.queue.Done("a");
  CHECK(f.queue.Ready() == 1);
}

TEST_CASE("a delayed key comes at its time, and the earliest of several times counts") {
  Fixture f;
  const TimePoint start = f.runtime.Now();
  f.queue.AddAfter("late", 20s);
  f.queue.AddAfter("soon", 30s);
  f.queue.AddAfter("soon", 10s);
  f.queue.AddAfter("soon", 40s);
  CHECK(f.Take() == "soon");
  CHECK(f.runtime.Now() - start == Duration(10s));
  f.queue.Done("soon");
  CHECK(f.Take() == "late");
  CHECK(f.runtime.Now() - start == Duration(20s));
  CHECK(f.Take().empty());  // the later times of "soon" are void
}

TEST_CASE("a time that has come is now") {
  Fixture f;
  f.queue.AddAfter("a", 0s);
  CHECK(f.queue.Ready() == 1);
}

TEST_CASE("a worker waits no longer than for the next delayed key") {
  Fixture f;
  const TimePoint start = f.runtime.Now();
  f.queue.AddAfter("b", 10s);
  f.queue.AddAfter("a", 5s);
  CHECK(f.Take() == "a");
  CHECK(f.runtime.last_deadline - start == Duration(5s));
}

TEST_CASE("the back-off doubles from 200 ms to 5 min with 20 % jitter") {
  const BackOff back_off;
  constexpr uint64_t kMiddle = uint64_t{1} << 63;
  CHECK(back_off.Delay(1, kMiddle) == 200ms);
  CHECK(back_off.Delay(2, kMiddle) == 400ms);
  CHECK(back_off.Delay(11, kMiddle) == 204'800ms);
  CHECK(back_off.Delay(12, kMiddle) == 5min);
  CHECK(back_off.Delay(64, kMiddle) == 5min);
  CHECK(back_off.Delay(1, 0) == 160ms);
  CHECK(back_off.Delay(1, ~uint64_t{0}) > 239ms);
  CHECK(back_off.Delay(1, ~uint64_t{0}) <= 240ms);
}

TEST_CASE("failures of one key add up until it is forgotten, and are nobody else's") {
  Fixture f;
  CHECK(f.queue.AddRateLimited("a") == 200ms);
  CHECK(f.queue.AddRateLimited("a") == 400ms);
  CHECK(f.queue.AddRateLimited("b") == 200ms);
  CHECK(f.queue.Failures("a") == 2);
  f.queue.Forget("a");
  CHECK(f.queue.Failures("a") == 0);
  CHECK(f.queue.AddRateLimited("a") == 200ms);
}

TEST_CASE("a queue that is shut down gives and takes nothing") {
  Fixture f;
  f.queue.Add("a");
  f.queue.ShutDown();
  f.queue.Add("b");
  CHECK_FALSE(f.queue.Take({}));
}

TEST_CASE("with many workers no key is worked on twice at once, and no Add is lost") {
  ThreadRuntime runtime;
  WorkQueue queue(runtime);
  constexpr size_t kKeys = 10;
  std::array<std::atomic<int>, kKeys> working{}, wanted{}, seen{};
  std::atomic<int> overlaps = 0;
  std::vector<std::unique_ptr<Task>> workers;
  for (int i = 0; i < 4; ++i) {
    workers.push_back(runtime.Spawn("worker", [&](std::stop_token stop) {
      while (auto key = queue.Take(stop)) {
        const size_t k = std::stoul(*key);
        if (working[k].fetch_add(1) != 0) ++overlaps;
        seen[k] = wanted[k].load();
        working[k].fetch_sub(1);
        queue.Done(*key);
      }
    }));
  }
  for (int i = 0; i < 20'000; ++i) {
    const size_t k = static_cast<size_t>(i * 7) % kKeys;
    ++wanted[k];
    if (i % 3 == 0) {
      queue.AddAfter(std::to_string(k), Duration(i % 50));
    } else {
      queue.Add(std::to_string(k));
    }
  }
  const TimePoint patience = runtime.Now() + 30s;
  for (size_t k = 0; k < kKeys; ++k) {
    while (seen[k] != wanted[k] && runtime.Now() < patience) runtime.SleepFor(1ms, {});
    CHECK(seen[k] == wanted[k]);
  }
  queue.ShutDown();
  for (auto& worker : workers) worker->Join();
  CHECK(overlaps == 0);
}

}  // namespace
}  // namespace flotilla
