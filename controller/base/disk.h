// Files that the controller itself keeps. Paths are relative to a root, '/'-separated, without ".."
// (NormalizePath). The simulation loses whatever was not durable when an incarnation ends.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flotilla {

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::string> Read(std::string_view path) = 0;  // NotFound where absent
  // When it returns without error the file survives a loss of power with exactly this content; when
  // it does not, the file is the old one or the new one, never a mixture. Makes no directories.
  virtual Status WriteDurable(std::string_view path, std::string_view content) = 0;
  virtual Status Remove(std::string_view path) = 0;  // a file; an absent one is no error
  // Names of files and directories in bytewise order; NotFound where the directory is absent.
  virtual Result<std::vector<std::string>> List(std::string_view directory) = 0;
  virtual Status MakeDirectories(std::string_view directory) = 0;
};

// The root is made where it is absent. Leftovers of writes that a crash interrupted are removed
// when their directory is listed. Files are made with mode 0600, directories with 0700. Symbolic
// links are followed: the root is ours, and Kubernetes mounts Secrets as links. Safe for concurrent
// use.
Result<std::unique_ptr<Disk>> OpenFileDisk(const std::string& root);

}  // namespace flotilla
