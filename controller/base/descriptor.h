// A file descriptor that closes itself. For the inside of base/.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "base/result.h"

namespace flotilla {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { Close(); }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  void Close() {
    if (number_ >= 0) close(std::exchange(number_, -1));
  }

 private:
  int number_ = -1;
};

// The error that errno says: NotFound for ENOENT and ENOTDIR, Denied for EACCES and EPERM,
// Unavailable for a full disk and for want of descriptors or memory, else Invalid.
tl::unexpected<Error> FailErrno(int error, std::string what);

// The whole file, up to `limit` bytes; Invalid beyond.
Result<std::string> ReadAll(int descriptor, size_t limit, std::string_view name);

}  // namespace flotilla
