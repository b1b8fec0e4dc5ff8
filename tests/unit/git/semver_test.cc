#include "git/semver.h"

#include <string>
#include <vector>

#include "catch.h"

using flotilla::git::ParseVersion;
using flotilla::git::Version;
using flotilla::git::VersionRange;

TEST_CASE("A version has three numbers and may have a leading v, a pre-release and a build") {
  const std::optional<Version> version = ParseVersion("v1.22.333-rc.1+build-5");
  REQUIRE(version);
  CHECK(version->major == 1);
  CHECK(version->minor == 22);
  CHECK(version->patch == 333);
  CHECK(version->prerelease == "rc.1");
  CHECK(version->build == "build-5");
  CHECK(version->ToString() == "1.22.333-rc.1+build-5");
}

TEST_CASE("What is no complete version is none") {
  for (const char* text :
       {"",        "v",         "1",         "1.2",           "1.2.3.4",
        "01.2.3",  "1.02.3",    "1.2.3-",    "1.2.3-01",      "1.2.3-a..b",
        "1.2.3+",  "1.2.3-rc.", "1.2.3-r_c", "a.b.c",         "-1.2.3",
        "1.2.x",   " 1.2.3",    "1.2.3 ",    "release-1.2.3", "99999999999999999999.0.0",
        "vv1.2.3", "1.2.3\n"}) {
    INFO(text);
    CHECK_FALSE(ParseVersion(text));
  }
  CHECK(ParseVersion("18446744073709551615.0.0"));
  CHECK(ParseVersion("1.2.3-0a.b-c.0"));
  CHECK(ParseVersion("1.2.3+001"));
}

TEST_CASE("Versions are ordered as section 11 of the specification says") {
  const std::vector<std::string> ascending = {"0.0.1",
                                              "0.1.0",
                                              "1.0.0-alpha",
                                              "1.0.0-alpha.1",
                                              "1.0.0-alpha.beta",
                                              "1.0.0-beta",
                                              "1.0.0-beta.2",
                                              "1.0.0-beta.11",
                                              "1.0.0-beta.99999999999999999999999",
                                              "1.0.0-rc.1",
                                              "1.0.0",
                                              "1.0.10",
                                              "1.2.0",
                                              "2.0.0"};
  for (size_t i = 0; i < ascending.size(); ++i) {
    for (size_t j = 0; j < ascending.size(); ++j) {
      INFO(ascending[i] << " and " << ascending[j]);
      CHECK((*ParseVersion(ascending[i]) < *ParseVersion(ascending[j])) == (i < j));
      CHECK((*ParseVersion(ascending[i]) == *ParseVersion(ascending[j])) == (i == j));
    }
  }
  CHECK(*ParseVersion("1.0.0+a") == *ParseVersion("1.0.0+b"));
}

