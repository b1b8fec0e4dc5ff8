#include "base/metrics.h"

#include <cmath>

#include "base/thread_runtime.h"
#include "catch.h"

namespace flotilla {
namespace {

TEST_CASE("series are exposed in the text format, in order") {
  Metrics metrics;
  metrics.AddGauge("z_temperature", "Of the room.")->Set(-0.5);
  metrics.AddCounter("a_requests_total", "Back\\slash and\nline.", {{"code", "500"}})->Increment(3);
  metrics.AddCounter("a_requests_total", "", {{"code", "200"}})->Increment();
  CHECK(metrics.Expose() ==
        "# HELP a_requests_total Back\\\\slash and\\nline.\n"
        "# TYPE a_requests_total counter\n"
        "a_requests_total{code=\"200\"} 1\n"
        "a_requests_total{code=\"500\"} 3\n"
        "# HELP z_temperature Of the room.\n"
        "# TYPE z_temperature gauge\n"
        "z_temperature -0.5\n");
}

TEST_CASE("label values are escaped, and their order does not matter") {
  Metrics metrics;
  auto first = metrics.AddCounter("c", "", {{"b", "2"}, {"a", "x\"\\\n"}});
  auto second = metrics.AddCounter("c", "", {{"a", "x\"\\\n"}, {"b", "2"}});
  CHECK(first == second);
  first->Increment();
  CHECK(metrics.Expose().find("c{a=\"x\\\"\\\\\\n\",b=\"2\"} 1\n") != std::string::npos);
}

TEST_CASE("a histogram's buckets are cumulative and end with +Inf") {
  Metrics metrics;
  auto histogram = metrics.AddHistogram("h", "H.", {{"k", "v"}}, {0.1, 1});
  for (double value : {0.05, 0.1, 0.5, 7.0}) histogram->Observe(value);
  CHECK(metrics.Expose() ==
        "# HELP h H.\n# TYPE h histogram\n"
        "h_bucket{k=\"v\",le=\"0.1\"} 2\n"
        "h_bucket{k=\"v\",le=\"1\"} 3\n"
        "h_bucket{k=\"v\",le=\"+Inf\"} 4\n"
        "h_sum{k=\"v\"} 7.65\n"
        "h_count{k=\"v\"} 4\n");
}

TEST_CASE("what is not a number is exposed as Prometheus spells it") {
  Metrics metrics;
  metrics.AddGauge("g", "", {{"v", "1"}})->Set(std::nan(""));
  metrics.AddGauge("g", "", {{"v", "2"}})->Set(HUGE_VAL);
  metrics.AddGauge("g", "", {{"v", "3"}})->Set(-HUGE_VAL);
  const std::string text = metrics.Expose();
  CHECK(text.find("{v=\"1\"} NaN\n") != std::string::npos);
  CHECK(text.find("{v=\"2\"} +Inf\n") != std::string::npos);
  CHECK(text.find("{v=\"3\"} -Inf\n") != std::string::npos);
}

TEST_CASE("removing a label's series leaves the others, and the handles alive") {
  Metrics metrics;
  auto gone = metrics.AddCounter("c", "", {{"cluster", "a"}});
  auto stays = metrics.AddCounter("c", "", {{"cluster", "b"}});
  metrics.Remove("cluster", "a");
  gone->Increment();
  CHECK(metrics.Expose().find("\"a\"") == std::string::npos);
  CHECK(metrics.Expose().find("c{cluster=\"b\"} 0\n") != std::string::npos);
  CHECK(metrics.AddCounter("c", "", {{"cluster", "a"}}) != gone);
}

TEST_CASE("increments from many threads are all counted") {
  ThreadRuntime runtime;
  Metrics metrics;
  {
    std::vector<std::unique_ptr<Task>> tasks;
    for (int i = 0; i < 4; ++i) {
      tasks.push_back(runtime.Spawn("count", [&](std::stop_token) {
        for (int k = 0; k < 1000; ++k) {
          metrics.AddCounter("c", "")->Increment();
          metrics.AddHistogram("h", "")->Observe(1);
          metrics.AddGauge("g", "")->Add(0.5);
          if (k % 100 == 0) metrics.Expose();
        }
      }));
    }
    for (auto& task : tasks) task->Join();
  }
  CHECK(metrics.AddCounter("c", "")->value() == 4000);
  CHECK(metrics.AddHistogram("h", "")->sum() == 4000);
  CHECK(metrics.AddGauge("g", "")->value() == 2000);
}

}  // namespace
}  // namespace flotilla
