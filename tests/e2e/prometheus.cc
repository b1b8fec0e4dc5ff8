#include "e2e/prometheus.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/encoding.h"
#include "catch.h"
#include "operate/prometheus.h"

namespace flotilla::e2e {
namespace {

constexpr Duration kPoll = 100ms;
constexpr double kRequestsPerSecond = 100;

}  // namespace

Exporter::Exporter(Runtime& runtime, KubeCluster& member) : runtime_(runtime), member_(member) {
  auto server = http::Serve(runtime_, {}, [this](const http::ServerRequest&) { return Serve(); });
  if (!server) FAIL(server.error().ToString());
  server_ = *std::move(server);
  task_ = runtime_.Spawn("exporter", [this](std::stop_token stop) {
    do Look();
    while (runtime_.SleepFor(kPoll, stop));
  });
}

Exporter::~Exporter() {
  task_.reset();
  server_.reset();
}

void Exporter::Count(Counters& counters, TimePoint now) {
  const double requests =
      kRequestsPerSecond * std::chrono::duration<double>(now - counters.counted_until).count();
  counters.failed += counters.bad ? requests / 2 : 0;
  counters.good += counters.bad ? requests / 2 : requests;
  counters.counted_until = now;
}

void Exporter::Look() {
  kube::ApiRequest request;
  request.path = "/apis/apps/v1/deployments";
  request.timeout = 2s;
  auto list = member_.admin().Do(std::move(request), {});
  if (!list) return;  // what was seen last goes on
  std::map<std::string, bool> seen;
  for (value::Ref deployment : (*list)["items"].Items()) {
    const value::Ref pod = deployment.At("spec", "template");
    const std::string app = pod.At("metadata", "labels", "app").Text();
    if (app.empty()) continue;
    for (value::Ref container : pod.At("spec", "containers").Items()) {
      seen[app] |= container["image"].String().find("bad") != std::string_view::npos;
    }
  }
  MutexLock lock(mutex_);
  const TimePoint now = runtime_.Now();
  for (auto& [app, counters] : apps_) Count(counters, now);
  std::erase_if(apps_, [&](const auto& entry) { return !seen.contains(entry.first); });
  for (const auto& [app, bad] : seen) {
    apps_.try_emplace(app, Counters{0, 0, bad, now}).first->second.bad = bad;
  }
}

http::ServerResponse Exporter::Serve() {
  http::ServerResponse response;
  response.headers = {{"Content-Type", "text/plain; version=0.0.4"}};
  response.body = "# TYPE http_requests_total counter\n";
  MutexLock lock(mutex_);
  for (auto& [app, counters] : apps_) {
    Count(counters, runtime_.Now());
    response.body += fmt::format(
        "http_requests_total{{app=\"{0}\",code=\"200\"}} {1:.3f}\n"
        "http_requests_total{{app=\"{0}\",code=\"500\"}} {2:.3f}\n",
        app, counters.good, counters.failed);
  }
  return response;
}

Prometheus::Prometheus(Runtime& runtime, http::HttpClient& http, const std::string& directory,
                       const std::vector<std::unique_ptr<Exporter>>& exporters)
    : runtime_(runtime), http_(http) {
  const char* program = "/usr/bin/prometheus";
  if (access(program, X_OK) != 0) Skip("there is no /usr/bin/prometheus");
  std::filesystem::create_directories(directory);
  std::ofstream config(directory + "/prometheus.yml");
  config << "scrape_configs:\n";
  for (const auto& [job, interval] : {std::pair{"fast", "1s"}, std::pair{"slow", "5s"}}) {
    config << fmt::format(
        "- job_name: {0}\n  scrape_interval: {1}\n  scrape_timeout: {1}\n  static_configs:\n", job,
        interval);
    for (const auto& exporter : exporters) {
      config << fmt::format("  - targets: ['127.0.0.1:{}']\n    labels: {{cluster: {}}}\n",
                            exporter->port(), exporter->cluster());
    }
  }
  config.close();
  const int port = FreePort();
  url_ = fmt::format("http://127.0.0.1:{}", port);
  process_ = std::make_unique<Child>(
      ChildOptions{{program, "--config.file=" + directory + "/prometheus.yml",
                    "--storage.tsdb.path=" + directory + "/data",
                    fmt::format("--web.listen-address=127.0.0.1:{}", port), "--log.level=warn"},
                   directory + "/prometheus.log",
                   {}});
  for (const TimePoint deadline = runtime_.Now() + 60s; !Query("vector(1)");) {
    if (runtime_.Now() > deadline || !process_->Running()) FAIL(process_->LastOutput());
    runtime_.SleepFor(kPoll, {});
  }
}

std::optional<double> Prometheus::Query(const std::string& promql) {
  http::Request request;
  request.url = url_ + "/api/v1/query?query=" + PercentEncode(promql);
  request.deadline = runtime_.Now() + 2s;
  auto response = http::Do(runtime_, http_, std::move(request), {});
  if (!response) return std::nullopt;
  auto answer = operate::ParseQueryAnswer(response->status, response->body);
  if (!answer || answer->values.empty()) return std::nullopt;
  return answer->values[0];
}

Poller::Poller(Runtime& runtime, Prometheus& prometheus, std::string promql, double bound) {
  task_ = runtime.Spawn("poller", [&, promql = std::move(promql), bound](std::stop_token stop) {
    do {
      const WallTime asked = runtime.WallNow();
      auto value = prometheus.Query(promql);
      if (!value || !(*value >= bound)) continue;
      MutexLock lock(mutex_);
      breached_ = asked;
      return;
    } while (runtime.SleepFor(kPoll, stop));
  });
}

Poller::~Poller() { task_.reset(); }

std::optional<WallTime> Poller::Breached() const {
  MutexLock lock(mutex_);
  return breached_;
}

}  // namespace flotilla::e2e
