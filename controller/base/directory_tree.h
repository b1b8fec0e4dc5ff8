// A directory on disk as a Tree, for the CLI and for tests.
//
// The directory is opened once, and never left: every component is opened below the one before it
// without following symbolic links. Ids are SHA-256 of contents: of a file's bytes, of a link's
// target, of a directory's sorted listing. ".git" is not shown. Not safe for concurrent use.
#pragma once

#include <memory>

#include "base/tree.h"

namespace flotilla {

Result<std::unique_ptr<Tree>> OpenDirectoryTree(const std::string& directory);

}  // namespace flotilla
