#include "value/yaml.h"

#include <fstream>
#include <iterator>

#include "base/limits.h"
#include "catch.h"
#include "random_tree.h"
#include "value/json.h"

namespace flotilla::value {
namespace {

std::string ReadFile(const std::string& name) {
  std::ifstream file(std::string(FLOTILLA_SOURCE_DIR "/tests/unit/value/") + name);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

Value One(std::string_view yaml) {
  auto documents = ParseYaml(yaml);
  INFO((documents ? "" : documents.error().message));
  REQUIRE(documents);
  REQUIRE(documents->size() == 1);
  return documents->front().value;
}

// Rows of [YAML, value], recorded from kubectl 1.32: `kubectl annotate --local -f - -o json` of a
// ConfigMap with the YAML as its data. No value: kubectl refuses.
TEST_CASE("YAML means what kubectl reads in it") {
  Value rows = *ParseJson(ReadFile("kubectl_typing.json"));
  REQUIRE(rows.ref().size() > 250);
  for (Ref row : rows.ref().Items()) {
    std::string yaml = "data:\n  ";
    for (char c : row[0].String()) yaml += c == '\n' ? "\n  " : std::string(1, c);
    yaml += '\n';
    auto documents = ParseYaml(yaml);
    INFO(yaml);
    if (row[1].IsNull()) {
      CHECK_FALSE(documents);
    } else {
      INFO((documents ? ToJson(documents->front().value) : documents.error().message));
      REQUIRE(documents);
      // Through JSON, as kubectl prints: 1e20 and 100000000000000000000 are one number.
      CHECK(ToCanonicalJson(documents->front().value["data"]) == ToCanonicalJson(row[1]));
    }
  }
}

// Rows of [text, YAML], recorded from kubectl -o yaml.
TEST_CASE("strings are quoted as kubectl quotes them, and read back") {
  Value rows = *ParseJson(ReadFile("kubectl_quoting.json"));
  REQUIRE(rows.ref().size() > 290);
  for (Ref row : rows.ref().Items()) {
    std::string yaml = ToYaml(Value::Map({{"k", row[0].String()}}));
    CHECK(yaml == row[1].String());
    CHECK(One(yaml)["k"].String() == row[0].String());
  }
}

TEST_CASE("where kubectl folds or leaves doubt, the text stays on one line and is quoted") {
  auto written = [](std::string_view text) { return ToYaml(Value::Map({{"k", text}})); };
  CHECK(written("<<") == "k: \"<<\"\n");
  CHECK(written("2001-13-45") == "k: \"2001-13-45\"\n");
  std::string long_text(300, 'x');
  for (size_t i = 10; i < long_text.size(); i += 10) long_text[i] = ' ';
  CHECK(written(long_text) == "k: " + long_text + "\n");
}

TEST_CASE("structures are written in block style with lists at the indent of their key") {
  Value v = *ParseJson(
      R"({"b":[1,{"x":"y","z":[]},[2]],"a":{},"t":"1\n2\n","z":null,"f":1.5,"u":18446744073709551615})");
  CHECK(ToYaml(v) ==
        "b:\n- 1\n- x: \"y\"\n  z: []\n- - 2\na: {}\nt: |\n  1\n  2\nz: null\nf: 1.5\n"
        "u: 18446744073709551615\n");
}

TEST_CASE("documents that hold nothing are left out, and the others know where they begin") {
  auto documents =
      ParseYaml("# only a comment\n---\na: 1\n---\n---\nnull\n---\n# two\n  b: 2\n...\n");
  REQUIRE(documents);
  REQUIRE(documents->size() == 2);
  CHECK((*documents)[0].start == Position{3, 1});
  CHECK((*documents)[1].start == Position{9, 3});
  CHECK(ParseYaml("")->empty());
  CHECK(ParseYaml("---\n---\n")->empty());
  CHECK(ParseYaml("\xEF\xBB\xBF"
                  "a: 1")
            ->size() == 1);
}

TEST_CASE("a field is found again in its text") {
  auto documents = ParseYaml(
      "x: 1\n---\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: a\n    image: i\n  - "
      "{name: b}\n");
  REQUIRE(documents);
  const Document& document = (*documents)[1];
  CHECK(document.Where({"metadata", "name"}) == Position{4, 3});
  CHECK(document.Where({"spec", "containers", 0, "image"}) == Position{8, 5});
  CHECK(document.Where({"spec", "containers", 1, "name"}) == Position{9, 6});
  CHECK(document.Where({"spec", "containers", 1, "missing"}) == Position{9, 5});
  CHECK(document.Where({"spec", "containers", 5}) == Position{6, 3});
  CHECK(document.Where({}) == Position{3, 1});
}

TEST_CASE("merge keys: explicit members win wherever they stand, and the first of several maps") {
  Value v =
      One("base: &b {x: 1, v: 1}\nother: &o {v: 2, z: 2}\n"
          "one:\n  x: 9\n  <<: *b\n  w: 0\nmany:\n  <<: [*b, *o]\n");
  CHECK(ToJson(v["one"]) == R"({"x":9,"v":1,"w":0})");
  CHECK(ToJson(v["many"]) == R"({"x":1,"v":1,"z":2})");
}

TEST_CASE("what is no acceptable YAML is refused with its place and what to do") {
  struct Row {
    std::string text;
    uint32_t line;
    uint32_t column;
    const char* problem;
  };
  const Row rows[] = {
      {"a: 1\nb: 2\na: 3\n", 3, 1, "the key \"a\" is written twice in one map (first in line 1)"},
      {"a: 1\n\"a\": 3\n", 2, 1, "written twice"},
      {"1: a\n\"1\": b\n", 2, 1, "the key \"1\" is written twice"},
      {"<<: {a: 1}\n<<: {b: 1}\n", 2, 1, "<<: [*a, *b]"},
      {"a: b: c\n", 1, 5, "mapping values are not allowed"},
      {"a:\n\t- b\n", 2, 1, "indent with spaces"},
      {"a: @b\n", 1, 4, "quote a text"},
      {"a: *b\n", 1, 4, "*b has no anchor before it"},
      {"a: &b [*b]\n", 1, 8, "&b contains itself"},
      {"a: &b 1\n---\nc: *b\n", 3, 4, "*b has no anchor"},
      {"a: {{ .Values.b }}\n", 1, 5, "template"},
      {"{{ if .x }}\na: 1\n", 1, 2, "template"},
      {"[1]: a\n", 1, 1, "a key of a map must be a scalar"},
      {"~: a\n", 1, 1, "must be a string, not null"},
      {"a: .nan\n", 1, 4, "not a number that JSON can express"},
      {"a: !!int b\n", 1, 4, "cannot be read as !!int"},
      {"a: !!binary =\n", 1, 4, "base64"},
      {"a: !!binary /w==\n", 1, 4, "not UTF-8"},
      {std::string("a: b\0c\n", 7), 1, 5, "NUL"},
      {"a: \xff\n", 1, 4, "not valid UTF-8"},
      {"\xff\xfe"
       "a",
       1, 1, "not valid UTF-8"},
      {"a: \x01\n", 1, 4, "control characters"},
      {"a: [1\nb: 2\n", 2, 2, "did not find expected ',' or ']'"},
      {"? " + std::string(1030, 'k') + "\n: 1\n", 1, 3, "a key of 1030 bytes"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    auto documents = ParseYaml(row.text);
    REQUIRE_FALSE(documents);
    CHECK(documents.error().cls == ErrorClass::kInvalid);
    const auto* detail = documents.error().Detail<ParseProblem>();
    REQUIRE(detail);
    CHECK_THAT(detail->problem, Catch::Contains(row.problem));
    CHECK(detail->position == Position{row.line, row.column});
  }
}

TEST_CASE("alias bombs are refused before they cost anything") {
  std::string nodes = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 60; ++i) {
    std::string below = "*a" + std::to_string(i - 1);
    nodes += fmt::format("a{0}: &a{0} [{1}, {1}]\n", i, below);
  }
  auto refused = ParseYaml(nodes);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("aliases expand to more than"));

  std::string bytes = "a: &a \"" + std::string(1 << 20, 'x') + "\"\nb:\n";
  for (int i = 0; i < 17; ++i) bytes += "- *a\n";
  CHECK_FALSE(ParseYaml(bytes));

  std::string merges = "a0: &a0 {k: v}\n";
  for (int i = 1; i < 40; ++i) {
    std::string below = "*a" + std::to_string(i - 1);
    merges += fmt::format("a{0}: &a{0} {{x: {1}, y: {1}, <<: {1}}}\n", i, below);
  }
  CHECK_FALSE(ParseYaml(merges));
}

TEST_CASE("ordinary use of aliases is free") {
  std::string text = "base: &b {cpu: 1, memory: 2}\nlist:\n";
  for (int i = 0; i < 10'000; ++i) text += "- *b\n";
  Value v = One(text);
  CHECK(v["list"].size() == 10'000);
  CHECK(v["list"][9'999]["memory"].Int() == 2);
}

TEST_CASE("depth is limited in every style, through aliases too") {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(ParseYaml(nested(limits::kDocumentDepth)));
  CHECK_FALSE(ParseYaml(nested(limits::kDocumentDepth + 1)));
  CHECK_FALSE(ParseYaml(std::string(1'000'000, '[')));
  CHECK_FALSE(ParseYaml(std::string(1'000'000, '{')));
  std::string dashes;
  for (int i = 0; i < 100'000; ++i) dashes += "- ";
  CHECK_FALSE(ParseYaml(dashes));
  std::string keys;
  for (int i = 0; i < 100'000; ++i) keys += "? ";
  CHECK_FALSE(ParseYaml(keys));
  std::string through_alias =
      "a: &a " + nested(60) + "\nb: " + std::string(39, '[') + "*a" + std::string(39, ']');
  CHECK(ParseYaml(through_alias));
  std::string too_deep =
      "a: &a " + nested(60) + "\nb: " + std::string(40, '[') + "*a" + std::string(40, ']');
  CHECK_FALSE(ParseYaml(too_deep));
}

TEST_CASE("a text beyond the limit of bytes or values is refused") {
  CHECK_FALSE(ParseYaml(std::string(limits::kDocumentBytes + 1, '\n')));
  std::string many = "[";
  for (size_t i = 0; i <= limits::kDocumentNodes; ++i) many += "0,";
  auto refused = ParseYaml(many + "]");
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("too many values"));
}

TEST_CASE("every tree reads back from its YAML as it was") {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    Value tree = RandomTree(seed).Make();
    std::string text = ToYaml(Value::Map({{"tree", tree}}));
    INFO(text);
    auto back = ParseYaml(text);
    INFO((back ? ToJson(back->front().value) : back.error().message));
    REQUIRE(back);
    REQUIRE(back->size() == 1);
    REQUIRE(back->front().value["tree"] == tree.ref());
  }
}

TEST_CASE("JSON is YAML: both parsers read the same") {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    RandomTree random(seed);
    Value tree = Value::Map({{"tree", random.Make()}});
    // Left out: characters that are line breaks in YAML 1.1 and ordinary in JSON.
    std::string text = ToPrettyJson(tree);
    if (text.find("\u2028") != text.npos || text.find("\xC2\x85") != text.npos ||
        text.find('\x7f') != text.npos || text.find("\ufeff") != text.npos) {
      continue;
    }
    INFO(text);
    REQUIRE(One(text) == tree);
  }
}

TEST_CASE("no damaged YAML text makes the parser crash") {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    RandomTree random(seed);
    std::string text = ToYaml(random.Make());
    for (size_t i = 1 + random.Below(4); i > 0 && !text.empty(); --i) {
      size_t at = random.Below(text.size());
      switch (random.Below(3)) {
        case 0:
          text.erase(at, 1 + random.Below(4));
          break;
        case 1:
          text.insert(at, random.Text());
          break;
        default:
          text[at] = static_cast<char>(random.Below(256));
      }
    }
    auto documents = ParseYaml(text);
    if (!documents) {
      REQUIRE(documents.error().Detail<ParseProblem>());
      continue;
    }
    for (const Document& document : *documents) {
      std::string again = ToYaml(document.value);
      INFO(again);
      auto back = ParseYaml(again);
      REQUIRE(back);
      // An empty document for a tree that is just null is the one that is left out.
      REQUIRE(ToJson(back->front().value) == ToJson(document.value));
      document.Where({"tree", 0, "a"});
    }
  }
}

}  // namespace
}  // namespace flotilla::value
