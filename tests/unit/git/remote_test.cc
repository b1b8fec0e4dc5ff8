#include "git/remote.h"

#include <algorithm>
#include <string>
#include <vector>

#include "catch.h"

using namespace flotilla;
using namespace flotilla::git;

namespace {

const std::string kA(40, 'a');
const std::string kB(40, 'b');
const std::string kC(40, 'c');

std::string MessageOf(const Status& status) { return status ? "" : status.error().ToString(); }

}  // namespace

TEST_CASE("An https or http URL with a path names a repository") {
  struct Row {
    const char* text;
    const char* canonical;
  };
  for (const Row& row : std::vector<Row>{
           {"https://example.com/team/app.git", "https://example.com/team/app.git"},
           {"https://EXAMPLE.com/team/App", "https://example.com/team/App"},
           {"https://example.com:443/app/", "https://example.com/app"},
           {"http://127.0.0.1:8080/app.git//", "http://127.0.0.1:8080/app.git"},
           {"https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a"},
       }) {
    INFO(row.text);
    const auto url = CheckUrl(row.text);
    REQUIRE(url);
    CHECK(CanonicalUrl(*url) == row.canonical);
  }
}

TEST_CASE("Every other URL is refused with what to write instead") {
  struct Row {
    const char* text;
    const char* message;
  };
  for (const Row& row : std::vector<Row>{
           {"", "begins with https://"},
           {"file:///etc/passwd", "file:// and git:// are refused"},
           {"/srv/git/app.git", "local paths"},
           {"../app.git", "local paths"},
           {"./app:git", "local paths"},
           {"app", "local paths"},
           {"git://example.com/app.git", "begins with https://"},
           {"ftp://example.com/app.git", "begins with https://"},
           {"ssh://git@example.com/app.git", "SSH remotes are not supported"},
           {"git+ssh://example.com/app.git", "SSH remotes are not supported"},
           {"git@github.com:team/app.git", "SSH remotes are not supported"},
           {"example.com:app.git", "SSH remotes are not supported"},
           {"ext::sh -c id", "SSH remotes are not supported"},
           {"https://example.com", "no repository on it"},
           {"https://example.com/", "no repository on it"},
           {"https:///app.git", "URL of the repository"},
           {"https://example.com/app.git?x=1", "no query"},
           {"https://example.com/app.git#main", "URL of the repository"},
           {"https://example.com/a b", "URL of the repository"},
           {"https://example.com:0/a", "URL of the repository"},
       }) {
    INFO(row.text);
    const auto url = CheckUrl(row.text);
    REQUIRE_FALSE(url);
    CHECK(url.error().cls == ErrorClass::kInvalid);
    CHECK_THAT(url.error().ToString(), Catch::Contains(row.message));
  }
}

TEST_CASE("A password in a URL is refused and not repeated") {
  for (const char* text : {"https://bob:hunter2@example.com/app.git",
                           "https://hunter2@example.com/a", "http://bob:hunter2@127.0.0.1/a"}) {
    INFO(text);
    const auto url = CheckUrl(text);
    REQUIRE_FALSE(url);
    CHECK_THAT(url.error().ToString(), Catch::Contains("Secret"));
    CHECK_THAT(url.error().ToString(), !Catch::Contains("hunter2"));
  }
}

TEST_CASE("Credentials travel over https, or in the clear to a loopback address only") {
  const Credentials token = BearerCredentials{Secret("t0ken")};
  const Credentials basic = BasicCredentials{"bob", Secret("hunter2")};
  for (const char* text : {"https://example.com/a", "http://localhost:1/a", "http://127.0.0.1:1/a",
                           "http://[::1]:1/a"}) {
    INFO(text);
    CHECK(CheckCredentials(*CheckUrl(text), token));
    CHECK(CheckCredentials(*CheckUrl(text), basic));
  }
  const http::Url clear = *CheckUrl("http://example.com/a");
  CHECK(CheckCredentials(clear, NoCredentials{}));
  CHECK_THAT(MessageOf(CheckCredentials(clear, token)), Catch::Contains("in the clear"));
  CHECK_THAT(MessageOf(CheckCredentials(clear, basic)), Catch::Contains("in the clear"));
}

TEST_CASE("A loopback name is not a prefix of another name") {
  const Credentials token = BearerCredentials{Secret("t0ken")};
  CHECK_FALSE(CheckCredentials(*CheckUrl("http://127.0.0.1.example.com/a"), token));
  CHECK_FALSE(CheckCredentials(*CheckUrl("http://localhost.example.com/a"), token));
}

