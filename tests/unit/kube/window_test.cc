#include "kube/window.h"

#include <algorithm>
#include <string>
#include <vector>

#include "catch.h"
#include "world.h"

namespace flotilla::kube {
namespace {

using http::ServerRequest;
using A = Congestion::Answer;

constexpr TimePoint At(Duration since) { return TimePoint(since); }

// --- the rule ---

TEST_CASE("the limit grows by one for each window-full of good answers, up to its maximum") {
  Congestion window({.initial = 2, .min = 1, .max = 4});
  const auto good = [&](int count) {
    for (int i = 0; i < count; ++i) window.OnAnswer(A::kGood, At(1s), At(1s), 5ms, {});
    return window.limit();
  };
  CHECK(good(1) == 2);
  CHECK(good(1) == 3);
  CHECK(good(2) == 3);
  CHECK(good(1) == 4);
  CHECK(good(100) == 4);
}

TEST_CASE("a 429 halves the limit and pauses for as long as the server says") {
  Congestion window({.initial = 16, .min = 1, .max = 64});
  window.OnAnswer(A::kThrottled, At(1s), At(2s), 5ms, 7s);
  CHECK(window.limit() == 8);
  CHECK(window.paused_until() == At(9s));
  SECTION("a second at least where it says nothing") {
    window.OnAnswer(A::kThrottled, At(10s), At(10s), 5ms, {});
    CHECK(window.paused_until() == At(11s));
  }
  SECTION("the longest pause counts") {
    window.OnAnswer(A::kThrottled, At(2s), At(2s), 5ms, 1s);
    CHECK(window.paused_until() == At(9s));
  }
}

TEST_CASE("losses of requests that were under way together halve the limit once") {
  Congestion window({.initial = 16, .min = 1, .max = 64});
  for (int i = 0; i < 16; ++i) window.OnAnswer(A::kLost, At(1s), At(11s), 10s, {});
  CHECK(window.limit() == 8);
  window.OnAnswer(A::kLost, At(12s), At(22s), 10s, {});
  CHECK(window.limit() == 4);
}

TEST_CASE("the limit never falls below its minimum") {
  Congestion window({.initial = 16, .min = 2, .max = 64});
  for (int i = 1; i < 20; ++i) window.OnAnswer(A::kLost, At(i * 10s), At(i * 10s + 1s), 1s, {});
  CHECK(window.limit() == 2);
}

TEST_CASE("much slower answers stop growth, but never go below where the window began") {
  Congestion window({.initial = 4, .min = 1, .max = 64});
  for (int i = 0; i < 100; ++i) window.OnAnswer(A::kGood, At(1s), At(1s), 10ms, {});
  const int grown = window.limit();
  REQUIRE(grown > 8);
  for (int i = 0; i < 1000; ++i) {
    window.OnAnswer(A::kGood, At(2s + i * 1s), At(3s + i * 1s), 2s, {});
    if (window.limit() == 4) break;
  }
  CHECK(window.limit() == 4);
}

TEST_CASE("a rollback has 128 requests under way from the start") {
  CHECK(Congestion(RollbackWindow()).limit() == 128);
}

// --- the window ---

struct WindowWorld : World {
  explicit WindowWorld(WindowOptions options = {.initial = 2, .min = 1, .max = 2})
      : client(runtime, *http, Anonymous()), window(runtime, timers, client, options) {
    // Every answer takes 10 ms of the server's time.
    handler = [this](const ServerRequest& request) {
      most = std::max(most, ++inside);
      runtime.SleepFor(10ms, {});
      --inside;
      return answer(request);
    };
  }

  static std::vector<ApiRequest> Reads(int count) {
    std::vector<ApiRequest> requests;
    for (int i = 0; i < count; ++i) {
      requests.push_back(GetRequest(kConfigMaps, {"web", fmt::format("c{}", i)}));
    }
    return requests;
  }

