#include "base/directory_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/descriptor.h"
#include "base/digest.h"
#include "base/limits.h"

namespace flotilla {
namespace {

constexpr int kOpen = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
// A fifo that somebody put there must not hang its reader.
constexpr int kOpenFile = kOpen | O_NONBLOCK;

class DirectoryTree final : public Tree {
 public:
  explicit DirectoryTree(Descriptor root) : root_(std::move(root)) {}

  Result<std::optional<TreeEntry>> Find(std::string_view path) override {
    const Result<std::string> normalized = NormalizePath(path);
    if (!normalized) return Pass(normalized);
    if (normalized->empty()) {
      auto listing = Read(root_.get(), "", 0);
      if (!listing) return Pass(listing);
      return TreeEntry{"", EntryKind::kDirectory, IdOf(*listing)};
    }
    std::string name;
    const Result<Descriptor> parent = OpenParent(*normalized, &name);
    if (!parent) {
      // What is not there, or lies behind a file or a symbolic link, is a fact.
      if (parent.error().cls == ErrorClass::kNotFound) return std::optional<TreeEntry>();
      return Pass(parent);
    }
    return Entry(parent->get(), name, *normalized, Depth(*normalized));
  }

  Result<std::vector<TreeEntry>> List(std::string_view directory) override {
    const Result<std::string> normalized = NormalizePath(directory);
    if (!normalized) return Pass(normalized);
    if (normalized->empty()) return Read(root_.get(), "", 0);
    const Result<Descriptor> opened = Open(*normalized, kOpen | O_DIRECTORY);
    if (!opened) return Pass(opened);
    return Read(opened->get(), *normalized, Depth(*normalized));
  }

  Result<std::string> Read(std::string_view file) override {
    const Result<std::string> normalized = NormalizePath(file);
    if (!normalized) return Pass(normalized);
    if (normalized->empty()) return Fail(ErrorClass::kInvalid, "the root is no file");
    const Result<Descriptor> opened = Open(*normalized, kOpenFile);
    if (!opened) return Pass(opened);
    struct stat facts {};
    if (fstat(opened->get(), &facts) != 0) return FailErrno(errno, "read " + *normalized);
    if (!S_ISREG(facts.st_mode)) return Fail(ErrorClass::kInvalid, "{} is no file", *normalized);
    return ReadAll(opened->get(), limits::kSourceFileBytes, *normalized);
  }

 private:
  static size_t Depth(std::string_view path) {
    return static_cast<size_t>(std::count(path.begin(), path.end(), '/')) + 1;
  }

  // Steps down one component at a time: O_NOFOLLOW guards only the last one of a path.
  Result<Descriptor> OpenParent(std::string_view path, std::string* name) const {
    Descriptor parent(fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
    if (!parent) return FailErrno(errno, "open the root");
    for (std::string_view rest = path;;) {
      const size_t slash = rest.find('/');
      *name = rest.substr(0, slash);
      if (slash == std::string_view::npos) return parent;
      Descriptor child(openat(parent.get(), name->c_str(), kOpen | O_DIRECTORY));
      if (!child) return FailErrno(errno, fmt::format("open {}", path));
      parent = std::move(child);
      rest.remove_prefix(slash + 1);
    }
  }

  Result<Descriptor> Open(std::string_view path, int flags) const {
    std::string name;
    const Result<Descriptor> parent = OpenParent(path, &name);
    if (!parent) return Pass(parent);
    Descriptor opened(openat(parent->get(), name.c_str(), flags));
    if (opened) return opened;
    if (errno == ELOOP) {
      return Fail(ErrorClass::kInvalid, "{} is a symbolic link, which is never followed", path);
    }
    return FailErrno(errno, fmt::format("open {}", path));
  }

  Result<std::optional<TreeEntry>> Entry(int parent, const std::string& name,
                                         const std::string& path, size_t depth) {
    if (depth > limits::kSourceDepth) {
      return Fail(ErrorClass::kInvalid, "{} lies deeper than {} directories", path,
                  limits::kSourceDepth);
    }
    struct stat facts {};
    if (fstatat(parent, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return std::optional<TreeEntry>();
      return FailErrno(errno, "read " + path);
    }
    TreeEntry entry;
    entry.name = name;
    if (S_ISLNK(facts.st_mode)) {
      entry.kind = EntryKind::kSymlink;
      std::string target(4096, '\0');
      const ssize_t size = readlinkat(parent, name.c_str(), target.data(), target.size());
      if (size < 0) return FailErrno(errno, "read " + path);
      entry.id = DigestOf(target.substr(0, static_cast<size_t>(size))).Hex();
    } else if (S_ISDIR(facts.st_mode)) {
      entry.kind = EntryKind::kDirectory;
      const Descriptor directory(openat(parent, name.c_str(), kOpen | O_DIRECTORY));
      if (!directory) return FailErrno(errno, "open " + path);
      const auto listing = Read(directory.get(), path, depth);
      if (!listing) return Pass(listing);
      entry.id = IdOf(*listing);
    } else if (S_ISREG(facts.st_mode)) {
      const Descriptor file(openat(parent, name.c_str(), kOpenFile));
      if (!file) return FailErrno(errno, "open " + path);
      const auto content = ReadAll(file.get(), limits::kSourceFileBytes, path);
      if (!content) return Pass(content);
      entry.id = DigestOf(*content).Hex();
    } else {
      return Fail(ErrorClass::kInvalid, "{} is neither file, directory nor symbolic link", path);
    }
    return entry;
  }

  Result<std::vector<TreeEntry>> Read(int directory, const std::string& path, size_t depth) {
    // A descriptor of its own: reading moves its position.
    const int copy = openat(directory, ".", kOpen | O_DIRECTORY);
    DIR* const stream = copy < 0 ? nullptr : fdopendir(copy);
    if (!stream) {
      const int error = errno;
      if (copy >= 0) close(copy);
      return FailErrno(error, "list " + path);
    }
    std::vector<std::string> names;
    // Nobody else reads from this stream.
    while (const dirent* entry = readdir(stream)) {  // NOLINT(concurrency-mt-unsafe)
      const std::string_view name = entry->d_name;
      if (name == "." || name == ".." || name == ".git") continue;
      names.emplace_back(name);
      if (names.size() > limits::kSourceFiles) break;
    }
    closedir(stream);
    if (names.size() > limits::kSourceFiles) {
      return Fail(ErrorClass::kInvalid, "{} has more than {} entries", path, limits::kSourceFiles);
    }
    std::sort(names.begin(), names.end());
    std::vector<TreeEntry> entries;
    entries.reserve(names.size());
    for (const std::string& name : names) {
      auto entry =
          Entry(directory, name, path.empty() ? name : fmt::format("{}/{}", path, name), depth + 1);
      if (!entry) return Pass(entry);
      if (*entry) entries.push_back(std::move(**entry));
    }
    return entries;
  }

  static std::string IdOf(const std::vector<TreeEntry>& entries) {
    Sha256 digest;
    for (const TreeEntry& entry : entries) {
      const char kind = static_cast<char>(entry.kind);
      digest.Update({&kind, 1}).UpdateField(entry.name).UpdateField(entry.id);
    }
    return digest.Finish().Hex();
  }

  const Descriptor root_;
};

}  // namespace

Result<std::unique_ptr<Tree>> OpenDirectoryTree(const std::string& directory) {
  // The root itself is the caller's word, and may be a symbolic link.
  Descriptor root(open(directory.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  if (!root) return FailErrno(errno, "open " + directory);
  return std::unique_ptr<Tree>(std::make_unique<DirectoryTree>(std::move(root)));
}

}  // namespace flotilla