TEST_CASE("Credentials that no header can carry are refused") {
  const http::Url url = *CheckUrl("https://example.com/a");
  CHECK_THAT(MessageOf(CheckCredentials(url, BearerCredentials{Secret("t0ken\n")})),
             Catch::Contains("newline") && !Catch::Contains("t0ken"));
  CHECK_FALSE(CheckCredentials(url, BearerCredentials{}));
  CHECK_FALSE(CheckCredentials(url, BasicCredentials{"a:b", Secret("c")}));
}

TEST_CASE("Names of branches and tags follow git-check-ref-format") {
  for (const char* good : {"main", "release/1.2", "v1.0.0", "feature-x", "ä", "a@b", "0", "a.b"}) {
    INFO(good);
    CHECK(CheckRef({RefKind::kBranch, good}));
    CHECK(CheckRef({RefKind::kTag, good}));
  }
  for (const char* bad :
       {"",         "a..b", "a b", "a~b",  "a^b",  "a:b",  "a?b",   "a*",
        "a[b",      "a\\b", "/a",  "a/",   "a//b", ".a",   "a/.b",  "a.lock",
        "a.lock/b", "a.",   "@",   "a@{b", "-a",   "a\nb", "a\x7f", "refs/heads/main"}) {
    INFO(bad);
    CHECK_FALSE(CheckRef({RefKind::kBranch, bad}));
    CHECK_FALSE(CheckRef({RefKind::kTag, bad}));
  }
  CHECK_FALSE(CheckRef({RefKind::kBranch, std::string(256, 'a')}));
}

TEST_CASE("A commit is named in full") {
  CHECK(CheckRef({RefKind::kCommit, kA}));
  for (const std::string& bad : {std::string("abc1234"), std::string(40, 'A'), std::string(41, 'a'),
                                 std::string(40, 'g'), std::string()}) {
    CHECK_FALSE(CheckRef({RefKind::kCommit, bad}));
  }
  CHECK_THAT(MessageOf(CheckRef({RefKind::kCommit, std::string(64, 'a')})),
             Catch::Contains("SHA-256"));
}

TEST_CASE("A branch or tag is found by its whole name") {
  const std::vector<RemoteRef> refs = {{"refs/heads/main", kA, ""},
                                       {"refs/heads/main2", kB, ""},
                                       {"refs/tags/main", kC, ""},
                                       {"refs/tags/v1", kA, kB}};
  CHECK(Resolve({RefKind::kBranch, "main"}, refs)->commit() == kA);
  CHECK(Resolve({RefKind::kTag, "main"}, refs)->commit() == kC);
  CHECK(Resolve({RefKind::kTag, "v1"}, refs)->commit() == kB);
  const auto missing = Resolve({RefKind::kBranch, "mai"}, refs);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().cls == ErrorClass::kNotFound);
  CHECK_THAT(missing.error().ToString(), Catch::Contains("no branch mai; it has main, main2"));
}

TEST_CASE("A range means the highest version among the tags, in whatever order they come") {
  std::vector<RemoteRef> refs = {
      {"refs/tags/v1.9.0", kA, ""},       {"refs/tags/v1.10.0", kB, kC},
      {"refs/tags/v2.0.0-rc.1", kA, ""},  {"refs/tags/release-3", kA, ""},
      {"refs/heads/v1.99.0", kA, ""},     {"refs/tags/1.10.0", kA, ""},
      {"refs/tags/team/v1.50.0", kA, ""},
  };
  for (int i = 0; i < 5; ++i) {
    std::rotate(refs.begin(), refs.begin() + 1, refs.end());
    const auto best = Resolve({RefKind::kSemver, "^1.2"}, refs);
    REQUIRE(best);
    CHECK(best->name == "refs/tags/v1.10.0");
    CHECK(best->commit() == kC);
  }
  CHECK(Resolve({RefKind::kSemver, ">=2-0"}, refs)->name == "refs/tags/v2.0.0-rc.1");
  const auto none = Resolve({RefKind::kSemver, "^3"}, refs);
  REQUIRE_FALSE(none);
  CHECK(none.error().cls == ErrorClass::kNotFound);
  CHECK_THAT(none.error().ToString(), Catch::Contains("no tag of the repository is a version"));
}
