#include "render/read_set.h"

#include <random>

#include "catch.h"
#include "memory_tree.h"
#include "render/render.h"

namespace flotilla::render {
namespace {

std::string Object(const std::string& name) {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: web}\n";
}

RenderRequest At(const std::string& path) {
  RenderRequest request;
  request.path = path;
  return request;
}

TEST_CASE("a read-set stays valid until something that was read changes") {
  MemoryTree tree{{"d/a.yaml", Object("a")},
                  {"d/sub/b.yaml", Object("b")},
                  {"d/README.md", "x"},
                  {"other/c.yaml", "c"}};
  auto output = Render(tree, At("d"));
  REQUIRE(output);
  const ReadSet& read = output->read_set;
  CHECK(read.root() == "d");
  CHECK(read.files().size() == 2);
  CHECK(read.StillValid(tree));

  struct Row {
    const char* path;
    const char* text;
    bool valid;
  };
  const Row rows[] = {
      {"other/c.yaml", "changed", true},  {"d/README.md", "changed", true},
      {"d/notes.txt", "new", true},       {"d/.ci/x.yaml", "new", true},
      {"d/a.yaml", "changed", false},     {"d/sub/b.yaml", "changed", false},
      {"d/new.yaml", "new", false},       {"d/sub/new.json", "new", false},
      {"d/deep/er/x.yaml", "new", false}, {"d/kustomization.yaml", "new", false},
      {"d/a.yaml", nullptr, false},
  };
  for (const Row& row : rows) {
    INFO(row.path);
    MemoryTree changed = tree;
    if (row.text) {
      changed.Write(row.path, row.text);
    } else {
      changed.Remove(row.path);
    }
    CHECK(read.StillValid(changed) == row.valid);
  }
  MemoryTree linked = tree;
  linked.Link("d/link");
  CHECK_FALSE(read.StillValid(linked));
  MemoryTree gone{{"other/c.yaml", "c"}};
  CHECK_FALSE(read.StillValid(gone));
  MemoryTree file{{"d", "a file now"}};
  CHECK_FALSE(read.StillValid(file));
}

TEST_CASE("an unchanged directory costs one look") {
  MemoryTree tree;
  for (int i = 0; i < 100; ++i)
    tree.Write("d/" + std::to_string(i) + "/a.yaml", Object("a" + std::to_string(i)));
  auto output = Render(tree, At("d"));
  REQUIRE(output);
  tree.reads = tree.lists = 0;
  tree.Write("elsewhere", "changed");
  CHECK(output->read_set.StillValid(tree));
  CHECK(tree.reads == 0);
  CHECK(tree.lists == 0);
  tree.Write("d/7/README", "changed");
  CHECK(output->read_set.StillValid(tree));
  CHECK(tree.lists == 2);
}

TEST_CASE("a single file is all that its read-set holds") {
  MemoryTree tree{{"d/a.yaml", Object("a")}, {"d/b.yaml", Object("b")}};
  auto output = Render(tree, At("d/a.yaml"));
  REQUIRE(output);
  tree.Write("d/b.yaml", "changed");
  CHECK(output->read_set.StillValid(tree));
  tree.Write("d/a.yaml", "changed");
  CHECK_FALSE(output->read_set.StillValid(tree));
}

// Rendering only when the read-set says so gives what rendering always gives.
TEST_CASE("incremental rendering equals full rendering over random edits") {
  size_t reused = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::mt19937_64 random(seed);
    auto below = [&](size_t n) { return random() % n; };
    MemoryTree tree{{"d/first.yaml", Object("first")}};
    RenderRequest request = At("d");
    if (seed % 3 == 1) request.selection.exclude = {"x", "b.*"};
    if (seed % 3 == 2) request.selection.recurse = false;
    auto last = Render(tree, request);
    REQUIRE(last);
    for (int step = 0; step < 40; ++step) {
      static const char* const kDirectories[] = {"d/", "d/x/", "d/x/y/", "d/z/", "e/", ""};
      static const char* const kNames[] = {"a.yaml", "b.yml", "c.json", "README", ".h.yaml"};
      std::string path = std::string(kDirectories[below(6)]) + kNames[below(5)];
      if (below(3) == 0) {
        tree.Remove(path);
      } else if (path.substr(path.rfind('.') + 1) == "json") {
        tree.Write(
            path, R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"n","name":"n)" +
                      std::to_string(random()) + "\"}}");
      } else {
        tree.Write(path, below(40) == 0 ? "broken: [" : Object("n" + std::to_string(random())));
      }
      auto full = Render(tree, request);
      if (last && last->read_set.StillValid(tree)) {
        ++reused;
        REQUIRE(full);
        REQUIRE(full->variants[0]->digest == last->variants[0]->digest);
        REQUIRE(full->input_digest == last->input_digest);
      }
      last = std::move(full);
    }
  }
  CHECK(reused > 100);
}

}  // namespace
}  // namespace flotilla::render
