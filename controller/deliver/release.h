// What the core knows of a release: names and digests, never objects.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace flotilla::deliver {

// A release as the core sees it. The shell holds its objects, under the same digest.
struct ReleaseId {
  std::string release_digest;  // "sha256:...": Merkle root over variants, image lock, sealed secrets
  std::string input_digest;    // the commit side only: tree and blob ids, options
  std::string revision;        // "main@sha1:...", for people

  bool empty() const { return release_digest.empty(); }
  friend bool operator==(const ReleaseId& a, const ReleaseId& b) {
    return a.release_digest == b.release_digest;
  }
};

// Grows with every change of target of one application. A write of an older fence never survives
// a newer one (DESIGN.md, section 2, "The fence").
using Fence = int64_t;

}  // namespace flotilla::deliver
