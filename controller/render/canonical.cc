#include "render/canonical.h"

#include <algorithm>
#include <tuple>

#include "value/json.h"

namespace flotilla::render {
namespace {

// The first field of every digest: what kind of thing it is of, and in which form.
Sha256 Begin(std::string_view what) {
  Sha256 digest;
  digest.UpdateField(std::string(kCanonicalForm) + '/' + std::string(what));
  return digest;
}

template <typename Map, typename Text>
void UpdateMap(Sha256& digest, const Map& map, Text text) {
  digest.UpdateField(std::to_string(map.size()));
  for (const auto& [key, value] : map) digest.UpdateField(key).UpdateField(text(value));
}

}  // namespace

value::Value WithoutServerFields(const value::Value& object) {
  static const value::Path kFields[] = {
      {"status"},
      {"metadata", "creationTimestamp"},
      {"metadata", "resourceVersion"},
      {"metadata", "uid"},
      {"metadata", "generation"},
      {"metadata", "managedFields"},
      {"metadata", "selfLink"},
  };
  value::Edited edited(object);
  for (const value::Path& field : kFields) edited.Remove(field);
  return edited.Done();
}

Digest ObjectDigest(value::Ref object) {
  return Begin("object").UpdateField(value::ToCanonicalJson(object)).Finish();
}

void SortObjects(std::vector<Object>& objects) {
  std::sort(objects.begin(), objects.end(), [](const Object& a, const Object& b) {
    return std::tie(a.gvk.group, a.gvk.kind, a.key) < std::tie(b.gvk.group, b.gvk.kind, b.key);
  });
}

Digest VariantDigest(const std::vector<Object>& objects) {
  Sha256 digest = Begin("variant");
  for (const Object& object : objects) {
    digest.UpdateField(object.gvk.group)
        .UpdateField(object.gvk.kind)
        .UpdateField(object.key.ns)
        .UpdateField(object.key.name)
        .UpdateField(object.digest.View());
  }
  return digest.Finish();
}

Digest ReleaseDigest(const ReleaseParts& parts) {
  std::vector<Digest> variants = parts.variants;
  std::sort(variants.begin(), variants.end());
  variants.erase(std::unique(variants.begin(), variants.end()), variants.end());
  Sha256 digest = Begin("release");
  digest.UpdateField(std::to_string(variants.size()));
  for (const Digest& variant : variants) digest.UpdateField(variant.View());
  UpdateMap(digest, parts.images, [](const std::string& text) { return std::string_view(text); });
  UpdateMap(digest, parts.charts, [](const std::string& text) { return std::string_view(text); });
  UpdateMap(digest, parts.sealed, [](const Digest& sealed) { return sealed.View(); });
  return digest.Finish();
}

std::string ToString(const Digest& digest) { return "sha256:" + digest.Hex(); }

}  // namespace flotilla::render
