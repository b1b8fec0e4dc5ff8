// What an API server serves: from kind to resource, scope, verbs and subresources.
//
// Aggregated discovery (v2, v2beta1: two requests), with the group-by-group form for servers or
// extension APIs that lack it. Cached until a kind is asked for that is not there: then it is read
// again, at most once in kDiscoveryPause, since a kind that somebody misspelt must not cost a
// request per object.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/runtime.h"
#include "kube/client.h"
#include "kube/resource.h"
#include "value/value.h"

namespace flotilla::kube {

inline constexpr Duration kDiscoveryPause = 2s;

// Immutable, shared.
class ResourceMap {
 public:
  // In the order of the server: groups by its preference, versions from most to least preferred.
  explicit ResourceMap(std::vector<ApiResource> resources, std::set<std::string> stale = {});

  const ApiResource* Find(const GroupVersionKind& gvk) const;
  // In the version that the server prefers.
  const ApiResource* Find(const GroupKind& kind) const;
  const ApiResource* Find(const GroupVersionResource& gvr) const;
  // By plural, singular, short name or kind, with or without ".group" ("deploy",
  // "rollouts.flotilla.dev"), as kubectl does.
  const ApiResource* FindByName(std::string_view name) const;
  const std::vector<ApiResource>& resources() const { return resources_; }
  // "group/version"s whose extension API server did not answer: absence there proves nothing.
  const std::set<std::string>& stale() const { return stale_; }

 private:
  std::vector<ApiResource> resources_;
  std::map<GroupVersionKind, size_t> by_gvk_;
  std::map<GroupKind, size_t> by_kind_;
  std::map<GroupVersionResource, size_t> by_gvr_;
  std::set<std::string> stale_;
};

// The pure parts.
// APIGroupDiscoveryList, appended in its order.
Status ParseAggregatedDiscovery(value::Ref list, std::vector<ApiResource>& resources,
                                std::set<std::string>& stale);
// APIResourceList of one group and version.
Status ParseResourceList(value::Ref list, std::vector<ApiResource>& resources);
// Whether an OpenAPI v3 document says that a PATCH of `gvk` takes dryRun; nullopt where it does not
// have the kind.
std::optional<bool> DryRunIn(value::Ref openapi, const GroupVersionKind& gvk);

// Thread-safe.
class Discovery {
 public:
  explicit Discovery(Client& client) : client_(client) {}

  Result<std::shared_ptr<const ResourceMap>> Get(std::stop_token stop);
  // Reads again, whatever is cached.
  Result<std::shared_ptr<const ResourceMap>> Refresh(std::stop_token stop);
  // What is cached, without a request; null before the first Get.
  std::shared_ptr<const ResourceMap> Cached() const;

  // NotFound where the server does not serve it (Unavailable where its API group does not answer).
  Result<ApiResource> Resolve(const GroupVersionKind& gvk, std::stop_token stop);
  Result<ApiResource> Resolve(const GroupKind& kind, std::stop_token stop);

  // Whether writes of this kind can be dry-run: false wherever OpenAPI does not say so, since a
  // server that ignores dryRun would write. Reads one OpenAPI document per kind, once; kinds of
  // groups that every API server has are known to.
  Result<bool> SupportsDryRun(const GroupVersionKind& gvk, std::stop_token stop);

 private:
  Result<ApiResource> Resolve(const GroupVersionKind* gvk, const GroupKind& kind,
                              std::stop_token stop);

  Client& client_;
  mutable Mutex mutex_;  // guards all below; not held while reading
  std::shared_ptr<const ResourceMap> map_;
  TimePoint read_at_{};
  std::map<GroupVersionKind, bool> dry_run_;
};

}  // namespace flotilla::kube
