#include "operate/snapshot_form.h"

#include <fmt/format.h>

#include "base/compress.h"
#include "base/limits.h"
#include "render/canonical.h"
#include "value/json.h"

namespace flotilla::operate {
namespace {

constexpr int kForm = 1;

std::string IndexContext(std::string_view digest) {
  return fmt::format("flotilla snapshot index {}", digest);
}

}  // namespace

bool SnapshotIndex::Same(const SnapshotIndex& other) const {
  return id.release_digest == other.id.release_digest && id.input_digest == other.id.input_digest &&
         id.revision == other.id.revision && impersonate == other.impersonate &&
         variants == other.variants && clusters == other.clusters;
}

std::set<std::string> SnapshotIndex::Chunks() const {
  std::set<std::string> names;
  for (const Part& part : variants) names.insert(part.chunks.begin(), part.chunks.end());
  return names;
}

std::string SnapshotIndex::Seal(Runtime& runtime, const Sealer& sealer) const {
  std::vector<value::Value> parts;
  for (const Part& part : variants) {
    parts.push_back(value::Value::Map({{"digest", part.digest},
                                       {"chunks", value::Value::List(std::vector<value::Value>(
                                                      part.chunks.begin(), part.chunks.end()))}}));
  }
  std::vector<std::pair<std::string, value::Value>> assignment;
  for (const auto& [cluster, variant] : clusters)
    assignment.emplace_back(cluster, uint64_t{variant});
  const value::Value index = value::Value::Map({{"form", kForm},
                                                {"releaseDigest", id.release_digest},
                                                {"inputDigest", id.input_digest},
                                                {"revision", id.revision},
                                                {"impersonate", impersonate},
                                                {"variants", value::Value::List(parts)},
                                                {"clusters", value::Value::Map(assignment)}});
  return sealer.Seal(runtime, Compress(value::ToJson(index)), IndexContext(id.release_digest));
}

Result<SnapshotIndex> SnapshotIndex::Open(const Sealer& sealer, const std::string& digest,
                                          std::string_view sealed) {
  auto frame = sealer.Open(sealed, IndexContext(digest));
  if (!frame) return Pass(frame);
  auto text = Decompress(*frame, limits::kDocumentBytes);
  if (!text) return Pass(text);
  auto json = value::ParseJson(*text);
  if (!json) return Pass(json);
  if ((*json)["form"].Int() != kForm) {
    return Fail(ErrorClass::kInvalid, "form {} of a snapshot is not known", (*json)["form"].Int());
  }
  SnapshotIndex index;
  index.id = {(*json)["releaseDigest"].Text(), (*json)["inputDigest"].Text(),
              (*json)["revision"].Text()};
  index.impersonate = (*json)["impersonate"].Text();
  for (value::Ref part : (*json)["variants"].Items()) {
    Part& read = index.variants.emplace_back();
    read.digest = part["digest"].Text();
    for (value::Ref chunk : part["chunks"].Items()) read.chunks.push_back(chunk.Text());
  }
  for (const auto& [cluster, variant] : (*json)["clusters"].Members()) {
    if (variant.Uint() >= index.variants.size()) {
      return Fail(ErrorClass::kInvalid, "cluster {} has variant {} of {}", cluster, variant.Uint(),
                  index.variants.size());
    }
    index.clusters.emplace(cluster, variant.Uint());
  }
  return index;
}

std::string WriteVariant(const render::Variant& variant) {
  std::string text;
  for (const render::Object& object : variant.objects) {
    value::AppendJson(value::Value::Map({{"file", object.file}, {"line", uint64_t{object.line}}}),
                      text);
    text += '\n';
    value::AppendJson(object.value, text);
    text += '\n';
  }
  return text;
}

Result<std::shared_ptr<const render::Variant>> ReadVariant(std::string_view text) {
  auto variant = std::make_shared<render::Variant>();
  auto next_line = [&text] {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
  };
  while (!text.empty()) {
    auto source = value::ParseJson(next_line());
    if (!source) return Pass(source);
    auto object = value::ParseJson(next_line());
    if (!object) return Pass(object);
    variant->objects.push_back(render::MakeObject(std::move(*object), (*source)["file"].Text(),
                                                  static_cast<uint32_t>((*source)["line"].Uint())));
  }
  variant->digest = render::VariantDigest(variant->objects);
  return std::shared_ptr<const render::Variant>(std::move(variant));
}

std::string RootOf(const Release& release) {
  render::ReleaseParts parts;
  for (const auto& variant : release.variants) parts.variants.push_back(variant->digest);
  return render::ToString(render::ReleaseDigest(parts));
}

std::string ChunkName(const Sealer& sealer, std::string_view content) {
  const Digest plain = DigestOf(content);
  return DigestOf(sealer.SealDeterministic(plain.View(), "flotilla chunk name"))
      .Hex()
      .substr(0, 32);
}

}  // namespace flotilla::operate
