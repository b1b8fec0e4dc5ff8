#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>

#include "base/descriptor.h"

namespace flotilla {
namespace {

struct Pipe {
  Descriptor read, write;
};

// Both ends close on exec, and neither is 0, 1 or 2, which the child's own would overwrite.
Result<Pipe> OpenPipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "open a pipe");
  Pipe pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  for (Descriptor* end : {&pipe.read, &pipe.write}) {
    if (end->get() > STDERR_FILENO) continue;
    Descriptor higher(fcntl(end->get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!higher) return FailErrno(errno, "open a pipe");
    *end = std::move(higher);
  }
  return pipe;
}

// The program that a shell would find, by the child's PATH and not by ours.
Result<std::string> FindProgram(const Command& command) {
  const std::string& name = command.argv[0];
  if (name.find('/') != std::string::npos) return name;
  for (const auto& [key, value] : command.environment) {
    if (key != "PATH") continue;
    for (std::string_view rest = value; !rest.empty();) {
      const size_t colon = rest.find(':');
      const std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), name);
      // An empty component means the current directory to a shell, and nothing to us.
      if (candidate.front() == '/' && colon != 0 && access(candidate.c_str(), X_OK) == 0) {
        return candidate;
      }
      rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    }
  }
  Error error;
  error.cls = ErrorClass::kNotFound;
  error.outcome = Outcome::kNotSent;
  error.message = fmt::format("no program '{}' in PATH", name);
  return tl::unexpected(std::move(error));
}

