// Each named syntax accepts the same texts in C++ and by the pattern that the API server applies.
#include <regex>

#include "api/fields.h"
#include "catch.h"

namespace flotilla::api {
namespace {

struct Row {
  const Format& format;
  const char* text;
  bool fits;
};

TEST_CASE("named syntaxes accept what Kubernetes accepts") {
  const std::string label63(63, 'a');
  const std::string label64(64, 'a');
  const std::string sha1(40, '1');
  const std::string sha256(64, 'f');
  const Row rows[] = {
      {kDnsLabel, "web", true},
      {kDnsLabel, "web-1", true},
      {kDnsLabel, "1", true},
      {kDnsLabel, label63.c_str(), true},
      {kDnsLabel, label64.c_str(), false},
      {kDnsLabel, "-web", false},
      {kDnsLabel, "web-", false},
      {kDnsLabel, "Web", false},
      {kDnsLabel, "a.b", false},
      {kDnsSubdomain, "a.b-c.d", true},
      {kDnsSubdomain, "a..b", false},
      {kDnsSubdomain, ".a", false},
      {kDnsSubdomain, "a.", false},
      {kDnsSubdomain, "a-.b", false},
      {kDnsSubdomain, label64.c_str(), true},
      {kLabelKey, "tier", true},
      {kLabelKey, "app.kubernetes.io/name", true},
      {kLabelKey, "A_b.C", true},
      {kLabelKey, "a/b/c", false},
      {kLabelKey, "/a", false},
      {kLabelKey, "a/", false},
      {kLabelKey, "-a", false},
      {kLabelKey, label64.c_str(), false},
      {kLabelValue, "v1.2_x", true},
      {kLabelValue, "a", true},
      {kLabelValue, "a b", false},
      {kLabelValue, "-a", false},
      {kLabelValue, label64.c_str(), false},
      {kGitUrl, "https://git.example.com/a.git", true},
      {kGitUrl, "http://git.example.com:8080/a?x=1", true},
      {kGitUrl, "ssh://git@git.example.com:22/a", true},
      {kGitUrl, "git@git.example.com:a/b.git", true},
      {kGitUrl, "https://me:secret@git.example.com/a", false},
      {kGitUrl, "https://token@git.example.com/a", false},
      {kGitUrl, "https:///a", false},
      {kGitUrl, "file:///etc", false},
      {kGitUrl, "/srv/git", false},
      {kGitUrl, "git@host", false},
      {kGitUrl, "git@:a", false},
      {kGitUrl, "https://a b", false},
      {kGitUrl, "ssh:///a", false},
      {kHttpUrl, "http://prometheus:9090", true},
      {kHttpUrl, "https://prometheus/base/", true},
      {kHttpUrl, "prometheus:9090", false},
      {kHttpUrl, "http://a:b@prometheus", false},
      {kHttpUrl, "http://", false},
      {kCommitId, sha1.c_str(), true},
      {kCommitId, sha256.c_str(), true},
      {kCommitId, "1111111", false},
      {kCommitId, "G111111111111111111111111111111111111111", false},
      {kRelativePath, "a/b", true},
      {kRelativePath, ".", true},
      {kRelativePath, "./a", true},
      {kRelativePath, "a/", true},
      {kRelativePath, "..a/b", true},
      {kRelativePath, "a/.b", true},
      {kRelativePath, "..", false},
      {kRelativePath, "a/..", false},
      {kRelativePath, "a/../b", false},
      {kRelativePath, "/a", false},
      {kJsonPointer, "/spec/replicas", true},
      {kJsonPointer, "/a~1b/~0/0", true},
      {kJsonPointer, "/", true},
      {kJsonPointer, "spec", false},
      {kJsonPointer, "/a~2", false},
      {kJsonPointer, "/a~", false},
  };
  for (const Row& row : rows) {
    INFO(row.text << " as " << row.format.says);
    CHECK(row.format.accepts(row.text) == row.fits);
    // The length is a bound of its own in the schema.
    const bool too_long =
        row.format.max_length > 0 &&
        std::string_view(row.text).size() > static_cast<size_t>(row.format.max_length);
    if (!too_long) {
      CHECK(std::regex_search(row.text, std::regex(row.format.pattern)) == row.fits);
    }
  }
}

}  // namespace
}  // namespace flotilla::api
