#include "render/glob.h"

#include <optional>

namespace flotilla::render {
namespace {

constexpr size_t kMostAlternatives = 64;

// Past the class that begins at glob[at] == '['; npos where it is not closed.
size_t EndOfClass(std::string_view glob, size_t at) {
  ++at;
  if (at < glob.size() && (glob[at] == '!' || glob[at] == '^')) ++at;
  if (at < glob.size() && glob[at] == ']') ++at;  // a literal one
  while (at < glob.size() && glob[at] != ']') ++at;
  return at < glob.size() ? at + 1 : std::string_view::npos;
}

bool InClass(std::string_view set, char c) {  // "[...]"
  set = set.substr(1, set.size() - 2);
  bool negated = !set.empty() && (set[0] == '!' || set[0] == '^');
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found |= set[i] <= c && c <= set[i + 2];
      i += 2;
    } else {
      found |= set[i] == c;
    }
  }
  return found != negated && c != '/';
}

// One alternative, without braces. Backtracks to the last star of each sort only.
bool Match(std::string_view glob, std::string_view path) {
  constexpr size_t kNone = std::string_view::npos;
  size_t g = 0, p = 0;
  size_t star_g = kNone, star_p = 0;  // after "*", and how far it reached
  size_t globstar_g = kNone, globstar_p = 0;
  while (true) {
    if (g == glob.size() && p == path.size()) return true;
    if (g < glob.size()) {
      if (glob.substr(g, 2) == "**") {
        g += 2;
        if (g < glob.size() && glob[g] == '/' && (g == 2 || glob[g - 3] == '/')) {
          // "**/" stands for whole components: it matches here or after any '/'.
          ++g;
        }
        globstar_g = g;
        globstar_p = p;
        star_g = kNone;
        continue;
      }
      if (glob[g] == '*') {
        star_g = ++g;
        star_p = p;
        continue;
      }
      if (p < path.size()) {
        size_t next = g + 1;
        bool same = false;
        if (glob[g] == '?') {
          same = path[p] != '/';
        } else if (glob[g] == '[') {
          next = EndOfClass(glob, g);
          same = InClass(glob.substr(g, next - g), path[p]);
        } else {
          if (glob[g] == '\\') ++next;
          same = glob[next - 1] == path[p];
        }
        if (same) {
          g = next;
          ++p;
          continue;
        }
      }
    }
    if (star_g != kNone && star_p < path.size() && path[star_p] != '/') {
      g = star_g;
      p = ++star_p;
      continue;
    }
    if (globstar_g != kNone && globstar_p < path.size()) {
      bool whole = globstar_g > 0 && glob[globstar_g - 1] == '/';
      ++globstar_p;
      while (whole && globstar_p < path.size() && path[globstar_p - 1] != '/') ++globstar_p;
      if (whole && path[globstar_p - 1] != '/') return false;
      g = globstar_g;
      p = globstar_p;
      star_g = kNone;
      continue;
    }
    return false;
  }
}

// The alternatives of the first brace group, each with what stands around it; the glob itself where
// it has none; nothing where a group is not closed.
std::optional<std::vector<std::string>> Expand(std::string_view glob) {
  std::vector<std::string> done;
  std::vector<std::string> open{std::string(glob)};
  while (!open.empty()) {
    if (done.size() + open.size() > kMostAlternatives) return std::nullopt;
    std::string text = std::move(open.back());
    open.pop_back();
    size_t start = std::string::npos;
    size_t part = 0;
    int depth = 0;
    std::vector<std::string> parts;
    size_t i = 0;
    for (; i < text.size(); ++i) {
      char c = text[i];
      if (c == '\\') {
        if (++i == text.size()) return std::nullopt;
      } else if (c == '[' && depth == 0) {
        size_t end = EndOfClass(text, i);
        if (end == std::string::npos) return std::nullopt;
        i = end - 1;
      } else if (c == '{') {
        if (depth++ == 0) {
          start = i;
          part = i + 1;
        }
      } else if (depth > 0 && (c == '}' || (c == ',' && depth == 1))) {
        if (c == '}' && --depth > 0) continue;
        parts.push_back(text.substr(part, i - part));
        part = i + 1;
        if (c == '}') break;
      }
    }
    if (depth > 0) return std::nullopt;
    if (start == std::string::npos) {
      done.push_back(std::move(text));
      continue;
    }
    for (const std::string& alternative : parts) {
      open.push_back(text.substr(0, start) + alternative + text.substr(i + 1));
    }
  }
  return done;
}

}  // namespace

bool GlobMatches(std::string_view glob, std::string_view path) {
  if (glob.find('/') == glob.npos) {
    path = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  } else if (glob[0] == '/') {
    glob.remove_prefix(1);
  }
  if (glob.find('{') == glob.npos) return Match(glob, path);
  auto alternatives = Expand(glob);
  if (!alternatives) return false;
  for (const std::string& alternative : *alternatives) {
    if (Match(alternative, path)) return true;
  }
  return false;
}

Status CheckGlob(std::string_view glob) {
  if (!glob.empty() && Expand(glob)) return {};
  return Fail(ErrorClass::kInvalid,
              "\"{}\" is no glob: it is empty, a '[' or '{{' is not closed, or it has more than {} "
              "alternatives",
              glob, kMostAlternatives);
}

}  // namespace flotilla::render
