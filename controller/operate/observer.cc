#include "operate/observer.h"

#include <algorithm>

#include "operate/live.h"

namespace flotilla::operate {

bool HasWorkloadHealth(const kube::GroupKind& kind) {
  if (kind.group == "apps" || kind.group == "batch") return true;
  if (kind.group.empty()) {
    return kind.kind == "Pod" || kind.kind == "PersistentVolumeClaim" || kind.kind == "Service";
  }
  if (kind.group == "apiextensions.k8s.io") return true;
  // Custom kinds say it with a Ready condition; other built-in groups have dots and no such status.
  return kind.group.find(".k8s.io") == std::string::npos && kind.group != "autoscaling" &&
         kind.group != "policy";
}

// The watch of one kind, for all applications.
class Observer::KindWatch final : public kube::WatchHandler {
 public:
  KindWatch(Observer& observer, kube::ApiResource kind)
      : observer_(observer),
        kind_(std::move(kind)),
        whole_(HasWorkloadHealth({kind_.gvr.group, kind_.kind})) {}

  void Start() {
    kube::WatchOptions options;
    options.resource = kind_.gvr;
    options.kind = kind_.kind;
    options.label_selector = kube::kApplySetPartOf;
    options.metadata_only = !whole_;
    watch_ = observer_.pool_.Start(observer_.member_->watch_client(), std::move(options), *this);
  }

  void OnApply(value::Value object) override {
    observer_.OnObject(kind_, object, whole_);
  }
  void OnDelete(const kube::ObjectKey& key, value::Ref) override { observer_.OnGone(kind_, key); }
  void OnSynced() override {
    {
      MutexLock lock(observer_.mutex_);
      synced_ = true;
    }
    observer_.OnKindSynced(kind_);
  }

  bool synced() const { return synced_; }  // guarded by the observer's mutex

