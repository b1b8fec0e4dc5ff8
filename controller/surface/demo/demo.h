// `flotilla demo`: a whole fleet in one process, to watch and to play with.
//
// An embedded hub and three embedded members, a Git repository and a metrics source per member on
// free loopback ports, and the real controller. A first commit rolls out stage by stage; a second
// one breaks its SLO in the canary and is rolled back; what that took is measured and printed.
#pragma once

#include <string>

#include "surface/platform.h"

namespace flotilla::surface {

struct DemoFlags {
  // Ends after the table. Otherwise the fleet runs until it is stopped.
  bool once = false;
  // For kubeconfigs, the repository and the log; must be empty or absent. "": a temporary one.
  // It is left as it was found.
  std::string directory;
};

// Blocks; prints to standard output. The exit code: 0, or 1 where the fleet cannot be started, or
// the rollout or the rollback takes more than 60 s.
int RunDemo(const Platform& platform, const DemoFlags& flags);

}  // namespace flotilla::surface
