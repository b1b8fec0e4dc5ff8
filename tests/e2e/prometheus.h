// A real Prometheus, and the application that it scrapes on each member: one whose errors follow
// what the member really runs.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "e2e/child.h"
#include "e2e/control_plane.h"
#include "http/server.h"

namespace flotilla::e2e {

// Serves http_requests_total{app,code} for every Deployment of a member: 100 requests a second,
// half of which fail if and only if an image of its pod template contains "bad". `app` is the label
// "app" of the template. The API server is asked ten times a second.
class Exporter {
 public:
  Exporter(Runtime& runtime, KubeCluster& member);
  ~Exporter();
  uint16_t port() const { return server_->port(); }
  const std::string& cluster() const { return member_.name(); }

 private:
  struct Counters {
    double good = 0;
    double failed = 0;
    bool bad = false;
    TimePoint counted_until{};
  };
  void Look();
  http::ServerResponse Serve();
  void Count(Counters& counters, TimePoint now);

  Runtime& runtime_;
  KubeCluster& member_;
  Mutex mutex_;
  std::map<std::string, Counters> apps_;  // guarded by mutex_
  std::unique_ptr<http::HttpServer> server_;
  std::unique_ptr<Task> task_;
};

// Scrapes every exporter twice: as job "fast" each second, as job "slow" every five. Series have
// the name of their member as label `cluster`.
class Prometheus {
 public:
  Prometheus(Runtime& runtime, http::HttpClient& http, const std::string& directory,
             const std::vector<std::unique_ptr<Exporter>>& exporters);

  const std::string& url() const { return url_; }
  // The first value of an instant query; nullopt where there is none.
  std::optional<double> Query(const std::string& promql);
  Child& process() { return *process_; }

 private:
  Runtime& runtime_;
  http::HttpClient& http_;
  std::string url_;
  std::unique_ptr<Child> process_;
};

// Asks every 100 ms, and remembers when a value of at least `bound` was first there: the time at
// which the question that was answered so had been sent.
class Poller {
 public:
  Poller(Runtime& runtime, Prometheus& prometheus, std::string promql, double bound);
  ~Poller();
  std::optional<WallTime> Breached() const;

 private:
  mutable Mutex mutex_;
  std::optional<WallTime> breached_;  // guarded by mutex_
  std::unique_ptr<Task> task_;
};

}  // namespace flotilla::e2e
