#include "render/walk.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace flotilla::render {
namespace {

constexpr std::string_view kLinkRefused =
    "is a symbolic link: Flotilla follows none, since it may lead out of the repository; put a "
    "copy "
    "of the file there, or exclude the link";
constexpr std::string_view kSubmoduleRefused =
    "is a Git submodule, which is not fetched: copy the manifests into this repository, or exclude "
    "it";

class Walk {
 public:
  Walk(Tree& tree, const Selection& selection, ReadSet& read, Problems& problems)
      : tree_(tree), selection_(selection), read_(read), problems_(problems) {}

  Status Directory(const std::string& path, const std::string& id, const std::string& below,
                   size_t depth) {
    if (depth > limits::kSourceDepth) {
      return Fail(ErrorClass::kInvalid, "{}: directories are nested deeper than {}", path,
                  limits::kSourceDepth);
    }
    auto listing = tree_.List(path);
    if (!listing) return Pass(listing);
    const std::vector<TreeEntry> selected = SelectEntries(selection_, below, std::move(*listing));
    read_.AddDirectory(path, id, selected);
    for (const TreeEntry& entry : selected) {
      const std::string child = JoinPath(path, entry.name);
      switch (entry.kind) {
        case EntryKind::kSymlink:
          problems_.Add(child, {}, kLinkRefused);
          break;
        case EntryKind::kSubmodule:
          problems_.Add(child, {}, kSubmoduleRefused);
          break;
        case EntryKind::kDirectory: {
          Status done = Directory(child, entry.id, JoinPath(below, entry.name), depth + 1);
          if (!done) return done;
          break;
        }
        case EntryKind::kFile:
          if (Status done = File(child, entry); !done) return done;
      }
    }
    return {};
  }

  Status File(const std::string& path, const TreeEntry& entry) {
    if (IsKustomization(entry.name)) {
      problems_.Add(path, {},
                    "this directory is built with Kustomize, which Flotilla does not render yet: "
                    "commit the output of `kustomize build`, or exclude this file to deliver the "
                    "manifests beside it as they are");
      return {};
    }
    if (IsChart(entry.name)) {
      problems_.Add(path, {},
                    "this directory is a Helm chart, which Flotilla does not render yet: commit "
                    "the output of `helm template`, or exclude the directory");
      return {};
    }
    if (files_.size() == limits::kSourceFiles) {
      return Fail(ErrorClass::kInvalid, "{}: more than {} manifests in one source", path,
                  limits::kSourceFiles);
    }
    read_.AddFile(path, entry.id);
    files_.push_back(path);
    return {};
  }

  std::vector<std::string> TakeFiles() { return std::move(files_); }

 private:
  Tree& tree_;
  const Selection& selection_;
  ReadSet& read_;
  Problems& problems_;
  std::vector<std::string> files_;
};

// Why `path` is not there: what its nearest existing ancestor is, and holds.
Result<std::vector<std::string>> Missing(Tree& tree, const std::string& path) {
  std::string ancestor = path;
  while (!ancestor.empty()) {
    const size_t slash = ancestor.rfind('/');
    ancestor.resize(slash == std::string::npos ? 0 : slash);
    auto entry = tree.Find(ancestor);
    if (!entry) return Pass(entry);
    if (!*entry) continue;
    if ((*entry)->kind == EntryKind::kSymlink) {
      return Fail(ErrorClass::kInvalid, "{}: {} {}", path, ancestor, kLinkRefused);
    }
    if ((*entry)->kind == EntryKind::kSubmodule) {
      return Fail(ErrorClass::kInvalid, "{}: {} {}", path, ancestor, kSubmoduleRefused);
    }
    if ((*entry)->kind == EntryKind::kFile) {
      return Fail(ErrorClass::kInvalid, "the path {} does not exist: {} is a file", path, ancestor);
    }
    auto listing = tree.List(ancestor);
    if (!listing) return Pass(listing);
    std::string there;
    constexpr size_t kShown = 10;
    for (size_t i = 0; i < std::min(listing->size(), kShown); ++i) {
      there += (i ? ", " : "") + (*listing)[i].name;
    }
    if (listing->size() > kShown) there += ", ...";
    return Fail(ErrorClass::kInvalid, "the path {} does not exist: {} holds {}", path,
                ancestor.empty() ? "the repository" : ancestor, there.empty() ? "nothing" : there);
  }
  return Fail(ErrorClass::kInvalid, "the path {} does not exist", path.empty() ? "." : path);
}

}  // namespace

Result<std::vector<std::string>> FindManifests(Tree& tree, const std::string& root,
                                               const Selection& selection, ReadSet& read,
                                               Problems& problems) {
  auto found = tree.Find(root);
  if (!found) return Pass(found);
  if (!*found) return Missing(tree, root);
  TreeEntry entry = **found;
  if (entry.name.empty()) entry.name = root.substr(root.rfind('/') + 1);
  Walk walk(tree, selection, read, problems);
  switch (entry.kind) {
    case EntryKind::kSymlink:
      return Fail(ErrorClass::kInvalid, "{} {}", root, kLinkRefused);
    case EntryKind::kSubmodule:
      return Fail(ErrorClass::kInvalid, "{} {}", root, kSubmoduleRefused);
    case EntryKind::kFile:
      if (!IsManifestName(entry.name)) {
        return Fail(ErrorClass::kInvalid,
                    "{} is no manifest: its name ends neither in .yaml or "
                    ".yml nor in .json",
                    root);
      }
      if (Status done = walk.File(root, entry); !done) return Pass(done);
      break;
    case EntryKind::kDirectory:
      if (Status done = walk.Directory(root, entry.id, "", 0); !done) return Pass(done);
  }
  return walk.TakeFiles();
}

}  // namespace flotilla::render
