#include "kube/discovery.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/limits.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

using value::Ref;

constexpr const char* kAggregated =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json";

std::vector<std::string> Strings(Ref list, bool sorted) {
  std::vector<std::string> texts;
  texts.reserve(list.size());
  for (Ref item : list.Items()) texts.push_back(item.Text());
  if (sorted) std::sort(texts.begin(), texts.end());
  return texts;
}

Status Add(std::vector<ApiResource>& resources, ApiResource resource) {
  if (resources.size() == limits::kApiResources) {
    return Fail(ErrorClass::kInvalid, "the server announces more than {} resources (kApiResources)",
                limits::kApiResources);
  }
  resources.push_back(std::move(resource));
  return {};
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// How well `name` names a resource: 0 exactly, by its plural; -1 not at all.
int Rank(const ApiResource& resource, std::string_view name) {
  if (EqualsIgnoringCase(resource.gvr.resource, name)) return 0;
  if (EqualsIgnoringCase(resource.singular, name)) return 1;
  for (const std::string& alias : resource.short_names) {
    if (EqualsIgnoringCase(alias, name)) return 2;
  }
  return EqualsIgnoringCase(resource.kind, name) ? 3 : -1;
}

ApiRequest Read(std::string path, const char* accept = "") {
  ApiRequest request;
  request.path = std::move(path);
  request.accept = accept;
  return request;
}

std::string GroupVersionPath(const GroupVersion& gv) {
  return gv.group.empty() ? "/api/" + gv.version : "/apis/" + gv.group + '/' + gv.version;
}

// Groups and versions of an APIVersions or APIGroupList, the preferred version of each group first.
std::vector<GroupVersion> GroupVersionsOf(Ref list) {
  std::vector<GroupVersion> all;
  for (Ref version : list["versions"].Items()) all.push_back({"", version.Text()});
  for (Ref group : list["groups"].Items()) {
    const std::string name = group["name"].Text();
    const std::string_view preferred = group.At("preferredVersion", "version").String();
    if (!preferred.empty()) all.push_back({name, std::string(preferred)});
    for (Ref version : group["versions"].Items()) {
      if (version["version"].String() != preferred)
        all.push_back({name, version["version"].Text()});
    }
  }
  return all;
}

// Served by every kube-apiserver itself: "apps", "batch", ..., and these.
bool IsBuiltIn(std::string_view group) {
  static constexpr std::string_view kGroups[] = {
      "admissionregistration.k8s.io", "apiextensions.k8s.io",   "apiregistration.k8s.io",
      "authentication.k8s.io",        "authorization.k8s.io",   "certificates.k8s.io",
      "coordination.k8s.io",          "discovery.k8s.io",       "events.k8s.io",
      "flowcontrol.apiserver.k8s.io", "networking.k8s.io",      "node.k8s.io",
      "rbac.authorization.k8s.io",    "resource.k8s.io",        "scheduling.k8s.io",
      "storage.k8s.io"};
  return group.find('.') == std::string_view::npos ||
         std::find(std::begin(kGroups), std::end(kGroups), group) != std::end(kGroups);
}

}  // namespace

ResourceMap::ResourceMap(std::vector<ApiResource> resources, std::set<std::string> stale)
    : resources_(std::move(resources)), stale_(std::move(stale)) {
  for (size_t i = 0; i < resources_.size(); ++i) {
    const ApiResource& resource = resources_[i];
    by_gvk_.emplace(resource.Gvk(), i);  // the first one stays
    by_kind_.emplace(resource.Gvk().ToGroupKind(), i);
    by_gvr_.emplace(resource.gvr, i);
  }
}

const ApiResource* ResourceMap::Find(const GroupVersionKind& gvk) const {
  const auto at = by_gvk_.find(gvk);
  return at == by_gvk_.end() ? nullptr : &resources_[at->second];
}

const ApiResource* ResourceMap::Find(const GroupKind& kind) const {
  const auto at = by_kind_.find(kind);
  return at == by_kind_.end() ? nullptr : &resources_[at->second];
}

const ApiResource* ResourceMap::Find(const GroupVersionResource& gvr) const {
  const auto at = by_gvr_.find(gvr);
  return at == by_gvr_.end() ? nullptr : &resources_[at->second];
}

