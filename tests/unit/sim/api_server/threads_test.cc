// The server under several threads at once; ThreadSanitizer runs this too.
#include <atomic>

#include "base/thread_runtime.h"
#include "server_fixture.h"

using namespace flotilla;
using namespace flotilla::sim;

TEST_CASE("requests of many threads give each watch all events in their order") {
  constexpr int kThreads = 4, kRounds = 50;
  ThreadRuntime runtime;
  ServerFixture api;
  Events events = api.Watch(std::string(kConfigMaps) + "?watch=1");
  std::atomic<uint64_t> audited{0};
  uint64_t last = 0;
  bool ordered = true;
  api.server.OnAudit([&](const AuditRecord& record) {
    ordered &= record.resource_version > last;
    last = record.resource_version;
    ++audited;
  });
  std::vector<std::unique_ptr<Task>> tasks;
  for (int thread = 0; thread < kThreads; ++thread) {
    tasks.push_back(runtime.Spawn("client", [&api, thread](std::stop_token) {
      for (int round = 0; round < kRounds; ++round) {
        std::string name = "c" + std::to_string(thread);
        http::ServerRequest request;
        request.method = http::Method::kPost;
        request.target = kConfigMaps;
        request.body = ConfigMap(name);
        api.server.Handle(request);
        request.method = http::Method::kDelete;
        request.target = std::string(kConfigMaps) + "/" + name;
        request.body.clear();
        api.server.Handle(request);
        api.server.Advance();
      }
    }));
  }
  for (auto& task : tasks) task->Join();
  tasks.clear();
  // The last writer may still have been handing out when another returned; nobody is any more.
  REQUIRE(events->events.size() == kThreads * kRounds * 2);
  uint64_t version = 0;
  for (const value::Value& event : events->events) {
    uint64_t next = std::stoull(event["object"]["metadata"]["resourceVersion"].Text());
    CHECK(next > version);
    version = next;
  }
  CHECK(audited == kThreads * kRounds * 2);
  CHECK(ordered);
}
