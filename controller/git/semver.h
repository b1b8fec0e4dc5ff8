// Versions and ranges of Semantic Versioning 2.0.0, as tags use them.
//
// Ranges are those of github.com/Masterminds/semver, which Flux and Helm use:
//   "1.2.3" "=1.2.3" "!=1.2.3" ">1.2" ">=1.2" "<2" "<=2"      comparisons
//   "1.2.x" "1.*" "*"                                           any value at that place
//   "~1.2.3" >=1.2.3 <1.3.0     "~1" >=1.0.0 <2.0.0             patch-level changes
//   "^1.2.3" >=1.2.3 <2.0.0     "^0.2.3" >=0.2.3 <0.3.0         compatible changes
//   "1.2 - 1.4.5" >=1.2.0 <=1.4.5                               both ends included
//   "a b" or "a, b"                                             both hold
//   "a || b"                                                    one holds
// Also accepted: "=>" "=<" "~>", a leading "v". A version with a pre-release matches only
// comparisons that name a pre-release themselves (">=1.0.0-0"). Unlike there, "~0.0.0" means <0.1.0
// and "^*" means any version, as their documentation has it. Pure functions; no locale, no
// exceptions.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flotilla::git {

struct Version {
  uint64_t major = 0;
  uint64_t minor = 0;
  uint64_t patch = 0;
  std::string prerelease;  // "rc.1" of 1.0.0-rc.1+b5
  std::string build;       // "b5"; does not take part in order

  std::string ToString() const;
  // Order of the specification, section 11. Versions that differ in build only are equivalent.
  std::weak_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const { return (*this <=> other) == 0; }
};

// "1.2.3-rc.1+b5" with an optional leading "v"; nullopt where the text is no complete version.
std::optional<Version> ParseVersion(std::string_view text);

class VersionRange {
 public:
  // Invalid where the text is no range; the message names the part that is wrong.
  static Result<VersionRange> Parse(std::string_view text);

  bool Contains(const Version& version) const;

 private:
  // What one comparison accepts: versions from `low` to `high`, or all others where negated.
  struct Span {
    std::optional<Version> low;
    std::optional<Version> high;
    bool low_open = false;   // `low` itself does not match
    bool high_open = false;  // `high` itself does not match
    bool negated = false;
    bool prereleases = false;  // versions with a pre-release may match
  };
  static Result<Span> ParseComparison(std::string_view op, std::string_view version);
  // One of these must hold, with all of its spans.
  std::vector<std::vector<Span>> alternatives_;
};

}  // namespace flotilla::git
