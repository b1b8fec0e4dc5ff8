// The Git repository of the demo: a bare one that the fleet serves, and a clone of it in which
// commits are made and pushed, as a person would.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "surface/platform.h"

namespace flotilla::surface::demo {

class Repository {
 public:
  // Makes the bare repository `root`/`name` and a clone of `url`, where it is served, in `clone`.
  // `platform` outlives the Repository.
  static Result<std::unique_ptr<Repository>> Make(const Platform& platform, const std::string& root,
                                                  const std::string& name, const std::string& url,
                                                  const std::string& clone);

  // Writes that file, commits and pushes. The commit's id.
  Result<std::string> Commit(const std::string& path, const std::string& content,
                             const std::string& message);

 private:
  Repository(const Platform& platform, std::string clone)
      : platform_(platform), clone_(std::move(clone)) {}
  Result<std::string> Git(std::vector<std::string> arguments, const std::string& directory);

  const Platform& platform_;
  const std::string clone_;
};

}  // namespace flotilla::surface::demo
