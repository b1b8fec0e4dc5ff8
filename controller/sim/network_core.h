// The inside of sim/network.h: what is on its way, and what happens when.
//
// One fiber runs every action at its time; handlers, which may wait, run on fibers of their own.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "http/http.h"
#include "http/server.h"
#include "sim/network.h"

namespace flotilla::http {
struct Url;
}

namespace flotilla::sim {

// How listeners and requests are matched: "https://hub:6443", without the scheme's own port.
std::string OriginOf(const http::Url& url);

// Seeded randomness of the network's own (SplitMix64).
struct Draws {
  uint64_t state;
  double Unit() {  // [0, 1)
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }
  bool Chance(double chance) { return chance > 0 && Unit() < chance; }
  Duration Between(Duration least, Duration most) {
    return least + Duration(static_cast<Duration::rep>(
                       Unit() * static_cast<double>((most - least).count())));
  }
};

inline tl::unexpected<Error> Broken(ErrorClass cls, Outcome outcome, std::string message) {
  Error error;
  error.cls = cls;
  error.outcome = outcome;
  error.message = std::move(message);
  return tl::unexpected(std::move(error));
}

class Network::Core : public std::enable_shared_from_this<Network::Core> {
 public:
  using Action = std::function<void()>;
  using Key = std::pair<TimePoint, uint64_t>;
  struct Exchange;
  struct Flowing;
  class Client;
  class Writer;
  class Reader;

  std::unique_ptr<http::HttpClient> NewClient(std::string name, const Incarnation* incarnation);
  std::shared_ptr<http::ResponseWriter> NewWriter(std::shared_ptr<Flowing> flowing);
  std::unique_ptr<http::Stream> NewReader(std::shared_ptr<Exchange> exchange,
                                          std::shared_ptr<Flowing> flowing);

  explicit Core(FiberRuntime& runtime)
      : runtime_(runtime), draws_{runtime.ForkSeed()}, changed_(runtime.NewEvent()) {}

  void Start() {
    fiber_ = runtime_.Spawn("network", [this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        changed_->Reset();
        while (!actions_.empty() && actions_.begin()->first.first <= runtime_.Now()) {
          const Action action = std::move(actions_.begin()->second);
          actions_.erase(actions_.begin());
          action();
        }
        changed_->Wait(actions_.empty() ? kForever : actions_.begin()->first.first, stop);
      }
    });
  }

  void Stop() {
    // What is being executed ends first, and may still need the network. The map is moved out since
    // fibers run, and may change it, while its tasks are joined.
    while (!handlers_.empty()) std::exchange(handlers_, {}).clear();
    stopped_ = true;
    fiber_.reset();
    actions_.clear();
  }
  bool stopped() const { return stopped_; }

  Key At(TimePoint time, Action action) {
    const Key key(time, ++order_);
    actions_.emplace(key, std::move(action));
    if (actions_.begin()->first == key) changed_->Set();
    return key;
  }
  void Drop(const Key& key) { actions_.erase(key); }

  const Link& LinkOf(const std::string& from, const std::string& origin) const {
    for (const auto& key :
         {std::pair(from, origin), std::pair(std::string(), origin), std::pair(from, std::string()),
          std::pair(std::string(), std::string())}) {
      const auto found = links_.find(key);
      if (found != links_.end()) return found->second;
    }
    static const Link kPerfect;
    return kPerfect;
  }

  Duration Latency(const Link& link) { return draws_.Between(link.latency_min, link.latency_max); }

  struct Fate {
    Fault fault = Fault::kNone;
    int status = 503;       // of kFail
    bool executed = false;  // although it answers `status`
    Duration delay{0};
  };
  Fate Decide(const Exchange& exchange);

  void Begin(const std::shared_ptr<Exchange>& exchange,
             const std::shared_ptr<http::ServerRequest>& request, const Fate& fate);
  void Arrive(const std::shared_ptr<Exchange>& exchange,
              const std::shared_ptr<http::ServerRequest>& request, const Fate& fate);
  void Execute(const std::shared_ptr<Exchange>& exchange,
               const std::shared_ptr<http::ServerRequest>& request, const Fate& fate);
  void Reply(const std::shared_ptr<Exchange>& exchange, http::ServerResponse response);
  void Deliver(const std::shared_ptr<Exchange>& exchange, http::ServerResponse response);
  void Finish(const std::shared_ptr<Exchange>& exchange, Result<http::ServerResponse> result);

  void Register(const std::shared_ptr<Flowing>& flowing);
  void Pump(const std::shared_ptr<Flowing>& flowing);
  void WatchIdle(const std::shared_ptr<Flowing>& flowing);
  void End(const std::shared_ptr<Flowing>& flowing, Status status);
  void CutStreams(const std::string& from, const std::string& origin);

  struct Listener {
    http::Handler handler;
    uint64_t generation;
  };
  struct Counts {
    uint64_t sent = 0, executed = 0;
  };

  FiberRuntime& runtime_;
  Draws draws_;
  Network::Intercept intercept_;
  std::map<std::string, Listener> listeners_;
  std::map<std::pair<std::string, std::string>, Link> links_;
  std::map<std::tuple<std::string, http::Method, std::string>, Counts> counts_;
  std::vector<std::weak_ptr<Flowing>> streams_;
  uint64_t generations_ = 0;

 private:
  const std::unique_ptr<Event> changed_;
  std::map<Key, Action> actions_;
  uint64_t order_ = 0;
  std::map<uint64_t, std::unique_ptr<Task>> handlers_;
  std::unique_ptr<Task> fiber_;
  bool stopped_ = false;  // servers may keep writers for longer than the network lives
};

// One request, from Send or Open to the head of its answer.
struct Network::Core::Exchange {
  std::string from, origin, path;
  http::Method method = http::Method::kGet;
  TimePoint deadline;
  uint64_t generation = 0;  // of the listener that executes it
  // Gets the whole answer or the head of a streamed one, once.
  std::function<void(Result<http::ServerResponse>)> on_head;
  bool done = false;
  std::optional<Key> timer;
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  std::optional<std::stop_callback<std::function<void()>>> on_crash;
};

// A body that flows from a handler's writer to a client.
struct Network::Core::Flowing {
  std::string from, origin;
  http::StreamEvents events;
  Duration idle{0};
  bool ended = false;    // on_done has been called, or the client is gone
  bool calling = false;  // one of its callbacks runs
  bool paused = false;
  bool finished = false;            // the writer is gone
  bool pumping = false;             // a retransmission is scheduled
  std::deque<std::string> pending;  // arrived, not yet taken
  size_t buffered = 0;              // bytes written and not yet taken
  TimePoint last_arrival;           // chunks keep their order
  TimePoint last_byte;
  std::optional<std::stop_callback<std::function<void()>>> on_crash;
};

}  // namespace flotilla::sim