  int inside = 0, most = 0;
  http::Handler answer = [](const ServerRequest& request) {
    return Answer(200, "\"" + Path(request) + "\"");
  };
  Client client;
  Window window;
};

TEST_CASE("a wave is answered in the order of its requests, never more than the limit at once") {
  WindowWorld world;
  const auto results = world.window.RunWave(WindowWorld::Reads(9), kForever, {});
  REQUIRE(results.size() == 9);
  for (int i = 0; i < 9; ++i) {
    REQUIRE(results[static_cast<size_t>(i)]);
    CHECK(results[static_cast<size_t>(i)]->body ==
          fmt::format("\"/api/v1/namespaces/web/configmaps/c{}\"", i));
  }
  CHECK(world.most == 2);
  CHECK(world.window.load().in_flight == 0);
  CHECK(world.window.RunWave({}, kForever, {}).empty());
}

TEST_CASE("a refusal is an answer of its own request and slows nobody") {
  WindowWorld world;
  world.answer = [](const ServerRequest& request) {
    return World::Path(request).ends_with("c1") ? Answer(422, StatusBody(422, "Invalid", "no"))
                                                : Answer(200, "{}");
  };
  const auto results = world.window.RunWave(WindowWorld::Reads(3), kForever, {});
  CHECK(results[0]);
  CHECK(ReasonOf(results[1].error()) == Reason::kInvalid);
  CHECK(results[2]);
  CHECK(world.window.load().limit == 2);
}

TEST_CASE("after a 429 nothing is sent before Retry-After, and then the same request first") {
  WindowWorld world({.initial = 1, .min = 1, .max = 1});
  bool throttled = false;
  TimePoint refused_at{};
  TimePoint again_at{};
  world.answer = [&](const ServerRequest&) {
    if (!throttled) {
      throttled = true;
      refused_at = world.runtime.Now();
      return Answer(429, "busy", {{"Retry-After", "3"}});
    }
    if (again_at == TimePoint()) again_at = world.runtime.Now() - 10ms;
    return Answer(200, "{}");
  };
  const auto results = world.window.RunWave(WindowWorld::Reads(3), kForever, {});
  for (const auto& result : results) CHECK(result);
  CHECK(again_at - refused_at >= 3s);
  REQUIRE(world.requests.size() == 4);
  CHECK(World::Path(world.requests[1]) == World::Path(world.requests[0]));
}

TEST_CASE("a 429 that would outlast the deadline is the answer") {
  WindowWorld world;
  world.answer = [](const ServerRequest&) { return Answer(429, "busy", {{"Retry-After", "30"}}); };
  const auto results = world.window.RunWave(WindowWorld::Reads(1), world.runtime.Now() + 5s, {});
  REQUIRE_FALSE(results[0]);
  CHECK(results[0].error().cls == ErrorClass::kThrottled);
  CHECK(world.requests.size() == 1);
}

TEST_CASE("a disruption budget is no sign of load") {
  WindowWorld world;
  world.answer = [](const ServerRequest&) {
    return Answer(
        429,
        R"({"kind":"Status","code":429,"details":{"causes":[{"reason":"DisruptionBudget"}]}})");
  };
  const auto results = world.window.RunWave(WindowWorld::Reads(1), kForever, {});
  CHECK(ReasonOf(results[0].error()) == Reason::kDisruptionBudget);
  CHECK(world.window.load().limit == 2);
}

TEST_CASE("what does not get its turn by the deadline fails, and was not sent") {
  WindowWorld world({.initial = 1, .min = 1, .max = 1});
  sim::Link link;
  link.black_hole = true;
  world.network.SetLink("", "", link);
  const TimePoint start = world.runtime.Now();
  const auto results = world.window.RunWave(WindowWorld::Reads(3), start + 4s, {});
  CHECK(world.runtime.Now() - start <= 4100ms);
  CHECK(results[0].error().cls == ErrorClass::kTimeout);
  CHECK(results[2].error().cls == ErrorClass::kTimeout);
  CHECK(results[2].error().outcome == Outcome::kNotSent);
}

TEST_CASE("a stop ends what waits and what is under way") {
  WindowWorld world({.initial = 1, .min = 1, .max = 1});
  sim::Link link;
  link.black_hole = true;
  world.network.SetLink("", "", link);
  std::stop_source stop;
  const TimePoint start = world.runtime.Now();
  world.timers.At(start + 1s, [&] { stop.request_stop(); });
  const auto results = world.window.RunWave(WindowWorld::Reads(3), kForever, stop.get_token());
  CHECK(world.runtime.Now() - start <= 1100ms);
  for (const auto& result : results) {
    REQUIRE_FALSE(result);
    CHECK(result.error().cls == ErrorClass::kCancelled);
  }
}

TEST_CASE("a wave that was stopped before it began sends nothing") {
  WindowWorld world;
  std::stop_source stop;
  stop.request_stop();
  const auto results = world.window.RunWave(WindowWorld::Reads(5), kForever, stop.get_token());
  for (const auto& result : results) CHECK(result.error().cls == ErrorClass::kCancelled);
  CHECK(world.requests.empty());
}

TEST_CASE("destroying a window answers everything") {
  World world;
  world.handler = [&](const ServerRequest&) {
    world.runtime.SleepFor(60s, {});
    return Answer(200, "{}");
  };
  Client client(world.runtime, *world.http, world.Anonymous());
  int cancelled = 0;
  {
    Window window(world.runtime, world.timers, client, {.initial = 1, .min = 1, .max = 1});
    for (int i = 0; i < 3; ++i) {
      window.Submit(GetRequest(kConfigMaps, {"web", "c"}), kForever, {},
                    [&](Result<ApiResponse> result) {
                      cancelled += !result && result.error().cls == ErrorClass::kCancelled;
                    });
    }
  }
  CHECK(cancelled == 3);
}

TEST_CASE("more than the queue holds is refused, not forgotten") {
  WindowWorld world({.initial = 1, .min = 1, .max = 1, .queue = 2});
  const auto results = world.window.RunWave(WindowWorld::Reads(5), kForever, {});
  const auto refused = std::count_if(results.begin(), results.end(), [](const auto& result) {
    return !result && result.error().cls == ErrorClass::kThrottled &&
           result.error().outcome == Outcome::kNotSent;
  });
  CHECK(refused == 2);
}

TEST_CASE("a rollback does not wait behind a full window") {
  int normal = 0;  // outlives the window, whose end answers what is left
  WindowWorld world({.initial = 1, .min = 1, .max = 1});
  Client own(world.runtime, *world.http, world.Anonymous(), {.connections = 128});
  Window rollback(world.runtime, world.timers, own, RollbackWindow());
  for (int i = 0; i < 1000; ++i) {
    world.window.Submit(GetRequest(kConfigMaps, {"web", "c"}), kForever, {},
                        [&](Result<ApiResponse>) { ++normal; });
  }
  const TimePoint start = world.runtime.Now();
  for (const auto& result : rollback.RunWave(WindowWorld::Reads(100), kForever, {})) CHECK(result);
  CHECK(world.runtime.Now() - start <= 50ms);
  CHECK(normal < 10);
}

}  // namespace
}  // namespace flotilla::kube
