// The same drivers on real threads: what ThreadSanitizer looks at. Nothing here measures time.
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_runtime.h"
#include "catch.h"
#include "kube/lease.h"
#include "kube/watch.h"
#include "kube/window.h"
#include "world.h"

namespace flotilla::kube {
namespace {

// An HttpClient with a thread of its own, as the real ones have. Unary requests are answered in
// turn, one in ten with 429; streams are fed events until they are closed.
class ThreadedHttp final : public http::HttpClient {
 public:
  explicit ThreadedHttp(Runtime& runtime)
      : runtime_(runtime),
        work_(runtime.NewEvent()),
        task_(runtime.Spawn("http", [this](std::stop_token stop) { Run(std::move(stop)); })) {}

  ~ThreadedHttp() override {
    task_->RequestStop();
    task_.reset();
  }

  void Send(http::Request request, std::stop_token stop, http::OnDone on_done) override {
    MutexLock lock(mutex_);
    queue_.push_back({std::move(request), std::move(stop), std::move(on_done)});
    work_->Set();
  }

  std::unique_ptr<http::Stream> Open(http::Request, Duration, http::StreamEvents events) override {
    MutexLock lock(mutex_);
    const int id = next_++;
    streams_[id] = std::make_shared<Feed>();
    streams_[id]->events = std::move(events);
    streams_[id]->idle = runtime_.NewEvent();
    streams_[id]->idle->Set();
    work_->Set();
    return std::make_unique<Handle>(*this, id);
  }

 private:
  struct Call {
    http::Request request;
    std::stop_token stop;
    http::OnDone on_done;
  };
  struct Feed {
    http::StreamEvents events;
    int said = 0;
    std::unique_ptr<Event> idle;  // set while no callback of it runs
  };
  class Handle final : public http::Stream {
   public:
    Handle(ThreadedHttp& client, int id) : client_(client), id_(id) {}
    ~Handle() override {
      std::shared_ptr<Feed> feed;
      {
        MutexLock lock(client_.mutex_);
        feed = client_.streams_[id_];
        client_.streams_.erase(id_);
      }
      feed->idle->Wait(kForever, {});
    }
    void Resume() override {}

   private:
    ThreadedHttp& client_;
    const int id_;
  };

  void Run(std::stop_token stop) {
    while (!stop.stop_requested()) {
      std::optional<Call> call;
      std::shared_ptr<Feed> feed;
      {
        MutexLock lock(mutex_);
        if (!queue_.empty()) {
          call = std::move(queue_.front());
          queue_.pop_front();
        }
        for (auto& [id, candidate] : streams_) {
          if (candidate->said < 20) feed = candidate;
        }
        if (feed) feed->idle->Reset();
        if (!call && !feed) work_->Reset();
      }
      if (call) Serve(*call);
      if (feed) {
        Say(*feed);
        feed->idle->Set();
      }
      if (!call && !feed) work_->Wait(kForever, stop);
    }
    for (Call& call : queue_) Serve(call);
  }

  void Serve(Call& call) {
    if (call.stop.stop_requested()) {
      call.on_done(Fail(ErrorClass::kCancelled, "stopped"));
      return;
    }
    http::Response response;
    response.status = ++served_ % 10 == 0 ? 429 : 200;
    if (call.request.url.find("leases") != std::string::npos) {
      response.status = call.request.method == http::Method::kGet && version_ == 0 ? 404 : 200;
      if (call.request.method != http::Method::kGet) {
        ++version_;
        lease_ = *value::ParseJson(call.request.body);
      }
      response.body = value::ToJson(
          value::Edited(lease_)
              .Set({"metadata", "resourceVersion"}, value::Value(std::to_string(version_)))
              .Done());
      if (response.status == 404) response.body = StatusBody(404, "NotFound", "leases not found");
    } else if (call.request.url.find("limit=") != std::string::npos) {
      response.status = 200;
      response.body = R"({"metadata":{"resourceVersion":"1"},"items":[]})";
    } else {
      response.body = "{}";
    }
    call.on_done(std::move(response));
  }

  void Say(Feed& feed) {
    http::Response head;
    head.status = 200;
    if (feed.said++ == 0) feed.events.on_head(head);
    feed.events.on_data(fmt::format(
        R"({{"type":"ADDED","object":{{"metadata":{{"name":"n{}","resourceVersion":"{}"}}}}}})"
        "\n",
        feed.said % 3, feed.said));
    if (feed.said == 20) feed.events.on_done({});
  }

