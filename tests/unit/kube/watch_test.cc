// Watches against a server that lists, streams, cuts and lies.
#include "kube/watch.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch.h"
#include "world.h"

namespace flotilla::kube {
namespace {

using http::ServerRequest;
using http::ServerResponse;

// Writes down what it hears.
struct Ears final : WatchHandler {
  void OnApply(value::Value object) override {
    heard += fmt::format("+{}@{} ", NameOf(object), ResourceVersionOf(object));
    last = std::move(object);
  }
  void OnDelete(const ObjectKey& key, value::Ref) override { heard += '-' + key.name + ' '; }
  void OnSynced() override { heard += "synced "; }
  void OnTrouble(const Error& error) override { troubles.push_back(error.ToString()); }
  std::string heard;
  value::Value last;
  std::vector<std::string> troubles;
};

std::string ObjectJson(std::string_view name, std::string_view version) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{}","namespace":"web",)"
      R"("uid":"u-{}","resourceVersion":"{}","managedFields":[{{"manager":"x"}}]}}}})",
      name, name, version);
}
std::string Event(std::string_view type, std::string_view name, std::string_view version) {
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, ObjectJson(name, version));
}

// Lists `objects` (name → version) at version 100; streams are kept open and written to by tests.
struct WatchWorld : World {
  WatchWorld() : client(runtime, *http, Anonymous()), pool(runtime, timers) {
    handler = [this](const ServerRequest& request) {
      if (World::Query(request, "watch") == "true") return OnWatch(request);
      ++lists;
      std::string items;
      for (const auto& [name, version] : objects) {
        items += (items.empty() ? "" : ",") + ObjectJson(name, version);
      }
      return Answer(200, fmt::format(R"({{"kind":"ConfigMapList","metadata":{{"resourceVersion":)"
                                     R"("{}"}},"items":[{}]}})",
                                     list_version, items));
    };
  }

  ServerResponse OnWatch(const ServerRequest& request) {
    ++watches;
    watched_from = World::Query(request, "resourceVersion");
    if (World::Query(request, "sendInitialEvents") == "true" && !watch_list) {
      return Answer(422, StatusBody(422, "Invalid", "sendInitialEvents is forbidden"));
    }
    if (refuse != 0) return Answer(std::exchange(refuse, 0), StatusBody(410, "Expired", "old"));
    ServerResponse response = Answer(200, "");
    response.stream = [this](std::shared_ptr<http::ResponseWriter> writer) {
      stream = std::move(writer);
    };
    return response;
  }

  std::unique_ptr<Watch> Start(WatchOptions options = {}) {
    options.resource = kConfigMaps;
    options.kind = "ConfigMap";
    return pool.Start(client, std::move(options), ears);
  }

  // Lets things happen until `heard` is what the handler has heard.
  void Expect(const std::string& heard) {
    const auto reached = runtime.RunUntil([&] { return ears.heard == heard; }, runtime.Now() + 40s);
    CHECK(ears.heard == heard);
    (void)reached;
    ears.heard.clear();
  }
  void Say(const std::string& text) { REQUIRE(stream->Write(text)); }

  std::map<std::string, std::string> objects{{"a", "1"}, {"b", "2"}};
  std::string list_version = "100";
  int lists = 0, watches = 0;
  int refuse = 0;
  bool watch_list = false;
  std::string watched_from;
  std::shared_ptr<http::ResponseWriter> stream;
  Client client;
  WatchPool pool;
  Ears ears;
};

TEST_CASE("a watch tells what exists, then what changes") {
  WatchWorld world;
  const auto watch = world.Start();
  world.Expect("+a@1 +b@2 synced ");
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  CHECK(world.watched_from == "100");
  world.Say(Event("ADDED", "c", "101") + Event("MODIFIED", "a", "102"));
  world.Expect("+c@101 +a@102 ");
  world.Say(Event("DELETED", "a", "103"));
  world.Expect("-a ");
  CHECK(watch->health().synced);
  CHECK(watch->health().error.empty());
}

TEST_CASE("events that arrive in pieces are put together") {
  WatchWorld world;
  const auto watch = world.Start();
  world.Expect("+a@1 +b@2 synced ");
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  const std::string event = Event("ADDED", "c", "101");
  for (const char byte : event.substr(0, event.size() - 1)) world.Say(std::string(1, byte));
  world.runtime.RunFor(1s);
  CHECK(world.ears.heard.empty());
  world.Say("\n" + Event("ADDED", "d", "102").substr(0, 20));
  world.Expect("+c@101 ");
  world.Say(Event("ADDED", "d", "102").substr(20));
  world.Expect("+d@102 ");
}

TEST_CASE("a watch can begin with the list, in one request") {
  WatchWorld world;
  world.watch_list = true;
  const auto watch = world.Start();
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  world.Say(Event("ADDED", "a", "1"));
  world.Say(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"100",)"
            R"("annotations":{"k8s.io/initial-events-end":"true"}}}})"
            "\n");
  world.Expect("+a@1 synced ");
  CHECK(world.lists == 0);
  CHECK(world.watches == 1);
}

TEST_CASE("a cut stream is watched again from the last version") {
  WatchWorld world;
  const auto watch = world.Start();
  world.Expect("+a@1 +b@2 synced ");
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  world.Say(Event("MODIFIED", "a", "150"));
  world.Expect("+a@150 ");
  world.stream.reset();
  world.network.CutStreams("", "");
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  CHECK(world.watched_from == "150");
  CHECK(world.lists == 1);
  world.Say(Event("MODIFIED", "a", "151"));
  world.Expect("+a@151 ");
}

