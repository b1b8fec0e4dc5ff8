#include "base/disk.h"

#include <sys/stat.h>

#include "base/thread_runtime.h"
#include "catch.h"
#include "temporary_directory.h"

namespace flotilla {
namespace {

struct Fixture {
  TemporaryDirectory directory;
  std::unique_ptr<Disk> disk = *OpenFileDisk(directory.path("root"));
};

TEST_CASE("what was written is read, and replaced as a whole") {
  Fixture f;
  REQUIRE(f.disk->WriteDurable("file", "first, and longer"));
  REQUIRE(f.disk->WriteDurable("file", std::string_view("\0b", 2)));
  CHECK(f.disk->Read("file") == std::string("\0b", 2));
  CHECK(f.disk->Read("none").error().cls == ErrorClass::kNotFound);
  struct stat facts {};
  REQUIRE(stat(f.directory.path("root/file").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);
}

TEST_CASE("directories are made as needed, once and again") {
  Fixture f;
  CHECK(f.disk->WriteDurable("a/b/file", "x").error().cls == ErrorClass::kNotFound);
  REQUIRE(f.disk->MakeDirectories("a/b"));
  REQUIRE(f.disk->MakeDirectories("a/b"));
  REQUIRE(f.disk->MakeDirectories(""));
  REQUIRE(f.disk->WriteDurable("a/b/file", "x"));
  CHECK(f.disk->Read("a/b/file") == "x");
}

TEST_CASE("lists are in bytewise order and show no unfinished file") {
  Fixture f;
  REQUIRE(f.disk->MakeDirectories("c"));
  REQUIRE(f.disk->WriteDurable("b", ""));
  REQUIRE(f.disk->WriteDurable("A", ""));
  f.directory.Write("root/.flotilla-tmp-1-1", "half");
  CHECK(*f.disk->List("") == std::vector<std::string>{"A", "b", "c"});
  // What an earlier process left is gone.
  CHECK_FALSE(std::filesystem::exists(f.directory.path("root/.flotilla-tmp-1-1")));
  CHECK(f.disk->List("none").error().cls == ErrorClass::kNotFound);
}

TEST_CASE("removing is done when the file is absent") {
  Fixture f;
  REQUIRE(f.disk->WriteDurable("file", ""));
  CHECK(f.disk->Remove("file"));
  CHECK(f.disk->Remove("file"));
  CHECK_FALSE(f.disk->Read("file"));
  REQUIRE(f.disk->MakeDirectories("directory"));
  CHECK_FALSE(f.disk->Remove("directory"));
}

TEST_CASE("a failed write leaves the old file and no remains") {
  Fixture f;
  REQUIRE(f.disk->MakeDirectories("target"));
  CHECK_FALSE(f.disk->WriteDurable("target", "cannot replace a directory"));
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(f.directory.path("root"))) {
    CHECK(entry.path().filename() == "target");
    ++files;
  }
  CHECK(files == 1);
}

TEST_CASE("no path leaves the root or names an unfinished file") {
  Fixture f;
  for (const char* path : {"../x", "/etc/passwd", "a/../../x", "", ".flotilla-tmp-1"}) {
    INFO(path);
    CHECK(f.disk->Read(path).error().cls == ErrorClass::kInvalid);
    CHECK(f.disk->WriteDurable(path, "x").error().cls == ErrorClass::kInvalid);
  }
}

TEST_CASE("links of a mounted Secret are followed") {
  Fixture f;
  f.directory.Write("root/..data_1/token", "t");
  f.directory.Link("..data_1", "root/..data");
  f.directory.Link("..data/token", "root/token");
  CHECK(f.disk->Read("token") == "t");
}

TEST_CASE("a reader sees the old or the new content while it is replaced") {
  Fixture f;
  const std::string a(100'000, 'a'), b(50'000, 'b');
  REQUIRE(f.disk->WriteDurable("file", a));
  ThreadRuntime runtime;
  auto writer = runtime.Spawn("writer", [&](std::stop_token stop) {
    for (int i = 0; !stop.stop_requested(); ++i)
      static_cast<void>(f.disk->WriteDurable("file", i % 2 ? a : b));
  });
  for (int i = 0; i < 200; ++i) {
    const auto content = f.disk->Read("file");
    REQUIRE(content);
    CHECK((*content == a || *content == b));
  }
}

}  // namespace
}  // namespace flotilla
