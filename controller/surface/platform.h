// What main gives to every command: the operating system, as interfaces.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "base/host.h"
#include "base/process.h"
#include "base/runtime.h"
#include "http/http.h"

namespace flotilla::surface {

struct Platform {
  Runtime& runtime;
  Host& host;
  http::HttpClient& http;
  Disk& files;  // rooted at "/"
  ProcessRunner& processes;
  std::vector<std::pair<std::string, std::string>> environment;  // for exec plugins
  std::string directory;                                         // the current one, absolute
  bool colour = false;                                           // standard output is a terminal
  std::stop_token stop;  // the user, or the system, asks us to end
};

// The absolute path that `path` means here.
std::string AbsolutePath(const Platform& platform, const std::string& path);
// A file that the user names. Invalid where it cannot be read; the message names it.
Result<std::string> ReadUserFile(const Platform& platform, const std::string& path);

}  // namespace flotilla::surface
