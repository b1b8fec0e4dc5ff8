// Builds what the operating system gives, and passes it down.
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/thread_runtime.h"
#include "http/client.h"
#include "surface/cli/command_line.h"
#include "surface/signals.h"

namespace {

constexpr int kThreads = 1024;

std::vector<std::pair<std::string, std::string>> Environment() {
  std::vector<std::pair<std::string, std::string>> variables;
  for (char** at = environ; at && *at; ++at) {
    const std::string text(*at);
    const size_t equals = text.find('=');
    if (equals != std::string::npos)
      variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace flotilla;
  surface::Signals::Block();
  ThreadRuntime runtime(kThreads);
  const std::unique_ptr<Host> host = NewHost(runtime);
  const surface::Signals signals(runtime, *host);
  const std::unique_ptr<ProcessRunner> processes = NewProcessRunner(runtime);
  auto files = OpenFileDisk("/");
  if (!files) {
    std::fprintf(stderr, "flotilla: %s\n", files.error().ToString().c_str());
    return 1;
  }
  const std::unique_ptr<http::HttpClient> client = http::NewHttpClient(runtime);
  std::error_code no_directory;
  const surface::Platform platform{runtime,
                                   *host,
                                   *client,
                                   **files,
                                   *processes,
                                   Environment(),
                                   std::filesystem::current_path(no_directory).string(),
                                   isatty(STDOUT_FILENO) == 1,
                                   signals.stop()};
  return surface::RunCommandLine(platform, argc, argv);
}
