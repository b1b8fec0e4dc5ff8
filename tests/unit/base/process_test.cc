#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "base/thread_runtime.h"
#include "catch.h"
#include "temporary_directory.h"

namespace flotilla {
namespace {

struct Fixture {
  ThreadRuntime runtime;
  std::unique_ptr<ProcessRunner> runner = NewProcessRunner(runtime);

  Command Shell(std::string script) {
    Command command;
    command.argv = {"sh", "-c", std::move(script)};
    command.environment = {{"PATH", "/usr/bin:/bin"}};
    command.deadline = runtime.Now() + 60s;
    return command;
  }
  Result<ProcessExit> Run(std::string script) { return runner->Run(Shell(std::move(script)), {}); }
};

TEST_CASE("a program's output, error output and status come back") {
  Fixture f;
  const auto exit = f.Run("echo out; echo err >&2; exit 3");
  REQUIRE(exit);
  CHECK(exit->status == 3);
  CHECK(exit->output == "out\n");
  CHECK(exit->error == "err\n");
  CHECK(f.Run("kill -TERM $$")->status == 128 + SIGTERM);
}

TEST_CASE("input of any size passes through") {
  Fixture f;
  Command command = f.Shell("cat");
  command.input = std::string(3'000'000, 'x');
  CHECK(f.runner->Run(command, {})->output == command.input);
}

TEST_CASE("a program that does not read its input is no failure") {
  Fixture f;
  Command command = f.Shell("exec 0<&-; echo done");
  command.input = std::string(3'000'000, 'x');
  CHECK(f.runner->Run(command, {})->output == "done\n");
}

TEST_CASE("arguments and environment arrive as they are, and nothing is inherited") {
  Fixture f;
  setenv("FLOTILLA_TEST_LEAK", "1", 1);
  Command command;
  command.argv = {"/usr/bin/env", "printf", "%s|%s", "a b", "$HOME;`x`"};
  command.deadline = f.runtime.Now() + 60s;
  command.environment = {{"PATH", "/usr/bin:/bin"}};
  CHECK(f.runner->Run(command, {})->output == "a b|$HOME;`x`");
  command.argv = {"env"};
  command.environment.emplace_back("ONLY", "this one");
  CHECK(f.runner->Run(command, {})->output == "PATH=/usr/bin:/bin\nONLY=this one\n");
}

TEST_CASE("the child has no descriptor but 0, 1 and 2") {
  Fixture f;
  const int leaky = open("/dev/null", O_RDONLY);  // without close-on-exec, as libraries do
  REQUIRE(leaky > 2);
  const auto exit = f.Run("ls /proc/self/fd | tr '\\n' ' '");
  close(leaky);
  CHECK(exit->output == "0 1 2 3 ");  // 3 is the directory that ls reads
}

TEST_CASE("the program is looked up in the PATH of its environment") {
  Fixture f;
  TemporaryDirectory directory;
  directory.Write("tool", "#!/bin/sh\necho found\n");
  std::filesystem::permissions(directory.path("tool"), std::filesystem::perms::owner_all);
  Command command;
  command.argv = {"tool"};
  command.deadline = f.runtime.Now() + 60s;
  const auto missing = f.runner->Run(command, {});
  CHECK(missing.error().cls == ErrorClass::kNotFound);
  CHECK(missing.error().outcome == Outcome::kNotSent);
  command.environment = {{"PATH", "/nonexistent:" + directory.path()}};
  CHECK(f.runner->Run(command, {})->output == "found\n");
  command.argv = {"/nonexistent/tool"};
  CHECK(f.runner->Run(command, {}).error().cls == ErrorClass::kNotFound);
}

TEST_CASE("it starts in its directory") {
  Fixture f;
  TemporaryDirectory directory;
  Command command = f.Shell("pwd -P");
  command.directory = directory.path();
  CHECK(f.runner->Run(command, {})->output ==
        std::filesystem::canonical(directory.path()).string() + "\n");
}

// True once no process of that group is left.
bool GroupIsGone(pid_t group) { return kill(-group, 0) != 0 && errno == ESRCH; }

pid_t ReadPid(const TemporaryDirectory& directory) {
  pid_t pid = 0;
  std::ifstream(directory.path("pid")) >> pid;
  return pid;
}

TEST_CASE("past its deadline the whole group is killed") {
  Fixture f;
  TemporaryDirectory directory;
  Command command = f.Shell("echo $$ > pid; trap '' TERM; sleep 1000 & sleep 1000");
  command.directory = directory.path();
  command.deadline = f.runtime.Now() + 300ms;
  const auto exit = f.runner->Run(command, {});
  REQUIRE_FALSE(exit);
  CHECK(exit.error().cls == ErrorClass::kTimeout);
  CHECK(exit.error().outcome == Outcome::kUnknown);
  REQUIRE(ReadPid(directory) > 0);
  CHECK(f.runtime.Now() < command.deadline + 30s);
}

TEST_CASE("a stop ends it at once") {
  Fixture f;
  Command command = f.Shell("echo $$; exec sleep 1000");
  Result<ProcessExit> exit;
  auto started = f.runtime.NewEvent();
  auto task = f.runtime.Spawn("run", [&](std::stop_token stop) {
    started->Set();
    exit = f.runner->Run(command, stop);
  });
  started->Wait(kForever, {});
  task->RequestStop();
  task->Join();
  REQUIRE_FALSE(exit);
  CHECK(exit.error().cls == ErrorClass::kCancelled);
  std::stop_source stopped;
  stopped.request_stop();
  CHECK(f.runner->Run(command, stopped.get_token()).error().outcome == Outcome::kNotSent);
}

TEST_CASE("what it leaves running is killed with its exit, and not waited for") {
  Fixture f;
  const auto exit = f.Run("echo $$; sleep 1000 & exit 0");
  REQUIRE(exit);
  const pid_t group = std::stoi(exit->output);
  // The orphan is reaped by init: its group ends soon after.
  const TimePoint patience = f.runtime.Now() + 30s;
  while (!GroupIsGone(group) && f.runtime.Now() < patience) f.runtime.SleepFor(1ms, {});
  CHECK(GroupIsGone(group));
}

TEST_CASE("output up to the limit is an answer, and beyond an error") {
  Fixture f;
  Command command = f.Shell("head -c 1000 /dev/zero");
  command.output_limit = 1000;
  CHECK(f.runner->Run(command, {})->output.size() == 1000);
  command.output_limit = 999;
  const auto exit = f.runner->Run(command, {});
  REQUIRE_FALSE(exit);
  CHECK(exit.error().message == "sh wrote more than 999 bytes");
  command = f.Shell("yes");
  command.output_limit = 1'000'000;
  CHECK(f.runner->Run(command, {}).error().cls == ErrorClass::kInvalid);
}

TEST_CASE("of error output the end is kept") {
  Fixture f;
  Command command = f.Shell("head -c 900000 /dev/zero >&2; echo last >&2");
  command.error_limit = 100;
  const auto exit = f.runner->Run(command, {});
  REQUIRE(exit);
  CHECK(exit->error == std::string(95, '\0') + "last\n");
}

TEST_CASE("commands that no kernel could take are refused") {
  Fixture f;
  Command command;
  CHECK(f.runner->Run(command, {}).error().cls == ErrorClass::kInvalid);
  command.argv = {"sh", std::string("a\0b", 3)};
  CHECK(f.runner->Run(command, {}).error().cls == ErrorClass::kInvalid);
  command.argv = {"sh"};
  command.environment = {{"A=B", "c"}};
  CHECK(f.runner->Run(command, {}).error().cls == ErrorClass::kInvalid);
}

}  // namespace
}  // namespace flotilla
