#include "operate/controller.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "api/names.h"
#include "base/work_queue.h"
#include "operate/application.h"
#include "value/json.h"

namespace flotilla::operate {
namespace {

constexpr Duration kFirstProbes = 3s;  // how long to wait for all members before beginning

// Our own user name on the hub: what requestedBy of the objects that we make must say.
Result<std::string> WhoAmI(kube::Client& client, std::stop_token stop) {
  kube::ApiRequest request;
  request.verb = kube::Verb::kReview;
  request.path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  request.body = R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})";
  request.target = "our own user name";
  auto review = client.Do(std::move(request), stop);
  if (!review) return Fail(review, "ask the hub who we are");
  return review->At("status", "userInfo", "username").Text();
}

// What changed on the hub, from the watches' task to one that may wait.
class Inbox {
 public:
  explicit Inbox(Runtime& runtime) : arrived_(runtime.NewEvent()) {}

  void Put(const api::KindInfo& kind, const ObjectName& name) {
    {
      MutexLock lock(mutex_);
      changes_.emplace_back(&kind, name);
    }
    arrived_->Set();
  }
  std::vector<std::pair<const api::KindInfo*, ObjectName>> TakeAll() {
    MutexLock lock(mutex_);
    return std::exchange(changes_, {});
  }
  bool Await(std::stop_token stop) {
    const bool arrived = arrived_->Wait(kForever, std::move(stop)) == WaitResult::kSet;
    arrived_->Reset();
    return arrived;
  }

 private:
  Mutex mutex_;
  std::vector<std::pair<const api::KindInfo*, ObjectName>> changes_;  // guarded by mutex_
  std::unique_ptr<Event> arrived_;
};

}  // namespace

// Everything that exists only while leading. Members are in order of dependence: what is below uses
// what is above, and ends first.
class Controller::Leadership {
 public:
  Leadership(Controller& controller, kube::Timers& timers, kube::WatchPool& pool, Hub& hub,
             Inbox& inbox, kube::LeaderToken leader, std::string hub_uid, std::string identity)
      : runtime_(controller.dependencies_.runtime),
        sources_of_access_(controller.dependencies_.sources),
        log_(controller.dependencies_.log),
        pool_(pool),
        hub_(hub),
        inbox_(inbox),
        queue_(runtime_),
        shell_{runtime_,
               hub_,
               fleet_,
               gate_,
               controller.dependencies_.releases,
               preparer_,
               jobs_,
               log_,
               leader,
               std::move(hub_uid),
               std::move(identity),
               [this](const ObjectName& name) { queue_.Add(name); },
               [this](const ObjectName& name, TimePoint when) { queue_.AddAt(name, when); },
               [this](const std::string& cluster) { return ObserverOf(cluster); }},
        fleet_(runtime_, controller.dependencies_.http, timers, log_,
               [this](const api::Cluster& cluster, std::stop_token stop) { return Connect(cluster, stop); },
               Fleet::Listener{[this](const std::string& cluster) { OnClusterChange(cluster); }}),
        gate_(runtime_, controller.dependencies_.http, fleet_,
              [this](const std::string& application, deliver::VerdictSeen seen) {
                if (auto loop = Find(application)) loop->Post(std::move(seen));
              }),
        sources_(runtime_, hub_, controller.dependencies_.git, log_, leader,
                 [this](const ObjectName& repository) { OnSource(repository); }),
        preparer_(hub_, fleet_, sources_, controller.dependencies_.git),
        jobs_(runtime_),
        workers_wanted_(controller.options_.workers) {}

  ~Leadership() {
    queue_.ShutDown();
    fleet_.Stop();  // from now on no cluster changes
    for (const auto& worker : workers_) worker->RequestStop();
    workers_.clear();
    // Observers start jobs.
    std::map<std::string, Connected> connected;
    {
      MutexLock lock(mutex_);
      connected.swap(connected_);
    }
    connected.clear();
  }

