// SIGINT and SIGTERM as a stop token: the first one asks everything to end in order, the second one
// ends the process at once.
#pragma once

#include <memory>
#include <stop_token>

#include "base/host.h"
#include "base/runtime.h"

namespace flotilla::surface {

class Signals {
 public:
  // Before any thread is made, so that every thread leaves the signals to the one that waits here.
  static void Block();

  Signals(Runtime& runtime, Host& host);
  ~Signals();
  std::stop_token stop() const { return asked_.get_token(); }

 private:
  void Await(Host& host, const std::stop_token& ended);
  std::stop_source asked_;
  std::unique_ptr<Task> task_;
};

}  // namespace flotilla::surface
