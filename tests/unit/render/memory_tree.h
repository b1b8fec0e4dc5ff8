// A tree of files in memory, for tests. Ids are content hashes, of directories over their listing.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/tree.h"

namespace flotilla::render {

class MemoryTree final : public Tree {
 public:
  MemoryTree() = default;
  MemoryTree(std::initializer_list<std::pair<const std::string, std::string>> files)
      : files_(files) {}

  void Write(const std::string& path, std::string text) { files_[path] = std::move(text); }
  void Remove(const std::string& path) { files_.erase(path); }
  void Link(const std::string& path) { Special(path, EntryKind::kSymlink); }
  void Submodule(const std::string& path) { Special(path, EntryKind::kSubmodule); }
  std::map<std::string, std::string>& files() { return files_; }
  int reads = 0;
  int lists = 0;

  Result<std::optional<TreeEntry>> Find(std::string_view path) override {
    std::string text(path);
    std::string name = text.substr(text.rfind('/') + 1);
    if (auto file = files_.find(text); file != files_.end()) {
      return TreeEntry{name, KindOf(text), IdOf(text, file->second)};
    }
    auto entries = Entries(text);
    if (entries.empty() && !text.empty()) return std::optional<TreeEntry>();
    return TreeEntry{name, EntryKind::kDirectory, IdOf(entries)};
  }

  Result<std::vector<TreeEntry>> List(std::string_view directory) override {
    ++lists;
    return Entries(std::string(directory));
  }

  Result<std::string> Read(std::string_view file) override {
    ++reads;
    return files_.at(std::string(file));
  }

 private:
  void Special(const std::string& path, EntryKind kind) {
    files_[path] = "";
    kinds_[path] = kind;
  }
  EntryKind KindOf(const std::string& path) const {
    auto found = kinds_.find(path);
    return found == kinds_.end() ? EntryKind::kFile : found->second;
  }
  std::string IdOf(const std::string& path, const std::string& text) const {
    return DigestOf(std::to_string(static_cast<int>(KindOf(path))) + text).Hex();
  }
  static std::string IdOf(const std::vector<TreeEntry>& entries) {
    std::string all;
    for (const TreeEntry& entry : entries) all += entry.name + entry.id;
    return DigestOf("tree" + all).Hex();
  }

  std::vector<TreeEntry> Entries(const std::string& directory) const {
    std::string prefix = directory.empty() ? "" : directory + '/';
    std::set<std::string> names;
    for (const auto& [path, text] : files_) {
      if (path.compare(0, prefix.size(), prefix) != 0) continue;
      names.insert(path.substr(prefix.size(), path.find('/', prefix.size()) - prefix.size()));
    }
    std::vector<TreeEntry> entries;
    for (const std::string& name : names) {
      if (auto file = files_.find(prefix + name); file != files_.end()) {
        entries.push_back({name, KindOf(prefix + name), IdOf(prefix + name, file->second)});
      } else {
        entries.push_back({name, EntryKind::kDirectory, IdOf(Entries(prefix + name))});
      }
    }
    return entries;
  }

  std::map<std::string, std::string> files_;
  std::map<std::string, EntryKind> kinds_;
};

}  // namespace flotilla::render
