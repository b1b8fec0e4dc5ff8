#include "sim/fiber_runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <utility>

#include "sim/fiber_context.h"

#if defined(__SANITIZE_ADDRESS__)
#define FLOTILLA_STACK_FACTOR 4
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLOTILLA_STACK_FACTOR 4
#endif
#endif
#if !defined(FLOTILLA_STACK_FACTOR)
#define FLOTILLA_STACK_FACTOR 1
#endif

namespace flotilla::sim {
namespace {

// A program that runs that many steps without time moving runs for ever.
constexpr uint64_t kStepsPerInstant = 20'000'000;

// SplitMix64 (Steele, Lea, Flood 2014).
struct Random64 {
  uint64_t state;
  uint64_t Next() {
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // Below n, which is small against 2^32.
  size_t Below(size_t n) { return static_cast<size_t>(((Next() >> 32) * n) >> 32); }
};

struct Fiber;

// The waiters of an event, a list through the fibers themselves.
struct Waiters {
  Fiber* first = nullptr;
  int returning = 0;  // woken, and not yet running again
};

struct TaskState {
  std::stop_source stop;
  bool done = false;
  Waiters joiners;
};

struct Fiber {
  Fiber(size_t stack_bytes, void (*entry)(void*)) : context(stack_bytes, entry, this) {}

  enum class State : unsigned char { kIdle, kRunnable, kRunning, kWaiting };

  FiberContext context;
  State state = State::kIdle;
  bool ending = false;  // its stack is being given back
  bool deaf = false;    // joins: a crash does not wake it
  uint32_t name = 0;
  uint64_t number = 0;  // of the task that it runs
  const char* waits_for = "";
  WaitResult result = WaitResult::kSet;
  uint64_t waits = 0;  // a timer of an earlier wait has an older number
  Waiters* list = nullptr;
  Fiber* next = nullptr;
  Fiber* previous = nullptr;
  Incarnation* life = nullptr;
  std::function<void(std::stop_token)> body;
  std::shared_ptr<TaskState> task;
  FiberRuntime* runtime = nullptr;
};

}  // namespace

class FiberRuntime::Scheduler {
 public:
  explicit Scheduler(const FiberOptions& options)
      : options_(options),
        choices_{options.seed},
        values_{options.seed ^ 0x5DEECE66D1234567u},
        forks_{options.seed ^ 0xF0F0F0F00F0F0F0Fu},
        trace_(std::max<size_t>(options.trace_entries, 1)) {
    names_.push_back("(outside)");
  }

  ~Scheduler() {
    for (const auto& fiber : fibers_) {
      if (fiber->task) fiber->task->stop.request_stop();
    }
    while (live_ > 0) {
      if (Step(kForever) != Progress::kRan) Die("the simulation ends, and tasks of it do not");
    }
    for (const auto& fiber : fibers_) {
      fiber->ending = true;
      outside_.Switch(fiber->context);
    }
  }

  enum class Progress : unsigned char { kRan, kLimit, kStuck };

  // Runs one fiber for one step; where none can run, time moves on to the next deadline first, but
  // not beyond `limit`.
  Progress Step(TimePoint limit) {
    if (runnable_.empty() && doomed_.empty()) {
      DropStaleTimers();
      if (timers_.empty()) return Progress::kStuck;
      if (timers_.front().time > limit) return Progress::kLimit;
      Advance(timers_.front().time);
      while (!timers_.empty() && timers_.front().time <= now_) {
        const Timer timer = timers_.front();
        PopTimer();
        if (timer.fiber->waits == timer.wait) Wake(*timer.fiber, WaitResult::kDeadline);
      }
    }
    if (++steps_here_ > kStepsPerInstant) Die("the simulation runs on without time moving");
    std::vector<Fiber*>& ready = runnable_.empty() ? doomed_ : runnable_;
    const size_t pick = ready.size() == 1 ? 0 : choices_.Below(ready.size());
    Fiber* const fiber = ready[pick];
    ready[pick] = ready.back();
    ready.pop_back();
    Run(*fiber);
    return Progress::kRan;
  }

  void Advance(TimePoint time) {
    if (time <= now_) return;
    now_ = time;
    steps_here_ = 0;
  }