 private:
  Observer& observer_;
  const kube::ApiResource kind_;
  const bool whole_;
  bool synced_ = false;
  std::unique_ptr<kube::Watch> watch_;
};

Observer::Observer(std::shared_ptr<Member> member, kube::WatchPool& pool, Listener listener)
    : member_(std::move(member)), pool_(pool), listener_(std::move(listener)) {}

Observer::~Observer() {
  std::map<kube::GroupVersionResource, std::unique_ptr<KindWatch>> watches;
  {
    MutexLock lock(mutex_);
    watches.swap(watches_);
  }
}

void Observer::Expect(Expectation expectation) {
  std::vector<KindWatch*> fresh;
  const std::string parent_id = expectation.parent_id;
  {
    MutexLock lock(mutex_);
    parents_[expectation.application] = parent_id;
    for (const kube::ApiResource& kind : expectation.kinds) {
      auto& watch = watches_[kind.gvr];
      if (watch) continue;
      watch = std::make_unique<KindWatch>(*this, kind);
      fresh.push_back(watch.get());
    }
    Expected& expected = expected_[parent_id];
    expected.health.reset();  // who applied again waits to be told again
    expected.inventory.clear();
    for (const kube::InventoryEntry& entry : expectation.inventory) {
      expected.inventory.emplace(entry.id, entry);
    }
    expectation.inventory.clear();
    expected.expectation = std::move(expectation);
    expected.paused = false;
    expected.told.clear();
  }
  for (KindWatch* watch : fresh) watch->Start();
  Evaluate(parent_id);
}

void Observer::Pause(const std::string& application) {
  MutexLock lock(mutex_);
  auto parent = parents_.find(application);
  if (parent != parents_.end()) expected_[parent->second].paused = true;
}

void Observer::Forget(const std::string& application) {
  MutexLock lock(mutex_);
  auto parent = parents_.find(application);
  if (parent == parents_.end()) return;
  expected_.erase(parent->second);
  parents_.erase(parent);
}

void Observer::Accept(const std::string& application, const kube::ObjectId& id) {
  MutexLock lock(mutex_);
  auto parent = parents_.find(application);
  if (parent == parents_.end()) return;
  Expected& expected = expected_[parent->second];
  auto seen = expected.seen.find(id);
  auto entry = expected.inventory.find(id);
  if (seen == expected.seen.end() || entry == expected.inventory.end()) return;
  entry->second.uid = seen->second.uid;
  entry->second.generation = seen->second.generation;
  entry->second.resource_version =
      seen->second.generation == 0 ? seen->second.resource_version : std::string();
  expected.told.erase(id);
}

void Observer::OnObject(const kube::ApiResource& kind, const value::Value& object, bool whole) {
  const std::string parent_id(kube::LabelOf(object, kube::kApplySetPartOf));
  const LiveObject live = ToLive(object);
  Seen seen{live.uid, live.resource_version, live.generation, live.fence, live.deleting, {}};
  seen.health.health = deliver::Health::kHealthy;
  if (whole) seen.health = deliver::HealthOf(object, member_->client().runtime().WallNow());
  {
    MutexLock lock(mutex_);
    Expected& expected = expected_[parent_id];
    expected.seen[{kind.gvr.group, kind.kind, std::string(kube::NamespaceOf(object)),
                   std::string(kube::NameOf(object))}] = std::move(seen);
  }
  Evaluate(parent_id);
}

void Observer::OnGone(const kube::ApiResource& kind, const kube::ObjectKey& key) {
  std::vector<std::string> parents;
  {
    MutexLock lock(mutex_);
    const kube::ObjectId id{kind.gvr.group, kind.kind, key.ns, key.name};
    for (auto& [parent_id, expected] : expected_) {
      if (expected.seen.erase(id) == 0) continue;
      expected.told.erase(id);  // what comes after it is another object
      parents.push_back(parent_id);
    }
  }
  for (const std::string& parent_id : parents) Evaluate(parent_id);
}

void Observer::OnKindSynced(const kube::ApiResource&) {
  std::vector<std::string> parents;
  {
    MutexLock lock(mutex_);
    for (const auto& [application, parent_id] : parents_) parents.push_back(parent_id);
  }
  for (const std::string& parent_id : parents) Evaluate(parent_id);
}

// How bad a health is, to find the worst.
static int Severity(deliver::Health health) {
  switch (health) {
    case deliver::Health::kHealthy: return 0;
    case deliver::Health::kUnknown: return 1;
    case deliver::Health::kInProgress: return 2;
    case deliver::Health::kFailed: return 3;
  }
  return 1;
}

void Observer::Evaluate(const std::string& parent_id) {
  std::optional<Finding> finding;
  {
    // Health is told in the order in which it was found: several tasks may be here at once.
    MutexLock telling(telling_);
    {
      MutexLock lock(mutex_);
      auto it = expected_.find(parent_id);
      if (it == expected_.end() || it->second.paused || !AllSynced(it->second)) return;
      finding = Judge(it->second);
    }
    if (finding->health) listener_.on_health(finding->application, finding->fence, *finding->health);
  }
  if (!finding->suspects.empty()) {
    listener_.on_suspect(finding->application, finding->fence, finding->suspects);
  }
}

// Absence proves nothing before every kind was listed.
bool Observer::AllSynced(const Expected& expected) const {
  return std::all_of(expected.expectation.kinds.begin(), expected.expectation.kinds.end(),
                     [&](const kube::ApiResource& kind) {
                       auto watch = watches_.find(kind.gvr);
                       return watch != watches_.end() && watch->second->synced();
                     });
}

Observer::Finding Observer::Judge(Expected& expected) const {
  Finding finding;
  finding.application = expected.expectation.application;
  finding.fence = expected.expectation.fence;
  deliver::ObjectHealth worst{deliver::Health::kHealthy, {}};
  auto consider = [&](deliver::Health health, std::string message) {
    if (Severity(health) > Severity(worst.health)) worst = {health, std::move(message)};
  };
  auto suspect = [&](const kube::ObjectId& id) {
    if (expected.told.insert(id).second) finding.suspects.push_back(id);
  };
  for (const auto& [id, entry] : expected.inventory) {
    auto found = expected.seen.find(id);
    if (found == expected.seen.end()) {
      suspect(id);
      consider(deliver::Health::kInProgress, id.ToString() + " does not exist");
      continue;
    }
    const Seen& seen = found->second;
    const bool as_recorded =
        seen.uid == entry.uid && (seen.generation != 0 ? seen.generation == entry.generation
                                                       : seen.resource_version == entry.resource_version);
    if (as_recorded) {
      expected.told.erase(id);
    } else {
      suspect(id);
    }
    if (seen.uid == entry.uid && seen.generation < entry.generation) {
      // What the watch has told so far is older than what was written: it says nothing yet.
      consider(deliver::Health::kInProgress, id.ToString() + " was not observed yet");
    } else {
      consider(seen.health.health, id.ToString() + ": " + seen.health.message);
    }
  }
  // Older than the record, and not in it: a create that was late on its way, or somebody's copy.
  for (const auto& [id, seen] : expected.seen) {
    if (!expected.inventory.count(id) && seen.fence != 0 && seen.fence < finding.fence &&
        !seen.deleting) {
      suspect(id);
    }
  }
  if (expected.health != worst) finding.health = expected.health = worst;
  return finding;
}

}  // namespace flotilla::operate
