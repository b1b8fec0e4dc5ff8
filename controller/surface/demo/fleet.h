// The embedded servers of the demo, on loopback ports: a hub, its members, and one backend that
// serves the Git repository and the metrics of every member.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/runtime.h"
#include "http/server.h"
#include "sim/api_server/api_server.h"
#include "sim/metrics_source.h"

namespace flotilla::surface::demo {

inline constexpr const char* kSeries = "http_error_ratio";
inline constexpr const char* kControllerToken = "controller";
inline constexpr const char* kControllerUser = "system:serviceaccount:flotilla-system:flotilla";
// kubectl sends no credentials over plain HTTP: whoever comes without is the administrator.
inline constexpr const char* kAdministrator = "admin";

// Whether all pods of a Deployment run, and are of its newest template.
bool IsReady(value::Ref deployment);

class Fleet {
 public:
  // The error ratio of a member changed. Called from the task that scrapes it.
  using OnErrorRatio = std::function<void(const std::string& member, double ratio)>;

  // Serves the bare repositories below `git_root`. `runtime` outlives the Fleet.
  static Result<std::unique_ptr<Fleet>> Start(Runtime& runtime, const std::string& git_root,
                                              OnErrorRatio on_error_ratio);
  ~Fleet();

  static const std::vector<std::string>& MemberNames();
  sim::ApiServer& hub() { return *servers_.at("hub").api; }
  sim::ApiServer& member(const std::string& name) { return *servers_.at(name).api; }
  const sim::MetricsSource& metrics(const std::string& name) const { return *metrics_.at(name); }

  std::string OriginOf(const std::string& server) const;  // "http://127.0.0.1:41234"
  std::string GitUrl() const;                             // repositories are below it
  std::string PrometheusUrl() const;                      // members are below it
  std::string Kubeconfig(const std::string& server, const std::string& token) const;

  // Creates every object of a YAML text on the hub, as the administrator.
  Status Create(std::string_view yaml);

 private:
  struct Server {
    std::unique_ptr<sim::ApiServer> api;
    std::unique_ptr<Event> due;
    std::unique_ptr<Task> ticker;            // lets time pass in `api`
    std::unique_ptr<http::HttpServer> http;  // last: calls `api`
  };
  explicit Fleet(Runtime& runtime) : runtime_(runtime) {}
  Status StartServer(const std::string& name);
  Status CreateOn(sim::ApiServer& server, std::string_view yaml);
  Status StartBackend(const std::string& git_root, OnErrorRatio on_error_ratio);

  Runtime& runtime_;
  std::map<std::string, Server> servers_;
  std::map<std::string, std::unique_ptr<sim::MetricsSource>> metrics_;
  std::unique_ptr<http::HttpServer> backend_;
};

}  // namespace flotilla::surface::demo
