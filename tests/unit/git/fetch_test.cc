// How a store follows references of a real repository over real HTTP.
#include <filesystem>
#include <string>

#include "base/limits.h"
#include "catch.h"
#include "unit/git/fixture.h"

using namespace flotilla;
using namespace flotilla::git;

namespace {

std::string ReadAt(Fixture& fixture, const std::string& commit, const std::string& path) {
  auto tree = fixture.store->OpenTree(fixture.Url(), commit);
  if (!tree) return tree.error().ToString();
  auto contents = (*tree)->Read(path);
  return contents ? *contents : contents.error().ToString();
}

}  // namespace

TEST_CASE("A branch is fetched, and its files are read without a checkout") {
  Fixture fixture;
  const std::string commit =
      fixture.repository.Commit({{"app/deployment.yaml", "kind: Deployment\n"}});
  const auto revision = fixture.FetchMain();
  REQUIRE(revision);
  CHECK(revision->commit == commit);
  CHECK(revision->ref_name == "refs/heads/main");
  CHECK(revision->fetched);
  CHECK_FALSE(revision->rewritten);
  CHECK(ReadAt(fixture, commit, "app/deployment.yaml") == "kind: Deployment\n");
}

TEST_CASE("A fetch of a branch that did not move downloads nothing and asks one question") {
  Fixture fixture;
  fixture.repository.Commit({{"a", "1"}});
  const auto first = fixture.FetchMain();
  REQUIRE(first);
  REQUIRE(fixture.FetchMain(first->commit));  // learns that the server speaks protocol 2
  fixture.requests.announcements = 0;
  fixture.requests.posts = 0;
  fixture.requests.packs = 0;
  const auto second = fixture.FetchMain(first->commit);
  REQUIRE(second);
  CHECK(second->commit == first->commit);
  CHECK_FALSE(second->fetched);
  CHECK(fixture.requests.packs == 0);
  CHECK(fixture.requests.announcements + fixture.requests.posts == 1);
}

TEST_CASE("A new commit is fetched as the difference only") {
  Fixture fixture;
  std::map<std::string, std::string> files;
  for (int i = 0; i < 200; ++i)
    files["file" + std::to_string(i)] =
        std::string(1000, static_cast<char>('a' + i % 26)) + std::to_string(i * 7919);
  const std::string old_commit = fixture.repository.Commit(files);
  REQUIRE(fixture.FetchMain());
  const size_t whole = fixture.requests.bytes;
  fixture.requests.bytes = 0;
  const std::string commit = fixture.repository.Commit({{"file7", "changed"}});
  const auto revision = fixture.FetchMain(old_commit);
  REQUIRE(revision);
  CHECK(revision->commit == commit);
  CHECK(revision->fetched);
  CHECK_FALSE(revision->rewritten);
  CHECK(ReadAt(fixture, commit, "file7") == "changed");
  CHECK(ReadAt(fixture, old_commit, "file7") != "changed");
  CHECK(fixture.requests.bytes * 2 < whole);
}