TEST_CASE("an expired version is listed anew, and what is gone is told") {
  WatchWorld world;
  const auto watch = world.Start();
  world.Expect("+a@1 +b@2 synced ");
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  world.objects = {{"a", "1"}, {"c", "180"}};
  SECTION("said in the stream") {
    auto stream = std::exchange(world.stream, nullptr);
    stream->Write(R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})"
                  "\n");
    world.Expect("+c@180 -b synced ");
  }
  SECTION("said when it is opened") {
    world.refuse = 410;
    world.stream.reset();
    world.network.CutStreams("", "");
    world.Expect("+c@180 -b synced ");
  }
  CHECK(world.lists == 2);
}

TEST_CASE("what a watch says that is no event ends it, and it goes on from where it was") {
  WatchWorld world;
  const auto watch = world.Start();
  world.Expect("+a@1 +b@2 synced ");
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  auto stream = std::exchange(world.stream, nullptr);
  stream->Write("<html>\n" + Event("ADDED", "x", "7"));
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  CHECK(world.ears.heard.empty());
  CHECK(world.ears.troubles.size() == 2);  // sendInitialEvents was refused, too
  CHECK(world.watched_from == "100");
}

TEST_CASE("a server that is away is tried again, and its trouble is told") {
  WatchWorld world;
  sim::Link link;
  link.refuse = true;
  world.network.SetLink("", "", link);
  const auto watch = world.Start();
  world.runtime.RunFor(20s);
  CHECK(world.ears.troubles.size() >= 4);
  CHECK(world.ears.troubles.size() <= 8);
  CHECK_FALSE(watch->health().synced);
  CHECK_FALSE(watch->health().error.empty());
  world.network.SetLink("", "", {});
  world.Expect("+a@1 +b@2 synced ");
  world.runtime.RunFor(1s);
  CHECK(watch->health().error.empty());
}

TEST_CASE("a stream that goes silent for longer than it may last is given up") {
  WatchWorld world;
  const auto watch = world.Start();
  world.Expect("+a@1 +b@2 synced ");
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  const auto silent = std::exchange(world.stream, nullptr);
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; },
                                 world.runtime.Now() + 11min));
  CHECK(world.lists == 2);  // and what it should have said is looked for
  CHECK(world.ears.heard == "synced ");
}

TEST_CASE("managed fields are stripped on arrival, and another hook may strip more") {
  WatchWorld world;
  SECTION("by default") {
    const auto watch = world.Start();
    world.Expect("+a@1 +b@2 synced ");
    CHECK_FALSE(world.ears.last.At("metadata", "managedFields"));
    CHECK(GvkOf(world.ears.last) == GroupVersionKind{"", "v1", "ConfigMap"});
  }
  SECTION("by the consumer") {
    WatchOptions options;
    options.strip = [](value::Value object) {
      return value::Edited(std::move(object)).Set({"stripped"}, value::Value(true)).Done();
    };
    const auto watch = world.Start(std::move(options));
    world.Expect("+a@1 +b@2 synced ");
    CHECK(world.ears.last["stripped"].Bool());
  }
}

TEST_CASE("metadata-only objects say what they are metadata of") {
  WatchWorld world;
  WatchOptions options;
  options.metadata_only = true;
  const auto watch = world.Start(std::move(options));
  world.Expect("+a@1 +b@2 synced ");
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  world.Say(R"({"type":"MODIFIED","object":{"apiVersion":"meta.k8s.io/v1","kind":)"
            R"("PartialObjectMetadata","metadata":{"name":"a","namespace":"web","uid":"u-a",)"
            R"("resourceVersion":"9"}}})"
            "\n");
  world.Expect("+a@9 ");
  CHECK(GvkOf(world.ears.last) == GroupVersionKind{"", "v1", "ConfigMap"});
}

TEST_CASE("selectors and namespace are part of every list and watch") {
  WatchWorld world;
  WatchOptions options;
  options.ns = "web";
  options.label_selector = "app=front";
  options.field_selector = "metadata.name=a";
  const auto watch = world.Start(std::move(options));
  REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
  for (const ServerRequest& request : world.requests) {
    CHECK(World::Path(request) == "/api/v1/namespaces/web/configmaps");
    CHECK(World::Query(request, "labelSelector") == "app=front");
    CHECK(World::Query(request, "fieldSelector") == "metadata.name=a");
  }
}

TEST_CASE("nothing is heard after a watch is gone") {
  WatchWorld world;
  auto watch = world.Start();
  SECTION("while it lists") {}
  SECTION("while it watches") {
    REQUIRE(world.runtime.RunUntil([&] { return world.stream != nullptr; }, kForever));
    world.stream->Write(Event("ADDED", "c", "101"));
  }
  SECTION("while it waits") {
    world.network.Close(kServer);
    world.runtime.RunFor(5s);
  }
  watch.reset();
  world.ears.heard.clear();
  world.runtime.RunFor(60s);
  CHECK(world.ears.heard.empty());
}

TEST_CASE("hundreds of watches share one task") {
  WatchWorld world;
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 300; ++i) watches.push_back(world.Start());
  const auto synced = [&] {
    for (const auto& watch : watches) {
      if (!watch->health().synced) return false;
    }
    return true;
  };
  REQUIRE(world.runtime.RunUntil(synced, world.runtime.Now() + 60s));
  CHECK(world.lists == 300);
}

}  // namespace
}  // namespace flotilla::kube
