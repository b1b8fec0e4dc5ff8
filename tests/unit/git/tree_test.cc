// What a Tree says about the files of a commit.
#include <string>

#include "base/limits.h"
#include "catch.h"
#include "unit/git/fixture.h"

using namespace flotilla;
using namespace flotilla::git;

namespace {

std::unique_ptr<Tree> FetchTree(Fixture& fixture, const std::string& commit) {
  REQUIRE(fixture.FetchMain());
  auto tree = fixture.store->OpenTree(fixture.Url(), commit);
  REQUIRE(tree);
  return std::move(*tree);
}

}  // namespace

TEST_CASE("A directory lists its entries in bytewise order of their names") {
  Fixture fixture;
  const std::string commit = fixture.repository.Commit(
      {{"a/x", ""}, {"a.yaml", ""}, {"a-b", ""}, {"B", ""}, {"dir/sub/deep", ""}});
  const auto tree = FetchTree(fixture, commit);
  CHECK(Listing(*tree) ==
        "B: file\n"
        "a: directory\n"
        "a/x: file\n"
        "a-b: file\n"
        "a.yaml: file\n"
        "dir: directory\n"
        "dir/sub: directory\n"
        "dir/sub/deep: file\n");
}

TEST_CASE("Ids are those of Git, and change with what is below") {
  Fixture fixture;
  const std::string one = fixture.repository.Commit({{"a/x", "1"}, {"b/y", "1"}});
  const std::string two = fixture.repository.Commit({{"a/x", "2"}});
  const auto before = FetchTree(fixture, one);
  const auto after = FetchTree(fixture, two);
  CHECK((*before->Find(""))->id == fixture.repository.Git({"rev-parse", one + "^{tree}"}));
  CHECK((*before->Find("a/x"))->id == fixture.repository.Git({"rev-parse", one + ":a/x"}));
  CHECK((*before->Find("a"))->id != (*after->Find("a"))->id);
  CHECK((*before->Find("b"))->id == (*after->Find("b"))->id);
  CHECK((*before->Find("b"))->name == "b");
  CHECK((*before->Find("."))->kind == EntryKind::kDirectory);
}

TEST_CASE("What is absent is a fact, not an error") {
  Fixture fixture;
  const auto tree = FetchTree(fixture, fixture.repository.Commit({{"a/x", "1"}}));
  for (const char* path : {"b", "a/y", "a/x/below", "b/c/d"}) {
    INFO(path);
    const auto entry = tree->Find(path);
    REQUIRE(entry);
    CHECK_FALSE(*entry);
    CHECK(tree->Read(path).error().cls == ErrorClass::kNotFound);
    CHECK(tree->List(path).error().cls == ErrorClass::kNotFound);
  }
}

TEST_CASE("A file is not listed and a directory is not read") {
  Fixture fixture;
  const auto tree = FetchTree(fixture, fixture.repository.Commit({{"a/x", "1"}}));
  CHECK(tree->List("a/x").error().cls == ErrorClass::kInvalid);
  CHECK(tree->Read("a").error().cls == ErrorClass::kInvalid);
}

TEST_CASE("Links and submodules are reported and never followed") {
  Fixture fixture;
  fixture.repository.Commit({{"real/file", "secret"}});
  const std::string blob =
      fixture.repository.Git({"hash-object", "-w", "--stdin"}, "../../etc/passwd");
  const std::string directory = fixture.repository.Git({"rev-parse", "HEAD:real"});
  const std::string commit = fixture.repository.CommitTree(
      "120000 blob " + blob + "\tlink\n160000 commit " + std::string(40, 'a') + "\tmodule\n" +
      "040000 tree " + directory + "\treal\n");
  const auto tree = FetchTree(fixture, commit);
  CHECK(Listing(*tree) == "link: symlink\nmodule: submodule\nreal: directory\nreal/file: file\n");
  CHECK((*tree->Find("module"))->id == std::string(40, 'a'));
  CHECK_THAT(tree->Read("link").error().ToString(), Catch::Contains("symbolic link"));
  CHECK_THAT(tree->Read("module").error().ToString(), Catch::Contains("submodule"));
  CHECK_THAT(tree->List("module").error().ToString(), Catch::Contains("submodule"));
  CHECK_FALSE(tree->Find("link/x")->has_value());
  CHECK_FALSE(tree->Find("module/x")->has_value());
}

