// Runs pieces of work that wait for other machines, bounded per group.
//
// A group (a cluster and a lane) has at most so many pieces of work at once, others wait their turn:
// a cluster that hangs holds its own group and nobody else's.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "base/runtime.h"

namespace flotilla::operate {

class Jobs {
 public:
  explicit Jobs(Runtime& runtime) : runtime_(runtime) {}
  ~Jobs();  // asks all to stop, drops those that have not begun, waits for the others

  // At most `limit` of `group` run at once, in the order they came.
  void Start(const std::string& group, int limit, std::function<void(std::stop_token)> body);

 private:
  struct Group {
    int running = 0;
    std::deque<std::function<void(std::stop_token)>> waiting;
  };
  void Work(const std::string& group, std::stop_token stop);
  void Reap();

  Runtime& runtime_;
  Mutex mutex_;
  bool closed_ = false;                       // guarded by mutex_
  std::map<std::string, Group> groups_;       // guarded by mutex_
  std::list<std::unique_ptr<Task>> workers_;  // guarded by mutex_
};

}  // namespace flotilla::operate
