#include "rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <regex>

namespace flotilla::layout {
namespace {

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

struct Library {
  const char* include;              // prefix of what stands between < and >
  std::vector<std::string> floors;  // whose sources may include it; empty: all. No header may.
};

// Where each library lives: its types and exceptions stop at the wrapper.
const std::vector<Library>& Libraries() {
  static const std::vector<Library> libraries = {
      {"curl/", {"http"}},   {"cpprest/", {"http"}},
      {"pplx/", {"http"}},   {"boost/", {"http"}},
      {"git2", {"git"}},     {"openssl/", {"base", "http", "git", "oci", "policy", "sim"}},
      {"zstd.h", {"base"}},  {"yaml.h", {"value"}},
      {"CLI/", {"surface"}}, {"nlohmann/", {}},
  };
  return libraries;
}

struct Ban {
  const char* pattern;
  const char* why;
};

// What only a Runtime may touch.
const std::vector<Ban>& Bans() {
  static const std::vector<Ban> bans = {
      {R"(\bstd::j?thread\b(?!::id))", "threads come from Runtime::Spawn"},
      {R"(\bpthread_create\b)", "threads come from Runtime::Spawn"},
      {R"(\bstd::condition_variable)", "waits go through base/runtime.h"},
      {R"(\bstd::(shared_)?(future|promise|async|packaged_task)\b)",
       "waits go through base/runtime.h"},
      {R"(\bstd::(latch|barrier|counting_semaphore|binary_semaphore)\b)",
       "waits go through base/runtime.h"},
      {R"(\bstd::(recursive_|timed_|shared_|recursive_timed_|shared_timed_)?mutex\b)",
       "use flotilla::Mutex, which notices waits under a lock"},
      {R"(\b(sleep_for|sleep_until|usleep|nanosleep)\b)", "sleeps go through base/runtime.h"},
      {R"((^|[^\w.>:])sleep\s*\()", "sleeps go through base/runtime.h"},
      {R"(\b(system_clock|steady_clock|high_resolution_clock)::now\b)",
       "time comes from a Runtime"},
      {R"(\b(clock_gettime|gettimeofday)\b)", "time comes from a Runtime"},
      {R"((^|[^\w.>])(std::)?time\s*\(\s*(nullptr|NULL|0|&))", "time comes from a Runtime"},
      {R"(\b(secure_)?getenv\b)", "the environment comes from a Host"},
      {R"(\bstd::random_device\b|\bstd::mt19937|(^|[^\w.>])s?rand\s*\()",
       "randomness comes from a Runtime"},
  };
  return bans;
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// The fibers implement the Runtime: they are the other place that may use what it hides.
bool ImplementsRuntime(std::string_view path) {
  return StartsWith(path, "base/") || StartsWith(path, "sim/fiber_");
}

}  // namespace

std::vector<std::string> FloorsOf(std::string_view cmake_lists) {
  static const std::regex kFloor(R"(^flotilla_floor\((\w+))");
  std::vector<std::string> floors;
  for (std::string_view line : Lines(cmake_lists)) {
    std::cmatch match;
    if (std::regex_search(line.data(), line.data() + line.size(), match, kFloor)) {
      floors.push_back(match[1]);
    }
  }
  return floors;
}

std::string WithoutCommentsAndLiterals(std::string_view text) {
  std::string out(text);
  const auto blank = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < std::min(end, out.size()); ++i) {
      if (out[i] != '\n') out[i] = ' ';
    }
  };
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    size_t end = i + 1;
    if (StartsWith(rest, "//")) {
      end = std::min(text.find('\n', i), text.size());
      blank(i, end);
    } else if (StartsWith(rest, "/*")) {
      end = std::min(text.find("*/", i + 2), text.size() - 2) + 2;
      blank(i, end);
    } else if (StartsWith(rest, "R\"")) {
      const size_t open = text.find('(', i);
      const std::string close = ")" + std::string(text.substr(i + 2, open - i - 2)) + "\"";
      end = std::min(text.find(close, open), text.size() - close.size()) + close.size();
      blank(i + 2, end - 1);
    } else if (text[i] == '"' ||
               // An apostrophe after a digit or letter separates digits.
               (text[i] == '\'' &&
                (i == 0 || !std::isalnum(static_cast<unsigned char>(text[i - 1]))))) {
      while (end < text.size() && text[end] != text[i] && text[end] != '\n') {
        end += text[end] == '\\' ? 2u : 1u;
      }
      blank(i + 1, end);
      ++end;
    }
    i = end;
  }
  return out;
}

std::vector<std::string> Violations(const std::vector<std::string>& floors, std::string_view path,
                                    std::string_view text) {
  std::vector<std::string> found;
  const auto complain = [&](size_t line, std::string_view what) {
    found.push_back(fmt::format("{}:{}: {}", path, line + 1, what));
  };
  const bool header = path.size() > 2 && path.substr(path.size() - 2) == ".h";
  const auto rank = [&](std::string_view floor) {
    return std::find(floors.begin(), floors.end(), floor) - floors.begin();
  };
  const size_t slash = path.find('/');
  const std::string floor(slash == std::string_view::npos ? "" : path.substr(0, slash));
  if (!floor.empty() && rank(floor) == std::ssize(floors)) complain(0, "not in a floor's folder");

  static const std::regex kBadName(R"((^|[/_])(utils?|helpers?|common|manager|misc)([/_.]|$))");
  if (std::regex_search(path.begin(), path.end(), kBadName))
    complain(0, "a name that says nothing");
  if (header && text.find("#pragma once") == std::string_view::npos) complain(0, "no #pragma once");

  static const std::regex kOurs(R"re(^\s*#\s*include\s*"(\w+)/)re");
  static const std::regex kTheirs(R"(^\s*#\s*include\s*<([^>]+)>)");
  static const std::regex kUnfinished(R"(\b(TODO|FIXME|XXX)\b)");
  const std::vector<std::string_view> lines = Lines(text);
  const std::string code = WithoutCommentsAndLiterals(text);
  const std::vector<std::string_view> code_lines = Lines(code);
  for (size_t i = 0; i < lines.size(); ++i) {
    const char* const begin = lines[i].data();
    const char* const end = begin + lines[i].size();
    std::cmatch match;
    if (std::regex_search(begin, end, kUnfinished)) complain(i, "unfinished work");
    if (std::regex_search(begin, end, match, kOurs) && !floor.empty()) {
      if (rank(match[1].str()) > rank(floor)) {
        complain(i, fmt::format("{} is a floor above {}", match[1].str(), floor));
      }
    } else if (std::regex_search(begin, end, match, kTheirs)) {
      const std::string include = match[1];
      for (const Library& library : Libraries()) {
        if (!StartsWith(include, library.include)) continue;
        const bool home =
            library.floors.empty() ||
            std::find(library.floors.begin(), library.floors.end(), floor) != library.floors.end();
        if (!home) complain(i, fmt::format("<{}> has its wrapper elsewhere", include));
        if (header) complain(i, fmt::format("<{}> in a header", include));
      }
    }
    if (ImplementsRuntime(path)) continue;
    const char* const code_begin = code_lines[i].data();
    const char* const code_end = code_begin + code_lines[i].size();
    static const auto kBans = [] {
      std::vector<std::pair<std::regex, const char*>> compiled;
      for (const Ban& ban : Bans()) compiled.emplace_back(std::regex(ban.pattern), ban.why);
      return compiled;
    }();
    for (const auto& [pattern, why] : kBans) {
      if (std::regex_search(code_begin, code_end, pattern)) complain(i, why);
    }
  }
  return found;
}

}  // namespace flotilla::layout
