#include "surface/health_server.h"

#include "base/thread_runtime.h"
#include "catch.h"
#include "http/client.h"

namespace flotilla::surface {
namespace {

http::ServerResponse Ask(const HealthSources& sources, const std::string& target,
                         http::Method method = http::Method::kGet) {
  http::ServerRequest request;
  request.method = method;
  request.target = target;
  return AnswerHealth(sources, request);
}

TEST_CASE("the process is healthy from the start, and ready when its caches are filled") {
  bool ready = false;
  Metrics metrics;
  const HealthSources sources{[&] { return ready; }, {}, &metrics};
  CHECK(Ask(sources, "/healthz").status == 200);
  CHECK(Ask(sources, "/readyz").status == 503);
  ready = true;
  CHECK(Ask(sources, "/readyz?verbose").status == 200);
  CHECK(Ask(sources, "/nothing").status == 404);
  CHECK(Ask(sources, "/healthz", http::Method::kPost).status == 405);
}

TEST_CASE("gauges are brought up to date before a scrape") {
  Metrics metrics;
  auto gauge = metrics.AddGauge("flotilla_leader", "Whether.");
  const HealthSources sources{[] { return true; }, [&] { gauge->Set(1); }, &metrics};
  const http::ServerResponse answer = Ask(sources, "/metrics");
  CHECK(http::Find(answer.headers, "content-type") == Metrics::kContentType);
  CHECK_THAT(answer.body, Catch::Contains("flotilla_leader 1\n"));
}

TEST_CASE("health is served on the address that --listen names") {
  ThreadRuntime runtime(32);
  Metrics metrics;
  auto server = ServeHealth(runtime, "127.0.0.1:0", {[] { return true; }, {}, &metrics});
  REQUIRE(server);
  auto client = http::NewHttpClient(runtime);
  http::Request request;
  request.url = "http://127.0.0.1:" + std::to_string((*server)->port()) + "/healthz";
  request.deadline = runtime.Now() + 10s;
  auto answer = http::Do(runtime, *client, request, {});
  REQUIRE(answer);
  CHECK(answer->body == "ok\n");
}

TEST_CASE("an address that is none is refused by name") {
  ThreadRuntime runtime(8);
  Metrics metrics;
  for (const char* listen : {"", "8080", "host:", "host:99999", "host:80x"}) {
    INFO(listen);
    auto server = ServeHealth(runtime, listen, {[] { return true; }, {}, &metrics});
    REQUIRE_FALSE(server);
    CHECK_THAT(server.error().ToString(), Catch::Contains("--listen="));
  }
}

}  // namespace
}  // namespace flotilla::surface
