// Running other programs (helm, gpgv, exec plugins).
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "base/runtime.h"

namespace flotilla {

struct Command {
  std::vector<std::string> argv;  // argv[0] is a path, or a name that is looked up in PATH of
                                  // `environment`; never a shell
  std::vector<std::pair<std::string, std::string>> environment;  // all of it: nothing is inherited
  std::string directory;                                         // empty: the current one
  std::string input;                                             // its standard input
  TimePoint deadline = kForever;
  size_t output_limit = limits::kProcessOutputBytes;
  size_t error_limit = limits::kProcessErrorBytes;
};

struct ProcessExit {
  int status = 0;  // exit status, or 128 + signal
  std::string output;
  std::string error;  // standard error, its last error_limit bytes
};

class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  // Any exit status is an answer. Errors: NotFound (no such program, NotSent), Timeout, Cancelled,
  // Invalid (more output than output_limit). On every error the whole process group is dead, and
  // reaped, when this returns.
  virtual Result<ProcessExit> Run(const Command& command, std::stop_token stop) = 0;
};

// The child is the leader of a process group, has no file descriptor but 0, 1 and 2, default signal
// handlers and an empty signal mask. What it leaves running in its group is killed when it exits.
// Making one ignores SIGPIPE in this process.
std::unique_ptr<ProcessRunner> NewProcessRunner(Runtime& runtime);

}  // namespace flotilla