TEST_CASE("A pack larger than what may wait to be read arrives whole") {
  Fixture fixture;
  std::string noise;
  noise.reserve(6u << 20);
  while (noise.size() < 6u << 20) {
    const uint64_t word = fixture.runtime.Random();
    noise.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  REQUIRE(noise.size() > 4 * limits::kGitReadAhead);
  const std::string commit = fixture.repository.Commit({{"noise", noise}});
  REQUIRE(fixture.FetchMain());
  CHECK(ReadAt(fixture, commit, "noise") == noise);
}

TEST_CASE("Only the branch that is asked for is brought") {
  Fixture fixture;
  const std::string base = fixture.repository.Commit({{"a", "1"}});
  const std::string other = fixture.repository.Commit({{"a", "2"}}, "Other", "other");
  REQUIRE(fixture.FetchMain());
  CHECK(fixture.store->OpenTree(fixture.Url(), base));
  const auto tree = fixture.store->OpenTree(fixture.Url(), other);
  REQUIRE_FALSE(tree);
  CHECK(tree.error().cls == ErrorClass::kNotFound);
}

TEST_CASE("Tags, annotated or not, mean the commit that they point at") {
  Fixture fixture;
  const std::string first = fixture.repository.Commit({{"a", "1"}});
  fixture.repository.Git({"tag", "v1.0.0"});
  const std::string second = fixture.repository.Commit({{"a", "2"}});
  fixture.repository.Git({"tag", "--annotate", "--message", "two", "v1.1.0"});
  fixture.repository.Git({"tag", "--annotate", "--message", "tag of a tag", "nested", "v1.1.0"});
  fixture.repository.Git({"push", "--quiet", "--tags", fixture.repository.bare()});

  const auto light = fixture.Fetch(fixture.Remote(RefKind::kTag, "v1.0.0"));
  REQUIRE(light);
  CHECK(light->commit == first);
  CHECK(light->ref_name == "refs/tags/v1.0.0");
  const auto annotated = fixture.Fetch(fixture.Remote(RefKind::kTag, "v1.1.0"));
  REQUIRE(annotated);
  CHECK(annotated->commit == second);
  CHECK(ReadAt(fixture, second, "a") == "2");
  const auto nested = fixture.Fetch(fixture.Remote(RefKind::kTag, "nested"));
  REQUIRE(nested);
  CHECK(nested->commit == second);
}

TEST_CASE("A tag of something that is no commit is refused") {
  Fixture fixture;
  fixture.repository.Commit({{"a", "1"}});
  fixture.repository.Git({"tag", "blob", "HEAD:a"});
  fixture.repository.Git({"tag", "--annotate", "--message", "x", "tree", "HEAD^{tree}"});
  fixture.repository.Git({"push", "--quiet", "--tags", fixture.repository.bare()});
  for (const char* tag : {"blob", "tree"}) {
    INFO(tag);
    for (int i = 0; i < 2; ++i) {  // the same when the objects are there already
      const auto revision = fixture.Fetch(fixture.Remote(RefKind::kTag, tag));
      REQUIRE_FALSE(revision);
      CHECK(revision.error().cls == ErrorClass::kInvalid);
      CHECK_THAT(revision.error().ToString(), Catch::Contains("is no commit"));
    }
  }
}

TEST_CASE("A range follows the highest version as tags appear") {
  Fixture fixture;
  fixture.repository.Commit({{"a", "1"}});
  fixture.repository.Git({"tag", "v1.2.0"});
  fixture.repository.Git({"push", "--quiet", "--tags", fixture.repository.bare()});
  const RemoteSpec remote = fixture.Remote(RefKind::kSemver, "^1.2");
  const auto first = fixture.Fetch(remote);
  REQUIRE(first);
  CHECK(first->ref_name == "refs/tags/v1.2.0");

  const std::string second = fixture.repository.Commit({{"a", "2"}});
  fixture.repository.Git({"tag", "v1.10.0"});
  fixture.repository.Git({"tag", "v2.0.0"});
  fixture.repository.Git({"push", "--quiet", "--tags", fixture.repository.bare()});
  const auto moved = fixture.Fetch(remote, first->commit);
  REQUIRE(moved);
  CHECK(moved->ref_name == "refs/tags/v1.10.0");
  CHECK(moved->commit == second);

  // Another version is another line of history, not a rewritten one.
  fixture.repository.Git({"checkout", "--quiet", "--orphan", "other"});
  fixture.repository.Commit({{"a", "3"}}, "Other", "other");
  fixture.repository.Git({"tag", "v1.11.0"});
  fixture.repository.Git({"push", "--quiet", "--tags", fixture.repository.bare()});
  const auto unrelated = fixture.Fetch(remote, second);
  REQUIRE(unrelated);
  CHECK(unrelated->ref_name == "refs/tags/v1.11.0");
  CHECK_FALSE(unrelated->rewritten);
}

TEST_CASE("A commit is found by its id, whether a branch points at it or not") {
  Fixture fixture;
  const std::string old_commit = fixture.repository.Commit({{"a", "old"}});
  const std::string tip = fixture.repository.Commit({{"a", "new"}});
  const auto by_id = fixture.Fetch(fixture.Remote(RefKind::kCommit, old_commit));
  REQUIRE(by_id);
  CHECK(by_id->commit == old_commit);
  CHECK(by_id->ref_name.empty());
  CHECK(by_id->fetched);
  CHECK(ReadAt(fixture, old_commit, "a") == "old");

  Fixture other;
  const std::string at_tip = other.repository.Commit({{"a", "x"}});
  REQUIRE(other.Fetch(other.Remote(RefKind::kCommit, at_tip)));
  CHECK(ReadAt(other, at_tip, "a") == "x");
  const auto again = other.Fetch(other.Remote(RefKind::kCommit, at_tip));
  REQUIRE(again);
  CHECK_FALSE(again->fetched);
}

TEST_CASE(
    "A commit that no branch or tag contains is not fetched, though the server would send it") {
  // On many servers the commits of every fork can be had by id.
  Fixture fixture;
  fixture.repository.Commit({{"a", "1"}});
  fixture.repository.Git(
      {"-C", fixture.repository.bare(), "config", "uploadpack.allowAnySHA1InWant", "true"});
  fixture.repository.Git({"commit", "--quiet", "--allow-empty", "--message", "from a fork"});
  const std::string fork = fixture.repository.Git({"rev-parse", "HEAD"});
  fixture.repository.Git({"push", "--quiet", fixture.repository.bare(), "HEAD:refs/pull/1/head"});
  const auto revision = fixture.Fetch(fixture.Remote(RefKind::kCommit, fork));
  REQUIRE_FALSE(revision);
  CHECK(revision.error().cls == ErrorClass::kNotFound);
  CHECK_THAT(revision.error().ToString(), Catch::Contains("no branch or tag"));
}

TEST_CASE("What the repository does not have is NotFound, and names what it has") {
  Fixture fixture;
  const auto empty = fixture.FetchMain();
  REQUIRE_FALSE(empty);
  CHECK(empty.error().cls == ErrorClass::kNotFound);

  fixture.repository.Commit({{"a", "1"}});
  for (const RemoteSpec& remote :
       {fixture.Remote(RefKind::kBranch, "nope"), fixture.Remote(RefKind::kTag, "main"),
        fixture.Remote(RefKind::kSemver, ">=1"),
        fixture.Remote(RefKind::kCommit, std::string(40, 'a'))}) {
    INFO(remote.ref.ToString());
    const auto revision = fixture.Fetch(remote);
    REQUIRE_FALSE(revision);
    CHECK(revision.error().cls == ErrorClass::kNotFound);
    CHECK_THAT(revision.error().ToString(), Catch::Contains(remote.ref.ToString()));
  }
}

TEST_CASE("A rewritten history is seen, a history that went on is not") {
  Fixture fixture;
  const std::string first = fixture.repository.Commit({{"a", "1"}});
  const std::string second = fixture.repository.Commit({{"a", "2"}});
  REQUIRE(fixture.FetchMain());

  fixture.repository.Git({"reset", "--quiet", "--hard", first});
  const std::string instead = fixture.repository.Commit({{"a", "3"}});
  const auto forced = fixture.FetchMain(second);
  REQUIRE(forced);
  CHECK(forced->commit == instead);
  CHECK(forced->rewritten);
  CHECK(ReadAt(fixture, second, "a") == "2");  // what ran before can still be read

  fixture.repository.Git(
      {"push", "--quiet", "--force", fixture.repository.bare(), first + ":refs/heads/main"});
  const auto back = fixture.FetchMain(instead);
  REQUIRE(back);
  CHECK(back->commit == first);
  CHECK(back->rewritten);

  const auto never_seen = fixture.FetchMain(std::string(40, 'a'));
  REQUIRE(never_seen);
  CHECK(never_seen->rewritten);
  CHECK_FALSE(fixture.FetchMain()->rewritten);
}

TEST_CASE("References that exclude each other's names follow each other") {
  Fixture fixture;
  fixture.repository.Commit({{"a", "1"}}, "One", "team");
  REQUIRE(fixture.Fetch(fixture.Remote(RefKind::kBranch, "team")));
  fixture.repository.Git({"push", "--quiet", fixture.repository.bare(), ":refs/heads/team"});
  const std::string second = fixture.repository.Commit({{"a", "2"}}, "Two", "team/app");
  const auto revision = fixture.Fetch(fixture.Remote(RefKind::kBranch, "team/app"));
  REQUIRE(revision);
  CHECK(revision->commit == second);
}

TEST_CASE("A mirror outlives the process") {
  Fixture fixture;
  const std::string commit = fixture.repository.Commit({{"a", "1"}});
  REQUIRE(fixture.FetchMain());
  fixture.ReopenStore();
  CHECK(ReadAt(fixture, commit, "a") == "1");
  fixture.requests.packs = 0;
  const auto revision = fixture.FetchMain(commit);
  REQUIRE(revision);
  CHECK_FALSE(revision->fetched);
  CHECK(fixture.requests.packs == 0);
}

TEST_CASE("A directory belongs to one store at a time") {
  Fixture fixture;
  const auto second =
      OpenMirrorStore(fixture.runtime, *fixture.client, {fixture.directory.path() + "/mirrors"});
  REQUIRE_FALSE(second);
  CHECK(second.error().cls == ErrorClass::kConflict);
}

TEST_CASE("Spellings of one URL share a mirror") {
  Fixture fixture;
  const std::string commit = fixture.repository.Commit({{"a", "1"}});
  REQUIRE(fixture.FetchMain());
  CHECK(fixture.store->OpenTree(fixture.Url() + "/", commit));
}

TEST_CASE("A mirror that cannot be read is cloned anew by the next fetch") {
  namespace fs = std::filesystem;
  Fixture fixture;
  const std::string commit = fixture.repository.Commit({{"dir/a", "1"}});
  REQUIRE(fixture.FetchMain());

  const auto damage = [&](const auto& change) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fixture.directory.path() + "/mirrors")) {
      if (entry.path().extension() == ".pack") change(entry.path());
    }
  };
  SECTION("a pack that is gone") {
    damage([](const fs::path& pack) { fs::remove(pack); });
  }
  SECTION("a pack that is cut off") {
    damage([](const fs::path& pack) {
      fs::permissions(pack, fs::perms::owner_all);
      fs::resize_file(pack, fs::file_size(pack) / 2);
    });
  }
  fixture.ReopenStore();
  const auto revision = fixture.FetchMain(commit);
  INFO((revision ? "" : revision.error().ToString()));
  REQUIRE(revision);
  CHECK(revision->commit == commit);
  CHECK(revision->fetched);
  CHECK_FALSE(revision->rewritten);
  CHECK(ReadAt(fixture, commit, "dir/a") == "1");
  size_t generations = 0;
  for (const auto& entry :
       fs::recursive_directory_iterator(fixture.directory.path() + "/mirrors")) {
    if (entry.path().extension() == ".git") ++generations;
  }
  CHECK(generations == 1);
}

