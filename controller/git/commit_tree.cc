#include "git/commit_tree.h"

#include <git2.h>
#include <git2/sys/repository.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace flotilla::git {
namespace {

std::string Hex(const git_oid* id) {
  std::string text(GIT_OID_HEXSZ, '\0');
  git_oid_fmt(text.data(), id);
  return text;
}

EntryKind KindOf(const git_tree_entry* entry) {
  switch (git_tree_entry_filemode(entry)) {
    case GIT_FILEMODE_TREE:
      return EntryKind::kDirectory;
    case GIT_FILEMODE_LINK:
      return EntryKind::kSymlink;
    case GIT_FILEMODE_COMMIT:
      return EntryKind::kSubmodule;
    default:
      return EntryKind::kFile;
  }
}

const char* Describe(EntryKind kind) {
  switch (kind) {
    case EntryKind::kFile:
      return "a file";
    case EntryKind::kDirectory:
      return "a directory";
    case EntryKind::kSymlink:
      return "a symbolic link, and links are not followed";
    case EntryKind::kSubmodule:
      return "a submodule, and submodules are not supported";
  }
  return "";
}

class CommitTree final : public Tree {
 public:
  CommitTree(std::shared_ptr<Generation> generation, Owned<git_repository> repository,
             Owned<git_odb> odb, Owned<git_tree> root)
      : generation_(std::move(generation)),
        repository_(std::move(repository)),
        odb_(std::move(odb)),
        root_(std::move(root)) {}

  Result<std::optional<TreeEntry>> Find(std::string_view path) override {
    Result<std::string> normal = NormalizePath(path);
    if (!normal) return Pass(normal);
    if (normal->empty()) return TreeEntry{"", EntryKind::kDirectory, Hex(git_tree_id(root_.get()))};
    Owned<git_tree_entry> entry;
    const int code = git_tree_entry_bypath(Into(entry), root_.get(), normal->c_str());
    if (IsNotFound(code)) return Absent(*normal);
    if (code < 0) return Unreadable(code, *normal);
    return TreeEntry{git_tree_entry_name(entry.get()), KindOf(entry.get()),
                     Hex(git_tree_entry_id(entry.get()))};
  }

