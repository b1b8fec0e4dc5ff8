// A release with its objects: what rendering made, policy admitted and clusters are given.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "deliver/release.h"
#include "render/render.h"

namespace flotilla::operate {

// Immutable once made; shared.
struct Release {
  deliver::ReleaseId id;
  std::vector<std::shared_ptr<const render::Variant>> variants;
  // Which variant each cluster gets; a cluster that is not named gets none.
  std::map<std::string, size_t, std::less<>> clusters;
  // The user that members see; "" is the controller's own identity.
  std::string impersonate;

  const render::Variant* VariantFor(std::string_view cluster) const {
    auto it = clusters.find(cluster);
    return it == clusters.end() ? nullptr : variants[it->second].get();
  }
};

// Releases by digest. What Put returned for is found again after any crash, with Git, registry and
// renderer gone: a rollback needs nothing else.
class ReleaseStore {
 public:
  virtual ~ReleaseStore() = default;
  // Durable when it returns. Putting a release again replaces its assignment of clusters.
  virtual Status Put(std::shared_ptr<const Release> release, std::stop_token stop) = 0;
  virtual Result<std::shared_ptr<const Release>> Get(const std::string& release_digest,
                                                     std::stop_token stop) = 0;
};

}  // namespace flotilla::operate
