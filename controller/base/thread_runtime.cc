#include "base/thread_runtime.h"

#include <openssl/rand.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <set>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace flotilla {
namespace {

using std::chrono::steady_clock;

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "flotilla: %s\n", message.c_str());
  std::abort();
}

TimePoint SystemNow() {
  return TimePoint(std::chrono::duration_cast<Duration>(steady_clock::now().time_since_epoch()));
}

class ThreadEvent final : public Event {
 public:
  // Notifies while locked: a waiter may destroy the event as soon as it can return.
  void Set() override {
    std::lock_guard lock(mutex_);
    set_ = true;
    ++sets_;
    changed_.notify_all();
  }

  void Reset() override {
    std::lock_guard lock(mutex_);
    set_ = false;
  }

  bool IsSet() const override {
    std::lock_guard lock(mutex_);
    return set_;
  }

  WaitResult Wait(TimePoint deadline, std::stop_token stop) override {
    Mutex::AbortIfHeld("Event::Wait");
    if (IsSet()) return WaitResult::kSet;
    // Made before the lock is taken (a stop that has happened already calls back here and now), and
    // destroyed after it is released (its destructor waits for a call that is under way).
    std::stop_callback wake(stop, [this] {
      std::lock_guard lock(mutex_);
      changed_.notify_all();
    });
    std::unique_lock lock(mutex_);
    const uint64_t sets_before = sets_;
    for (;;) {
      // A Set that was followed by a Reset before this thread ran again counts all the same.
      if (set_ || sets_ != sets_before) return WaitResult::kSet;
      const TimePoint now = SystemNow();
      if (now >= deadline) return WaitResult::kDeadline;
      if (stop.stop_requested()) return WaitResult::kStopped;
      // In slices: kForever does not fit into the nanoseconds of steady_clock.
      const Duration slice = std::min<Duration>(deadline - now, 1h);
      changed_.wait_until(lock, steady_clock::now() + slice);
    }
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
  uint64_t sets_ = 0;
};

// What a task and the thread that runs it share.
struct Job {
  std::string name;
  std::function<void(std::stop_token)> body;
  std::stop_source stop;
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
};

thread_local const Job* current_job = nullptr;

class ThreadTask final : public Task {
 public:
  explicit ThreadTask(std::shared_ptr<Job> job) : job_(std::move(job)) {}
  ~ThreadTask() override {
    RequestStop();
    Join();
  }

  void RequestStop() override { job_->stop.request_stop(); }

  void Join() override {
    Mutex::AbortIfHeld("Task::Join");
    if (current_job == job_.get()) Die("task '" + job_->name + "' waits for its own end");
    std::unique_lock lock(job_->mutex);
    job_->ended.wait(lock, [this] { return job_->done; });
  }

  bool Done() const override {
    std::lock_guard lock(job_->mutex);
    return job_->done;
  }

 private:
  const std::shared_ptr<Job> job_;
};

}  // namespace

class ThreadRuntime::Pool {
 public:
  explicit Pool(int max_threads) : max_threads_(static_cast<size_t>(max_threads)) {}

  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      if (!running_.empty()) Die("the runtime ends before its tasks: " + RunningLocked());
      closing_ = true;
      work_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  void Run(std::shared_ptr<Job> job) {
    std::lock_guard lock(mutex_);
    running_.insert(job.get());
    if (idle_ > 0) {
      --idle_;
      waiting_.push_back(std::move(job));
      work_.notify_one();
      return;
    }
    if (threads_.size() == max_threads_) {
      Die("more than " + std::to_string(max_threads_) + " tasks at once: " + RunningLocked());
    }
    try {
      threads_.emplace_back([this, first = std::move(job)]() mutable { Work(std::move(first)); });
    } catch (const std::system_error& error) {
      Die(std::string("cannot start a thread: ") + error.what());
    }
  }

 private:
  void Work(std::shared_ptr<Job> job) {
    while (job) {
      Execute(*job);
      std::unique_lock lock(mutex_);
      running_.erase(job.get());
      ++idle_;
      // Last: whoever waits for the task may destroy the runtime when it has seen this.
      Finish(*job);
      job.reset();
      work_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
  }

  static void Execute(Job& job) {
    current_job = &job;
    pthread_setname_np(pthread_self(), job.name.substr(0, 15).c_str());
    try {
      job.body(job.stop.get_token());
    } catch (const std::exception& error) {
      Die("task '" + job.name + "' threw: " + error.what());
    }
    job.body = nullptr;  // what it captured goes with the task, not with its handle
    current_job = nullptr;
  }

  static void Finish(Job& job) {
    std::lock_guard lock(job.mutex);
    job.done = true;
    job.ended.notify_all();
  }

  std::string RunningLocked() const {
    std::vector<std::string> names;
    for (const Job* job : running_) names.push_back(job->name);
    std::sort(names.begin(), names.end());
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
  }

  const size_t max_threads_;
  std::mutex mutex_;
  std::condition_variable work_;
  bool closing_ = false;
  size_t idle_ = 0;  // threads without a job, less the jobs that wait for one of them
  std::deque<std::shared_ptr<Job>> waiting_;
  std::set<const Job*> running_;
  std::vector<std::thread> threads_;
};

ThreadRuntime::ThreadRuntime(int max_threads) : pool_(std::make_unique<Pool>(max_threads)) {}
ThreadRuntime::~ThreadRuntime() = default;

TimePoint ThreadRuntime::Now() const { return SystemNow(); }

WallTime ThreadRuntime::WallNow() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

uint64_t ThreadRuntime::Random() {
  // OpenSSL's generator reseeds itself and notices forks; the buffer saves its lock.
  thread_local std::array<uint64_t, 32> buffer;
  thread_local size_t left = 0;
  if (left == 0) {
    if (RAND_bytes(reinterpret_cast<unsigned char*>(buffer.data()), sizeof buffer) != 1) {
      Die("the system gives no randomness");
    }
    left = buffer.size();
  }
  return std::exchange(buffer[--left], 0);
}

std::unique_ptr<Task> ThreadRuntime::Spawn(std::string name,
                                           std::function<void(std::stop_token)> body) {
  auto job = std::make_shared<Job>();
  job->name = std::move(name);
  job->body = std::move(body);
  pool_->Run(job);
  return std::make_unique<ThreadTask>(std::move(job));
}

std::unique_ptr<Event> ThreadRuntime::NewEvent() { return std::make_unique<ThreadEvent>(); }

bool ThreadRuntime::SleepUntil(TimePoint time, std::stop_token stop) {
  ThreadEvent never;
  return never.Wait(time, std::move(stop)) == WaitResult::kDeadline;
}

}  // namespace flotilla
