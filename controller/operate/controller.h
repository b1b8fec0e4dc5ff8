// The controller: everything that runs while this process leads.
//
//   Controller controller(dependencies, options);
//   Status ended = controller.Run(stop);   // elects itself, leads, until stopped or leadership is lost
//
// A standby keeps its caches of the hub warm, so that a change of leader costs the lease and little
// more.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/runtime.h"
#include "git/store.h"
#include "http/http.h"
#include "kube/access.h"
#include "kube/config.h"
#include "kube/lease.h"
#include "operate/release.h"

namespace flotilla::operate {

struct ControllerDependencies {
  Runtime& runtime;
  http::HttpClient& http;
  git::GitStore& git;
  ReleaseStore& releases;
  Logger log;
  kube::AccessSources sources;  // what kubeconfigs of members may use
};

struct ControllerOptions {
  kube::Access hub;
  std::string identity;  // unique per process
  std::string ns = "flotilla-system";
  Duration lease = 5s;
  Duration renew = 4s;
  Duration retry = 1s;
  int workers = 8;
};

class Controller {
 public:
  // What `dependencies` refers to outlives the Controller.
  Controller(ControllerDependencies dependencies, ControllerOptions options);
  ~Controller();

  // Blocks. An error says why it cannot go on; leadership that was lost is Conflict: end the process.
  Status Run(std::stop_token stop);

  bool Ready() const { return ready_.load(); }      // the caches are filled
  bool Leading() const { return leading_.load(); }

 private:
  class Leadership;
  ControllerDependencies dependencies_;
  ControllerOptions options_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> leading_{false};
};

}  // namespace flotilla::operate
