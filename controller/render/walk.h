// From a path of a tree to the manifests below it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/tree.h"
#include "render/problems.h"
#include "render/read_set.h"

namespace flotilla::render {

// Paths of the files to read, in bytewise order of their components. `root` is normalized. What has
// to be refused goes to `problems`; errors are those of the tree, and Invalid where `root` is not
// there or a limit is exceeded.
Result<std::vector<std::string>> FindManifests(Tree& tree, const std::string& root,
                                               const Selection& selection, ReadSet& read,
                                               Problems& problems);

}  // namespace flotilla::render
