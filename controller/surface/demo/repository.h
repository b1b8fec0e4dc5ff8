// The Git repository of the demo: a bare one that the fleet serves, and a clone of it in which
// commits are made and pushed, as a person would.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/process.h"
#include "base/result.h"
#include "base/runtime.h"

namespace flotilla::surface::demo {

class Repository {
 public:
  // Makes the bare repository `root`/`name` and a clone of `url`, where it is served, in `clone`.
  static Result<std::unique_ptr<Repository>> Make(Runtime& runtime, const std::string& root,
                                                  const std::string& name, const std::string& url,
                                                  const std::string& clone, std::stop_token stop);

  // Writes that file, commits and pushes. The commit's id.
  Result<std::string> Commit(const std::string& path, const std::string& content,
                             const std::string& message, std::stop_token stop);

 private:
  Repository(Runtime& runtime, std::string clone)
      : runtime_(runtime), processes_(NewProcessRunner(runtime)), clone_(std::move(clone)) {}
  Result<std::string> Git(std::vector<std::string> arguments, const std::string& directory,
                          std::stop_token stop);

  Runtime& runtime_;
  const std::unique_ptr<ProcessRunner> processes_;
  const std::string clone_;
};

}  // namespace flotilla::surface::demo
