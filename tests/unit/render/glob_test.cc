#include "render/glob.h"

#include "catch.h"

namespace flotilla::render {
namespace {

TEST_CASE("globs match paths by the table in their header") {
  struct Row {
    const char* glob;
    const char* path;
    bool matches;
  };
  const Row rows[] = {
      {"*.yaml", "web.yaml", true},
      {"*.yaml", "a/b/web.yaml", true},
      {"*.yaml", "web.yml", false},
      {"web.*", "a/web.json", true},
      {"a/*.yaml", "a/web.yaml", true},
      {"a/*.yaml", "a/b/web.yaml", false},
      {"a/*.yaml", "b/a/web.yaml", false},
      {"/web.yaml", "web.yaml", true},
      {"/web.yaml", "a/web.yaml", false},
      {"a/**", "a/b/c.yaml", true},
      {"a/**", "ab/c.yaml", false},
      {"**/test/*", "test/x.yaml", true},
      {"**/test/*", "a/b/test/x.yaml", true},
      {"**/test/*", "a/nottest/x.yaml", false},
      {"a/**/x.yaml", "a/x.yaml", true},
      {"a/**/x.yaml", "a/b/c/x.yaml", true},
      {"a/**/x.yaml", "a/b/xx.yaml", false},
      {"a/**x.yaml", "a/b/xx.yaml", true},
      {"a/**/b/*.yaml", "a/b/c/b/d.yaml", true},
      {"w?b.yaml", "web.yaml", true},
      {"a?b/x", "a/b/x", false},
      {"[a-c]*", "beta", true},
      {"[!a-c]*", "beta", false},
      {"[]x]", "]", true},
      {"a/[!x]b", "a//b", false},
      {"{web,api}.yaml", "api.yaml", true},
      {"{web,api}.yaml", "db.yaml", false},
      {"x{a,{b,c}d}y", "xcdy", true},
      {"x{a,{b,c}d}y", "xcy", false},
      {"{a/*,b}/c", "a/x/c", true},
      {"\\*.yaml", "*.yaml", true},
      {"\\*.yaml", "x.yaml", false},
      {"*", "", true},
      {"a*b*c", "axxbxxc", true},
      {"a*b*c", "axxbxx", false},
  };
  for (const Row& row : rows) {
    INFO(row.glob << " " << row.path);
    CHECK(GlobMatches(row.glob, row.path) == row.matches);
    CHECK(CheckGlob(row.glob));
  }
}

TEST_CASE("what is no glob is refused") {
  for (const char* glob : {"", "[a", "{a,b", "a\\", "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"}) {
    INFO(glob);
    CHECK_FALSE(CheckGlob(glob));
  }
}

TEST_CASE("a hostile glob costs little") {
  std::string glob;
  for (int i = 0; i < 200; ++i) glob += "a*";
  CHECK_FALSE(GlobMatches(glob + "b", std::string(5000, 'a')));
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "**/a";
  CHECK_FALSE(GlobMatches(deep + "/b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace flotilla::render
