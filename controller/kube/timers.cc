#include "kube/timers.h"

namespace flotilla::kube {

Timers::Timers(Runtime& runtime)
    : runtime_(runtime),
      changed_(runtime.NewEvent()),
      task_(runtime.Spawn("kube-timers", [this](std::stop_token stop) { Loop(std::move(stop)); })) {
}

Timers::~Timers() {
  task_->RequestStop();
  task_.reset();
}

Timers::Id Timers::At(TimePoint when, std::function<void()> run) {
  MutexLock lock(mutex_);
  const Id id = next_++;
  const auto at = queue_.emplace(std::pair(when, id), std::move(run)).first;
  times_.emplace(id, when);
  if (at == queue_.begin()) changed_->Set();
  return id;
}

bool Timers::Cancel(Id id) {
  std::function<void()> dropped;  // destroyed after the lock is free
  MutexLock lock(mutex_);
  const auto time = times_.find(id);
  if (time == times_.end()) return false;
  auto node = queue_.extract(std::pair(time->second, id));
  dropped = std::move(node.mapped());
  times_.erase(time);
  return true;
}

void Timers::Loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    std::function<void()> run;
    TimePoint next = kForever;
    {
      MutexLock lock(mutex_);
      if (!queue_.empty()) {
        const auto first = queue_.begin();
        if (first->first.first <= runtime_.Now()) {
          run = std::move(first->second);
          times_.erase(first->first.second);
          queue_.erase(first);
        } else {
          next = first->first.first;
        }
      }
      if (!run) changed_->Reset();
    }
    if (run) {
      run();
    } else {
      changed_->Wait(next, stop);
    }
  }
}

}  // namespace flotilla::kube
