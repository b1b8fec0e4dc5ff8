#include "base/tree.h"

namespace flotilla {

Result<std::string> NormalizePath(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) {
    return Fail(ErrorClass::kInvalid, "path holds a NUL byte");
  }
  if (path.empty() || path == "." || path == "./") return std::string();
  if (path.front() == '/') return Fail(ErrorClass::kInvalid, "path '{}' is absolute", path);
  std::string_view rest = path;
  if (rest.starts_with("./")) rest.remove_prefix(2);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const std::string normalized(rest);
  for (;;) {
    const size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    if (component.empty() || component == ".") {
      return Fail(ErrorClass::kInvalid, "path '{}' has an empty or '.' component", path);
    }
    if (component == "..") return Fail(ErrorClass::kInvalid, "path '{}' holds '..'", path);
    if (component == ".git") return Fail(ErrorClass::kInvalid, "path '{}' enters .git", path);
    if (slash == std::string_view::npos) return normalized;
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace flotilla