const ApiResource* ResourceMap::FindByName(std::string_view name) const {
  const size_t dot = std::min(name.find('.'), name.size());
  const std::string_view plain = name.substr(0, dot);
  const std::string_view suffix = dot == name.size() ? "" : name.substr(dot + 1);
  const ApiResource* best = nullptr;
  int best_rank = 4;
  for (const ApiResource& resource : resources_) {
    const int rank = Rank(resource, plain);
    if (rank < 0 || rank >= best_rank) continue;
    if (!suffix.empty() && suffix != resource.gvr.group &&
        suffix != resource.gvr.version + '.' + resource.gvr.group) {
      continue;
    }
    best = &resource;
    best_rank = rank;
  }
  return best;
}

Status ParseAggregatedDiscovery(Ref list, std::vector<ApiResource>& resources,
                                std::set<std::string>& stale) {
  if (list["kind"].String() != "APIGroupDiscoveryList") {
    return Fail(ErrorClass::kUnavailable, "discovery answered {}, not an APIGroupDiscoveryList",
                list["kind"].String("no object"));
  }
  for (Ref group : list["items"].Items()) {
    const std::string_view name = NameOf(group);
    for (Ref version : group["versions"].Items()) {
      const GroupVersionKind gv{std::string(name), version["version"].Text(), ""};
      if (version["freshness"].String() == "Stale") stale.insert(gv.ApiVersion());
      for (Ref item : version["resources"].Items()) {
        ApiResource resource;
        resource.gvr = {gv.group, gv.version, item["resource"].Text()};
        resource.kind = item.At("responseKind", "kind").String();
        resource.singular = item["singularResource"].String();
        resource.namespaced = item["scope"].String() == "Namespaced";
        resource.verbs = Strings(item["verbs"], true);
        resource.short_names = Strings(item["shortNames"], false);
        for (Ref sub : item["subresources"].Items()) {
          resource.subresources.push_back(sub["subresource"].Text());
        }
        std::sort(resource.subresources.begin(), resource.subresources.end());
        // A subresource whose parent is not served has neither kind nor verbs.
        if (resource.kind.empty() || resource.verbs.empty()) continue;
        if (Status added = Add(resources, std::move(resource)); !added) return added;
      }
    }
  }
  return {};
}

Status ParseResourceList(Ref list, std::vector<ApiResource>& resources) {
  const Result<GroupVersion> gv = ParseApiVersion(list["groupVersion"].String());
  if (list["kind"].String() != "APIResourceList" || !gv) {
    return Fail(ErrorClass::kUnavailable, "discovery answered {}, not an APIResourceList",
                list["kind"].String("no object"));
  }
  const size_t first = resources.size();
  for (Ref item : list["resources"].Items()) {
    const std::string_view name = item["name"].String();
    if (name.find('/') != std::string_view::npos) continue;
    ApiResource resource;
    resource.gvr = {gv->group, gv->version, std::string(name)};
    resource.kind = item["kind"].String();
    resource.singular = item["singularName"].String();
    resource.namespaced = item["namespaced"].Bool();
    resource.verbs = Strings(item["verbs"], true);
    resource.short_names = Strings(item["shortNames"], false);
    if (Status added = Add(resources, std::move(resource)); !added) return added;
  }
  for (Ref item : list["resources"].Items()) {
    const std::string_view name = item["name"].String();
    const size_t slash = name.find('/');
    if (slash == std::string_view::npos) continue;
    for (size_t i = first; i < resources.size(); ++i) {
      if (resources[i].gvr.resource != name.substr(0, slash)) continue;
      resources[i].subresources.emplace_back(name.substr(slash + 1));
    }
  }
  for (size_t i = first; i < resources.size(); ++i) {
    std::sort(resources[i].subresources.begin(), resources[i].subresources.end());
  }
  return {};
}

std::optional<bool> DryRunIn(Ref openapi, const GroupVersionKind& gvk) {
  for (auto [path, operations] : openapi["paths"].Members()) {
    const Ref patch = operations["patch"];
    const Ref kind = patch["x-kubernetes-group-version-kind"];
    if (kind["group"].String() != gvk.group || kind["version"].String() != gvk.version ||
        kind["kind"].String() != gvk.kind) {
      continue;
    }
    for (Ref parameter : patch["parameters"].Items()) {
      if (parameter["name"].String() == "dryRun") return true;
    }
    return false;
  }
  return std::nullopt;
}

std::shared_ptr<const ResourceMap> Discovery::Cached() const {
  MutexLock lock(mutex_);
  return map_;
}

Result<std::shared_ptr<const ResourceMap>> Discovery::Get(std::stop_token stop) {
  if (auto cached = Cached()) return cached;
  return Refresh(std::move(stop));
}