TEST_CASE("A range accepts what it says") {
  struct Row {
    const char* range;
    std::vector<const char*> in;
    std::vector<const char*> out;
  };
  const std::vector<Row> rows = {
      {"1.2.3", {"1.2.3", "1.2.3+b"}, {"1.2.4", "1.2.2", "1.2.3-rc.1"}},
      {"=1.2.3", {"1.2.3"}, {"1.2.4"}},
      {"v1.2.3", {"1.2.3"}, {"1.2.4"}},
      {"= 1.2", {"1.2.0", "1.2.9"}, {"1.3.0", "1.1.9"}},
      {"!=1.2.3", {"1.2.4", "1.2.2", "1.2.4-rc.1"}, {"1.2.3"}},
      {"!=1.2", {"1.3.0", "1.1.9"}, {"1.2.0", "1.2.9", "1.3.0-rc.1"}},
      {"!=1", {"2.0.0", "0.9.0"}, {"1.0.0", "1.9.9"}},
      {">1.2.3", {"1.2.4", "2.0.0"}, {"1.2.3", "1.0.0", "1.2.4-rc.1"}},
      {">1.2", {"1.3.0"}, {"1.2.9", "1.2.0"}},
      {">1", {"2.0.0"}, {"1.9.9"}},
      {">11.1.x", {"11.2.0"}, {"11.1.9"}},
      {">=1.2", {"1.2.0", "3.0.0"}, {"1.1.9"}},
      {"=>1.2", {"1.2.0", "3.0.0"}, {"1.1.9"}},
      {"<1.2", {"1.1.9", "0.0.0"}, {"1.2.0", "1.1.0-rc.1"}},
      {"<=1.2", {"1.2.9", "0.1.0"}, {"1.3.0"}},
      {"<=1", {"1.9.9"}, {"2.0.0"}},
      {"=<1.2.3", {"1.2.3"}, {"1.2.4"}},
      {"*", {"0.0.0", "9.9.9"}, {"1.0.0-rc.1"}},
      {"x", {"0.0.0", "9.9.9"}, {}},
      {"^*", {"0.0.0", "9.9.9"}, {}},
      {"<=*", {"0.0.0", "9.9.9"}, {}},
      {">*", {}, {"0.0.0", "9.9.9"}},
      {"!=*", {}, {"0.0.0", "9.9.9"}},
      {"*-0", {"0.0.0", "1.0.0-rc.1"}, {}},
      {"1.x", {"1.0.0", "1.9.9"}, {"2.0.0", "0.9.9"}},
      {"1.X.3", {"1.0.0", "1.9.9"}, {"2.0.0"}},
      {"1.2.*", {"1.2.0", "1.2.9"}, {"1.3.0"}},
      {"~1.2.3", {"1.2.3", "1.2.9"}, {"1.3.0", "1.2.2", "1.2.4-rc.1"}},
      {"~>1.2.3", {"1.2.3", "1.2.9"}, {"1.3.0"}},
      {"~1.2", {"1.2.0", "1.2.9"}, {"1.3.0"}},
      {"~1", {"1.0.0", "1.9.9"}, {"2.0.0"}},
      {"~0.0.0", {"0.0.0", "0.0.9"}, {"0.1.0"}},
      {"^1.2.3", {"1.2.3", "1.9.9"}, {"2.0.0", "1.2.2"}},
      {"^1.2", {"1.2.0", "1.9.9"}, {"2.0.0"}},
      {"^1", {"1.0.0", "1.9.9"}, {"2.0.0"}},
      {"^0.2.3", {"0.2.3", "0.2.9"}, {"0.3.0", "0.2.2"}},
      {"^0.2", {"0.2.0", "0.2.9"}, {"0.3.0"}},
      {"^0.0.3", {"0.0.3"}, {"0.0.4", "0.0.2"}},
      {"^0.0", {"0.0.0", "0.0.9"}, {"0.1.0"}},
      {"^0", {"0.0.0", "0.9.9"}, {"1.0.0"}},
      {"^1.2.3-beta.2", {"1.2.3-beta.2", "1.2.3", "1.4.0-alpha"}, {"1.2.3-beta.1", "2.0.0-alpha"}},
      {"~1.2.3-0", {"1.2.3-rc.1", "1.2.9"}, {"1.3.0-rc.1", "1.3.0"}},
      {">=1.0.0-0", {"1.0.0-alpha", "2.0.0-rc.1", "2.0.0"}, {"0.9.9"}},
      {">=1-0", {"1.0.0-alpha", "2.0.0"}, {"0.9.9"}},
      {">=1.2 <1.4", {"1.2.0", "1.3.9"}, {"1.4.0", "1.1.9"}},
      {">=1.2, <1.4", {"1.2.0", "1.3.9"}, {"1.4.0"}},
      {">=1.2,<1.4,!=1.3.0", {"1.2.0", "1.3.1"}, {"1.3.0"}},
      {">= 1.2  <  1.4", {"1.2.0"}, {"1.4.0"}},
      {"1.2 - 1.4.5", {"1.2.0", "1.4.5"}, {"1.4.6", "1.1.9"}},
      {"1.2 - 1.4", {"1.4.9"}, {"1.5.0"}},
      {"1.2.3 - 2 || 5.x", {"2.9.9", "5.1.0"}, {"3.0.0", "1.2.2"}},
      {"1.2.3 || ^3", {"1.2.3", "3.4.0"}, {"1.2.4", "2.0.0"}},
      {"1.2.3-rc.1", {"1.2.3-rc.1"}, {"1.2.3", "1.2.3-rc.2"}},
      {"^18446744073709551615", {"18446744073709551615.5.0"}, {"1.0.0"}},
  };
  for (const Row& row : rows) {
    const auto range = VersionRange::Parse(row.range);
    INFO("range " << row.range);
    REQUIRE(range);
    for (const char* version : row.in) {
      INFO("has " << version);
      CHECK(range->Contains(*ParseVersion(version)));
    }
    for (const char* version : row.out) {
      INFO("has not " << version);
      CHECK_FALSE(range->Contains(*ParseVersion(version)));
    }
  }
}

TEST_CASE("What is no range is refused with the part that is wrong") {
  for (const char* text : {"",        " ",    "||",   "1 ||", "|| 1", "abc",          ">",   "^",
                           "1.2.3.4", "1..2", "1.",   "1,",   ",1",   "1,,2",         ">>1", "=!1",
                           "1.2.3-",  "1 -",  "1 - ", "01",   "1|2",  "1.2.3 -2.0.0", "~ ~1"}) {
    INFO('"' << text << '"');
    CHECK_FALSE(VersionRange::Parse(text));
  }
  const auto range = VersionRange::Parse(">=1.0 <banana");
  REQUIRE_FALSE(range);
  CHECK(range.error().cls == flotilla::ErrorClass::kInvalid);
  CHECK_THAT(range.error().ToString(), Catch::Contains("<banana"));
  CHECK_FALSE(VersionRange::Parse(std::string(5000, '1')));
}
