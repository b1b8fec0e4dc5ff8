// A directory of files that somebody else wrote: a checkout on disk or a tree of a Git commit.
//
// Paths are relative, '/'-separated, without "." or "..". No implementation ever follows a symbolic
// link or leaves its root. Every entry has an id that changes when its content does (for Git, the
// object id), so that a reader can record what it read and find out cheaply whether it changed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flotilla {

enum class EntryKind : unsigned char { kFile, kDirectory, kSymlink, kSubmodule };

struct TreeEntry {
  std::string name;  // of this entry in its directory, without '/'
  EntryKind kind = EntryKind::kFile;
  std::string id;  // hex; of a directory: of its listing, with everything below
};

class Tree {
 public:
  virtual ~Tree() = default;
  // The root has the path "". NotFound (as nullopt) is a fact worth recording, not an error.
  virtual Result<std::optional<TreeEntry>> Find(std::string_view path) = 0;
  // Entries in bytewise order of their names.
  virtual Result<std::vector<TreeEntry>> List(std::string_view directory) = 0;
  virtual Result<std::string> Read(std::string_view file) = 0;
};

// Checks and normalises a path that came from outside: no "..", no absolute path, no empty or "."
// component, no NUL, no ".git" component. "" and "." and "./" mean the root.
Result<std::string> NormalizePath(std::string_view path);

}  // namespace flotilla