  std::shared_ptr<TaskState> Spawn(FiberRuntime* runtime, Incarnation* life, std::string name,
                                   std::function<void(std::stop_token)> body) {
    Fiber* fiber;
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>(options_.stack_bytes * FLOTILLA_STACK_FACTOR,
                                                &Scheduler::FiberMain));
      fiber = fibers_.back().get();
      fiber->runtime = runtime;
    } else {
      fiber = idle_.back();
      idle_.pop_back();
    }
    fiber->name = Intern(std::move(name));
    fiber->number = ++spawned_;
    fiber->life = life;
    fiber->body = std::move(body);
    fiber->task = std::make_shared<TaskState>();
    fiber->result = WaitResult::kSet;
    MakeRunnable(*fiber);
    ++live_;
    Record(*fiber, "spawned");
    return fiber->task;
  }

  // The heart of every wait. `is_over` tells whether the event has come; null for sleeps.
  WaitResult Wait(Waiters* waiters, const bool* is_set, const uint64_t* sets, TimePoint deadline,
                  const std::stop_token& stop, const char* what, bool deaf) {
    Fiber* const fiber = running_;
    if (!fiber) return WaitOutside(is_set, sets, deadline, stop, what);
    const bool crashed = !deaf && fiber->life && fiber->life->Crashed();
    if (!crashed && is_set && *is_set) return WaitResult::kSet;
    fiber->deaf = deaf;
    fiber->waits_for = what;
    if (crashed || now_ >= deadline || stop.stop_requested()) {
      // Over before it begins, but others get their turn: a loop of such waits starves nobody.
      const WaitResult result = crashed            ? WaitResult::kStopped
                                : now_ >= deadline ? WaitResult::kDeadline
                                                   : WaitResult::kStopped;
      fiber->result = result;
      MakeRunnable(*fiber);
      fiber->context.Switch(outside_);
      if (!crashed && is_set && *is_set) return WaitResult::kSet;
      return result;
    }

    fiber->state = Fiber::State::kWaiting;
    ++fiber->waits;
    if (deadline != kForever) PushTimer({deadline, ++timer_order_, fiber, fiber->waits});
    if (waiters) Link(*waiters, *fiber);
    {
      const std::stop_callback wake(stop, [this, fiber] { Wake(*fiber, WaitResult::kStopped); });
      fiber->context.Switch(outside_);
    }
    if (waiters) --waiters->returning;
    if (!deaf && fiber->life && fiber->life->Crashed()) return WaitResult::kStopped;
    return is_set && *is_set ? WaitResult::kSet : fiber->result;
  }

  void WakeAll(Waiters& waiters) {
    while (waiters.first) Wake(*waiters.first, WaitResult::kSet);
  }

  // Whoever destroys an event that somebody waits for has a use after free in production.
  void CheckUnused(const Waiters& waiters) {
    if (waiters.first) {
      Die(fmt::format("an event is destroyed while '{}' waits for it",
                      names_[waiters.first->name]));
    }
    if (waiters.returning > 0) Die("an event is destroyed before its waiters have returned");
  }

  void Crash(const Incarnation& life) {
    Note("crash of " + life.name());
    for (size_t i = 0; i < fibers_.size(); ++i) {  // stop callbacks may spawn: no iterators
      Fiber& fiber = *fibers_[i];
      if (fiber.life != &life || !fiber.task) continue;
      const std::shared_ptr<TaskState> task = fiber.task;
      task->stop.request_stop();
      if (fiber.state == Fiber::State::kWaiting && !fiber.deaf) Wake(fiber, WaitResult::kStopped);
    }
    const auto dead = std::stable_partition(runnable_.begin(), runnable_.end(),
                                            [&](Fiber* fiber) { return fiber->life != &life; });
    doomed_.insert(doomed_.end(), dead, runnable_.end());
    runnable_.erase(dead, runnable_.end());
  }

  bool HasFibers(const Incarnation& life) const {
    return std::any_of(fibers_.begin(), fibers_.end(),
                       [&](const auto& fiber) { return fiber->task && fiber->life == &life; });
  }

  // Waits for the end of a task. Only this wait ignores crashes: the stack that it protects is
  // real.
  void Join(TaskState& task) {
    if (running_ && running_->task.get() == &task) {
      Die(fmt::format("task '{}' waits for its own end", names_[running_->name]));
    }
    while (!task.done) {
      Wait(&task.joiners, &task.done, nullptr, kForever, {}, "the end of a task", true);
    }
  }

  void Note(std::string_view text) {
    Entry& entry = NextEntry();
    entry.name = running_ ? running_->name : 0;
    entry.number = running_ ? running_->number : 0;
    entry.event = "";
    entry.text.assign(text);
    for (char c : text) Mix(static_cast<unsigned char>(c));
  }

