#include "operate/prune.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/names.h"
#include "operate/live.h"
#include "operate/parents.h"

namespace flotilla::operate {
namespace {

constexpr Duration kDeadline = 60s;

// The scopes in which these inventory entries are to be listed.
Result<std::vector<KindScope>> ScopesOfEntries(Member& member,
                                               const std::vector<kube::InventoryEntry>& entries,
                                               std::stop_token stop) {
  std::map<kube::GroupKind, KindScope> scopes;
  for (const kube::InventoryEntry& entry : entries) {
    auto it = scopes.find(entry.id.ToGroupKind());
    if (it == scopes.end()) {
      auto resource = member.discovery().Resolve(entry.id.ToGroupKind(), stop);
      if (!resource && resource.error().cls == ErrorClass::kNotFound) continue;  // its CRD is gone
      if (!resource) return Pass(resource);
      scopes.emplace(entry.id.ToGroupKind(), KindScope{std::move(*resource), entry.id.ns});
    } else if (it->second.ns != entry.id.ns) {
      it->second.ns.clear();
    }
  }
  std::vector<KindScope> list;
  for (auto& [kind, scope] : scopes) list.push_back(std::move(scope));
  return list;
}

struct Removal {
  std::vector<kube::InventoryEntry> gone;  // deleted, or not there any more, or not ours any more
  PruneReport report;
};

Result<Removal> Remove(Member& member, const Delivery& delivery,
                       const std::vector<kube::InventoryEntry>& candidates, std::stop_token stop) {
  Removal removal;
  auto scopes = ScopesOfEntries(member, candidates, stop);
  if (!scopes) return Pass(scopes);
  auto live = ListLive(member, delivery.lane, kube::ParentId(delivery.ParentName()), *scopes, stop);
  if (!live) return Pass(live);
  std::map<kube::GroupKind, kube::ApiResource> resources;
  for (const KindScope& scope : *scopes) {
    resources[{scope.resource.gvr.group, scope.resource.kind}] = scope.resource;
  }

  std::vector<kube::InventoryEntry> deleting;
  std::vector<kube::ApiRequest> requests;
  for (const kube::InventoryEntry& entry : candidates) {
    auto found = live->find(entry.id);
    if (IsProtected(entry.id.ToGroupKind())) {
      removal.report.kept.push_back(entry.id.ToString() + ": its kind is protected");
    } else if (found == live->end() || entry.uid.empty() || found->second.uid != entry.uid) {
      // Gone, or another object of that name: nothing of ours.
    } else if (found->second.controlled) {
      removal.report.kept.push_back(entry.id.ToString() + ": a controller owns it now");
    } else {
      kube::DeleteOptions options;
      options.uid = entry.uid;
      options.resource_version = found->second.resource_version;
      options.impersonation = delivery.As();
      options.propagation = "Background";
      requests.push_back(
          kube::DeleteRequest(resources[entry.id.ToGroupKind()].gvr, entry.id.Key(), options));
      deleting.push_back(entry);
      continue;
    }
    removal.gone.push_back(entry);
  }
  if (!delivery.leader.Valid()) return Fail(ErrorClass::kCancelled, "leadership was lost");
  Runtime& runtime = member.client().runtime();
  auto answers =
      member.window(delivery.lane).RunWave(std::move(requests), runtime.Now() + kDeadline, stop);
  for (size_t i = 0; i < answers.size(); ++i) {
    if (answers[i]) {
      ++removal.report.deleted;
    } else if (answers[i].error().cls == ErrorClass::kNotFound) {
      // Somebody was faster.
    } else {
      return Fail(answers[i], "delete {} on {}", deleting[i].id.ToString(), member.name());
    }
    removal.gone.push_back(deleting[i]);
  }
  return removal;
}

void TakeOut(kube::Parent& parent, const std::vector<kube::InventoryEntry>& gone) {
  std::set<kube::ObjectId> ids;
  for (const kube::InventoryEntry& entry : gone) ids.insert(entry.id);
  std::erase_if(parent.inventory,
                [&](const kube::InventoryEntry& entry) { return ids.count(entry.id) > 0; });
  parent.group_kinds.clear();
  for (const kube::InventoryEntry& entry : parent.inventory) {
    parent.group_kinds.insert(entry.id.ToGroupKind());
  }
}

Result<kube::Parent> OurParent(Member& member, const Delivery& delivery, std::stop_token stop) {
  auto stored = ReadParent(member, delivery.lane, delivery.ParentName(), stop);
  if (!stored) return Pass(stored);
  if (!*stored) return Fail(ErrorClass::kNotFound, "nothing is recorded on {}", member.name());
  return std::move(**stored);
}

}  // namespace

bool IsProtected(const kube::GroupKind& kind) {
  static constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"", "Namespace"},
      {"", "PersistentVolume"},
      {"", "PersistentVolumeClaim"},
      {"apps", "StatefulSet"},
      {"apiextensions.k8s.io", "CustomResourceDefinition"},
      {"apiregistration.k8s.io", "APIService"},
      {"storage.k8s.io", "StorageClass"},
  };
  return std::any_of(std::begin(kKinds), std::end(kKinds), [&](const auto& entry) {
    return entry.first == kind.group && entry.second == kind.kind;
  });
}