// The arguments of posix_spawn, and what they point to.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  // 0 or an errno.
  int Spawn(const Command& command, const std::string& program, int input, int output, int error,
            pid_t* child) {
    posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, error, STDERR_FILENO);
    // Libraries open descriptors without close-on-exec.
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    if (!command.directory.empty()) {
      posix_spawn_file_actions_addchdir_np(&actions_, command.directory.c_str());
    }
    std::vector<std::string> texts = command.argv;
    for (const auto& [key, value] : command.environment)
      texts.push_back(fmt::format("{}={}", key, value));
    std::vector<char*> arguments, environment;
    for (size_t i = 0; i < texts.size(); ++i) {
      (i < command.argv.size() ? arguments : environment).push_back(texts[i].data());
    }
    arguments.push_back(nullptr);
    environment.push_back(nullptr);
    return posix_spawn(child, program.c_str(), &actions_, &attributes_, arguments.data(),
                       environment.data());
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// A child that runs. Destroying it kills its process group and reaps it.
class Child {
 public:
  explicit Child(pid_t pid)
      : pid_(pid), exited_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}
  ~Child() { Reap(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Readable when it has exited; -1 where the kernel has no such thing (before 5.3).
  int exited() const { return exited_.get(); }

  bool HasExited() const {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }

  // Kills what is left of its group while its pid still names it, and returns its wait status.
  int Reap() {
    if (reaped_) return status_;
    kill(-pid_, SIGKILL);
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    return status_;
  }

 private:
  const pid_t pid_;
  const Descriptor exited_;
  bool reaped_ = false;
  int status_ = 0;
};

void SetNonBlocking(const Descriptor& descriptor) {
  fcntl(descriptor.get(), F_SETFL, fcntl(descriptor.get(), F_GETFL) | O_NONBLOCK);
}

// Writes what the pipe takes; closes it when all is written or nobody reads.
void Feed(Descriptor& pipe, std::string_view& input) {
  while (!input.empty()) {
    const ssize_t count = write(pipe.get(), input.data(), input.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) break;
    input.remove_prefix(static_cast<size_t>(count));
  }
  pipe.Close();
}

// Reads what the pipe has, at most `most` bytes; closes it at its end. True where more may be
// there.
bool Drain(Descriptor& pipe, std::string& text, size_t most) {
  std::array<char, 64 << 10> buffer;
  for (size_t taken = 0; pipe && taken < most;) {
    const ssize_t count = read(pipe.get(), buffer.data(), std::min(buffer.size(), most - taken));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return false;
    if (count <= 0) pipe.Close();
    if (count <= 0) return false;
    text.append(buffer.data(), static_cast<size_t>(count));
    taken += static_cast<size_t>(count);
  }
  return static_cast<bool>(pipe);
}

class PosixRunner final : public ProcessRunner {
 public:
  explicit PosixRunner(Runtime& runtime) : runtime_(runtime) {
    // A child that closes its input early is no reason to die.
    std::signal(SIGPIPE, SIG_IGN);
  }

  Result<ProcessExit> Run(const Command& command, std::stop_token stop) override {
    Mutex::AbortIfHeld("ProcessRunner::Run");
    if (Status checked = Check(command); !checked) return Pass(checked);
    if (stop.stop_requested()) return Ended(command, ErrorClass::kCancelled, Outcome::kNotSent);
    const Result<std::string> program = FindProgram(command);
    if (!program) return Pass(program);
    const Descriptor stopped(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stopped) return FailErrno(errno, "open an eventfd");
    Result<Pipe> input = OpenPipe(), output = OpenPipe(), error = OpenPipe();
    for (const Result<Pipe>* pipe : {&input, &output, &error}) {
      if (!*pipe) return Pass(*pipe);
    }

    pid_t pid = 0;
    SpawnPlan plan;
    if (const int failed = plan.Spawn(command, *program, input->read.get(), output->write.get(),
                                      error->write.get(), &pid)) {
      Error below = FailErrno(failed, "run " + *program).value();
      below.outcome = Outcome::kNotSent;
      return tl::unexpected(std::move(below));
    }
    Child child(pid);
    input->read.Close();
    output->write.Close();
    error->write.Close();
    for (const Descriptor* end : {&input->write, &output->read, &error->read}) SetNonBlocking(*end);
    const std::stop_callback wake(stop, [&stopped] { eventfd_write(stopped.get(), 1); });
    return Watch(command, child, stopped, input->write, output->read, error->read);
  }

 private:
  static Status Check(const Command& command) {
    if (command.argv.empty() || command.argv[0].empty()) {
      return Fail(ErrorClass::kInvalid, "a command has no program");
    }
    const auto has_nul = [](const std::string& text) { return text.find('\0') != text.npos; };
    bool bad = std::any_of(command.argv.begin(), command.argv.end(), has_nul);
    for (const auto& [key, value] : command.environment) {
      bad |= has_nul(key) || has_nul(value) || key.empty() || key.find('=') != key.npos;
    }
    if (bad)
      return Fail(ErrorClass::kInvalid,
                  "an argument or variable of {} holds a NUL byte or a bad name", command.argv[0]);
    return {};
  }

  static tl::unexpected<Error> Ended(const Command& command, ErrorClass cls, Outcome outcome) {
    Error error;
    error.cls = cls;
    error.outcome = outcome;
    error.message = fmt::format(
        "{} {}", command.argv[0],
        cls == ErrorClass::kTimeout ? "did not end before its deadline" : "was stopped");
    return tl::unexpected(std::move(error));
  }

  Result<ProcessExit> Watch(const Command& command, Child& child, const Descriptor& stopped,
                            Descriptor& input, Descriptor& output, Descriptor& error) {
    ProcessExit exit;
    std::string_view left = command.input;
    if (left.empty()) input.Close();
    // True where more may be there.
    const auto drain = [&]() -> Result<bool> {
      bool more = Drain(output, exit.output, command.output_limit - exit.output.size() + 1);
      more |= Drain(error, exit.error, 4 * command.error_limit + 1);
      if (exit.error.size() > command.error_limit) {
        exit.error.erase(0, exit.error.size() - command.error_limit);
      }
      if (exit.output.size() <= command.output_limit) return more;
      Error too_much;
      too_much.cls = ErrorClass::kInvalid;
      too_much.outcome = Outcome::kUnknown;
      too_much.message =
          fmt::format("{} wrote more than {} bytes", command.argv[0], command.output_limit);
      return tl::unexpected(std::move(too_much));
    };
    while (!child.HasExited()) {
      eventfd_t stop_count = 0;
      if (eventfd_read(stopped.get(), &stop_count) == 0) {
        return Ended(command, ErrorClass::kCancelled, Outcome::kUnknown);
      }
      const TimePoint now = runtime_.Now();
      if (now >= command.deadline) return Ended(command, ErrorClass::kTimeout, Outcome::kUnknown);
      Await(child, stopped, input, output, error, command.deadline - now);
      if (input) Feed(input, left);
      if (const auto drained = drain(); !drained) return Pass(drained);
    }
    const int status = child.Reap();
    // Nobody of its group writes any more; whoever left the group is not waited for.
    for (Result<bool> more = true; *more;) {
      more = drain();
      if (!more) return Pass(more);
    }
    exit.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return exit;
  }

  // Until something can be done, or the time is up.
  static void Await(const Child& child, const Descriptor& stopped, const Descriptor& input,
                    const Descriptor& output, const Descriptor& error, Duration left) {
    std::array<pollfd, 5> wanted = {{{stopped.get(), POLLIN, 0},
                                     {child.exited(), POLLIN, 0},
                                     {input.get(), POLLOUT, 0},  // a closed one is -1: ignored
                                     {output.get(), POLLIN, 0},
                                     {error.get(), POLLIN, 0}}};
    // Rounded up, and bounded: also where exits must be asked for.
    const Duration slice =
        std::min<Duration>(left, child.exited() < 0 ? Duration(20ms) : Duration(1h));
    poll(wanted.data(), wanted.size(), static_cast<int>((slice.count() + 999) / 1000));
  }

  Runtime& runtime_;
};

}  // namespace

std::unique_ptr<ProcessRunner> NewProcessRunner(Runtime& runtime) {
  return std::make_unique<PosixRunner>(runtime);
}

}  // namespace flotilla