  std::vector<std::string> Waiting() const {
    std::vector<std::string> waiting;
    for (const auto& fiber : fibers_) {
      if (fiber->state != Fiber::State::kWaiting) continue;
      waiting.push_back(
          fmt::format("{}#{} waits for {}", names_[fiber->name], fiber->number, fiber->waits_for));
    }
    return waiting;
  }

  std::string Trace() const {
    std::string text;
    const size_t kept = std::min<size_t>(recorded_, trace_.size());
    for (size_t i = 0; i < kept; ++i) {
      const Entry& entry = trace_[(recorded_ - kept + i) % trace_.size()];
      const int64_t micros = (entry.time - kStart).count();
      text += fmt::format("{}.{:06} {}#{} {}{}\n", micros / 1'000'000, micros % 1'000'000,
                          names_[entry.name], entry.number, entry.event, entry.text);
    }
    return text;
  }

  [[noreturn]] void Die(const std::string& why) {
    std::string report = Trace() + "flotilla: " + why + "\n";
    if (running_)
      report += fmt::format("running: {}#{}\n", names_[running_->name], running_->number);
    for (const std::string& line : Waiting()) report += line + "\n";
    report += fmt::format("seed {}, {} steps\n", options_.seed, switches_);
    std::fputs(report.c_str(), stderr);
    std::abort();
  }

  // Not zero: a TimePoint that nobody set must not look like now.
  static constexpr TimePoint kStart{Duration(1000s)};

  const FiberOptions options_;
  TimePoint now_ = kStart;
  Duration wall_shift_{0};
  Random64 choices_;
  Random64 values_;
  Random64 forks_;
  Fiber* running_ = nullptr;
  uint64_t hash_ = 0xCBF29CE484222325u;
  uint64_t switches_ = 0;

 private:
  struct Timer {
    TimePoint time;
    uint64_t order;
    Fiber* fiber;
    uint64_t wait;
    bool operator>(const Timer& other) const {
      return time != other.time ? time > other.time : order > other.order;
    }
  };

  struct Entry {
    TimePoint time;
    uint64_t number = 0;
    uint32_t name = 0;
    const char* event = "";
    std::string text;
  };

  static void FiberMain(void* argument) {
    auto* const fiber = static_cast<Fiber*>(argument);
    Scheduler& scheduler = *fiber->runtime->scheduler_;
    while (!fiber->ending) {
      scheduler.Execute(*fiber);
      fiber->context.Switch(scheduler.outside_);
    }
    fiber->context.SwitchForEver(scheduler.outside_);
  }

  void Execute(Fiber& fiber) {
    try {
      fiber.body(fiber.task->stop.get_token());
    } catch (const std::exception& error) {
      Die(fmt::format("task '{}' threw: {}", names_[fiber.name], error.what()));
    }
    fiber.body = nullptr;
    Record(fiber, "ended");
    const std::shared_ptr<TaskState> task = std::move(fiber.task);
    fiber.state = Fiber::State::kIdle;
    fiber.life = nullptr;
    idle_.push_back(&fiber);
    --live_;
    task->done = true;
    WakeAll(task->joiners);
  }

  void Run(Fiber& fiber) {
    static constexpr const char* kReasons[] = {"runs", "runs: time came", "runs: stopped"};
    Record(fiber, kReasons[static_cast<size_t>(fiber.result)]);
    Mix(fiber.number);
    Mix(static_cast<uint64_t>(now_.time_since_epoch().count()) * 4 +
        static_cast<uint64_t>(fiber.result));
    ++switches_;
    fiber.state = Fiber::State::kRunning;
    running_ = &fiber;
    outside_.Switch(fiber.context);
    running_ = nullptr;
  }

  void Wake(Fiber& fiber, WaitResult result) {
    if (fiber.state != Fiber::State::kWaiting) return;
    ++fiber.waits;  // its timer is stale
    if (fiber.list) {
      ++fiber.list->returning;
      Unlink(fiber);
    }
    fiber.result = result;
    MakeRunnable(fiber);
  }

  // The fibers of a crashed incarnation run last within their instant: by then the network has
  // ended all their requests, and no callback comes to a stack that has been left.
  void MakeRunnable(Fiber& fiber) {
    fiber.state = Fiber::State::kRunnable;
    const bool dead = fiber.life && fiber.life->Crashed();
    (dead ? doomed_ : runnable_).push_back(&fiber);
  }

