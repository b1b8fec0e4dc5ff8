// What a render read from its tree: enough to find out, without rendering again, that rendering
// again would read the same.
//
// A directory counts by the entries that the render selected from it, so that a change of a file
// next to the manifests (a README) does not count. Ids of directories cover everything below them;
// while they are equal nothing below is looked at.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/tree.h"
#include "render/selection.h"

namespace flotilla::render {

class ReadSet {
 public:
  ReadSet() = default;
  ReadSet(std::string root, Selection selection)
      : root_(std::move(root)), selection_(std::move(selection)) {}

  void AddFile(std::string path, std::string id);
  // With what SelectEntries left of its listing.
  void AddDirectory(std::string path, std::string id, const std::vector<TreeEntry>& selected);

  // True where a render of `tree` would read the same bytes from the same places. False also where
  // the tree cannot be read.
  bool StillValid(Tree& tree) const;

  // Over the paths and ids of all files read: one part of the input digest.
  Digest InputDigest() const;

  // The file or directory that was rendered.
  const std::string& root() const { return root_; }
  // Path of every file read → its id.
  const std::map<std::string, std::string>& files() const { return files_; }

 private:
  struct Directory {
    std::string id;
    Digest selected;
  };
  bool DirectoryStillValid(Tree& tree, const std::string& path, const std::string& id) const;

  std::string root_;
  Selection selection_;
  std::map<std::string, std::string> files_;
  std::map<std::string, Directory> directories_;
};

}  // namespace flotilla::render
