// Judges the objectives of every watched application on its clusters, once a second.
//
// One task for all; queries are sent without waiting, so that a slow metrics backend delays nobody
// else. A verdict is told when it changes; a breach at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/slo.h"
#include "deliver/gate.h"
#include "http/http.h"
#include "operate/fleet.h"

namespace flotilla::operate {

struct GateCluster {
  std::string name;
  WallTime applied_at{};
};

class GateWatch {
 public:
  // Called from the client's thread, without a lock: post it on.
  using OnVerdict = std::function<void(const std::string& application, deliver::VerdictSeen seen)>;

  // All outlive the GateWatch.
  GateWatch(Runtime& runtime, http::HttpClient& http, Fleet& fleet, OnVerdict on_verdict);
  ~GateWatch();

  // Replaces what is watched of `application` ("namespace/name"). No clusters: nothing.
  void Set(const std::string& application, deliver::Fence fence, std::vector<GateCluster> clusters,
           std::vector<api::ServiceLevelObjective> slos);

 private:
  struct Watched;
  void Loop(std::stop_token stop);
  void Tick();
  void Ask(const std::string& application, const std::shared_ptr<Watched>& watched, size_t cluster);
  void Conclude(const std::string& application, const std::shared_ptr<Watched>& watched,
                size_t cluster);

  Runtime& runtime_;
  http::HttpClient& http_;
  Fleet& fleet_;
  const OnVerdict on_verdict_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Watched>> watched_;  // guarded by mutex_
  int under_way_ = 0;                                        // queries; guarded by mutex_
  std::unique_ptr<Event> idle_;                              // no query is under way
  std::unique_ptr<Event> wake_;
  std::stop_source queries_;
  std::unique_ptr<Task> task_;  // last: uses all of the above
};

}  // namespace flotilla::operate
