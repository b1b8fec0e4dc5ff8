#include "render/canonical.h"

#include <fstream>
#include <iterator>

#include "base/encoding.h"
#include "catch.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::render {
namespace {

// The fenced block after the heading "## Test vectors".
value::Value Vectors() {
  std::ifstream file(FLOTILLA_SOURCE_DIR "/docs/canonical-form.md");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  size_t start = text.find("```json\n", text.find("## Test vectors"));
  REQUIRE(start != text.npos);
  start += 8;
  auto vectors =
      value::ParseJson(std::string_view(text).substr(start, text.find("```", start) - start));
  INFO((vectors ? "" : vectors.error().message));
  REQUIRE(vectors);
  return *vectors;
}

TEST_CASE("the documented vectors of canonical JSON and of object digests hold") {
  size_t count = 0;
  const value::Value vectors = Vectors();
  for (value::Ref vector : vectors["objects"].Items()) {
    auto documents = value::ParseYaml(vector["yaml"].String());
    REQUIRE(documents);
    REQUIRE(documents->size() == 1);
    const value::Value object = WithoutServerFields(documents->front().value);
    INFO(vector["yaml"].String());
    CHECK(value::ToCanonicalJson(object) == vector["canonical"].String());
    CHECK(ToString(ObjectDigest(object)) == vector["digest"].String());
    ++count;
  }
  CHECK(count >= 4);
}

TEST_CASE("the documented vectors of variants and releases hold") {
  const value::Value vectors = Vectors();
  std::vector<std::vector<Object>> variants;
  for (value::Ref vector : vectors["variants"].Items()) {
    std::vector<Object> objects;
    for (value::Ref index : vector["objects"].Items()) {
      auto yaml = vectors["objects"][static_cast<size_t>(index.Int())]["yaml"];
      objects.push_back(
          MakeObject(WithoutServerFields(value::ParseYaml(yaml.String())->front().value)));
    }
    SortObjects(objects);
    CHECK(ToString(VariantDigest(objects)) == vector["digest"].String());
    variants.push_back(std::move(objects));
  }
  CHECK(variants.size() >= 2);
  size_t releases = 0;
  for (value::Ref vector : vectors["releases"].Items()) {
    ReleaseParts parts;
    for (value::Ref index : vector["variants"].Items()) {
      parts.variants.push_back(VariantDigest(variants.at(static_cast<size_t>(index.Int()))));
    }
    for (auto [reference, digest] : vector["images"].Members()) {
      parts.images.emplace(reference, digest.String());
    }
    for (auto [chart, digest] : vector["charts"].Members())
      parts.charts.emplace(chart, digest.String());
    for (auto [name, digest] : vector["sealed"].Members()) {
      parts.sealed.emplace(name, *Digest::FromHex(digest.String()));
    }
    CHECK(ToString(ReleaseDigest(parts)) == vector["digest"].String());
    ++releases;
  }
  CHECK(releases >= 3);
}

TEST_CASE("a digest tells apart what could run together") {
  auto digest = [](const char* name, const char* ns) {
    return VariantDigest({MakeObject(value::Value::Map(
        {{"apiVersion", "v1"},
         {"kind", "ConfigMap"},
         {"metadata", value::Value::Map({{"name", name}, {"namespace", ns}})}}))});
  };
  CHECK(digest("ab", "c") != digest("a", "bc"));
  ReleaseParts image, chart;
  image.images = {{"a", "b"}};
  chart.charts = {{"a", "b"}};
  CHECK(ReleaseDigest(image) != ReleaseDigest(chart));
  CHECK(ReleaseDigest(ReleaseParts()) != VariantDigest({}));
}

TEST_CASE("variants of a release count as a set") {
  const Digest a = DigestOf("a"), b = DigestOf("b");
  CHECK(ReleaseDigest({{a, b}, {}, {}, {}}) == ReleaseDigest({{b, a, b}, {}, {}, {}}));
  CHECK(ReleaseDigest({{a, b}, {}, {}, {}}) != ReleaseDigest({{a}, {}, {}, {}}));
}

}  // namespace
}  // namespace flotilla::render
