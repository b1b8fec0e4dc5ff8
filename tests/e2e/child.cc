#include "e2e/child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

namespace flotilla::e2e {
namespace {

pid_t Start(const ChildOptions& options) {
  // Everything is made before the fork: afterwards only what is safe in a signal handler is.
  std::vector<std::string> environment;
  std::set<std::string> replaced;
  for (const auto& [name, value] : options.environment) {
    environment.push_back(name + "=" + value);
    replaced.insert(name);
  }
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (!replaced.contains(text.substr(0, text.find('=')))) environment.push_back(text);
  }
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<std::string> arguments = options.argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  for (std::string& entry : environment) envp.push_back(entry.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  const int output = open(options.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (output < 0 || input < 0) Skip("cannot write " + options.output);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) Skip("cannot fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(output);
  close(input);
  return pid;
}

}  // namespace

Child::Child(const ChildOptions& options) : output_(options.output), pid_(Start(options)) {}

Child::~Child() { Kill(); }

bool Child::Running() {
  if (pid_ < 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

void Child::Signal(int signal) {
  if (Running()) kill(pid_, signal);
}

void Child::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string Child::LastOutput() const {
  std::string text = ReadFile(output_);
  constexpr size_t kEnough = 3000;
  return text.size() <= kEnough ? text : text.substr(text.size() - kEnough);
}

Finished Run(const std::vector<std::string>& argv, const std::string& scratch) {
  unlink(scratch.c_str());
  const pid_t pid = Start({argv, scratch, {}});
  int status = 0;
  waitpid(pid, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadFile(scratch)};
}

std::string Output(const std::vector<std::string>& argv, const std::string& scratch) {
  Finished finished = Run(argv, scratch);
  if (finished.status != 0) Skip(argv[0] + " failed: " + finished.output);
  return finished.output;
}

void Skip(const std::string& reason) {
  std::string line = reason;
  for (char& c : line) c = c == '\n' ? ' ' : c;
  std::fprintf(stderr, "skipped: %s\n", line.c_str());
  std::_Exit(77);
}

int FreePort() {
  static std::set<int> given;
  while (true) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(fd, generic, size) != 0 || getsockname(fd, generic, &size) != 0) Skip("no free port");
    close(fd);
    const int port = ntohs(address.sin_port);
    if (given.insert(port).second) return port;
  }
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace flotilla::e2e
