#include "kube/lease.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "catch.h"
#include "world.h"

namespace flotilla::kube {
namespace {

using http::Method;
using http::ServerRequest;
using http::ServerResponse;

LeaseOptions Named(std::string identity) {
  LeaseOptions options;
  options.ns = "flotilla-system";
  options.name = "flotilla";
  options.identity = std::move(identity);
  return options;
}

LeaseRecord HeldBy(std::string holder) {
  LeaseRecord record;
  record.holder = std::move(holder);
  record.duration = 5s;
  record.transitions = 3;
  record.resource_version = "7";
  return record;
}

constexpr TimePoint At(Duration since) { return TimePoint(since); }

// --- the decision ---

TEST_CASE("what a candidate does depends on who holds the lease and since when it saw it change") {
  const LeaseOptions me = Named("me");
  LeaseView view;
  CHECK(Decide(me, view, At(1s)) == LeaseMove::kCreate);
  Observe(view, HeldBy("other"), At(10s));
  CHECK(Decide(me, view, At(10s)) == LeaseMove::kWait);
  CHECK(Decide(me, view, At(14'999ms)) == LeaseMove::kWait);
  CHECK(Decide(me, view, At(15s)) == LeaseMove::kTake);
  Observe(view, HeldBy("other"), At(14s));  // unchanged: the clock runs on
  CHECK(Decide(me, view, At(15s)) == LeaseMove::kTake);
  LeaseRecord renewed = HeldBy("other");
  renewed.resource_version = "8";
  Observe(view, renewed, At(14s));
  CHECK(Decide(me, view, At(15s)) == LeaseMove::kWait);
  CHECK(Decide(me, view, At(19s)) == LeaseMove::kTake);
  Observe(view, HeldBy(""), At(20s));
  CHECK(Decide(me, view, At(20s)) == LeaseMove::kTake);
  Observe(view, HeldBy("me"), At(20s));
  CHECK(Decide(me, view, At(60s)) == LeaseMove::kRenew);
}

TEST_CASE("taking counts a transition, renewing keeps the time of acquisition") {
  const LeaseOptions me = Named("me");
  LeaseView view;
  Observe(view, HeldBy("other"), At(1s));
  const WallTime now = WallTime(1'800'000'000s);
  const LeaseRecord taken = NextRecord(me, view, LeaseMove::kTake, now);
  CHECK(taken.holder == "me");
  CHECK(taken.transitions == 4);
  CHECK(taken.acquired == now);
  CHECK(taken.resource_version == "7");
  Observe(view, taken, At(2s));
  const LeaseRecord renewed = NextRecord(me, view, LeaseMove::kRenew, now + 1s);
  CHECK(renewed.transitions == 4);
  CHECK(renewed.acquired == now);
  CHECK(renewed.renewed == now + 1s);
}

TEST_CASE("a Lease is written as Kubernetes wants it, and read back") {
  LeaseRecord record = HeldBy("me");
  record.uid = "u";
  record.acquired = record.renewed = WallTime(1'800'000'000s);
  const value::Value lease = ToLease(Named("me"), record);
  CHECK(lease.At("spec", "renewTime").String() == "2027-01-15T08:00:00.000000Z");
  CHECK(lease.At("spec", "leaseDurationSeconds").Int() == 5);
  CHECK(*ParseLease(lease) == record);
  CHECK_FALSE(ParseLease(*value::ParseJson("{}")));
}

TEST_CASE("times that contradict each other are refused") {
  LeaseOptions options = Named("me");
  CHECK(Check(options));
  options.renew = 5s;
  CHECK_FALSE(Check(options));
  options = Named("me");
  options.retry = 3500ms;
  CHECK_FALSE(Check(options));
  options = Named("me");
  options.lease = 5500ms;
  CHECK_FALSE(Check(options));
  CHECK_FALSE(Check(Named("")));
}

// --- the election ---

// A server that keeps one Lease with optimistic concurrency.
struct Hub : World {
  Hub() {
    handler = [this](const ServerRequest& request) { return OnRequest(request); };
  }

  ServerResponse OnRequest(const ServerRequest& request) {
    if (down) return Answer(503, "down");
    if (request.method == Method::kGet) {
      if (version == 0) return Answer(404, StatusBody(404, "NotFound", "leases not found"));
      return Answer(200, Stored());
    }
    const value::Value sent = *value::ParseJson(request.body);
    if (request.method == Method::kPost && version != 0) {
      return Answer(409, StatusBody(409, "AlreadyExists", "already exists"));
    }
    if (request.method == Method::kPut && ResourceVersionOf(sent) != std::to_string(version)) {
      return Answer(409, StatusBody(409, "Conflict", "the object has been modified"));
    }
    ++version;
    lease = sent;
    return Answer(request.method == Method::kPost ? 201 : 200, Stored());
  }
  std::string Stored() const {
    return value::ToJson(
        value::Edited(lease)
            .Set({"metadata", "resourceVersion"}, value::Value(std::to_string(version)))
            .Done());
  }
  std::string Holder() const { return lease.At("spec", "holderIdentity").Text(); }

  bool down = false;
  int version = 0;
  value::Value lease;
};

// A process that wants to lead.
struct Candidate {
  Candidate(Hub& world, const std::string& name)
      : hub(world),
        http(world.network.NewClient(name, nullptr)),
        client(world.runtime, *http, world.Anonymous(), {.connections = 1}),
        options(Named(name)) {
    events.on_elected = [this](LeaderToken granted) {
      token = std::make_unique<LeaderToken>(std::move(granted));
      elected_at = hub.runtime.Now();
    };
    events.on_lost = [this] { ++lost; };
    events.on_leader = [this](const std::string& identity) { leaders.push_back(identity); };
    task = world.runtime.Spawn(name, [this](std::stop_token stop) {
      end = RunElection(hub.runtime, client, options, events, stop);
      ended_at = hub.runtime.Now();
    });
  }
  bool Leads() const { return token && token->Valid(); }

  Hub& hub;
  std::unique_ptr<http::HttpClient> http;
  Client client;
  LeaseOptions options;
  LeaderEvents events;
  std::unique_ptr<LeaderToken> token;
  TimePoint elected_at{}, ended_at{};
  int lost = 0;
  std::vector<std::string> leaders;
  Status end;
  std::unique_ptr<Task> task;
};

TEST_CASE("the first candidate leads, the second waits and knows who leads") {
  Hub hub;
  Candidate one(hub, "one");
  hub.runtime.RunFor(500ms);
  Candidate two(hub, "two");
  hub.runtime.RunFor(60s);
  CHECK(one.Leads());
  CHECK_FALSE(two.token);
  CHECK(hub.Holder() == "one");
  CHECK(two.leaders == std::vector<std::string>{"one"});
}

TEST_CASE("a leader renews by a PUT alone") {
  Hub hub;
  Candidate one(hub, "one");
  hub.runtime.RunFor(1s);
  hub.requests.clear();
  hub.runtime.RunFor(10s);
  CHECK(hub.requests.size() >= 9);
  for (const ServerRequest& request : hub.requests) CHECK(request.method == Method::kPut);
}

TEST_CASE("a leader that is stopped releases the lease, and the next one leads at once") {
  Hub hub;
  Candidate one(hub, "one");
  hub.runtime.RunFor(1s);
  Candidate two(hub, "two");
  hub.runtime.RunFor(1s);
  const TimePoint stopped = hub.runtime.Now();
  one.task->RequestStop();
  one.task->Join();
  CHECK(one.end);
  CHECK(one.lost == 1);
  CHECK_FALSE(one.token->Valid());
  REQUIRE(hub.runtime.RunUntil([&] { return two.Leads(); }, stopped + 10s));
  CHECK(two.elected_at - stopped <= 1500ms);
  CHECK(hub.lease.At("spec", "leaseTransitions").Int() == 1);
}

TEST_CASE("a leader that cannot reach the hub stops leading before another may begin") {
  Hub hub;
  Candidate one(hub, "one");
  hub.runtime.RunFor(1s);
  Candidate two(hub, "two");
  hub.runtime.RunFor(3s);
  const TimePoint cut = hub.runtime.Now();
  sim::Link link;
  SECTION("refused") { link.refuse = true; }
  SECTION("in a black hole") { link.black_hole = true; }
  SECTION("with its answers lost") { link.drop_reply = 1; }
  hub.network.SetLink("one", "", link);
  REQUIRE(hub.runtime.RunUntil([&] { return one.task->Done(); }, cut + 20s));
  CHECK_FALSE(one.end);
  CHECK(one.lost == 1);
  CHECK(one.ended_at - cut <= 4s);
  CHECK_FALSE(two.Leads());
  REQUIRE(hub.runtime.RunUntil([&] { return two.Leads(); }, cut + 30s));
  CHECK(two.elected_at > one.ended_at);
  // Lease and two seconds, from the last renewal that the other saw.
  CHECK(two.elected_at - cut <= 11s);
}

TEST_CASE("two never lead at the same time, whatever the network does") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO(seed);
    Hub hub;
    sim::Link link;
    link.latency_max = 900ms;
    link.drop_reply = 0.1;
    link.drop_request = 0.1;
    link.delay = 0.1;
    link.delay_max = 6s;
    hub.network.SetLink("", "", link);
    std::vector<std::unique_ptr<Candidate>> candidates;
    int elections = 0;
    const auto start = [&](int i) {
      candidates[static_cast<size_t>(i)] = std::make_unique<Candidate>(hub, fmt::format("c{}", i));
    };
    candidates.resize(3);
    for (int i = 0; i < 3; ++i) start(i);
    for (int tick = 0; tick < 3000; ++tick) {
      hub.runtime.RunFor(100ms);
      int leading = 0;
      for (int i = 0; i < 3; ++i) {
        Candidate& candidate = *candidates[static_cast<size_t>(i)];
        leading += candidate.Leads();
        if (!candidate.task->Done()) continue;
        ++elections;
        start(i);
      }
      REQUIRE(leading <= 1);
    }
    CHECK(elections > 0);
  }
}

TEST_CASE("after the hub was away somebody leads again soon after its return") {
  Hub hub;
  Candidate one(hub, "one");
  hub.runtime.RunFor(2s);
  Candidate two(hub, "two");
  hub.runtime.RunFor(2s);
  hub.down = true;
  hub.runtime.RunFor(60s);
  CHECK_FALSE(one.Leads());
  CHECK_FALSE(two.Leads());
  hub.down = false;
  const TimePoint back = hub.runtime.Now();
  REQUIRE(hub.runtime.RunUntil([&] { return two.Leads(); }, back + 20s));
  CHECK(two.elected_at - back <= 6s);
}

TEST_CASE("a token ends by the clock, even where nobody gets to revoke it") {
  World world;
  auto term = std::make_shared<LeaderToken::Term>(world.runtime);
  term->until = (world.runtime.Now() + 4s).time_since_epoch().count();
  const LeaderToken token({}, term);
  CHECK(token.Valid());
  world.runtime.RunFor(4s);
  CHECK_FALSE(token.Valid());
  CHECK(LeaderToken::WithoutElection().Valid());
}

}  // namespace
}  // namespace flotilla::kube
