#include "surface/demo/repository.h"

#include "base/disk.h"

namespace flotilla::surface::demo {

Result<std::unique_ptr<Repository>> Repository::Make(const Platform& platform,
                                                     const std::string& root,
                                                     const std::string& name,
                                                     const std::string& url,
                                                     const std::string& clone) {
  std::unique_ptr<Repository> made(new Repository(platform, clone));
  auto bare = made->Git({"init", "--quiet", "--bare", "--initial-branch=main", name}, root);
  if (!bare) return Pass(bare);
  auto cloned = made->Git({"clone", "--quiet", "--config", "user.name=Ada", "--config",
                           "user.email=ada@example.com", url, clone},
                          root);
  if (!cloned) return Pass(cloned);
  return made;
}

Result<std::string> Repository::Commit(const std::string& path, const std::string& content,
                                       const std::string& message) {
  auto disk = OpenFileDisk(clone_);
  if (!disk) return Pass(disk);
  if (const size_t slash = path.rfind('/'); slash != path.npos) {
    if (Status made = (*disk)->MakeDirectories(path.substr(0, slash)); !made) return Pass(made);
  }
  if (Status written = (*disk)->WriteDurable(path, content); !written) return Pass(written);
  for (std::vector<std::string> arguments :
       {std::vector<std::string>{"add", "--all"},
        std::vector<std::string>{"commit", "--quiet", "--message", message},
        std::vector<std::string>{"push", "--quiet", "origin", "HEAD:refs/heads/main"}}) {
    auto done = Git(std::move(arguments), clone_);
    if (!done) return Pass(done);
  }
  return Git({"rev-parse", "HEAD"}, clone_);
}

Result<std::string> Repository::Git(std::vector<std::string> arguments,
                                    const std::string& directory) {
  const std::string verb = arguments.front();
  Command command;
  command.argv = std::move(arguments);
  command.argv.insert(command.argv.begin(), "git");
  command.directory = directory;
  command.deadline = platform_.runtime.Now() + 30s;
  // Nothing of the user's own configuration: no hooks, signatures or proxies.
  command.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                         {"HOME", "/nonexistent"},
                         {"GIT_CONFIG_NOSYSTEM", "1"},
                         {"GIT_TERMINAL_PROMPT", "0"}};
  auto exit = platform_.processes.Run(command, platform_.stop);
  if (!exit) return Fail(exit, "git {}", verb);
  if (exit->status != 0) {
    return Fail(ErrorClass::kInvalid, "git {} ends with {}: {}", verb, exit->status, exit->error);
  }
  while (!exit->output.empty() && exit->output.back() == '\n') exit->output.pop_back();
  return std::move(exit->output);
}

}  // namespace flotilla::surface::demo