Result<std::shared_ptr<const ResourceMap>> Discovery::Refresh(std::stop_token stop) {
  std::vector<ApiResource> resources;
  std::set<std::string> stale;
  for (const char* root : {"/api", "/apis"}) {
    const Result<ApiResponse> answer = client_.DoRaw(Read(root, kAggregated), stop);
    if (!answer) return Fail(answer, "discover what the server serves");
    const Result<value::Value> list = answer->Object();
    if (!list) return Fail(list, "discover what the server serves");
    if (answer->content_type.find("apidiscovery.k8s.io") != std::string::npos) {
      if (Status parsed = ParseAggregatedDiscovery(*list, resources, stale); !parsed) {
        return tl::unexpected<Error>(parsed.error());
      }
      continue;
    }
    for (const GroupVersion& gv : GroupVersionsOf(*list)) {
      const Result<value::Value> one = client_.Do(Read(GroupVersionPath(gv)), stop);
      if (!one) {
        // An extension server that is down must not hide all others.
        if (gv.group.empty() || one.error().cls == ErrorClass::kCancelled) {
          return Fail(one, "discover what the server serves");
        }
        stale.insert(gv.group + '/' + gv.version);
        continue;
      }
      if (Status parsed = ParseResourceList(*one, resources); !parsed) {
        return tl::unexpected<Error>(parsed.error());
      }
    }
  }
  auto map = std::make_shared<const ResourceMap>(std::move(resources), std::move(stale));
  MutexLock lock(mutex_);
  map_ = map;
  read_at_ = client_.runtime().Now();
  return map;
}

Result<ApiResource> Discovery::Resolve(const GroupVersionKind& gvk, std::stop_token stop) {
  return Resolve(&gvk, gvk.ToGroupKind(), std::move(stop));
}

Result<ApiResource> Discovery::Resolve(const GroupKind& kind, std::stop_token stop) {
  return Resolve(nullptr, kind, std::move(stop));
}

Result<ApiResource> Discovery::Resolve(const GroupVersionKind* gvk, const GroupKind& kind,
                                       std::stop_token stop) {
  std::shared_ptr<const ResourceMap> map;
  bool fresh = false;
  {
    MutexLock lock(mutex_);
    map = map_;
    fresh = map_ && client_.runtime().Now() < read_at_ + kDiscoveryPause;
  }
  for (;;) {
    if (map) {
      if (const ApiResource* found = gvk ? map->Find(*gvk) : map->Find(kind)) return *found;
      if (fresh) break;
    }
    Result<std::shared_ptr<const ResourceMap>> read = Refresh(stop);
    if (!read) return Pass(read);
    map = *std::move(read);
    fresh = true;
  }
  const std::string name = gvk ? gvk->ToString() : kind.ToString();
  for (const std::string& stale : map->stale()) {
    const bool same =
        gvk ? stale == gvk->ApiVersion() : stale.substr(0, stale.find('/')) == kind.group;
    if (same) {
      return Fail(ErrorClass::kUnavailable, "the extension API server of {} does not answer", name);
    }
  }
  return Fail(ErrorClass::kNotFound, "the server does not serve {}", name);
}

Result<bool> Discovery::SupportsDryRun(const GroupVersionKind& gvk, std::stop_token stop) {
  if (IsBuiltIn(gvk.group)) return true;
  {
    MutexLock lock(mutex_);
    if (const auto known = dry_run_.find(gvk); known != dry_run_.end()) return known->second;
  }
  const Result<value::Value> index = client_.Do(Read("/openapi/v3"), stop);
  if (!index) return Fail(index, "read which APIs have dry-run");
  const std::string key = "apis/" + gvk.group + '/' + gvk.version;
  const std::string_view url = index->At("paths", key, "serverRelativeURL").String();
  if (url.empty()) return false;
  ApiRequest read = Read(std::string(url.substr(0, url.find('?'))));
  if (const size_t query = url.find("?hash="); query != std::string_view::npos) {
    read.query.emplace_back("hash", url.substr(query + 6));
  }
  const Result<value::Value> document = client_.Do(std::move(read), stop);
  if (!document) return Fail(document, "read whether {} has dry-run", gvk.ToString());
  const std::optional<bool> supported = DryRunIn(*document, gvk);
  if (!supported) return false;  // not published yet: asked again next time
  MutexLock lock(mutex_);
  dry_run_[gvk] = *supported;
  return *supported;
}

}  // namespace flotilla::kube