Result<PruneReport> PruneRelease(Member& member, const Delivery& delivery, std::stop_token stop) {
  auto read = OurParent(member, delivery, stop);
  if (!read) return Pass(read);
  kube::Parent parent = std::move(*read);
  if (parent.fence != delivery.fence || parent.phase != "Applied") {
    return Fail(ErrorClass::kConflict, "fence {} ({}) is in charge on {}, ours is {}", parent.fence,
                parent.phase, member.name(), delivery.fence);
  }
  const render::Variant* variant = delivery.release->VariantFor(member.name());
  if (!variant || variant->objects.empty()) {
    return Fail(ErrorClass::kInternal, "an empty set never prunes");
  }
  std::set<kube::ObjectId> wanted;
  for (const render::Object& object : variant->objects) wanted.insert(object.Id());
  std::vector<kube::InventoryEntry> candidates;
  for (const kube::InventoryEntry& entry : parent.inventory) {
    if (!wanted.count(entry.id)) candidates.push_back(entry);
  }
  if (candidates.empty()) return PruneReport{};

  const api::PrunePolicy& policy = delivery.spec->prune;
  const auto share =
      static_cast<size_t>(policy.max_percent) * parent.inventory.size() / 100;
  const size_t budget = std::max(static_cast<size_t>(policy.max_objects), share);
  if (candidates.size() > budget) {
    PruneReport report;
    report.blocked = fmt::format(
        "{} objects left the set, the budget is {} (prune.maxObjects, prune.maxPercent): nothing is "
        "removed",
        candidates.size(), budget);
    return report;
  }
  auto removal = Remove(member, delivery, candidates, stop);
  if (!removal) return Pass(removal);
  TakeOut(parent, removal->gone);
  auto swapped = SwapParent(member, delivery.lane, std::move(parent), stop);
  if (!swapped) return Pass(swapped);
  return std::move(removal->report);
}

Result<PruneReport> RemoveApplication(Member& member, const Delivery& delivery, bool orphan,
                                      std::stop_token stop) {
  auto stored = ReadParent(member, delivery.lane, delivery.ParentName(), stop);
  if (!stored) return Pass(stored);
  if (!*stored) return PruneReport{};
  kube::Parent parent = std::move(**stored);
  if (parent.hub_uid != delivery.hub_uid) {
    return Fail(ErrorClass::kDenied, "the record on {} belongs to another hub", member.name());
  }
  PruneReport report;
  if (!orphan) {
    parent.fence = std::max<int64_t>(parent.fence, delivery.fence);
    parent.phase = "Removing";
    auto swapped = SwapParent(member, delivery.lane, parent, stop);
    if (!swapped) return Pass(swapped);
    parent = std::move(*swapped);
    auto removal = Remove(member, delivery, parent.inventory, stop);
    if (!removal) return Pass(removal);
    report = std::move(removal->report);
  }
  if (Status removed = RemoveParent(member, delivery.lane, parent, stop); !removed) return Pass(removed);
  return report;
}

}  // namespace flotilla::operate
