#include "operate/jobs.h"

namespace flotilla::operate {

Jobs::~Jobs() {
  std::list<std::unique_ptr<Task>> workers;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    for (auto& [name, group] : groups_) group.waiting.clear();
    workers.swap(workers_);
  }
  for (const auto& worker : workers) worker->RequestStop();
}

void Jobs::Start(const std::string& group, int limit, std::function<void(std::stop_token)> body) {
  Reap();
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    Group& entry = groups_[group];
    entry.waiting.push_back(std::move(body));
    if (entry.running >= limit) return;
    ++entry.running;
  }
  auto worker = runtime_.Spawn("job " + group,
                               [this, group](std::stop_token stop) { Work(group, stop); });
  MutexLock lock(mutex_);
  if (!closed_) workers_.push_back(std::move(worker));
}

void Jobs::Work(const std::string& group, std::stop_token stop) {
  while (true) {
    std::function<void(std::stop_token)> body;
    {
      MutexLock lock(mutex_);
      Group& entry = groups_[group];
      if (entry.waiting.empty() || stop.stop_requested()) {
        if (--entry.running == 0 && entry.waiting.empty()) groups_.erase(group);
        return;
      }
      body = std::move(entry.waiting.front());
      entry.waiting.pop_front();
    }
    body(stop);
  }
}

void Jobs::Reap() {
  std::list<std::unique_ptr<Task>> ended;  // joined without the lock
  MutexLock lock(mutex_);
  for (auto it = workers_.begin(); it != workers_.end();) {
    auto next = std::next(it);
    if ((*it)->Done()) ended.splice(ended.end(), workers_, it);
    it = next;
  }
}

}  // namespace flotilla::operate
