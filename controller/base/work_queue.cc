#include "base/work_queue.h"

#include <algorithm>
#include <utility>

namespace flotilla {

Duration BackOff::Delay(int failures, uint64_t random) const {
  Duration delay = base;
  for (int i = 1; i < failures && delay < cap; ++i) delay *= 2;
  delay = std::min(delay, cap);
  const double unit = static_cast<double>(random >> 11) * 0x1p-53;  // [0, 1)
  const double factor = 1 + jitter * (2 * unit - 1);
  return Duration(static_cast<Duration::rep>(static_cast<double>(delay.count()) * factor));
}

WorkQueue::WorkQueue(Runtime& runtime, BackOff back_off)
    : runtime_(runtime), back_off_(back_off), ready_(runtime.NewEvent()) {}

void WorkQueue::Add(std::string_view key) {
  MutexLock lock(mutex_);
  AddLocked(key);
}

void WorkQueue::AddAt(std::string_view key, TimePoint time) {
  const TimePoint now = runtime_.Now();
  MutexLock lock(mutex_);
  if (time <= now) {
    AddLocked(key);
  } else {
    AddAtLocked(key, time);
  }
}

Duration WorkQueue::AddRateLimited(std::string_view key) {
  const TimePoint now = runtime_.Now();
  const uint64_t random = runtime_.Random();
  MutexLock lock(mutex_);
  auto failures = failures_.find(key);
  if (failures == failures_.end()) failures = failures_.try_emplace(std::string(key), 0).first;
  // Beyond this the delay has long reached its cap.
  failures->second = std::min(failures->second + 1, 64);
  const Duration delay = back_off_.Delay(failures->second, random);
  AddAtLocked(key, now + delay);
  return delay;
}

void WorkQueue::Forget(std::string_view key) {
  MutexLock lock(mutex_);
  if (const auto found = failures_.find(key); found != failures_.end()) failures_.erase(found);
}

int WorkQueue::Failures(std::string_view key) const {
  MutexLock lock(mutex_);
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

std::optional<std::string> WorkQueue::Take(const std::stop_token& stop) {
  for (;;) {
    TimePoint wake = kForever;
    {
      const TimePoint now = runtime_.Now();
      MutexLock lock(mutex_);
      if (shut_down_ || stop.stop_requested()) return std::nullopt;
      PromoteDueLocked(now);
      if (!queue_.empty()) {
        std::string key = std::move(queue_.front());
        queue_.pop_front();
        dirty_.erase(key);
        processing_.insert(key);
        return key;
      }
      // Everybody who waits now is woken by the next key, also by one that is due earlier.
      ready_->Reset();
      if (!delayed_.empty()) wake = delayed_.front().time;
    }
    ready_->Wait(wake, stop);
  }
}

void WorkQueue::Done(std::string_view key) {
  MutexLock lock(mutex_);
  const auto found = processing_.find(key);
  if (found == processing_.end()) return;
  processing_.erase(found);
  if (dirty_.find(key) == dirty_.end()) return;
  queue_.emplace_back(key);
  ready_->Set();
}

void WorkQueue::ShutDown() {
  MutexLock lock(mutex_);
  shut_down_ = true;
  ready_->Set();
}

size_t WorkQueue::Ready() const {
  MutexLock lock(mutex_);
  return queue_.size();
}

void WorkQueue::AddLocked(std::string_view key) {
  if (shut_down_ || dirty_.find(key) != dirty_.end()) return;
  dirty_.emplace(key);
  if (processing_.find(key) != processing_.end()) return;  // Done queues it
  queue_.emplace_back(key);
  ready_->Set();
}

void WorkQueue::AddAtLocked(std::string_view key, TimePoint time) {
  if (shut_down_) return;
  auto due = due_.find(key);
  if (due == due_.end()) {
    due = due_.try_emplace(std::string(key), time).first;
  } else if (due->second <= time) {
    return;
  }
  due->second = time;
  // An entry of a later time stays in the heap, and is dropped when its turn comes.
  delayed_.push_back({time, ++order_, std::string(key)});
  std::push_heap(delayed_.begin(), delayed_.end(), std::greater<>());
  if (delayed_.front().time == time) ready_->Set();  // a waiter must wait for less
}

void WorkQueue::PromoteDueLocked(TimePoint now) {
  while (!delayed_.empty() && delayed_.front().time <= now) {
    std::pop_heap(delayed_.begin(), delayed_.end(), std::greater<>());
    const Delayed entry = std::move(delayed_.back());
    delayed_.pop_back();
    const auto due = due_.find(entry.key);
    if (due == due_.end() || due->second != entry.time) continue;
    due_.erase(due);
    AddLocked(entry.key);
  }
}

}  // namespace flotilla
