// Commits that are made here and pushed.
#include <string>

#include "catch.h"
#include "unit/git/fixture.h"

using namespace flotilla;
using namespace flotilla::git;

namespace {

sim::GitServerOptions Writable() {
  sim::GitServerOptions options;
  options.allow_push = true;
  return options;
}

NewCommit Change(std::string parent, std::vector<FileChange> changes) {
  return {std::move(parent), std::move(changes), "Flotilla", "flotilla@example.com", "Change it\n"};
}

}  // namespace

TEST_CASE("A commit of changed, new and deleted files is pushed to a branch") {
  Fixture fixture(Writable());
  const std::string parent =
      fixture.repository.Commit({{"a", "1"}, {"dir/b", "1"}, {"dir/c", "1"}, {"gone/d", "1"}});
  REQUIRE(fixture.FetchMain());
  const auto id = fixture.store->Push(
      fixture.Remote(),
      Change(parent, {{"dir/b", "2"}, {"new/deep/e", "3"}, {"gone/d", std::nullopt}}), {},
      fixture.Soon());
  INFO((id ? "" : id.error().ToString()));
  REQUIRE(id);
  TestRepository& repository = fixture.repository;
  repository.Git({"fetch", "--quiet", repository.bare(), "main"});
  CHECK(repository.Git({"rev-parse", "FETCH_HEAD"}) == *id);
  CHECK(repository.Git({"log", "-1", "--format=%P|%an|%ae|%s", "FETCH_HEAD"}) ==
        parent + "|Flotilla|flotilla@example.com|Change it");
  CHECK(repository.Git({"ls-tree", "-r", "--name-only", "FETCH_HEAD"}) ==
        "a\ndir/b\ndir/c\nnew/deep/e");
  CHECK(repository.Git({"show", "FETCH_HEAD:dir/b"}) == "2");
  const auto revision = fixture.FetchMain(parent);
  REQUIRE(revision);
  CHECK(revision->commit == *id);
  CHECK_FALSE(revision->rewritten);
}

TEST_CASE("The first commit of an empty repository is pushed") {
  Fixture fixture(Writable());
  const auto id =
      fixture.store->Push(fixture.Remote(), Change("", {{"a", "1"}}), {}, fixture.Soon());
  INFO((id ? "" : id.error().ToString()));
  REQUIRE(id);
  CHECK(fixture.FetchMain()->commit == *id);
}

TEST_CASE("A file that was executable stays so") {
  Fixture fixture(Writable());
  fixture.repository.Commit({{"run.sh", "1"}});
  fixture.repository.Git({"update-index", "--chmod=+x", "run.sh"});
  fixture.repository.Git({"commit", "--quiet", "--message", "x"});
  fixture.repository.Git({"push", "--quiet", fixture.repository.bare(), "HEAD:main"});
  const std::string parent = fixture.repository.Git({"rev-parse", "HEAD"});
  REQUIRE(fixture.FetchMain());
  const auto id =
      fixture.store->Push(fixture.Remote(), Change(parent, {{"run.sh", "2"}}), {}, fixture.Soon());
  REQUIRE(id);
  fixture.repository.Git({"fetch", "--quiet", fixture.repository.bare(), "main"});
  CHECK_THAT(fixture.repository.Git({"ls-tree", "FETCH_HEAD"}), Catch::StartsWith("100755"));
}

