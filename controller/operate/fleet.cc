#include "operate/fleet.h"

#include <algorithm>
#include <vector>

namespace flotilla::operate {
namespace {

constexpr Duration kProbeInterval = 5s;
constexpr Duration kProbeIntervalAway = 2s;
constexpr Duration kProbeAgain = 500ms;  // after the first failure
constexpr Duration kProbeTimeout = 2s;
constexpr Duration kConnectAgain = 10s;
constexpr int kFailuresUntilAway = 2;

}  // namespace

Fleet::Fleet(Runtime& runtime, http::HttpClient& http, kube::Timers& timers, Logger log,
             Connect connect, Listener listener)
    : runtime_(runtime),
      http_(http),
      timers_(timers),
      log_(std::move(log)),
      connect_(std::move(connect)),
      listener_(std::move(listener)),
      quiet_(runtime.NewEvent()),
      wake_(runtime.NewEvent()) {
  quiet_->Set();
  task_ = runtime_.Spawn("fleet", [this](std::stop_token stop) { Loop(stop); });
}

void Fleet::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  probes_.request_stop();
  task_.reset();
  quiet_->Wait(kForever, {});
}

void Fleet::Tell(const std::string& cluster) {
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    ++telling_;
    quiet_->Reset();
  }
  listener_.on_change(cluster);
  MutexLock lock(mutex_);
  if (--telling_ == 0) quiet_->Set();
}

Fleet::~Fleet() {
  Stop();
  // Members cancel what is under way and wait for its callbacks, which use this object.
  std::map<std::string, Entry> entries;
  {
    MutexLock lock(mutex_);
    entries.swap(entries_);
  }
}

void Fleet::Set(const std::map<std::string, std::shared_ptr<const api::Cluster>>& clusters) {
  std::vector<std::shared_ptr<Member>> gone;  // destroyed without the lock
  {
    MutexLock lock(mutex_);
    for (auto it = entries_.begin(); it != entries_.end();) {
      if (clusters.count(it->first)) {
        ++it;
      } else {
        gone.push_back(std::move(it->second.member));
        it = entries_.erase(it);
      }
    }
    for (const auto& [name, cluster] : clusters) {
      Entry& entry = entries_[name];
      if (!entry.cluster || entry.cluster->spec != cluster->spec ||
          entry.cluster->meta.labels != cluster->meta.labels) {
        entry.connect = true;
        entry.probe_at = runtime_.Now();
      }
      entry.cluster = cluster;
    }
  }
  wake_->Set();
}

void Fleet::Suspect(const std::string& cluster) {
  {
    MutexLock lock(mutex_);
    auto it = entries_.find(cluster);
    if (it == entries_.end()) return;
    it->second.probe_at = std::min(it->second.probe_at, runtime_.Now());
  }
  wake_->Set();
}

void Fleet::Reconnect(const std::string& cluster) {
  {
    MutexLock lock(mutex_);
    auto it = entries_.find(cluster);
    if (it == entries_.end()) return;
    it->second.connect = true;
    it->second.probe_at = runtime_.Now();
  }
  wake_->Set();
}

std::shared_ptr<Member> Fleet::Find(const std::string& cluster) const {
  MutexLock lock(mutex_);
  auto it = entries_.find(cluster);
  return it == entries_.end() ? nullptr : it->second.member;
}

std::vector<std::shared_ptr<Member>> Fleet::Members() const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Member>> members;
  for (const auto& [name, entry] : entries_) {
    if (entry.member) members.push_back(entry.member);
  }
  return members;
}

deliver::FleetView Fleet::View() const {
  MutexLock lock(mutex_);
  deliver::FleetView view;
  for (const auto& [name, entry] : entries_) {
    view.clusters[name] = {entry.report.reachable, entry.cluster->spec.suspended,
                           entry.cluster->spec.connectivity};
  }
  return view;
}

ClusterReport Fleet::Report(const std::string& cluster) const {
  MutexLock lock(mutex_);
  auto it = entries_.find(cluster);
  return it == entries_.end() ? ClusterReport{} : it->second.report;
}

void Fleet::Loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    wake_->Reset();
    ConnectDue(stop);
    StartProbes();
    TimePoint next = kForever;
    {
      MutexLock lock(mutex_);
      for (const auto& [name, entry] : entries_) {
        if (!entry.probing && !entry.cluster->spec.suspended) next = std::min(next, entry.probe_at);
      }
    }
    wake_->Wait(next, stop);
  }
}

