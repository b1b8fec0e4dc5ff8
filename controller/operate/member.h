// One cluster that applications are delivered to: how to talk to it, and whether it answers.
//
// Two lanes that share nothing, neither connections nor windows: a rollback never waits behind
// anything else. Members belong to the Fleet and live as long as somebody holds them.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "api/cluster.h"
#include "base/runtime.h"
#include "deliver/machine.h"
#include "kube/client.h"
#include "kube/discovery.h"
#include "kube/window.h"

namespace flotilla::operate {

class Member {
 public:
  // `http` and `timers` outlive the Member.
  Member(Runtime& runtime, http::HttpClient& http, kube::Timers& timers, api::Cluster cluster,
         kube::Access access);

  const std::string& name() const { return cluster_.meta.name; }
  const api::Cluster& cluster() const { return cluster_; }
  kube::Client& client(deliver::Lane lane = deliver::Lane::kForward) {
    return lane == deliver::Lane::kForward ? client_ : rollback_client_;
  }
  kube::Client& watch_client() { return watch_client_; }
  kube::Window& window(deliver::Lane lane) {
    return lane == deliver::Lane::kForward ? window_ : rollback_window_;
  }
  kube::Discovery& discovery() { return discovery_; }

  bool reachable() const { return reachable_.load(std::memory_order_relaxed); }
  void SetReachable(bool reachable) { reachable_.store(reachable, std::memory_order_relaxed); }

 private:
  const api::Cluster cluster_;
  kube::Client client_;
  kube::Client rollback_client_;
  kube::Client watch_client_;
  kube::Window window_;
  kube::Window rollback_window_;
  kube::Discovery discovery_;
  std::atomic<bool> reachable_{false};
};

}  // namespace flotilla::operate
