// The files of one commit, read from the object database.
#pragma once

#include <memory>
#include <string_view>

#include "base/tree.h"
#include "git/generation.h"

namespace flotilla::git {

// NotFound where the repository does not have the commit. A name that could lead out of a directory
// ("..", ".git", one with a slash) is an error of the listing that has it: Git itself never writes
// one. The Tree keeps the generation on disk while it lives.
Result<std::unique_ptr<Tree>> OpenCommitTree(std::shared_ptr<Generation> generation,
                                             std::string_view commit);

}  // namespace flotilla::git
