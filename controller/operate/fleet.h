// The registered clusters, and which of them answer.
//
// Every member is probed: each 5 s while it answers, each 2 s while it does not. Two failures in a
// row make it unreachable, one answer reachable again. An unreachable cluster stays where it was
// placed: absence deletes nothing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "api/cluster.h"
#include "base/log.h"
#include "base/runtime.h"
#include "deliver/machine.h"
#include "operate/member.h"

namespace flotilla::operate {

// What is known of a cluster beside its object: goes into its status.
struct ClusterReport {
  std::string uid;  // of its kube-system namespace: the cluster's identity
  bool reachable = false;
  std::string message;  // why not
  Duration round_trip{0};
};

class Fleet {
 public:
  // Turns a Cluster object into access to it (reads its Secret): blocking.
  using Connect = std::function<Result<kube::Access>(const api::Cluster&, std::stop_token)>;
  struct Listener {
    // Reachability or identity of a cluster changed. Called without a lock, from the fleet's task.
    std::function<void(const std::string& cluster)> on_change;
  };

  // All outlive the Fleet.
  Fleet(Runtime& runtime, http::HttpClient& http, kube::Timers& timers, Logger log, Connect connect,
        Listener listener);
  ~Fleet();
  // The listener is not called any more once this returns. Members stay until the end.
  void Stop();

  // The Cluster objects as they are now; a removed one is forgotten, a changed one is connected anew.
  void Set(const std::map<std::string, std::shared_ptr<const api::Cluster>>& clusters);
  // A request to it went unanswered: probe now.
  void Suspect(const std::string& cluster);
  // Its credentials changed: connect anew.
  void Reconnect(const std::string& cluster);

  // Null where it is not registered, or its credentials cannot be used.
  std::shared_ptr<Member> Find(const std::string& cluster) const;
  std::vector<std::shared_ptr<Member>> Members() const;
  deliver::FleetView View() const;
  ClusterReport Report(const std::string& cluster) const;

 private:
  struct Entry {
    std::shared_ptr<const api::Cluster> cluster;
    std::shared_ptr<Member> member;
    ClusterReport report;
    bool connect = true;  // (again)
    int failures = 0;
    bool probing = false;
    TimePoint probe_at{};
  };
  void Loop(std::stop_token stop);
  void ConnectDue(std::stop_token stop);
  void StartProbes();
  void Tell(const std::string& cluster);
  void OnProbe(const std::string& cluster, const Member* asked, TimePoint sent,
               const Status& answer);

  Runtime& runtime_;
  http::HttpClient& http_;
  kube::Timers& timers_;
  Logger log_;
  const Connect connect_;
  const Listener listener_;
  mutable Mutex mutex_;
  std::map<std::string, Entry> entries_;  // guarded by mutex_
  bool stopped_ = false;  // guarded by mutex_
  int telling_ = 0;       // calls of the listener under way; guarded by mutex_
  std::unique_ptr<Event> quiet_;  // none is
  std::unique_ptr<Event> wake_;
  std::stop_source probes_;
  std::unique_ptr<Task> task_;  // last: uses all of the above
};

}  // namespace flotilla::operate
