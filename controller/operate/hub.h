// The hub's API: our kinds as typed objects, read through watches, written by typed calls.
//
// What is read is the cache of the watches: shared immutable objects, never waited for. What is
// written carries the resourceVersion that we know, so that a write that was delayed beyond a change
// of leader is refused.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/application.h"
#include "api/approval.h"
#include "api/cluster.h"
#include "api/delivery_policy.h"
#include "api/freeze.h"
#include "api/meta.h"
#include "api/repository.h"
#include "api/rollback.h"
#include "api/rollout.h"
#include "api/rollout_plan.h"
#include "api/slo.h"
#include "base/log.h"
#include "base/secret.h"
#include "kube/client.h"
#include "kube/lease.h"
#include "kube/watch.h"

namespace flotilla::operate {

// "namespace/name", or "name" of a cluster-scoped object.
using ObjectName = std::string;
ObjectName NameOf(std::string_view ns, std::string_view name);
kube::ObjectKey KeyOf(const ObjectName& name);

kube::GroupVersionResource ResourceOf(const api::KindInfo& kind);

// All objects of one kind, as last told. Reading gives snapshots.
template <typename T>
class Cache;

class Hub {
 public:
  // An object was added, changed or removed. Called from the watches' task; must not block.
  using OnChange = std::function<void(const api::KindInfo& kind, const ObjectName& name)>;

  // `client` and `pool` outlive the Hub.
  Hub(kube::Client& client, kube::WatchPool& pool, Logger log, OnChange on_change);
  ~Hub();

  void Start();
  bool Synced() const;  // every kind was listed once

  const Cache<api::Application>& applications() const { return *applications_; }
  const Cache<api::Cluster>& clusters() const { return *clusters_; }
  const Cache<api::Repository>& repositories() const { return *repositories_; }
  const Cache<api::RolloutPlan>& plans() const { return *plans_; }
  const Cache<api::ServiceLevelObjective>& slos() const { return *slos_; }
  const Cache<api::DeliveryPolicy>& policies() const { return *policies_; }
  const Cache<api::Rollout>& rollouts() const { return *rollouts_; }
  const Cache<api::Rollback>& rollbacks() const { return *rollbacks_; }
  const Cache<api::Approval>& approvals() const { return *approvals_; }
  const Cache<api::Freeze>& freezes() const { return *freezes_; }
  const Cache<api::ClusterFreeze>& cluster_freezes() const { return *cluster_freezes_; }

  // uid of the hub's kube-system namespace. Cached after the first answer.
  Result<std::string> Uid(std::stop_token stop);
  // The values of a Secret, by key.
  Result<std::map<std::string, Secret>> ReadSecret(const kube::ObjectKey& key, std::stop_token stop);

  // Blocking. Conflict (kube::Reason::kAlreadyExists) where an object of that name exists.
  template <typename T>
  Result<T> Create(const T& object, std::stop_token stop);
  // Replaces the status by that of `object`.
  template <typename T>
  Status SaveStatus(const T& object, const kube::LeaderToken& leader, std::stop_token stop);
  Status Delete(const api::KindInfo& kind, const ObjectName& name, const std::string& uid,
                std::stop_token stop);

  // A Kubernetes Event about one of our objects. Never waits and never fails: an Event that cannot
  // be written is logged.
  void Tell(const api::KindInfo& kind, const api::Meta& about, bool warning, std::string_view reason,
            std::string_view message);

  // Reads Rollouts and Rollbacks as they are now. A cache may be behind, and who begins to lead must
  // not miss what its predecessor has recorded.
  Status CatchUp(std::stop_token stop);

  kube::Client& client() { return client_; }

 private:
  Status PutStatus(const api::KindInfo& kind, const api::Meta& meta, value::Value object,
                   const kube::LeaderToken& leader, std::stop_token stop);

