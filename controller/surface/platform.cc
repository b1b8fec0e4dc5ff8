#include "surface/platform.h"

#include <filesystem>

namespace flotilla::surface {

std::string AbsolutePath(const Platform& platform, const std::string& path) {
  return (std::filesystem::path(platform.directory) / path).lexically_normal().string();
}

Result<std::string> ReadUserFile(const Platform& platform, const std::string& path) {
  auto bytes = platform.files.Read(AbsolutePath(platform, path).substr(1));
  if (!bytes) return Fail(bytes, "read {}", path);
  return bytes;
}

}  // namespace flotilla::surface