  Result<std::vector<TreeEntry>> List(std::string_view directory) override {
    Result<std::optional<TreeEntry>> found = FindKind(directory, EntryKind::kDirectory);
    if (!found) return Pass(found);
    git_oid id;
    git_oid_fromstr(&id, (*found)->id.c_str());
    Owned<git_tree> tree;
    const int code = git_tree_lookup(Into(tree), repository_.get(), &id);
    if (code < 0) return Unreadable(code, directory);
    const size_t count = git_tree_entrycount(tree.get());
    if (count > limits::kGitTreeEntries) {
      return Fail(ErrorClass::kInvalid, "directory \"{}\" has {} entries; the limit is {}",
                  directory, count, limits::kGitTreeEntries);
    }
    std::vector<TreeEntry> entries;
    entries.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree.get(), i);
      const std::string_view name = git_tree_entry_name(entry);
      // What NormalizePath refuses could never be read again, or means something else to a tool.
      if (name.find('/') != name.npos || name == "." || !NormalizePath(name)) {
        return Fail(ErrorClass::kInvalid, "directory \"{}\" has an entry named \"{}\"", directory,
                    name);
      }
      entries.push_back({std::string(name), KindOf(entry), Hex(git_tree_entry_id(entry))});
    }
    // Git sorts a directory as if its name ended in a slash.
    std::sort(entries.begin(), entries.end(),
              [](const TreeEntry& a, const TreeEntry& b) { return a.name < b.name; });
    const auto twin =
        std::adjacent_find(entries.begin(), entries.end(),
                           [](const TreeEntry& a, const TreeEntry& b) { return a.name == b.name; });
    if (twin != entries.end()) {
      return Fail(ErrorClass::kInvalid, "directory \"{}\" has two entries named \"{}\"", directory,
                  twin->name);
    }
    return entries;
  }

  Result<std::string> Read(std::string_view file) override {
    Result<std::optional<TreeEntry>> found = FindKind(file, EntryKind::kFile);
    if (!found) return Pass(found);
    git_oid id;
    git_oid_fromstr(&id, (*found)->id.c_str());
    size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (const int code = git_odb_read_header(&size, &type, odb_.get(), &id); code < 0) {
      return Unreadable(code, file);
    }
    if (size > limits::kSourceFileBytes) {
      return Fail(ErrorClass::kInvalid, "{} has {} bytes; the limit of a file is {}", file, size,
                  limits::kSourceFileBytes);
    }
    Owned<git_odb_object> object;
    if (const int code = git_odb_read(Into(object), odb_.get(), &id); code < 0) {
      return Unreadable(code, file);
    }
    return std::string(static_cast<const char*>(git_odb_object_data(object.get())),
                       git_odb_object_size(object.get()));
  }

 private:
  // libgit2 says NotFound for a missing entry and for a missing object alike; only the first is an
  // answer. The listings on the way tell them apart.
  Result<std::optional<TreeEntry>> Absent(std::string_view path) {
    const git_tree* directory = root_.get();
    Owned<git_tree> owner;
    for (size_t begin = 0;;) {
      const size_t slash = path.find('/', begin);
      if (slash == path.npos) return std::optional<TreeEntry>();
      const std::string name(path.substr(begin, slash - begin));
      const git_tree_entry* entry = git_tree_entry_byname(directory, name.c_str());
      if (!entry || KindOf(entry) != EntryKind::kDirectory) return std::optional<TreeEntry>();
      Owned<git_tree> next;
      const int code = git_tree_lookup(Into(next), repository_.get(), git_tree_entry_id(entry));
      if (code < 0) return Unreadable(code, path.substr(0, slash));
      owner = std::move(next);
      directory = owner.get();
      begin = slash + 1;
    }
  }

  // The entry, which must be there and of that kind.
  Result<std::optional<TreeEntry>> FindKind(std::string_view path, EntryKind kind) {
    Result<std::optional<TreeEntry>> found = Find(path);
    if (!found) return found;
    if (!*found) return Fail(ErrorClass::kNotFound, "there is no {}", path);
    if ((*found)->kind != kind) {
      return Fail(ErrorClass::kInvalid, "{} is {}", path, Describe((*found)->kind));
    }
    return found;
  }

  tl::unexpected<Error> Unreadable(int code, std::string_view path) {
    Error error = LibgitError(code);
    error.cls = ErrorClass::kUnavailable;  // the next Fetch brings a new mirror
    generation_->ReportDamage();
    return Fail(std::move(error), "the mirror is damaged at \"{}\"", path);
  }

  // Destroyed from the bottom up: everything goes before the repository, and that before its files.
  const std::shared_ptr<Generation> generation_;
  const Owned<git_repository> repository_;
  const Owned<git_odb> odb_;
  const Owned<git_tree> root_;
};

}  // namespace

Result<std::unique_ptr<Tree>> OpenCommitTree(std::shared_ptr<Generation> generation,
                                             std::string_view commit_id) {
  git_oid id;
  if (!IsObjectId(commit_id) || git_oid_fromstrn(&id, commit_id.data(), commit_id.size()) < 0) {
    return Fail(ErrorClass::kInvalid, "\"{}\" is no commit id", commit_id);
  }
  Result<Owned<git_repository>> repository = generation->Open();
  if (!repository) return Pass(repository);
  Owned<git_commit> commit;
  int code = git_commit_lookup(Into(commit), repository->get(), &id);
  if (IsNotFound(code)) {
    return Fail(ErrorClass::kNotFound, "the mirror has no commit {}: fetch it", commit_id);
  }
  Owned<git_tree> root;
  if (code == 0) code = git_commit_tree(Into(root), commit.get());
  Owned<git_odb> odb;
  if (code == 0) code = git_repository_odb(Into(odb), repository->get());
  if (code < 0) {
    generation->ReportDamage();
    Error error = LibgitError(code);
    error.cls = ErrorClass::kUnavailable;
    return Fail(std::move(error), "the mirror is damaged at commit {}", commit_id);
  }
  return std::make_unique<CommitTree>(std::move(generation), std::move(*repository), std::move(odb),
                                      std::move(root));
}

}  // namespace flotilla::git