TEST_CASE("A branch that moved meanwhile is a conflict, and stays where it is") {
  Fixture fixture(Writable());
  const std::string parent = fixture.repository.Commit({{"a", "1"}});
  const std::string older = parent;
  const std::string tip = fixture.repository.Commit({{"a", "2"}});
  REQUIRE(fixture.FetchMain());
  SECTION("forward, and that was not fetched yet") {
    const std::string moved = fixture.repository.Commit({{"a", "3"}});
    const auto id =
        fixture.store->Push(fixture.Remote(), Change(tip, {{"a", "4"}}), {}, fixture.Soon());
    REQUIRE_FALSE(id);
    CHECK(id.error().cls == ErrorClass::kConflict);
    CHECK(fixture.FetchMain()->commit == moved);
  }
  SECTION("back, so that the push would undo that") {
    fixture.repository.Git(
        {"push", "--quiet", "--force", fixture.repository.bare(), older + ":refs/heads/main"});
    const auto id =
        fixture.store->Push(fixture.Remote(), Change(tip, {{"a", "4"}}), {}, fixture.Soon());
    REQUIRE_FALSE(id);
    CHECK(id.error().cls == ErrorClass::kConflict);
    CHECK(fixture.FetchMain()->commit == older);
  }
  SECTION("and the commit is made as the first of a repository that has some") {
    CHECK(fixture.store->Push(fixture.Remote(), Change("", {{"a", "4"}}), {}, fixture.Soon())
              .error()
              .cls == ErrorClass::kConflict);
  }
}

TEST_CASE("A push that the server does not want is refused by name") {
  SECTION("by its configuration") {
    Fixture fixture;
    const std::string parent = fixture.repository.Commit({{"a", "1"}});
    REQUIRE(fixture.FetchMain());
    const auto id =
        fixture.store->Push(fixture.Remote(), Change(parent, {{"a", "2"}}), {}, fixture.Soon());
    REQUIRE_FALSE(id);
    CHECK(id.error().cls == ErrorClass::kDenied);
    CHECK_THAT(id.error().ToString(), Catch::Contains("does not allow this push"));
  }
  SECTION("by a rule for the branch") {
    Fixture fixture(Writable());
    const std::string parent = fixture.repository.Commit({{"a", "1"}});
    REQUIRE(fixture.FetchMain());
    fixture.repository.Git(
        {"-C", fixture.repository.bare(), "config", "receive.denyDeletes", "true"});
    fixture.repository.Git(
        {"-C", fixture.repository.bare(), "config", "transfer.hideRefs", "refs/heads/protected"});
    RemoteSpec remote = fixture.Remote(RefKind::kBranch, "protected");
    const auto id = fixture.store->Push(remote, Change("", {{"a", "2"}}), {}, fixture.Soon());
    REQUIRE_FALSE(id);
    CHECK(id.error().cls == ErrorClass::kDenied);
    CHECK_THAT(id.error().ToString(), Catch::Contains("refuses the push to refs/heads/protected"));
  }
}

TEST_CASE("Paths that lead elsewhere, and parents that are not there, are refused") {
  Fixture fixture(Writable());
  const std::string parent = fixture.repository.Commit({{"a", "1"}});
  REQUIRE(fixture.FetchMain());
  for (const char* path : {"", "..", "../x", "/etc/x", ".git/config", "a//b"}) {
    INFO(path);
    const auto id =
        fixture.store->Push(fixture.Remote(), Change(parent, {{path, "2"}}), {}, fixture.Soon());
    REQUIRE_FALSE(id);
    CHECK(id.error().cls == ErrorClass::kInvalid);
  }
  for (const FileChange& change :
       {FileChange{"a/below", "2"}, FileChange{"missing", std::nullopt}}) {
    INFO(change.path);
    const auto id =
        fixture.store->Push(fixture.Remote(), Change(parent, {change}), {}, fixture.Soon());
    REQUIRE_FALSE(id);
    CHECK(id.error().cls == ErrorClass::kInvalid);
  }
  NewCommit nobody = Change(parent, {{"a", "2"}});
  nobody.author_name = "<>";
  CHECK(fixture.store->Push(fixture.Remote(), nobody, {}, fixture.Soon()).error().cls ==
        ErrorClass::kInvalid);
  CHECK(fixture.store
            ->Push(fixture.Remote(), Change(std::string(40, 'a'), {{"a", "2"}}), {}, fixture.Soon())
            .error()
            .cls == ErrorClass::kNotFound);
  CHECK(fixture.store
            ->Push(fixture.Remote(RefKind::kTag, "v1"), Change(parent, {{"a", "2"}}), {},
                   fixture.Soon())
            .error()
            .cls == ErrorClass::kInvalid);
  CHECK(fixture.FetchMain()->commit == parent);
}
