// `flotilla controller`: the operator, until it is stopped or loses leadership.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "surface/hub_access.h"
#include "surface/platform.h"

namespace flotilla::surface {

struct ControllerFlags {
  HubFlags hub;
  std::string data = "/var/lib/flotilla";  // mirrors of repositories, a cache of releases
  std::string listen = ":8080";
  Duration lease = 5s;
  Duration renew = 4s;
  Duration retry = 1s;
  int workers = 8;
  std::vector<std::string> allow_exec;  // exec plugins that kubeconfigs of members may run
  bool debug = false;
};

// The exit code: 0 after a stop in order, 1 otherwise (also where leadership was lost).
int RunController(const Platform& platform, const ControllerFlags& flags);

}  // namespace flotilla::surface
