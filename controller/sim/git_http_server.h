// Bare Git repositories over smart HTTP, for the demo and for tests: an http::Handler that runs
// `git http-backend` on a directory.
//
// Serves GET <path>/info/refs?service=..., POST <path>/git-upload-pack and, where writing is
// allowed, POST <path>/git-receive-pack, for every bare repository below the root. Protocol
// versions 0 to 2. Enough for clone, fetch and push by the git program and by libgit2.
#pragma once

#include <string>

#include "base/runtime.h"
#include "http/server.h"

namespace flotilla::sim {

struct GitServerOptions {
  std::string root;  // repositories are directories below it: /team/app.git
  std::string git = "/usr/bin/git";
  std::string username;  // where not empty: basic authentication is demanded
  std::string password;
  bool allow_push = false;
  Duration deadline = 60s;  // for one run of git
};

// `runtime` must outlive the handler. A path that leaves the root, or names no bare repository, is
// answered with 404. An answer, and so a pack, is limited by limits::kProcessOutputBytes, a push by
// limits::kServerBodyBytes.
http::Handler GitHttpHandler(Runtime& runtime, GitServerOptions options);

}  // namespace flotilla::sim