  static void Link(Waiters& waiters, Fiber& fiber) {
    fiber.list = &waiters;
    fiber.previous = nullptr;
    fiber.next = waiters.first;
    if (waiters.first) waiters.first->previous = &fiber;
    waiters.first = &fiber;
  }

  static void Unlink(Fiber& fiber) {
    (fiber.previous ? fiber.previous->next : fiber.list->first) = fiber.next;
    if (fiber.next) fiber.next->previous = fiber.previous;
    fiber.list = nullptr;
  }

  // A wait of the test itself: everybody else runs until it is over.
  WaitResult WaitOutside(const bool* is_set, const uint64_t* sets, TimePoint deadline,
                         const std::stop_token& stop, const char* what) {
    const uint64_t sets_before = sets ? *sets : 0;
    for (;;) {
      if ((is_set && *is_set) || (sets && *sets != sets_before)) return WaitResult::kSet;
      if (now_ >= deadline) return WaitResult::kDeadline;
      if (stop.stop_requested()) return WaitResult::kStopped;
      const Progress progress = Step(deadline);
      if (progress == Progress::kRan) continue;
      if (deadline == kForever) Die(fmt::format("deadlock: the test waits for {}", what));
      Advance(deadline);
    }
  }

  void PushTimer(Timer timer) {
    // Timers of waits that ended early stay behind; when most are such, they go.
    if (timers_.size() > 1024 && timers_.size() > 4 * fibers_.size()) {
      std::erase_if(timers_, [](const Timer& t) { return t.fiber->waits != t.wait; });
      std::make_heap(timers_.begin(), timers_.end(), std::greater<>());
    }
    timers_.push_back(timer);
    std::push_heap(timers_.begin(), timers_.end(), std::greater<>());
  }

  void PopTimer() {
    std::pop_heap(timers_.begin(), timers_.end(), std::greater<>());
    timers_.pop_back();
  }

  void DropStaleTimers() {
    while (!timers_.empty() && timers_.front().fiber->waits != timers_.front().wait) PopTimer();
  }

  uint32_t Intern(std::string name) {
    const auto [found, added] =
        name_numbers_.try_emplace(std::move(name), static_cast<uint32_t>(names_.size()));
    if (added) names_.push_back(found->first);
    return found->second;
  }

  Entry& NextEntry() {
    Entry& entry = trace_[recorded_++ % trace_.size()];
    entry.time = now_;
    return entry;
  }

  void Record(const Fiber& fiber, const char* event) {
    Entry& entry = NextEntry();
    entry.name = fiber.name;
    entry.number = fiber.number;
    entry.event = event;
    entry.text.clear();
  }

  void Mix(uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15u;
    hash_ ^= hash_ >> 29;
  }

  FiberContext outside_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  std::vector<Fiber*> runnable_;
  std::vector<Fiber*> doomed_;
  std::vector<Timer> timers_;  // a heap, the earliest first
  uint64_t timer_order_ = 0;
  uint64_t spawned_ = 0;
  uint64_t steps_here_ = 0;
  size_t live_ = 0;
  std::map<std::string, uint32_t> name_numbers_;
  std::vector<std::string> names_;
  std::vector<Entry> trace_;  // a ring
  uint64_t recorded_ = 0;

 public:
  class FiberEvent final : public Event {
   public:
    explicit FiberEvent(Scheduler& scheduler) : scheduler_(scheduler) {}
    ~FiberEvent() override { scheduler_.CheckUnused(waiters_); }
    void Set() override {
      set_ = true;
      ++sets_;
      scheduler_.WakeAll(waiters_);
    }
    void Reset() override { set_ = false; }
    bool IsSet() const override { return set_; }
    WaitResult Wait(TimePoint deadline, std::stop_token stop) override {
      Mutex::AbortIfHeld("Event::Wait");
      return scheduler_.Wait(&waiters_, &set_, &sets_, deadline, stop, "an event", false);
    }

   private:
    Scheduler& scheduler_;
    Waiters waiters_;
    bool set_ = false;
    uint64_t sets_ = 0;
  };

  class FiberTask final : public Task {
   public:
    FiberTask(Scheduler& scheduler, std::shared_ptr<TaskState> state)
        : scheduler_(scheduler), state_(std::move(state)) {}
    ~FiberTask() override {
      RequestStop();
      Join();
    }
    void RequestStop() override { state_->stop.request_stop(); }
    void Join() override {
      Mutex::AbortIfHeld("Task::Join");
      scheduler_.Join(*state_);
    }
    bool Done() const override { return state_->done; }

