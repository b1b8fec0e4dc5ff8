// /healthz (the process is up), /readyz (the caches of the hub are filled) and /metrics.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/metrics.h"
#include "http/server.h"

namespace flotilla::surface {

struct HealthSources {
  std::function<bool()> ready;
  std::function<void()> before_scrape;  // brings gauges up to date
  const Metrics* metrics = nullptr;
};

http::ServerResponse AnswerHealth(const HealthSources& sources, const http::ServerRequest& request);

// `listen`: "host:port", ":port" for every address, or "[::1]:8080".
Result<std::unique_ptr<http::HttpServer>> ServeHealth(Runtime& runtime, const std::string& listen,
                                                      HealthSources sources);

}  // namespace flotilla::surface