  kube::Client& client_;
  kube::WatchPool& pool_;
  Logger log_;
  const OnChange on_change_;
  std::unique_ptr<Cache<api::Application>> applications_;
  std::unique_ptr<Cache<api::Cluster>> clusters_;
  std::unique_ptr<Cache<api::Repository>> repositories_;
  std::unique_ptr<Cache<api::RolloutPlan>> plans_;
  std::unique_ptr<Cache<api::ServiceLevelObjective>> slos_;
  std::unique_ptr<Cache<api::DeliveryPolicy>> policies_;
  std::unique_ptr<Cache<api::Rollout>> rollouts_;
  std::unique_ptr<Cache<api::Rollback>> rollbacks_;
  std::unique_ptr<Cache<api::Approval>> approvals_;
  std::unique_ptr<Cache<api::Freeze>> freezes_;
  std::unique_ptr<Cache<api::ClusterFreeze>> cluster_freezes_;
  mutable Mutex mutex_;
  std::string uid_;                           // guarded by mutex_
  std::map<std::string, std::string> wrote_;  // "plural/name" → resourceVersion of our last write
  uint64_t events_ = 0;
  std::stop_source telling_;
};

template <typename T>
class Cache final : public kube::WatchHandler {
 public:
  using Parse = Result<T> (*)(value::Ref);
  using Changed = std::function<void(const ObjectName& name)>;

  Cache(const api::KindInfo& kind, Parse parse, Logger log, Changed changed)
      : kind_(kind), parse_(parse), log_(std::move(log)), changed_(std::move(changed)) {}

  const api::KindInfo& kind() const { return kind_; }
  bool synced() const { return synced_.load(); }

  // Null where there is none, or none that we can read.
  std::shared_ptr<const T> Find(const ObjectName& name) const {
    MutexLock lock(mutex_);
    auto it = objects_.find(name);
    return it == objects_.end() ? nullptr : it->second;
  }
  std::map<ObjectName, std::shared_ptr<const T>> All() const {
    MutexLock lock(mutex_);
    return objects_;
  }

  void OnApply(value::Value object) override {
    const ObjectName name = NameOf(kube::NamespaceOf(object), kube::NameOf(object));
    Result<T> parsed = parse_(object);
    if (!parsed) {
      log_.Warning("cannot read object",
                   {{"kind", kind_.kind}, {"name", name}, {"error", parsed.error()}});
    }
    {
      MutexLock lock(mutex_);
      if (parsed && IsOlder(name, *parsed)) return;
      if (parsed) {
        objects_[name] = std::make_shared<const T>(std::move(*parsed));
      } else {
        objects_.erase(name);
      }
    }
    if (synced_) changed_(name);
  }
  void OnDelete(const kube::ObjectKey& key, value::Ref) override {
    const ObjectName name = NameOf(key.ns, key.name);
    {
      MutexLock lock(mutex_);
      objects_.erase(name);
    }
    if (synced_) changed_(name);
  }
  void OnSynced() override {
    if (!synced_.exchange(true)) changed_({});
  }
  void OnTrouble(const Error& error) override {
    log_.Warning("watch interrupted", {{"kind", kind_.kind}, {"error", error}});
  }

 private:
  friend class Hub;
  // A watch that is behind what CatchUp has read. Both are versions of one object, which Kubernetes
  // counts up.
  bool IsOlder(const ObjectName& name, const T& object) const {
    auto known = objects_.find(name);
    if (known == objects_.end() || known->second->meta.uid != object.meta.uid) return false;
    const std::string& have = known->second->meta.resource_version;
    const std::string& come = object.meta.resource_version;
    return come.size() != have.size() ? come.size() < have.size() : come < have;
  }

  const api::KindInfo& kind_;
  const Parse parse_;
  Logger log_;
  const Changed changed_;
  std::atomic<bool> synced_{false};
  mutable Mutex mutex_;
  std::map<ObjectName, std::shared_ptr<const T>> objects_;  // guarded by mutex_
  std::unique_ptr<kube::Watch> watch_;                      // last: it calls us
};

}  // namespace flotilla::operate