TEST_CASE("No path leads out of the tree") {
  Fixture fixture;
  const auto tree = FetchTree(fixture, fixture.repository.Commit({{"a/x", "1"}}));
  for (const char* path : {"..", "../a", "a/../a/x", "/a/x", "a//x", "a/./x", ".git/config"}) {
    INFO(path);
    CHECK(tree->Read(path).error().cls == ErrorClass::kInvalid);
    CHECK_FALSE(tree->Find(path).has_value());
  }
}

TEST_CASE("A tree with names that lead elsewhere is refused where it is listed") {
  Fixture fixture;
  const std::string blob = fixture.repository.Git({"hash-object", "-w", "--stdin"}, "x");
  for (const std::string& name : {std::string(".."), std::string("."), std::string(".git")}) {
    INFO(name);
    // git mktree refuses such names, so the bytes of the tree are made by hand.
    std::string raw_id;
    for (size_t i = 0; i < 40; i += 2) {
      raw_id += static_cast<char>(std::stoi(blob.substr(i, 2), nullptr, 16));
    }
    const std::string bytes = "100644 " + name + std::string(1, '\0') + raw_id;
    const std::string bad = fixture.repository.Git(
        {"hash-object", "-t", "tree", "-w", "--literally", "--stdin"}, bytes);
    const std::string commit = fixture.repository.CommitTree(
        "100644 blob " + blob + "\tgood\n040000 tree " + bad + "\tbad\n");
    const auto tree = FetchTree(fixture, commit);
    CHECK(tree->Read("good").value() == "x");
    const auto listing = tree->List("bad");
    REQUIRE_FALSE(listing);
    CHECK(listing.error().cls == ErrorClass::kInvalid);
    CHECK_THAT(listing.error().ToString(), Catch::Contains("\"" + name + "\""));
    CHECK_FALSE(tree->Read("bad/" + name).has_value());
  }
}

TEST_CASE("A file beyond the limit is an error that names it, and costs no memory") {
  Fixture fixture;
  const std::string commit =
      fixture.repository.Commit({{"huge", std::string(limits::kSourceFileBytes + 1, 'x')},
                                 {"large", std::string(limits::kSourceFileBytes, 'x')}});
  const auto tree = FetchTree(fixture, commit);
  CHECK(tree->Read("large")->size() == limits::kSourceFileBytes);
  const auto huge = tree->Read("huge");
  REQUIRE_FALSE(huge);
  CHECK(huge.error().cls == ErrorClass::kInvalid);
  CHECK_THAT(huge.error().ToString(), Catch::Contains("huge has 8388609 bytes"));
}

TEST_CASE("A commit that was not fetched, or a name of none, has no tree") {
  Fixture fixture;
  const std::string commit = fixture.repository.Commit({{"a", "1"}});
  CHECK(fixture.store->OpenTree(fixture.Url(), commit).error().cls == ErrorClass::kNotFound);
  REQUIRE(fixture.FetchMain());
  CHECK(fixture.store->OpenTree(fixture.Url(), std::string(40, 'a')).error().cls ==
        ErrorClass::kNotFound);
  CHECK(fixture.store->OpenTree(fixture.Url(), "main").error().cls == ErrorClass::kInvalid);
  CHECK(fixture.store->OpenTree(fixture.Url("other.git"), commit).error().cls ==
        ErrorClass::kNotFound);
  CHECK(fixture.store->OpenTree("file:///tmp", commit).error().cls == ErrorClass::kInvalid);
  CHECK(fixture.store->OpenTree(fixture.Url(), commit));
}

TEST_CASE("The history of a commit has who, when and what, newest first") {
  Fixture fixture;
  const std::string first = fixture.repository.Commit({{"a", "1"}}, "First thing\n\nwith a body");
  const std::string second = fixture.repository.Commit({{"a", "2"}}, "Second thing");
  REQUIRE(fixture.FetchMain());
  const auto log = fixture.store->Log(fixture.Url(), second, 10);
  REQUIRE(log);
  REQUIRE(log->size() == 2);
  CHECK((*log)[0].commit == second);
  CHECK((*log)[0].parents == std::vector<std::string>{first});
  CHECK((*log)[0].author_name == "Ada");
  CHECK((*log)[0].author_email == "ada@example.com");
  CHECK((*log)[0].subject == "Second thing");
  CHECK(FormatTime((*log)[0].time) == "2026-09-21T14:13:20Z");
  CHECK((*log)[1].subject == "First thing");
  CHECK((*log)[1].parents.empty());
  CHECK(fixture.store->Log(fixture.Url(), second, 1)->size() == 1);
  CHECK(fixture.store->Log(fixture.Url(), std::string(40, 'a'), 1).error().cls ==
        ErrorClass::kNotFound);
}
