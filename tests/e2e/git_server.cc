#include "e2e/git_server.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "catch.h"
#include "sim/git_http_server.h"

namespace flotilla::e2e {

namespace fs = std::filesystem;

GitServer::GitServer(Runtime& runtime, const std::string& directory)
    : runtime_(runtime), directory_(directory), runner_(NewProcessRunner(runtime)) {
  fs::create_directories(directory_ + "/served");
  sim::GitServerOptions options;
  options.root = directory_ + "/served";
  auto server = http::Serve(runtime_, {}, sim::GitHttpHandler(runtime_, std::move(options)));
  if (!server) FAIL(server.error().ToString());
  server_ = *std::move(server);
}

std::string GitServer::UrlOf(const std::string& name) const {
  return fmt::format("http://127.0.0.1:{}/{}.git", server_->port(), name);
}

std::string GitServer::Commit(const std::string& name, const Files& files,
                              const std::string& message) {
  const std::string bare = directory_ + "/served/" + name + ".git";
  const std::string work = directory_ + "/work-" + name;
  if (!fs::exists(bare)) {
    Git(directory_, {"init", "--quiet", "--bare", "--initial-branch=main", bare});
    Git(directory_, {"init", "--quiet", "--initial-branch=main", work});
  }
  for (const auto& entry : fs::directory_iterator(work)) {
    if (entry.path().filename() != ".git") fs::remove_all(entry.path());
  }
  for (const auto& [path, content] : files) {
    const fs::path file = fs::path(work) / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  Git(work, {"add", "--all"});
  Git(work, {"commit", "--quiet", "--allow-empty", "-m", message});
  Git(work, {"push", "--quiet", bare, "main"});
  std::string commit = Git(work, {"rev-parse", "HEAD"});
  return commit.substr(0, commit.find('\n'));
}

std::string GitServer::Git(const std::string& directory, std::vector<std::string> arguments) {
  Command command;
  command.argv = {"/usr/bin/git"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.directory = directory;
  command.environment = {{"PATH", "/usr/bin:/bin"},        {"HOME", directory_},
                         {"GIT_AUTHOR_NAME", "author"},    {"GIT_AUTHOR_EMAIL", "a@example.com"},
                         {"GIT_COMMITTER_NAME", "author"}, {"GIT_COMMITTER_EMAIL", "a@example.com"},
                         {"GIT_CONFIG_NOSYSTEM", "1"}};
  command.deadline = runtime_.Now() + 60s;
  auto exit = runner_->Run(command, {});
  if (!exit) FAIL(exit.error().ToString());
  if (exit->status != 0) FAIL("git " << arguments[0] << ": " << exit->error);
  return exit->output;
}

}  // namespace flotilla::e2e
