// How a release is written down: its index and its variants, before they are cut into chunks.
//
// The form has a number, which is part of every index: a reader refuses what it does not know.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/runtime.h"
#include "base/seal.h"
#include "operate/release.h"

namespace flotilla::operate {

// What a release is but for its objects. Compressed and sealed; its context is the digest of the
// release, so that it opens for no other.
struct SnapshotIndex {
  struct Part {
    std::string digest;               // of the variant
    std::vector<std::string> chunks;  // names, in order
    bool operator==(const Part&) const = default;
  };
  deliver::ReleaseId id;
  std::string impersonate;
  std::vector<Part> variants;
  std::map<std::string, size_t, std::less<>> clusters;

  bool Same(const SnapshotIndex& other) const;
  std::set<std::string> Chunks() const;  // names, each once

  std::string Seal(Runtime& runtime, const Sealer& sealer) const;
  static Result<SnapshotIndex> Open(const Sealer& sealer, const std::string& digest,
                                    std::string_view sealed);
};

// Two lines per object: where it came from, and itself.
std::string WriteVariant(const render::Variant& variant);
// With digests computed anew.
Result<std::shared_ptr<const render::Variant>> ReadVariant(std::string_view text);

// The digest that a release of these variants has.
std::string RootOf(const Release& release);

// Content decides the name, and the key too: a name confirms no guess of the content, and chunks
// that another key sealed are other chunks.
std::string ChunkName(const Sealer& sealer, std::string_view content);

}  // namespace flotilla::operate