  Runtime& runtime_;
  Mutex mutex_;
  std::deque<Call> queue_;
  std::map<int, std::shared_ptr<Feed>> streams_;
  int next_ = 1;
  int served_ = 0;  // the thread's own, as what follows
  int version_ = 0;
  value::Value lease_;
  const std::unique_ptr<Event> work_;
  std::unique_ptr<Task> task_;
};

struct Threads {
  Access Somewhere() const {
    Access access;
    access.base_url = kServer;
    access.credentials = FixedCredentials({{}, nullptr});
    return access;
  }
  ThreadRuntime runtime;
  Timers timers{runtime};
  ThreadedHttp http{runtime};
};

std::vector<ApiRequest> Reads(int count) {
  return std::vector<ApiRequest>(static_cast<size_t>(count), GetRequest(kConfigMaps, {"web", "c"}));
}

TEST_CASE("threads: waves of several tasks share a window") {
  Threads threads;
  Client client(threads.runtime, threads.http, threads.Somewhere());
  Window window(threads.runtime, threads.timers, client);
  std::atomic<int> good = 0;
  {
    std::vector<std::unique_ptr<Task>> tasks;
    for (int i = 0; i < 4; ++i) {
      tasks.push_back(threads.runtime.Spawn("wave", [&](std::stop_token stop) {
        for (const auto& result : window.RunWave(Reads(25), kForever, stop)) {
          good += result.has_value();
        }
      }));
    }
    for (const auto& task : tasks) task->Join();
  }
  CHECK(good == 100);
}

TEST_CASE("threads: stops and ends at any moment answer every request once") {
  Threads threads;
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> answered = 0;
    std::stop_source stop;
    std::unique_ptr<Task> stopper;
    {
      Client client(threads.runtime, threads.http, threads.Somewhere());
      Window window(threads.runtime, threads.timers, client, {.initial = 3, .min = 1, .max = 3});
      for (ApiRequest& read : Reads(30)) {
        window.Submit(std::move(read), threads.runtime.Now() + 1s, stop.get_token(),
                      [&](Result<ApiResponse>) { ++answered; });
      }
      stopper = threads.runtime.Spawn("stopper", [&](std::stop_token) { stop.request_stop(); });
    }
    stopper->Join();
    CHECK(answered == 30);
  }
}

struct Counting final : WatchHandler {
  explicit Counting(Runtime& runtime) : heard(runtime.NewEvent()) {}
  void OnApply(value::Value) override {
    ++applied;
    heard->Set();
  }
  void OnDelete(const ObjectKey&, value::Ref) override {}
  void OnSynced() override { ++synced; }
  std::atomic<int> applied = 0, synced = 0;
  const std::unique_ptr<Event> heard;
};

TEST_CASE("threads: watches come and go while events arrive") {
  Threads threads;
  Client client(threads.runtime, threads.http, threads.Somewhere());
  WatchPool pool(threads.runtime, threads.timers);
  Counting counting(threads.runtime);
  WatchOptions options;
  options.resource = kConfigMaps;
  options.kind = "ConfigMap";
  options.protocol.watch_list = false;
  for (int round = 0; round < 30; ++round) {
    std::vector<std::unique_ptr<Watch>> watches;
    for (int i = 0; i < 4; ++i) watches.push_back(pool.Start(client, options, counting));
    counting.heard->Wait(kForever, {});
    counting.heard->Reset();
    for (const auto& watch : watches) (void)watch->health();
  }
  CHECK(counting.applied >= 30);
  CHECK(counting.synced > 0);
}

TEST_CASE("threads: a leader is elected and lets go") {
  Threads threads;
  Client client(threads.runtime, threads.http, threads.Somewhere(), {.connections = 1});
  LeaseOptions options{.ns = "flotilla-system", .name = "flotilla", .identity = "me"};
  const auto elected = threads.runtime.NewEvent();
  std::atomic<bool> valid = false;
  std::unique_ptr<LeaderToken> token;
  LeaderEvents events;
  events.on_elected = [&](LeaderToken granted) {
    valid = granted.Valid();
    token = std::make_unique<LeaderToken>(std::move(granted));
    elected->Set();
  };
  Status end;
  auto task = threads.runtime.Spawn("election", [&](std::stop_token stop) {
    end = RunElection(threads.runtime, client, options, events, stop);
  });
  elected->Wait(kForever, {});
  CHECK(valid);
  task->RequestStop();
  task->Join();
  CHECK(end);
  CHECK_FALSE(token->Valid());
}

}  // namespace
}  // namespace flotilla::kube
