// Watches what applications put on one member, and says when its health changes and when something
// is not as it was left.
//
// One watch per kind and cluster serves all applications: workload kinds whole (their status tells
// health), all others as metadata. Nothing is asked for between events.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "deliver/health.h"
#include "kube/apply_set.h"
#include "kube/watch.h"
#include "operate/member.h"

namespace flotilla::operate {

class Observer {
 public:
  struct Listener {
    // Of all objects of the application together: the worst.
    std::function<void(const std::string& application, deliver::Fence fence,
                       const deliver::ObjectHealth& health)>
        on_health;
    // These objects are gone, or changed since they were written; or they carry our label and an older
    // fence, and are not in the record.
    std::function<void(const std::string& application, deliver::Fence fence,
                       const std::vector<kube::ObjectId>& suspects)>
        on_suspect;
  };

  // Both outlive the Observer. The listener is called from the watches' task, without a lock.
  Observer(std::shared_ptr<Member> member, kube::WatchPool& pool, Listener listener);
  ~Observer();

  // The record that an apply has just left, and where its kinds are. From now on what differs from it
  // is suspect, and its health is told.
  struct Expectation {
    std::string application;  // "namespace/name"
    deliver::Fence fence = 0;
    std::string parent_id;
    std::vector<kube::InventoryEntry> inventory;
    std::vector<kube::ApiResource> kinds;
  };
  void Expect(Expectation expectation);
  // An apply begins: nothing is suspect until the next Expect.
  void Pause(const std::string& application);
  void Forget(const std::string& application);
  // A suspect turned out to be as it should (defaults, status, an ignored field): this version of it
  // is not suspect any more.
  void Accept(const std::string& application, const kube::ObjectId& id);

 private:
  class KindWatch;
  struct Seen {
    std::string uid;
    std::string resource_version;
    int64_t generation = 0;
    int64_t fence = 0;
    bool deleting = false;
    deliver::ObjectHealth health;
  };
  struct Expected {
    Expectation expectation;
    bool paused = true;
    std::map<kube::ObjectId, kube::InventoryEntry> inventory;
    std::map<kube::ObjectId, Seen> seen;
    std::set<kube::ObjectId> told;  // suspects
    std::optional<deliver::ObjectHealth> health;
  };
  void OnObject(const kube::ApiResource& kind, const value::Value& object, bool whole);
  void OnGone(const kube::ApiResource& kind, const kube::ObjectKey& key);
  void OnKindSynced(const kube::ApiResource& kind);
  struct Finding {
    std::string application;
    deliver::Fence fence = 0;
    std::optional<deliver::ObjectHealth> health;  // where it is another than was told last
    std::vector<kube::ObjectId> suspects;
  };
  void Evaluate(const std::string& parent_id);
  bool AllSynced(const Expected& expected) const;  // with mutex_ held
  Finding Judge(Expected& expected) const;         // with mutex_ held

  const std::shared_ptr<Member> member_;
  kube::WatchPool& pool_;
  const Listener listener_;
  Mutex telling_;  // taken before mutex_
  Mutex mutex_;
  std::map<std::string, Expected> expected_;  // by parent id; guarded by mutex_
  std::map<std::string, std::string> parents_;  // application → parent id; guarded by mutex_
  std::map<kube::GroupVersionResource, std::unique_ptr<KindWatch>> watches_;  // guarded by mutex_
};

// Kinds whose status tells whether they became what they should.
bool HasWorkloadHealth(const kube::GroupKind& kind);

}  // namespace flotilla::operate
