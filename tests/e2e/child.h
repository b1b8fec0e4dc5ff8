// A process that the tests start and that never outlives them: it is killed with the Child, and by
// the kernel where the test process dies without a word.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace flotilla::e2e {

struct ChildOptions {
  std::vector<std::string> argv;  // argv[0] is a path
  std::string output;             // the file that its standard output and error go to
  // Besides the environment of the test.
  std::vector<std::pair<std::string, std::string>> environment;
};

class Child {
 public:
  // To be called from the main thread: the kernel ties the child's life to the thread that forks.
  explicit Child(const ChildOptions& options);
  ~Child();  // SIGKILL
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  void Signal(int signal);
  void Kill();  // SIGKILL, and waits for its end
  const std::string& output() const { return output_; }
  // The end of what it wrote: for messages of failures.
  std::string LastOutput() const;

 private:
  std::string output_;
  pid_t pid_ = -1;
};

struct Finished {
  int status = 0;  // exit status, or -1 where a signal ended it
  std::string output;
};
// Runs to its end. What it writes goes through the file `scratch`.
Finished Run(const std::vector<std::string>& argv, const std::string& scratch);
// The same, for what the tests need before they begin: ends them as skipped where it does not
// succeed.
std::string Output(const std::vector<std::string>& argv, const std::string& scratch);

// Ends the process with exit code 77 and the reason on its last line.
[[noreturn]] void Skip(const std::string& reason);

// A port of 127.0.0.1 that nobody listens on, and that is not given out twice.
int FreePort();

std::string ReadFile(const std::string& path);

}  // namespace flotilla::e2e
