#include "base/descriptor.h"

#include <sys/stat.h>

#include <algorithm>

namespace flotilla {

tl::unexpected<Error> FailErrno(int error, std::string what) {
  ErrorClass cls = ErrorClass::kInvalid;
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      cls = ErrorClass::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      cls = ErrorClass::kDenied;
      break;
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      cls = ErrorClass::kUnavailable;
      break;
    default:
      break;
  }
  return Fail(cls, "{}: {}", what, std::generic_category().message(error));
}

Result<std::string> ReadAll(int descriptor, size_t limit, std::string_view name) {
  struct stat facts {};
  std::string content;
  if (fstat(descriptor, &facts) == 0 && facts.st_size > 0) {
    // One byte more than expected: the read that finds the end needs no growth.
    content.resize(std::min(static_cast<size_t>(facts.st_size), limit) + 1);
  } else {
    content.resize(4096);
  }
  size_t size = 0;
  for (;;) {
    if (size == content.size()) content.resize(size * 2);
    const ssize_t count = read(descriptor, content.data() + size, content.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno(errno, fmt::format("read {}", name));
    if (count == 0) break;
    size += static_cast<size_t>(count);
    if (size > limit) {
      return Fail(ErrorClass::kInvalid, "{} is larger than the limit of {} bytes", name, limit);
    }
  }
  content.resize(size);
  return content;
}

}  // namespace flotilla
