// A Git repository over smart HTTP on loopback, written by the git program.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/process.h"
#include "base/runtime.h"
#include "http/server.h"

namespace flotilla::e2e {

using Files = std::map<std::string, std::string>;  // path → content

class GitServer {
 public:
  GitServer(Runtime& runtime, const std::string& directory);

  // Makes the branch main of the repository <name>.git hold exactly these files. Returns the
  // commit.
  std::string Commit(const std::string& name, const Files& files, const std::string& message);
  std::string UrlOf(const std::string& name) const;

 private:
  std::string Git(const std::string& directory, std::vector<std::string> arguments);

  Runtime& runtime_;
  const std::string directory_;
  std::unique_ptr<ProcessRunner> runner_;
  std::unique_ptr<http::HttpServer> server_;
};

}  // namespace flotilla::e2e