   private:
    Scheduler& scheduler_;
    const std::shared_ptr<TaskState> state_;
  };
};

FiberRuntime::FiberRuntime(FiberOptions options)
    : scheduler_(std::make_unique<Scheduler>(options)) {}
FiberRuntime::~FiberRuntime() = default;

TimePoint FiberRuntime::Now() const { return scheduler_->now_; }

WallTime FiberRuntime::WallNow() const {
  return scheduler_->options_.start + (scheduler_->now_ - Scheduler::kStart) +
         scheduler_->wall_shift_;
}

uint64_t FiberRuntime::Random() { return scheduler_->values_.Next(); }
uint64_t FiberRuntime::ForkSeed() { return scheduler_->forks_.Next(); }
void FiberRuntime::ShiftWallClock(Duration by) { scheduler_->wall_shift_ += by; }

std::unique_ptr<Task> FiberRuntime::Spawn(std::string name,
                                          std::function<void(std::stop_token)> body) {
  return std::make_unique<Scheduler::FiberTask>(
      *scheduler_, scheduler_->Spawn(this, nullptr, std::move(name), std::move(body)));
}

std::unique_ptr<Event> FiberRuntime::NewEvent() {
  return std::make_unique<Scheduler::FiberEvent>(*scheduler_);
}

bool FiberRuntime::SleepUntil(TimePoint time, std::stop_token stop) {
  Mutex::AbortIfHeld("SleepUntil");
  return scheduler_->Wait(nullptr, nullptr, nullptr, time, stop, "its time", false) ==
         WaitResult::kDeadline;
}

Status FiberRuntime::RunUntil(const std::function<bool()>& done, TimePoint deadline) {
  if (scheduler_->running_) scheduler_->Die("RunUntil is called by a task");
  while (!done()) {
    const auto progress = scheduler_->Step(deadline);
    if (progress == Scheduler::Progress::kRan) continue;
    std::string waiting;
    for (const std::string& line : Waiting()) waiting += "\n  " + line;
    if (progress == Scheduler::Progress::kStuck) {
      return Fail(ErrorClass::kInternal, "deadlock: nothing will ever run again{}", waiting);
    }
    scheduler_->Advance(deadline);
    if (done()) break;
    return Fail(ErrorClass::kTimeout, "the condition did not come true in virtual time{}", waiting);
  }
  return {};
}

void FiberRuntime::RunFor(Duration duration) {
  if (scheduler_->running_) scheduler_->Die("RunFor is called by a task");
  const TimePoint end = Now() + duration;
  while (scheduler_->Step(end) == Scheduler::Progress::kRan) {
  }
  scheduler_->Advance(end);
}

std::unique_ptr<Incarnation> FiberRuntime::NewIncarnation(std::string name) {
  return std::unique_ptr<Incarnation>(new Incarnation(*this, std::move(name)));
}

void FiberRuntime::Note(std::string_view text) { scheduler_->Note(text); }
std::string FiberRuntime::Trace() const { return scheduler_->Trace(); }
uint64_t FiberRuntime::ScheduleHash() const { return scheduler_->hash_; }
uint64_t FiberRuntime::Switches() const { return scheduler_->switches_; }
std::vector<std::string> FiberRuntime::Waiting() const { return scheduler_->Waiting(); }

Incarnation::~Incarnation() {
  if (world_.scheduler_->HasFibers(*this)) {
    world_.scheduler_->Die("incarnation '" + name_ + "' is destroyed before its tasks have ended");
  }
}

void Incarnation::Crash() {
  if (!crashed_.request_stop()) return;
  world_.scheduler_->Crash(*this);
}

std::unique_ptr<Task> Incarnation::Spawn(std::string name,
                                         std::function<void(std::stop_token)> body) {
  auto& scheduler = *world_.scheduler_;
  std::shared_ptr<TaskState> state;
  if (Crashed()) {
    state = std::make_shared<TaskState>();
    state->stop.request_stop();
    state->done = true;
  } else {
    state = scheduler.Spawn(&world_, this, name_ + "/" + name, std::move(body));
  }
  return std::make_unique<FiberRuntime::Scheduler::FiberTask>(scheduler, std::move(state));
}

bool Incarnation::SleepUntil(TimePoint time, std::stop_token stop) {
  return world_.SleepUntil(time, std::move(stop));
}

}  // namespace flotilla::sim