void Fleet::ConnectDue(std::stop_token stop) {
  std::vector<std::shared_ptr<const api::Cluster>> due;
  {
    MutexLock lock(mutex_);
    for (auto& [name, entry] : entries_) {
      if (!entry.connect || entry.cluster->spec.suspended || entry.probe_at > runtime_.Now()) continue;
      entry.connect = false;
      due.push_back(entry.cluster);
    }
  }
  for (const auto& cluster : due) {
    Result<kube::Access> access = connect_(*cluster, stop);
    std::shared_ptr<Member> member;
    if (access) {
      member = std::make_shared<Member>(runtime_, http_, timers_, *cluster, std::move(*access));
    }
    std::shared_ptr<Member> before;
    {
      MutexLock lock(mutex_);
      auto it = entries_.find(cluster->meta.name);
      if (it == entries_.end()) continue;
      Entry& entry = it->second;
      before = std::exchange(entry.member, member);
      if (member) {
        member->SetReachable(entry.report.reachable);
        entry.probe_at = runtime_.Now();
      } else {
        entry.connect = true;
        entry.probe_at = runtime_.Now() + kConnectAgain;
        entry.report.reachable = false;
        entry.report.message = access.error().ToString();
      }
    }
    if (!member) {
      log_.Warning("cannot connect", {{"cluster", cluster->meta.name}, {"error", access.error()}});
    }
    Tell(cluster->meta.name);
  }
}

void Fleet::StartProbes() {
  std::vector<std::shared_ptr<Member>> due;
  {
    MutexLock lock(mutex_);
    for (auto& [name, entry] : entries_) {
      if (!entry.member || entry.probing || entry.cluster->spec.suspended ||
          entry.probe_at > runtime_.Now()) {
        continue;
      }
      entry.probing = true;
      due.push_back(entry.member);
    }
  }
  for (const std::shared_ptr<Member>& member : due) {
    kube::ApiRequest probe;
    probe.path = "/api/v1/namespaces/kube-system";
    probe.target = "probe";
    probe.metadata_only = true;
    probe.timeout = kProbeTimeout;
    probe.impersonation = kube::Impersonation{};
    const TimePoint sent = runtime_.Now();
    // The member may be replaced while its probe is under way: then the answer counts for nobody.
    const Member* asked = member.get();
    member->client().Send(probe, probes_.get_token(),
                          [this, asked, name = member->name(), sent](Result<kube::ApiResponse> answer) {
                            Status status;
                            if (!answer) status = Pass(answer);
                            std::string uid;
                            if (answer) {
                              if (auto object = answer->Object()) uid = kube::UidOf(*object);
                            }
                            {
                              MutexLock lock(mutex_);
                              auto it = entries_.find(name);
                              if (it == entries_.end()) return;
                              if (!uid.empty()) it->second.report.uid = uid;
                            }
                            OnProbe(name, asked, sent, status);
                          });
  }
}

void Fleet::OnProbe(const std::string& cluster, const Member* asked, TimePoint sent,
                    const Status& answer) {
  bool changed = false;
  {
    MutexLock lock(mutex_);
    auto it = entries_.find(cluster);
    if (it == entries_.end()) return;
    Entry& entry = it->second;
    entry.probing = false;
    if (entry.member.get() != asked) {
      entry.probe_at = runtime_.Now();
    } else {
      // A refusal (403, 404) is an answer too: somebody is there.
      const bool answered =
          answer.has_value() || answer.error().cls == ErrorClass::kDenied ||
          answer.error().cls == ErrorClass::kNotFound || answer.error().cls == ErrorClass::kThrottled;
      entry.failures = answered ? 0 : entry.failures + 1;
      const bool reachable = answered || (entry.report.reachable && entry.failures < kFailuresUntilAway);
      changed = reachable != entry.report.reachable;
      entry.report.reachable = reachable;
      entry.report.message = answered ? "" : answer.error().ToString();
      if (answered) entry.report.round_trip = runtime_.Now() - sent;
      entry.member->SetReachable(reachable);
      const Duration wait = answered      ? kProbeInterval
                            : reachable ? kProbeAgain
                                          : kProbeIntervalAway;
      entry.probe_at = runtime_.Now() + wait;
    }
  }
  wake_->Set();
  if (changed) Tell(cluster);
}

}  // namespace flotilla::operate
