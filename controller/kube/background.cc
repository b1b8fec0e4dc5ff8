#include "kube/background.h"

#include <utility>

namespace flotilla::kube {

Background::Background(Runtime& runtime, int tasks)
    : runtime_(runtime), tasks_(static_cast<size_t>(tasks)), ready_(runtime.NewEvent()) {}

Background::~Background() {
  std::vector<std::unique_ptr<Task>> workers;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    workers.swap(workers_);
    ready_->Set();
  }
  for (const auto& worker : workers) worker->RequestStop();
  workers.clear();
  // Jobs that no task was ever started for.
  std::stop_source stopped;
  stopped.request_stop();
  while (!jobs_.empty()) {
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    job(stopped.get_token());
  }
}

void Background::Run(Job job) {
  MutexLock lock(mutex_);
  jobs_.push_back(std::move(job));
  ready_->Set();
  if (stopping_ || jobs_.size() <= idle_ || workers_.size() >= tasks_) return;
  workers_.push_back(
      runtime_.Spawn("kube-background", [this](std::stop_token stop) { Work(std::move(stop)); }));
}

void Background::Work(std::stop_token stop) {
  for (;;) {
    Job job;
    {
      MutexLock lock(mutex_);
      if (!jobs_.empty()) {
        job = std::move(jobs_.front());
        jobs_.pop_front();
      } else if (stopping_) {
        return;
      } else {
        ready_->Reset();
        ++idle_;
      }
    }
    if (job) {
      job(stop);
      continue;
    }
    ready_->Wait(kForever, stop);
    MutexLock lock(mutex_);
    --idle_;
  }
}

}  // namespace flotilla::kube
