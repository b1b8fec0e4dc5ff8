#include "base/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

#include "base/descriptor.h"
#include "base/limits.h"
#include "base/tree.h"

namespace flotilla {
namespace {

// Names of files that are being written; no caller sees or names one.
constexpr std::string_view kTemporary = ".flotilla-tmp-";

Status Sync(int descriptor, const std::string& name) {
  if (fsync(descriptor) != 0) return FailErrno(errno, "sync " + name);
  return {};
}

class FileDisk final : public Disk {
 public:
  explicit FileDisk(Descriptor root) : root_(std::move(root)) {}

  Result<std::string> Read(std::string_view path) override {
    const auto name = Check(path);
    if (!name) return Pass(name);
    const Descriptor file(openat(root_.get(), name->c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return FailErrno(errno, "open " + *name);
    return ReadAll(file.get(), limits::kDiskFileBytes, *name);
  }

  Status WriteDurable(std::string_view path, std::string_view content) override {
    const auto name = Check(path);
    if (!name) return Pass(name);
    const size_t slash = name->rfind('/');
    const std::string folder = slash == std::string::npos ? "." : name->substr(0, slash);
    const std::string leaf = slash == std::string::npos ? *name : name->substr(slash + 1);
    const Descriptor directory(
        openat(root_.get(), folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
    if (!directory) return FailErrno(errno, "open " + folder);

    static std::atomic<uint64_t> counter{0};
    const std::string temporary = fmt::format("{}{}-{}", kTemporary, getpid(), ++counter);
    Status written = WriteNew(directory.get(), temporary, content);
    if (written &&
        renameat(directory.get(), temporary.c_str(), directory.get(), leaf.c_str()) != 0) {
      written = FailErrno(errno, "rename to " + *name);
    }
    if (!written) {
      unlinkat(directory.get(), temporary.c_str(), 0);
      return Fail(written.error(), "write {}", *name);
    }
    return Sync(directory.get(), folder);
  }

  Status Remove(std::string_view path) override {
    const auto name = Check(path);
    if (!name) return Pass(name);
    if (unlinkat(root_.get(), name->c_str(), 0) != 0 && errno != ENOENT) {
      return FailErrno(errno, "remove " + *name);
    }
    return {};
  }

  Result<std::vector<std::string>> List(std::string_view directory) override {
    const auto name = NormalizePath(directory);
    if (!name) return Pass(name);
    const std::string folder = name->empty() ? "." : *name;
    Descriptor opened(openat(root_.get(), folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
    if (!opened) return FailErrno(errno, "open " + folder);
    const int number = fcntl(opened.get(), F_DUPFD_CLOEXEC, 0);
    DIR* const stream = number < 0 ? nullptr : fdopendir(number);
    if (!stream) {
      const int error = errno;
      if (number >= 0) close(number);
      return FailErrno(error, "list " + folder);
    }
    std::vector<std::string> names;
    const std::string own = fmt::format("{}{}-", kTemporary, getpid());
    // Nobody else reads from this stream.
    while (const dirent* entry = readdir(stream)) {  // NOLINT(concurrency-mt-unsafe)
      const std::string_view found = entry->d_name;
      if (found == "." || found == "..") continue;
      if (!found.starts_with(kTemporary)) {
        names.emplace_back(found);
      } else if (!found.starts_with(own)) {
        unlinkat(opened.get(), entry->d_name, 0);  // what an earlier process left
      }
    }
    closedir(stream);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status MakeDirectories(std::string_view directory) override {
    const auto name = NormalizePath(directory);
    if (!name) return Pass(name);
    for (size_t slash = 0; !name->empty() && slash != std::string::npos;) {
      slash = name->find('/', slash + 1);
      const std::string prefix = name->substr(0, slash);
      if (mkdirat(root_.get(), prefix.c_str(), 0700) != 0 && errno != EEXIST) {
        return FailErrno(errno, "make directory " + prefix);
      }
      // The entry of a directory lives in the one above it.
      const size_t above = prefix.rfind('/');
      const std::string parent = above == std::string::npos ? "." : prefix.substr(0, above);
      const Descriptor opened(
          openat(root_.get(), parent.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
      if (!opened) return FailErrno(errno, "open " + parent);
      if (Status synced = Sync(opened.get(), parent); !synced) return synced;
    }
    return {};
  }

 private:
  static Result<std::string> Check(std::string_view path) {
    auto name = NormalizePath(path);
    if (!name) return name;
    if (name->empty()) return Fail(ErrorClass::kInvalid, "the root is no file");
    const size_t slash = name->rfind('/');
    if (std::string_view(*name).substr(slash + 1).starts_with(kTemporary)) {
      return Fail(ErrorClass::kInvalid, "{} is a reserved name", *name);
    }
    return name;
  }

  static Status WriteNew(int directory, const std::string& name, std::string_view content) {
    const Descriptor file(
        openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) return FailErrno(errno, "create " + name);
    while (!content.empty()) {
      const ssize_t count = write(file.get(), content.data(), content.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return FailErrno(errno, "write " + name);
      content.remove_prefix(static_cast<size_t>(count));
    }
    return Sync(file.get(), name);
  }

  const Descriptor root_;
};

}  // namespace

Result<std::unique_ptr<Disk>> OpenFileDisk(const std::string& root) {
  if (mkdir(root.c_str(), 0700) != 0 && errno != EEXIST) return FailErrno(errno, "make " + root);
  Descriptor opened(open(root.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  if (!opened) return FailErrno(errno, "open " + root);
  return std::unique_ptr<Disk>(std::make_unique<FileDisk>(std::move(opened)));
}

}  // namespace flotilla
