#include "render/read_set.h"

#include <algorithm>
#include <utility>

namespace flotilla::render {
namespace {

Digest NamesAndKinds(const std::vector<TreeEntry>& selected) {
  Sha256 digest;
  for (const TreeEntry& entry : selected) {
    digest.UpdateField(entry.name);
    digest.UpdateField(std::string(1, static_cast<char>('0' + static_cast<int>(entry.kind))));
  }
  return digest.Finish();
}

}  // namespace

void ReadSet::AddFile(std::string path, std::string id) {
  files_.insert_or_assign(std::move(path), std::move(id));
}

void ReadSet::AddDirectory(std::string path, std::string id,
                           const std::vector<TreeEntry>& selected) {
  directories_.insert_or_assign(std::move(path), Directory{std::move(id), NamesAndKinds(selected)});
}

bool ReadSet::StillValid(Tree& tree) const {
  auto root = tree.Find(root_);
  if (!root || !*root) return false;
  if (auto file = files_.find(root_); file != files_.end()) {
    return (*root)->kind == EntryKind::kFile && (*root)->id == file->second;
  }
  return (*root)->kind == EntryKind::kDirectory && DirectoryStillValid(tree, root_, (*root)->id);
}

bool ReadSet::DirectoryStillValid(Tree& tree, const std::string& path,
                                  const std::string& id) const {
  auto known = directories_.find(path);
  if (known == directories_.end()) return false;
  if (known->second.id == id) return true;
  auto listing = tree.List(path);
  if (!listing) return false;
  std::string_view below = path;
  if (!root_.empty()) below.remove_prefix(std::min(path.size(), root_.size() + 1));
  const std::vector<TreeEntry> selected = SelectEntries(selection_, below, std::move(*listing));
  if (NamesAndKinds(selected) != known->second.selected) return false;
  for (const TreeEntry& entry : selected) {
    const std::string child = JoinPath(path, entry.name);
    if (entry.kind == EntryKind::kDirectory) {
      if (!DirectoryStillValid(tree, child, entry.id)) return false;
    } else {
      auto file = files_.find(child);
      if (file == files_.end() || file->second != entry.id) return false;
    }
  }
  return true;
}

Digest ReadSet::InputDigest() const {
  Sha256 digest;
  for (const auto& [path, id] : files_) digest.UpdateField(path).UpdateField(id);
  return digest.Finish();
}

}  // namespace flotilla::render
