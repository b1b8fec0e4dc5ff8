#include "git/semver.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace flotilla::git {
namespace {

constexpr size_t kMaxText = 256;  // of one version; a range may have several
constexpr size_t kMaxRange = 1024;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsIdentifier(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}
bool IsNumeric(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
}

// Decimal without leading zeros.
std::optional<uint64_t> ParseNumber(std::string_view text) {
  if (!IsNumeric(text) || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Takes what stands before the first `separator` off the front of `text`.
std::string_view TakeUntil(std::string_view& text, char separator) {
  const size_t at = text.find(separator);
  const std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return head;
}

// Dot-separated identifiers of section 9 (pre-release) or 10 (build, where leading zeros are fine).
bool ValidIdentifiers(std::string_view text, bool prerelease) {
  if (text.empty() || text.back() == '.') return false;
  while (!text.empty()) {
    const std::string_view part = TakeUntil(text, '.');
    if (part.empty() || !std::all_of(part.begin(), part.end(), IsIdentifier)) return false;
    if (prerelease && part.size() > 1 && part[0] == '0' && IsNumeric(part)) return false;
  }
  return true;
}

// Splits "-rc.1+b5" off `text` into the two fields; false where they are malformed.
bool TakeSuffixes(std::string_view& text, std::string& prerelease, std::string& build) {
  if (const size_t plus = text.find('+'); plus != std::string_view::npos) {
    build = text.substr(plus + 1);
    text = text.substr(0, plus);
    if (!ValidIdentifiers(build, false)) return false;
  }
  if (const size_t dash = text.find('-'); dash != std::string_view::npos) {
    prerelease = text.substr(dash + 1);
    text = text.substr(0, dash);
    if (!ValidIdentifiers(prerelease, true)) return false;
  }
  return true;
}

std::weak_ordering ComparePrerelease(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return b.size() <=> a.size();  // a release is above its pre-releases
  while (!a.empty() && !b.empty()) {
    const std::string_view x = TakeUntil(a, '.');
    const std::string_view y = TakeUntil(b, '.');
    const bool x_numeric = IsNumeric(x);
    const bool y_numeric = IsNumeric(y);
    if (x_numeric != y_numeric) {
      return x_numeric ? std::weak_ordering::less : std::weak_ordering::greater;
    }
    // Numbers may exceed 64 bits; without leading zeros the longer one is the larger one.
    if (x_numeric && x.size() != y.size()) return x.size() <=> y.size();
    if (const int order = x.compare(y); order != 0) return order <=> 0;
  }
  return a.size() <=> b.size();  // the one with more identifiers is higher
}

// A version of a range: missing and wildcard parts end it. `parts` is how many were given, 0 to 3.
struct Partial {
  Version version;
  int parts = 0;
};

std::optional<Partial> ParsePartial(std::string_view text) {
  if (!text.empty() && text[0] == 'v') text.remove_prefix(1);
  if (text.empty() || text.size() > kMaxText) return std::nullopt;
  Partial partial;
  if (!TakeSuffixes(text, partial.version.prerelease, partial.version.build)) return std::nullopt;
  const std::array<uint64_t*, 3> fields = {&partial.version.major, &partial.version.minor,
                                           &partial.version.patch};
  if (text.empty() || text.back() == '.') return std::nullopt;
  bool wildcard = false;
  for (uint64_t* field : fields) {
    if (text.empty()) break;
    const std::string_view part = TakeUntil(text, '.');
    if (part == "x" || part == "X" || part == "*") {
      wildcard = true;
      continue;
    }
    const std::optional<uint64_t> number = ParseNumber(part);
    if (!number) return std::nullopt;
    if (wildcard) continue;  // "1.x.3" means "1.x"
    *field = *number;
    ++partial.parts;
  }
  if (!text.empty()) return std::nullopt;
  return partial;
}

// The lowest version, pre-releases included, above all that share the first `parts` parts.
std::optional<Version> Above(const Version& version, int parts) {
  Version above;
  above.prerelease = "0";
  above.major = version.major;
  if (parts == 1) {
    if (++above.major == 0) return std::nullopt;
    return above;
  }
  above.minor = version.minor;
  if (parts == 2) {
    if (++above.minor == 0) return std::nullopt;
    return above;
  }
  above.patch = version.patch + 1;
  if (above.patch == 0) return std::nullopt;
  return above;
}

bool IsSpace(char c) { return c == ' ' || c == '\t'; }

void SkipSpace(std::string_view& text) {
  while (!text.empty() && IsSpace(text[0])) text.remove_prefix(1);
}

std::string_view TakeOperator(std::string_view& text) {
  for (const std::string_view op : {"!=", ">=", "=>", "<=", "=<", "~>", "=", ">", "<", "~", "^"}) {
    if (text.substr(0, op.size()) == op) {
      text.remove_prefix(op.size());
      return op;
    }
  }
  return "";
}

std::string_view TakeVersion(std::string_view& text) {
  size_t size = 0;
  while (size < text.size() && !IsSpace(text[size]) && text[size] != ',') ++size;
  const std::string_view version = text.substr(0, size);
  text.remove_prefix(size);
  return version;
}

}  // namespace

std::string Version::ToString() const {
  std::string text = fmt::format("{}.{}.{}", major, minor, patch);
  if (!prerelease.empty()) text += "-" + prerelease;
  if (!build.empty()) text += "+" + build;
  return text;
}

std::weak_ordering Version::operator<=>(const Version& other) const {
  if (major != other.major) return major <=> other.major;
  if (minor != other.minor) return minor <=> other.minor;
  if (patch != other.patch) return patch <=> other.patch;
  return ComparePrerelease(prerelease, other.prerelease);
}

std::optional<Version> ParseVersion(std::string_view text) {
  if (!text.empty() && text[0] == 'v') text.remove_prefix(1);
  if (text.size() > kMaxText) return std::nullopt;
  Version version;
  if (!TakeSuffixes(text, version.prerelease, version.build)) return std::nullopt;
  if (std::count(text.begin(), text.end(), '.') != 2) return std::nullopt;
  const std::optional<uint64_t> major = ParseNumber(TakeUntil(text, '.'));
  const std::optional<uint64_t> minor = ParseNumber(TakeUntil(text, '.'));
  const std::optional<uint64_t> patch = ParseNumber(text);
  if (!major || !minor || !patch) return std::nullopt;
  version.major = *major;
  version.minor = *minor;
  version.patch = *patch;
  return version;
}

Result<VersionRange::Span> VersionRange::ParseComparison(std::string_view op,
                                                         std::string_view text) {
  std::optional<Partial> partial = ParsePartial(text);
  if (!partial) {
    return Fail(ErrorClass::kInvalid, "\"{}{}\" is no comparison with a semantic version", op,
                text);
  }
  const int parts = partial->parts;
  const Version& version = partial->version;
  Span span;
  span.prereleases = !version.prerelease.empty();

  if (op == "<") {
    span.high = version;
    span.high_open = true;
    return span;
  }
  if (op == ">=" || op == "=>") {
    span.low = version;
    return span;
  }
  if (op == "<=" || op == "=<") {
    span.high_open = parts < 3;
    span.high = parts == 3 ? version : parts == 0 ? std::nullopt : Above(version, parts);
    return span;
  }
  if (op == ">") {
    if (parts == 0) {  // nothing is above any version
      span.high = Version{};
      span.high_open = true;
      return span;
    }
    span.low_open = parts == 3;
    span.low = parts == 3 ? version : Above(version, parts);
    return span;
  }

  // What is left accepts the versions that share some leading parts with the one given.
  span.negated = op == "!=";
  if (parts == 0) {
    // "*": every version
    span.low = version;
    return span;
  }
  span.low = version;
  span.high_open = true;
  if (op == "^") {
    const int kept = version.major > 0 || parts == 1 ? 1 : version.minor > 0 || parts == 2 ? 2 : 3;
    span.high = Above(version, kept);
  } else if (op == "~" || op == "~>") {
    span.high = Above(version, std::min(parts, 2));
  } else if (parts < 3) {
    span.high = Above(version, parts);
  } else {
    span.high = version;
    span.high_open = false;
    if (span.negated) span.prereleases = true;  // "!=1.2.3" says nothing about pre-releases
  }
  return span;
}

Result<VersionRange> VersionRange::Parse(std::string_view text) {
  if (text.size() > kMaxRange) {
    return Fail(ErrorClass::kInvalid, "a version range may have {} characters, this one has {}",
                kMaxRange, text.size());
  }
  VersionRange range;
  for (std::string_view rest = text;;) {
    const size_t bar = rest.find("||");
    std::string_view alternative = rest.substr(0, bar);
    std::vector<Span> spans;
    for (;;) {
      SkipSpace(alternative);
      if (!spans.empty() && !alternative.empty() && alternative[0] == ',') {
        alternative.remove_prefix(1);
        SkipSpace(alternative);
        if (alternative.empty()) {
          return Fail(ErrorClass::kInvalid, "version range \"{}\" ends after a comma", text);
        }
      }
      if (alternative.empty()) break;
      std::string_view op = TakeOperator(alternative);
      SkipSpace(alternative);
      const std::string_view version = TakeVersion(alternative);
      // "1.2 - 1.4": a dash of its own makes both versions the ends of a range.
      std::string_view ahead = alternative;
      SkipSpace(ahead);
      if (op.empty() && ahead.size() >= 2 && ahead[0] == '-' && IsSpace(ahead[1])) {
        ahead.remove_prefix(2);
        SkipSpace(ahead);
        Result<Span> high = ParseComparison("<=", TakeVersion(ahead));
        if (!high) return Fail(high, "version range \"{}\"", text);
        spans.push_back(std::move(*high));
        alternative = ahead;
        op = ">=";
      }
      Result<Span> span = ParseComparison(op, version);
      if (!span) return Fail(span, "version range \"{}\"", text);
      spans.push_back(std::move(*span));
    }
    if (spans.empty()) {
      return Fail(ErrorClass::kInvalid, "version range \"{}\" has an empty part; \"*\" means any",
                  text);
    }
    range.alternatives_.push_back(std::move(spans));
    if (bar == std::string_view::npos) return range;
    rest.remove_prefix(bar + 2);
  }
}

bool VersionRange::Contains(const Version& version) const {
  const auto holds = [&](const Span& span) {
    if (!version.prerelease.empty() && !span.prereleases) return false;
    const bool above = !span.low || (span.low_open ? version > *span.low : version >= *span.low);
    const bool below =
        !span.high || (span.high_open ? version < *span.high : version <= *span.high);
    return (above && below) != span.negated;
  };
  return std::any_of(alternatives_.begin(), alternatives_.end(), [&](const std::vector<Span>& all) {
    return std::all_of(all.begin(), all.end(), holds);
  });
}

}  // namespace flotilla::git
