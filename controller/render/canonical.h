// Digests of objects, variants and releases: docs/canonical-form.md specifies them byte by byte,
// and holds the vectors that tests/unit/render checks.
//
// Equal digests mean that the same would be applied, whatever the order of files, documents and
// keys it was written in.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "render/object.h"

namespace flotilla::render {

// Goes into every digest: a new form makes new releases, which start no rollout by themselves.
inline constexpr std::string_view kCanonicalForm = "flotilla.v1";

// Without what only a server may say: status, and creationTimestamp, resourceVersion, uid,
// generation, managedFields and selfLink of metadata. Rendering does this to every object.
value::Value WithoutServerFields(const value::Value& object);

Digest ObjectDigest(value::Ref object);

// By Id().
void SortObjects(std::vector<Object>& objects);
// Of sorted objects.
Digest VariantDigest(const std::vector<Object>& objects);

// Everything that a release consists of.
struct ReleaseParts {
  std::vector<Digest> variants;               // as a set: order and repetition do not matter
  std::map<std::string, std::string> images;  // reference as written → "sha256:..." it resolved to
  std::map<std::string, std::string> charts;  // chart and version → digest of the archive
  std::map<std::string, Digest> sealed;       // secret value, by name → digest of its sealed form
};
Digest ReleaseDigest(const ReleaseParts& parts);

// "sha256:<64 hex digits>", as status and messages show it.
std::string ToString(const Digest& digest);

}  // namespace flotilla::render
