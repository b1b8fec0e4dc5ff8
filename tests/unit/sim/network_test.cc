#include "sim/network.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "catch.h"

namespace flotilla::sim {
namespace {

using http::Flow;
using http::Method;
using http::Response;
using http::ServerRequest;
using http::ServerResponse;

constexpr const char* kHub = "https://hub:6443";

ServerResponse Answer(int status, std::string body) {
  ServerResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

struct World {
  explicit World(uint64_t seed = 1) : runtime(Options(seed)), network(runtime) {
    network.Listen(kHub, [this](const ServerRequest& request) {
      executed.push_back(request.target);
      return Answer(200, "echo " + request.body);
    });
  }

  static FiberOptions Options(uint64_t seed) {
    FiberOptions options;
    options.seed = seed;
    return options;
  }

  http::Request Get(std::string path, Duration timeout = 10s) {
    http::Request request;
    request.url = kHub + path;
    request.deadline = runtime.Now() + timeout;
    return request;
  }

  FiberRuntime runtime;
  std::vector<std::string> executed;
  Network network;
};

Link With(double Link::*chance, double value = 1) {
  Link link;
  link.*chance = value;
  return link;
}

TEST_CASE("a request is executed by the handler of its origin and answered after two latencies") {
  World world;
  auto client = world.network.NewClient("a", nullptr);
  const TimePoint start = world.runtime.Now();
  http::Request request = world.Get("/x?y=1");
  request.method = Method::kPost;
  request.body = "hello";
  const auto response = http::Do(world.runtime, *client, request, {});
  REQUIRE(response);
  CHECK(response->status == 200);
  CHECK(response->body == "echo hello");
  CHECK(world.executed == std::vector<std::string>{"/x?y=1"});
  const Duration took = world.runtime.Now() - start;
  CHECK(took >= 400us);
  CHECK(took <= 4ms);
}

TEST_CASE("the default port is the origin without port") {
  World world;
  world.network.Listen("http://plain", [](const ServerRequest&) { return Answer(204, ""); });
  auto client = world.network.NewClient("a", nullptr);
  http::Request request = world.Get("/");
  request.url = "http://plain:80/";
  CHECK(http::Do(world.runtime, *client, request, {})->status == 204);
}

struct FaultCase {
  const char* name;
  Link link;
  ErrorClass cls;
  Outcome outcome;
  size_t executions;
  bool at_deadline;
};

TEST_CASE("each fault is what the sender would see, and executes what the server would") {
  Link refuse, black_hole;
  refuse.refuse = true;
  black_hole.black_hole = true;
  const FaultCase cases[] = {
      {"refuse", refuse, ErrorClass::kUnavailable, Outcome::kNotSent, 0, false},
      {"black hole", black_hole, ErrorClass::kTimeout, Outcome::kUnknown, 0, true},
      {"request lost", With(&Link::drop_request), ErrorClass::kTimeout, Outcome::kUnknown, 0, true},
      {"answer lost", With(&Link::drop_reply), ErrorClass::kTimeout, Outcome::kUnknown, 1, true},
      {"reset", With(&Link::reset_reply), ErrorClass::kUnavailable, Outcome::kUnknown, 1, false},
  };
  for (const FaultCase& c : cases) {
    INFO(c.name);
    World world;
    world.network.SetLink("a", kHub, c.link);
    auto client = world.network.NewClient("a", nullptr);
    const TimePoint start = world.runtime.Now();
    const auto response = http::Do(world.runtime, *client, world.Get("/"), {});
    REQUIRE_FALSE(response);
    CHECK(response.error().cls == c.cls);
    CHECK(response.error().outcome == c.outcome);
    CHECK(world.executed.size() == c.executions);
    CHECK((world.runtime.Now() - start == Duration(10s)) == c.at_deadline);
  }
}

TEST_CASE("a delayed request is executed long after its sender gave up") {
  World world;
  world.network.SetIntercept([](const Sent&) { return Network::Decision{Fault::kNone, 30s}; });
  auto client = world.network.NewClient("a", nullptr);
  const auto response = http::Do(world.runtime, *client, world.Get("/late", 5s), {});
  REQUIRE_FALSE(response);
  CHECK(response.error().cls == ErrorClass::kTimeout);
  CHECK(world.executed.empty());
  world.runtime.RunFor(26s);
  CHECK(world.executed == std::vector<std::string>{"/late"});
}

TEST_CASE("a duplicated request is executed twice and answered once") {
  World world;
  world.network.SetLink("", kHub, With(&Link::duplicate));
  auto client = world.network.NewClient("a", nullptr);
  CHECK(http::Do(world.runtime, *client, world.Get("/twice"), {}));
  world.runtime.RunFor(2s);
  CHECK(world.executed.size() == 2);
}

TEST_CASE("throttled and failed requests are answers, and not executed") {
  World world;
  auto client = world.network.NewClient("a", nullptr);
  world.network.SetLink("a", "", With(&Link::throttle));
  const auto throttled = http::Do(world.runtime, *client, world.Get("/"), {});
  REQUIRE(throttled);
  CHECK(throttled->status == 429);
  CHECK(http::Find(throttled->headers, "retry-after") == "1");
  CHECK(world.executed.empty());

  world.network.SetLink("a", "", With(&Link::fail));
  for (int i = 0; i < 50; ++i) {
    const size_t before = world.executed.size();
    const auto failed = http::Do(world.runtime, *client, world.Get("/"), {});
    REQUIRE(failed);
    CHECK(failed->status >= 500);
    // Only a gateway that gave up may have passed the request on.
    CHECK(world.executed.size() - before == (failed->status == 504 ? 1u : 0u));
  }
}

TEST_CASE("nobody listens: refused, not sent") {
  World world;
  world.network.Close(kHub);
  auto client = world.network.NewClient("a", nullptr);
  const auto response = http::Do(world.runtime, *client, world.Get("/"), {});
  REQUIRE_FALSE(response);
  CHECK(response.error().outcome == Outcome::kNotSent);
}

TEST_CASE("a server that goes away, or starts anew, while it executes breaks the connection") {
  for (const bool comes_back : {false, true}) {
    INFO(comes_back);
    World world;
    const auto slow = [&](const ServerRequest&) {
      world.runtime.SleepFor(1s, {});
      return Answer(200, "");
    };
    world.network.Listen(kHub, slow);
    auto client = world.network.NewClient("a", nullptr);
    auto closer = world.runtime.Spawn("closer", [&](std::stop_token stop) {
      world.runtime.SleepFor(500ms, stop);
      world.network.Close(kHub);
      if (comes_back) world.network.Listen(kHub, slow);
    });
    const auto response = http::Do(world.runtime, *client, world.Get("/"), {});
    REQUIRE_FALSE(response);
    CHECK(response.error().cls == ErrorClass::kUnavailable);
    CHECK(response.error().outcome == Outcome::kUnknown);
  }
}

TEST_CASE("a handler that waits keeps nobody else waiting") {
  World world;
  world.network.Listen(kHub, [&](const ServerRequest& request) {
    if (request.target == "/slow") world.runtime.SleepFor(5s, {});
    return Answer(200, "");
  });
  auto client = world.network.NewClient("a", nullptr);
  std::vector<std::string> order;
  for (std::string path : {"/slow", "/fast"}) {
    client->Send(world.Get(path), {}, [&order, path](Result<Response>) { order.push_back(path); });
  }
  world.runtime.RunFor(6s);
  CHECK(order == std::vector<std::string>{"/fast", "/slow"});
}

TEST_CASE("a stop cancels at once, and never calls back from inside Send") {
  World world;
  auto client = world.network.NewClient("a", nullptr);
  std::stop_source stop;
  std::vector<ErrorClass> results;
  const auto done = [&](Result<Response> result) {
    REQUIRE_FALSE(result);
    results.push_back(result.error().cls);
  };
  world.network.SetLink("", "", With(&Link::drop_request));
  client->Send(world.Get("/"), stop.get_token(), done);
  world.runtime.RunFor(1s);
  CHECK(results.empty());
  const TimePoint stopped = world.runtime.Now();
  stop.request_stop();
  CHECK(results.empty());
  world.runtime.RunFor(0s);
  CHECK(results.size() == 1);
  client->Send(world.Get("/"), stop.get_token(), done);
  CHECK(results.size() == 1);
  world.runtime.RunFor(0s);
  CHECK(results == std::vector<ErrorClass>(2, ErrorClass::kCancelled));
  CHECK(world.runtime.Now() == stopped);
}

TEST_CASE("a request without deadline is refused: every wait has one") {
  World world;
  auto client = world.network.NewClient("a", nullptr);
  http::Request request = world.Get("/");
  request.deadline = kForever;
  const auto response = http::Do(world.runtime, *client, request, {});
  REQUIRE_FALSE(response);
  CHECK(response.error().cls == ErrorClass::kInvalid);
}

TEST_CASE("after a crash what is on its way arrives, and nothing new leaves") {
  World world;
  auto life = world.runtime.NewIncarnation("controller");
  auto client = world.network.NewClient("a", life.get());
  std::vector<ErrorClass> results;
  auto task = life->Spawn("worker", [&](std::stop_token) {
    for (int i = 0; i < 2; ++i) {
      const auto response = http::Do(*life, *client, world.Get(fmt::format("/{}", i)), {});
      REQUIRE_FALSE(response);
      results.push_back(response.error().cls);
    }
  });
  world.runtime.RunFor(0s);
  life->Crash();
  task->Join();
  world.runtime.RunFor(10s);
  CHECK(results == std::vector<ErrorClass>(2, ErrorClass::kCancelled));
  CHECK(world.executed == std::vector<std::string>{"/0"});
}

TEST_CASE(
    "a crash calls back before the crashed code leaves the stack that the callback refers to") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    World world(seed);
    auto life = world.runtime.NewIncarnation("controller");
    auto client = world.network.NewClient("a", life.get());
    int left_too_early = 0;
    auto task = life->Spawn("worker", [&](std::stop_token) {
      for (int i = 0; i < 2; ++i) {  // the second time it is dead already
        int answers = 0;
        auto all = life->NewEvent();
        for (int k = 0; k < 3; ++k) {
          client->Send(world.Get("/"), {}, [&](Result<Response>) {
            if (++answers == 3) all->Set();
          });
        }
        all->Wait(kForever, {});
        if (answers != 3) ++left_too_early;
      }
    });
    world.runtime.RunFor(0s);
    life->Crash();
    task->Join();
    CHECK(left_too_early == 0);
  }
}

struct Tap {
  std::string data;
  int status = 0;
  std::optional<Status> end;
  Flow answer = Flow::kContinue;
  http::StreamEvents Events() {
    http::StreamEvents events;
    events.on_head = [this](const Response& head) { status = head.status; };
    events.on_data = [this](std::string_view chunk) {
      data += chunk;
      return answer;
    };
    events.on_done = [this](Status status_at_end) { end = std::move(status_at_end); };
    return events;
  }
};

// A hub whose every answer is a stream that the test writes.
struct StreamWorld : World {
  StreamWorld() {
    network.Listen(kHub, [this](const ServerRequest&) {
      ServerResponse response;
      response.stream = [this](std::shared_ptr<http::ResponseWriter> w) { writer = std::move(w); };
      return response;
    });
    client = network.NewClient("a", nullptr);
  }
  std::shared_ptr<http::ResponseWriter> writer;
  std::unique_ptr<http::HttpClient> client;
  Tap tap;
};

TEST_CASE("a stream brings what the writer writes, in order, and ends when the writer does") {
  StreamWorld world;
  auto stream = world.client->Open(world.Get("/watch"), 60s, world.tap.Events());
  world.runtime.RunFor(1s);
  REQUIRE(world.writer);
  CHECK(world.tap.status == 200);
  for (int i = 0; i < 9; ++i) CHECK(world.writer->Write(std::to_string(i)));
  CHECK(world.tap.data.empty());
  world.runtime.RunFor(1s);
  CHECK(world.tap.data == "012345678");
  CHECK_FALSE(world.tap.end);
  world.writer.reset();
  world.runtime.RunFor(1s);
  REQUIRE(world.tap.end);
  CHECK(*world.tap.end);
}

TEST_CASE("a paused stream buffers up to 1 MiB, and goes on when resumed") {
  StreamWorld world;
  world.tap.answer = Flow::kPause;
  auto stream = world.client->Open(world.Get("/watch"), 60s, world.tap.Events());
  world.runtime.RunFor(1s);
  CHECK(world.writer->Write("a"));
  CHECK(world.writer->Write("b"));
  world.runtime.RunFor(1s);
  CHECK(world.tap.data == "a");
  CHECK(world.writer->Write(std::string((1u << 20) - 1, 'x')));
  CHECK_FALSE(world.writer->Write("y"));
  world.runtime.RunFor(300s);  // silence that the reader asked for is none
  CHECK_FALSE(world.tap.end);
  world.tap.answer = Flow::kContinue;
  stream->Resume();
  world.runtime.RunFor(1s);
  CHECK(world.tap.data.size() == (1u << 20) + 1);
}

TEST_CASE("a silent stream ends after its idle time, not before") {
  StreamWorld world;
  auto stream = world.client->Open(world.Get("/watch"), 60s, world.tap.Events());
  world.runtime.RunFor(40s);
  CHECK(world.writer->Write("x"));
  world.runtime.RunFor(59s);
  CHECK_FALSE(world.tap.end);
  world.runtime.RunFor(2s);
  REQUIRE(world.tap.end);
  CHECK(world.tap.end->error().cls == ErrorClass::kTimeout);
  CHECK_FALSE(world.writer->Write("y"));
}

TEST_CASE("what a black hole swallowed of a stream comes when it ends") {
  StreamWorld world;
  auto stream = world.client->Open(world.Get("/watch"), 60s, world.tap.Events());
  world.runtime.RunFor(1s);
  Link black_hole;
  black_hole.black_hole = true;
  world.network.SetLink("a", kHub, black_hole);
  CHECK(world.writer->Write("late"));
  world.runtime.RunFor(5s);
  CHECK(world.tap.data.empty());
  world.network.SetLink("a", kHub, Link());
  world.runtime.RunFor(1s);
  CHECK(world.tap.data == "late");
}

TEST_CASE("streams are cut by the link, by the test, and by a server that closes") {
  for (int way = 0; way < 3; ++way) {
    INFO(way);
    StreamWorld world;
    auto stream = world.client->Open(world.Get("/watch"), 60s, world.tap.Events());
    world.runtime.RunFor(1s);
    if (way == 0) world.network.SetLink("a", kHub, With(&Link::cut_stream));
    if (way == 1) world.network.CutStreams("a", "");
    if (way == 2) world.network.Close(kHub);
    world.writer->Write("x");
    world.runtime.RunFor(1s);
    REQUIRE(world.tap.end);
    CHECK(world.tap.end->error().cls == ErrorClass::kUnavailable);
    CHECK(world.tap.data.empty());
  }
}

TEST_CASE("a destroyed stream calls nobody back, and its writer learns") {
  StreamWorld world;
  auto stream = world.client->Open(world.Get("/watch"), 60s, world.tap.Events());
  world.runtime.RunFor(1s);
  CHECK(world.writer->Write("x"));
  stream.reset();
  world.runtime.RunFor(100s);
  CHECK(world.tap.data.empty());
  CHECK_FALSE(world.tap.end);
  CHECK_FALSE(world.writer->Write("y"));
}

TEST_CASE("a stream may be destroyed by its own callback") {
  StreamWorld world;
  std::unique_ptr<http::Stream> stream;
  std::string data;
  http::StreamEvents events = world.tap.Events();
  events.on_data = [&stream, &data, kept = std::string("kept")](std::string_view chunk) {
    stream.reset();
    data = kept + std::string(chunk);
    return Flow::kContinue;
  };
  stream = world.client->Open(world.Get("/watch"), 60s, std::move(events));
  world.runtime.RunFor(1s);
  world.writer->Write("x");
  world.writer->Write("y");
  world.runtime.RunFor(1s);
  CHECK(data == "keptx");
}

TEST_CASE("a request that is answered by a stream gets the whole of it") {
  StreamWorld world;
  std::string body;
  world.client->Send(world.Get("/"), {}, [&](Result<Response> result) { body = result->body; });
  world.runtime.RunFor(1s);
  world.writer->Write("one ");
  world.writer->Write("two");
  world.writer.reset();
  world.runtime.RunFor(1s);
  CHECK(body == "one two");
}

TEST_CASE("an answer at once is a stream of one chunk") {
  World world;
  auto client = world.network.NewClient("a", nullptr);
  Tap tap;
  auto stream = client->Open(world.Get("/"), 60s, tap.Events());
  world.runtime.RunFor(1s);
  CHECK(tap.data == "echo ");
  REQUIRE(tap.end);
  CHECK(*tap.end);
}

TEST_CASE("requests are counted by origin, method and path") {
  World world;
  world.network.SetIntercept([](const Sent& sent) -> std::optional<Network::Decision> {
    if (sent.target == "/b/lost?x") return Network::Decision{Fault::kDropRequest, {}};
    return std::nullopt;
  });
  auto client = world.network.NewClient("a", nullptr);
  for (const char* path : {"/a/1", "/a/2", "/b/lost?x"}) {
    http::Do(world.runtime, *client, world.Get(path), {});
  }
  CHECK(world.network.CountSent() == 3);
  CHECK(world.network.CountExecuted() == 2);
  CHECK(world.network.CountSent(kHub, Method::kGet, "/a/*") == 2);
  CHECK(world.network.CountSent("https://other", Method::kGet) == 0);
  CHECK(world.network.CountSent(kHub, Method::kPatch) == 0);
  CHECK(world.network.CountSent({}, {}, "/*/lost") == 1);
  world.network.ResetCounts();
  CHECK(world.network.CountSent() == 0);
}

TEST_CASE("one seed gives one history of a lossy network, and other seeds others") {
  const auto run = [](uint64_t seed) {
    World world(seed);
    Link lossy;
    lossy.drop_reply = lossy.drop_request = lossy.throttle = lossy.fail = lossy.delay = 0.1;
    world.network.SetLink("", "", lossy);
    auto client = world.network.NewClient("a", nullptr);
    std::string history;
    for (int i = 0; i < 200; ++i) {
      client->Send(world.Get(fmt::format("/{}", i), 1s), {}, [&history, i](Result<Response> r) {
        history += fmt::format("{}:{} ", i, r ? r->status : -static_cast<int>(r.error().cls));
      });
    }
    world.runtime.RunFor(120s);
    return fmt::format("{}{}", history, world.runtime.ScheduleHash());
  };
  CHECK(run(1) == run(1));
  CHECK(run(1) != run(2));
}

}  // namespace
}  // namespace flotilla::sim