  void Start(std::stop_token stop) {
    fleet_.Set(hub_.clusters().All());
    AwaitFirstProbes(stop);
    sources_.Refresh();
    for (const auto& [name, application] : hub_.applications().All()) Ensure(name);
    for (int i = 0; i < workers_wanted_; ++i) {
      workers_.push_back(
          runtime_.Spawn("worker", [this](std::stop_token worker_stop) { Work(worker_stop); }));
    }
    workers_.push_back(runtime_.Spawn("hub changes", [this](std::stop_token worker_stop) {
      do {
        for (const auto& [kind, name] : inbox_.TakeAll()) OnHubChange(*kind, name);
      } while (inbox_.Await(worker_stop));
    }));
  }

 private:
  void OnHubChange(const api::KindInfo& kind, const ObjectName& name) {
    if (&kind == &api::kApplicationKind) {
      sources_.Refresh();
      if (hub_.applications().Find(name)) {
        Ensure(name);
        queue_.Add(name);
      } else {
        Drop(name);
      }
    } else if (&kind == &api::kRepositoryKind) {
      sources_.Refresh();
    } else if (&kind == &api::kClusterKind) {
      fleet_.Set(hub_.clusters().All());
      for (const auto& loop : Loops()) loop->Post(deliver::InputsChanged{});
    } else if (&kind == &api::kRolloutPlanKind || &kind == &api::kServiceLevelObjectiveKind ||
               &kind == &api::kDeliveryPolicyKind) {
      for (const auto& loop : Loops()) loop->Post(deliver::InputsChanged{});
    } else if (&kind == &api::kFreezeKind || &kind == &api::kClusterFreezeKind) {
      for (const auto& loop : Loops()) loop->Post(deliver::FleetChanged{});
    } else if (&kind == &api::kRollbackKind) {
      if (auto rollback = hub_.rollbacks().Find(name)) {
        queue_.Add(NameOf(rollback->meta.ns, rollback->spec.application));
      }
    } else if (&kind == &api::kApprovalKind) {
      if (auto approval = hub_.approvals().Find(name)) {
        queue_.Add(NameOf(approval->meta.ns, approval->spec.application));
      }
    }
  }

  struct Connected {
    std::shared_ptr<Member> member;
    std::shared_ptr<Observer> observer;
    bool reachable = false;
  };

  Result<kube::Access> Connect(const api::Cluster& cluster, std::stop_token stop) {
    if (cluster.spec.in_cluster) return hub_.client().access();
    if (!cluster.spec.kubeconfig) {
      return Fail(ErrorClass::kInvalid, "spec of Cluster {} has neither kubeconfig nor inCluster",
                  cluster.meta.name);
    }
    const api::SecretKeyReference& reference = *cluster.spec.kubeconfig;
    auto secret = hub_.ReadSecret({reference.ns, reference.name}, stop);
    if (!secret) return Pass(secret);
    auto bytes = secret->find(reference.key);
    if (bytes == secret->end()) {
      return Fail(ErrorClass::kInvalid, "Secret {}/{} has no key {}", reference.ns, reference.name,
                  reference.key);
    }
    auto config = kube::ParseKubeconfig(
        bytes->second.Reveal(), fmt::format("Secret {}/{}", reference.ns, reference.name));
    if (!config) return Pass(config);
    return kube::ToAccess(*config, "", "", sources_of_access_);
  }

  // Begins when every member was asked once: one that was never asked is not "offline".
  void AwaitFirstProbes(std::stop_token stop) {
    const TimePoint deadline = runtime_.Now() + kFirstProbes;
    while (runtime_.Now() < deadline && !stop.stop_requested()) {
      bool all = true;
      for (const auto& [name, cluster] : fleet_.View().clusters) all &= cluster.reachable || cluster.suspended;
      if (all) return;
      runtime_.SleepFor(20ms, stop);
    }
  }

  void Work(std::stop_token stop) {
    while (auto name = queue_.Take(stop)) {
      if (auto loop = Find(*name)) loop->Run(stop);
      queue_.Done(*name);
    }
  }

  std::shared_ptr<ApplicationLoop> Find(const ObjectName& name) {
    MutexLock lock(mutex_);
    auto it = loops_.find(name);
    return it == loops_.end() ? nullptr : it->second;
  }
  std::vector<std::shared_ptr<ApplicationLoop>> Loops() {
    MutexLock lock(mutex_);
    std::vector<std::shared_ptr<ApplicationLoop>> loops;
    for (const auto& [name, loop] : loops_) loops.push_back(loop);
    return loops;
  }