TEST_CASE("Many small packs become one, and everything that is followed stays") {
  namespace fs = std::filesystem;
  Fixture fixture;
  fixture.repository.Commit({{"a", "side"}}, "Side", "side");
  const auto side = fixture.Fetch(fixture.Remote(RefKind::kBranch, "side"));
  REQUIRE(side);
  fixture.repository.Git({"checkout", "--quiet", "--orphan", "main2"});
  std::string last;
  for (int i = 0; i < 21; ++i) {
    last = fixture.repository.Commit({{"a", std::to_string(i)}});
    REQUIRE(fixture.FetchMain());
  }
  auto reader = fixture.store->OpenTree(fixture.Url(), last);  // of the mirror that goes away
  REQUIRE(reader);
  const auto packs = [&] {
    size_t count = 0;
    for (const auto& entry :
         fs::recursive_directory_iterator(fixture.directory.path() + "/mirrors")) {
      if (entry.path().extension() == ".pack") ++count;
    }
    return count;
  };
  REQUIRE(packs() == 22);
  REQUIRE(fixture.FetchMain());
  CHECK((*reader)->Read("a").value() == "20");
  reader->reset();
  CHECK(packs() == 1);
  CHECK(ReadAt(fixture, last, "a") == "20");
  CHECK(ReadAt(fixture, side->commit, "a") == "side");
  CHECK_FALSE(fixture.Fetch(fixture.Remote(RefKind::kBranch, "side"))->fetched);
}
