// What a render read from its tree: enough to find out, without rendering again, that rendering
// again would read the same.
//
// A directory counts by the entries that the render selected from it, so that a change of a file
// next to the manifests (a README) does not count. Ids of directories cover everything below them;
// while they are equal nothing below is looked at.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/tree.h"

namespace flotilla::render {

// Which entries of a directory a render looks at.
struct Selection {
  std::vector<std::string> include;  // globs (render/glob.h) over paths below `root`
  std::vector<std::string> exclude;
  bool recurse = true;
  bool operator==(const Selection&) const = default;
};

class ReadSet {
 public:
  ReadSet() = default;
  ReadSet(std::string root, Selection selection);

  void AddFile(std::string path, std::string id);
  // With the selected entries of its listing (render/walk.h).
  void AddDirectory(std::string path, std::string id, const std::vector<TreeEntry>& selected);
  void AddAbsent(std::string path);

  // True where a render of `tree` would read the same bytes from the same places. False also where
  // the tree cannot be read.
  bool StillValid(Tree& tree) const;

  // Over the paths and ids of all files read, and of the places found absent: one part of the input
  // digest.
  Digest InputDigest() const;

  const std::string& root() const { return root_; }
  // Paths of files → id.
  const std::map<std::string, std::string>& files() const { return files_; }
  size_t size() const { return files_.size() + directories_.size() + absent_.size(); }

 private:
  struct Directory {
    std::string id;
    Digest selected;  // over names and kinds of the selected entries
    std::vector<std::string> children;  // selected subdirectories and files
  };
  bool DirectoryStillValid(Tree& tree, const std::string& path, const Directory& directory) const;

  std::string root_;
  Selection selection_;
  std::map<std::string, std::string> files_;
  std::map<std::string, Directory> directories_;
  std::vector<std::string> absent_;
};

}  // namespace flotilla::render
