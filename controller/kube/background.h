// A few tasks that run what may block, for code that must not: the renewal of credentials, and
// answers that are known before anything was sent.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "base/runtime.h"

namespace flotilla::kube {

class Background {
 public:
  using Job = std::function<void(std::stop_token stop)>;

  // Tasks are started when they are first needed, at most `tasks` of them.
  explicit Background(Runtime& runtime, int tasks = 2);
  // Asks the jobs to stop, runs those that wait (with a token that is stopped), and waits for them.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Any thread; never runs `job` inside. Every job is run.
  void Run(Job job);

 private:
  void Work(std::stop_token stop);

  Runtime& runtime_;
  const size_t tasks_;
  Mutex mutex_;  // guards what follows
  std::deque<Job> jobs_;
  size_t idle_ = 0;
  bool stopping_ = false;
  std::unique_ptr<Event> ready_;  // set while there are jobs, or the end has come
  std::vector<std::unique_ptr<Task>> workers_;
};

}  // namespace flotilla::kube
