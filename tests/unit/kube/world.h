// Virtual time, a network in the process and a scripted API server: what the tests of drivers
// stand on.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "http/url.h"
#include "kube/client.h"
#include "kube/timers.h"
#include "sim/fiber_runtime.h"
#include "sim/network.h"
#include "value/json.h"

namespace flotilla::kube {

inline constexpr const char* kServer = "https://member:6443";
inline const GroupVersionResource kConfigMaps{"", "v1", "configmaps"};
inline const GroupVersionResource kDeployments{"apps", "v1", "deployments"};

inline http::ServerResponse Answer(int status, std::string body, http::Headers headers = {}) {
  http::ServerResponse response;
  response.status = status;
  response.body = std::move(body);
  response.headers = std::move(headers);
  response.headers.emplace_back("Content-Type", "application/json");
  return response;
}

// A Status as API servers answer it.
inline std::string StatusBody(int code, std::string_view reason, std::string_view message) {
  return value::ToJson(value::Value::Map({{"kind", value::Value("Status")},
                                          {"apiVersion", value::Value("v1")},
                                          {"status", value::Value("Failure")},
                                          {"message", value::Value(message)},
                                          {"reason", value::Value(reason)},
                                          {"code", value::Value(code)}}));
}

struct World {
  explicit World(uint64_t seed = 1) : runtime(Seeded(seed)), network(runtime), timers(runtime) {
    network.Listen(kServer, [this](const http::ServerRequest& request) {
      requests.push_back(request);
      return handler(request);
    });
    http = network.NewClient("controller", nullptr);
    sim::Link link;
    link.latency_min = link.latency_max = 1ms;
    network.SetLink("", "", link);
  }

  static sim::FiberOptions Seeded(uint64_t seed) {
    sim::FiberOptions options;
    options.seed = seed;
    return options;
  }

  Access Anonymous() const {
    Access access;
    access.base_url = kServer;
    access.credentials = FixedCredentials({{}, std::make_shared<http::Transport>()});
    return access;
  }

  // The value of a query parameter of a request, or "".
  static std::string Query(const http::ServerRequest& request, std::string_view key) {
    const auto query = http::ParseQuery(http::SplitTarget(request.target).query);
    return query ? std::string(http::Find(*query, key, "")) : "";
  }
  static std::string Path(const http::ServerRequest& request) {
    return std::string(http::SplitTarget(request.target).path);
  }

  sim::FiberRuntime runtime;
  // What the server was asked, and what it answers.
  std::vector<http::ServerRequest> requests;
  http::Handler handler = [](const http::ServerRequest&) { return Answer(200, "{}"); };
  sim::Network network;
  std::unique_ptr<http::HttpClient> http;
  Timers timers;
};

}  // namespace flotilla::kube