  void Ensure(const ObjectName& name) {
    std::shared_ptr<ApplicationLoop> loop;
    {
      MutexLock lock(mutex_);
      auto& slot = loops_[name];
      if (slot) return;
      slot = loop = std::make_shared<ApplicationLoop>(shell_, name);
    }
    TellSource(*loop, name);
  }

  void Drop(const ObjectName& name) {
    {
      MutexLock lock(mutex_);
      loops_.erase(name);
    }
    gate_.Set(name, 0, {}, {});
    for (const auto& observer : Observers()) observer->Forget(name);
  }

  void TellSource(ApplicationLoop& loop, const ObjectName& name) {
    auto application = hub_.applications().Find(name);
    if (!application || application->spec.sources.empty()) return;
    auto source =
        sources_.Current(NameOf(application->meta.ns, application->spec.sources[0].repository));
    if (source) {
      loop.Post(deliver::RevisionSeen{source->revision});
    } else if (!IsTransient(source.error().cls)) {
      loop.Post(deliver::SourceFailed{source.error()});
    } else {
      queue_.Add(name);
    }
  }

  void OnSource(const ObjectName& repository) {
    for (const auto& [name, application] : hub_.applications().All()) {
      if (application->spec.sources.empty()) continue;
      if (NameOf(application->meta.ns, application->spec.sources[0].repository) != repository) continue;
      if (auto loop = Find(name)) TellSource(*loop, name);
    }
  }

  // A member was connected, came back or went away.
  void OnClusterChange(const std::string& cluster) {
    std::shared_ptr<Member> member = fleet_.Find(cluster);
    bool returned = false;
    std::shared_ptr<Observer> old;  // destroyed without the lock
    {
      MutexLock lock(mutex_);
      Connected& connected = connected_[cluster];
      if (connected.member != member) {
        old = std::move(connected.observer);
        connected.member = member;
        if (member) connected.observer = MakeObserver(cluster, member);
        connected.reachable = false;
      }
      const bool reachable = member && member->reachable();
      returned = reachable && !connected.reachable;
      connected.reachable = reachable;
    }
    old.reset();
    for (const auto& loop : Loops()) {
      if (returned) loop->Attach(cluster);
      loop->Post(deliver::ReachabilityChanged{cluster});
    }
    if (member) SaveClusterStatus(cluster);
  }

  std::shared_ptr<Observer> MakeObserver(const std::string& cluster, std::shared_ptr<Member> member) {
    return std::make_shared<Observer>(
        std::move(member), pool_,
        Observer::Listener{
            [this, cluster](const std::string& application, deliver::Fence fence,
                            const deliver::ObjectHealth& health) {
              if (auto loop = Find(application)) {
                loop->Post(deliver::HealthSeen{cluster, fence, health.health, health.message});
              }
            },
            [this, cluster](const std::string& application, deliver::Fence fence,
                            const std::vector<kube::ObjectId>& suspects) {
              if (auto loop = Find(application)) loop->OnSuspects(cluster, fence, suspects);
            }});
  }

  std::shared_ptr<Observer> ObserverOf(const std::string& cluster) {
    MutexLock lock(mutex_);
    auto it = connected_.find(cluster);
    return it == connected_.end() ? nullptr : it->second.observer;
  }
  std::vector<std::shared_ptr<Observer>> Observers() {
    MutexLock lock(mutex_);
    std::vector<std::shared_ptr<Observer>> observers;
    for (const auto& [name, connected] : connected_) {
      if (connected.observer) observers.push_back(connected.observer);
    }
    return observers;
  }

  void SaveClusterStatus(const std::string& cluster) {
    jobs_.Start("cluster status", 1, [this, cluster](std::stop_token stop) {
      auto object = hub_.clusters().Find(cluster);
      if (!object) return;
      const ClusterReport report = fleet_.Report(cluster);
      api::Cluster next = *object;
      next.status.observed_generation = next.meta.generation;
      if (!report.uid.empty()) next.status.uid = report.uid;
      const auto status =
          report.reachable ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse;
      const WallTime now = runtime_.WallNow();
      for (std::string_view type : {api::condition::kReady, api::condition::kReachable}) {
        api::SetCondition(next.status.conditions, type, status,
                          report.reachable ? "Answers" : "Unreachable", report.message,
                          next.meta.generation, now);
      }
      if (report.reachable) {
        next.status.last_seen = now;
        next.status.round_trip = report.round_trip;
      }
      if (Status saved = hub_.SaveStatus(next, shell_.leader, stop); !saved) {
        log_.Warning("cannot save status", {{"cluster", cluster}, {"error", saved.error()}});
      }
    });
  }

