// Which files of a directory are manifests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/tree.h"

namespace flotilla::render {

struct Selection {
  // Globs (render/glob.h) over paths below the root of the source. Empty: every file that ends in
  // .yaml, .yml or .json; others are never read.
  std::vector<std::string> include;
  std::vector<std::string> exclude;  // files and directories; wins over include
  bool recurse = true;
  bool operator==(const Selection&) const = default;
};

Status CheckSelection(const Selection& selection);

bool IsManifestName(std::string_view name);
// What makes a directory one that another renderer owns: kustomization.yaml, Chart.yaml, ...
bool IsKustomization(std::string_view name);
bool IsChart(std::string_view name);

// The entries of the directory `below` ("" is the root of the source) that a render looks at:
// selected files, directories to descend into, and all that it has to refuse (links, submodules,
// other renderers' files) unless excluded. Names that begin with '.' are never looked at.
std::vector<TreeEntry> SelectEntries(const Selection& selection, std::string_view below,
                                     std::vector<TreeEntry> entries);

// "deploy" + "web.yaml" → "deploy/web.yaml"; an empty part is left out.
std::string JoinPath(std::string_view directory, std::string_view name);

}  // namespace flotilla::render
