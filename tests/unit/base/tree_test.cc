#include "base/tree.h"

#include <sys/stat.h>

#include "base/digest.h"
#include "base/directory_tree.h"
#include "base/limits.h"
#include "catch.h"
#include "temporary_directory.h"

namespace flotilla {
namespace {

TEST_CASE("paths are normalised or refused") {
  struct {
    const char* path;
    const char* normalized;  // null: refused
  } const cases[] = {
      {"", ""},
      {".", ""},
      {"./", ""},
      {"a", "a"},
      {"./a", "a"},
      {"a/b/", "a/b"},
      {"a/.gitignore", "a/.gitignore"},
      {"...", "..."},
      {"a b", "a b"},
      {"/a", nullptr},
      {"a//b", nullptr},
      {"a/./b", nullptr},
      {"..", nullptr},
      {"a/..", nullptr},
      {"../a", nullptr},
      {".git", nullptr},
      {"a/.git/config", nullptr},
      {"/", nullptr},
      {"././a", nullptr},
  };
  for (const auto& c : cases) {
    INFO(c.path);
    const auto normalized = NormalizePath(c.path);
    REQUIRE(normalized.has_value() == (c.normalized != nullptr));
    if (normalized) CHECK(*normalized == c.normalized);
  }
  CHECK_FALSE(NormalizePath(std::string_view("a\0b", 3)));
}

std::string Names(const std::vector<TreeEntry>& entries) {
  static constexpr const char* kKinds[] = {"", "/", "@", "#"};
  std::string names;
  for (const TreeEntry& entry : entries) {
    names += entry.name + kKinds[static_cast<size_t>(entry.kind)] + " ";
  }
  return names;
}

struct Fixture {
  TemporaryDirectory directory;
  std::unique_ptr<Tree> Open() { return *OpenDirectoryTree(directory.path()); }
};

TEST_CASE("entries are listed in bytewise order, without .git") {
  Fixture f;
  f.directory.Write("b", "");
  f.directory.Write("a/x", "");
  f.directory.Write("B", "");
  f.directory.Write(".git/config", "");
  f.directory.Link("b", "link");
  auto tree = f.Open();
  CHECK(Names(*tree->List("")) == "B a/ b link@ ");
  CHECK(Names(*tree->List("a")) == "x ");
  CHECK(tree->List("none").error().cls == ErrorClass::kNotFound);
  CHECK_FALSE(tree->List("b"));
}

TEST_CASE("what is absent is a fact, not an error") {
  Fixture f;
  f.directory.Write("a/b", "text");
  auto tree = f.Open();
  CHECK_FALSE(tree->Find("x")->has_value());
  CHECK_FALSE(tree->Find("a/x")->has_value());
  CHECK_FALSE(tree->Find("a/b/c")->has_value());
  REQUIRE(tree->Find("a/b")->has_value());
  CHECK((*tree->Find("a/b"))->kind == EntryKind::kFile);
  CHECK((*tree->Find("a/b"))->id == DigestOf("text").Hex());
  CHECK((*tree->Find(""))->kind == EntryKind::kDirectory);
  CHECK(tree->Read("a/b") == "text");
  CHECK(tree->Read("a/x").error().cls == ErrorClass::kNotFound);
  CHECK_FALSE(tree->Read("a"));
}

TEST_CASE("the id of a directory changes with everything below, and with nothing else") {
  Fixture f;
  f.directory.Write("a/b/c", "1");
  f.directory.Write("other", "1");
  auto tree = f.Open();
  const auto id = [&] { return (*tree->Find("a"))->id; };
  const std::string before = id();
  f.directory.Write("other", "2");
  CHECK(id() == before);
  f.directory.Write("a/b/c", "2");
  const std::string changed = id();
  CHECK(changed != before);
  f.directory.Write("a/b/d", "");
  CHECK(id() != changed);
}

TEST_CASE("no symbolic link is followed, at any place of a path") {
  Fixture f;
  TemporaryDirectory outside;
  outside.Write("passwd", "secret");
  f.directory.Write("real/file", "fine");
  f.directory.Link(outside.path(), "directory");
  f.directory.Link(outside.path("passwd"), "file");
  f.directory.Link("real", "inside");
  auto tree = f.Open();
  CHECK_FALSE(tree->Read("directory/passwd"));
  CHECK_FALSE(tree->Read("file"));
  CHECK_FALSE(tree->Read("inside/file"));
  CHECK_FALSE(tree->List("directory"));
  CHECK_FALSE(tree->List("inside"));
  CHECK_FALSE(tree->Find("directory/passwd")->has_value());
  CHECK((*tree->Find("file"))->kind == EntryKind::kSymlink);
  CHECK(tree->Read("file").error().message.find("symbolic link") != std::string::npos);
  CHECK(tree->Read("real/file") == "fine");
}

TEST_CASE("a fifo hangs nobody, and is refused") {
  Fixture f;
  REQUIRE(mkfifo(f.directory.path("fifo").c_str(), 0600) == 0);
  auto tree = f.Open();
  CHECK_FALSE(tree->Read("fifo"));
  CHECK_FALSE(tree->Find("fifo"));
}

TEST_CASE("a file beyond the limit is refused by name") {
  Fixture f;
  f.directory.Write("big", std::string(limits::kSourceFileBytes + 1, 'x'));
  const auto read = f.Open()->Read("big");
  REQUIRE_FALSE(read);
  CHECK(read.error().message == "big is larger than the limit of 8388608 bytes");
}

TEST_CASE("a directory that does not exist cannot be opened") {
  CHECK(OpenDirectoryTree("/nonexistent/x").error().cls == ErrorClass::kNotFound);
}

}  // namespace
}  // namespace flotilla