  Runtime& runtime_;
  kube::AccessSources sources_of_access_;
  Logger log_;
  kube::WatchPool& pool_;
  Hub& hub_;
  Inbox& inbox_;
  Mutex mutex_;
  std::map<std::string, Connected> connected_;                     // guarded by mutex_
  std::map<ObjectName, std::shared_ptr<ApplicationLoop>> loops_;   // guarded by mutex_
  WorkQueue queue_;
  Shell shell_;  // refers to what follows, and outlives it
  Fleet fleet_;
  GateWatch gate_;
  Sources sources_;
  Preparer preparer_;
  Jobs jobs_;
  const int workers_wanted_;
  std::vector<std::unique_ptr<Task>> workers_;
};

Controller::Controller(ControllerDependencies dependencies, ControllerOptions options)
    : dependencies_(std::move(dependencies)), options_(std::move(options)) {}
Controller::~Controller() = default;

Status Controller::Run(std::stop_token stop) {
  Runtime& runtime = dependencies_.runtime;
  kube::Timers timers(runtime);
  kube::WatchPool pool(runtime, timers);
  kube::Client client(runtime, dependencies_.http, options_.hub, {.user_agent = "flotilla"});
  kube::Client lease_client(runtime, dependencies_.http, options_.hub,
                            {.user_agent = "flotilla", .connections = 1});
  Inbox inbox(runtime);
  std::unique_ptr<Event> changed = runtime.NewEvent();
  Hub hub(client, pool, dependencies_.log, [&](const api::KindInfo& kind, const ObjectName& name) {
    changed->Set();
    if (!name.empty()) inbox.Put(kind, name);
  });
  hub.Start();
  while (!hub.Synced() && !stop.stop_requested()) {
    changed->Wait(kForever, stop);
    changed->Reset();
  }
  if (stop.stop_requested()) return {};
  ready_ = true;

  std::unique_ptr<Leadership> leadership;
  std::unique_ptr<Task> starting;
  kube::LeaseOptions lease;
  lease.ns = options_.ns;
  lease.name = std::string(api::kLeaseName);
  lease.identity = options_.identity;
  lease.lease = options_.lease;
  lease.renew = options_.renew;
  lease.retry = options_.retry;
  kube::LeaderEvents events;
  events.on_elected = [&](kube::LeaderToken leader) {
    dependencies_.log.Info("leading", {{"identity", options_.identity}});
    leading_ = true;
    starting = runtime.Spawn("lead", [&, leader](std::stop_token lead_stop) {
      Result<std::string> uid = hub.Uid(lead_stop);
      Result<std::string> identity = WhoAmI(client, lead_stop);
      Status caught_up = hub.CatchUp(lead_stop);
      while ((!uid || !identity || !caught_up) && leader.Valid() && runtime.SleepFor(1s, lead_stop)) {
        dependencies_.log.Warning("cannot begin", {{"error", !uid        ? uid.error()
                                                             : !identity ? identity.error()
                                                                         : caught_up.error()}});
        uid = hub.Uid(lead_stop);
        identity = WhoAmI(client, lead_stop);
        caught_up = hub.CatchUp(lead_stop);
      }
      if (!uid || !identity || !caught_up) return;
      leadership = std::make_unique<Leadership>(*this, timers, pool, hub, inbox, leader,
                                                *uid, *identity);
      leadership->Start(lead_stop);
    });
  };
  events.on_lost = [&] { leading_ = false; };
  events.on_leader = [&](const std::string& identity) {
    dependencies_.log.Info("leader is", {{"identity", identity}});
  };
  Status ended = kube::RunElection(runtime, lease_client, lease, events, stop);
  leading_ = false;
  starting.reset();
  leadership.reset();
  return ended;
}

}  // namespace flotilla::operate
