#include "sim/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "http/check.h"
#include "http/url.h"

namespace flotilla::sim {
namespace {

using http::Flow;
using http::Response;

// How long a stream's chunk waits before it is tried again on a black-holed link.
constexpr Duration kRetransmit = 200ms;
// What a stream may hold that its reader has not taken (http/server.h).
constexpr size_t kStreamBuffer = 1u << 20;

std::string Origin(const http::Url& url) {
  return fmt::format("{}://{}", url.tls ? "https" : "http", http::Authority(url));
}

std::string ParseOrigin(std::string_view text) {
  if (text.empty()) return "";
  const Result<http::Url> url = http::ParseUrl(text);
  if (!url) {
    std::fprintf(stderr, "flotilla: not an origin: %s\n", url.error().ToString().c_str());
    std::abort();
  }
  return Origin(*url);
}

Error MakeError(ErrorClass cls, Outcome outcome, std::string message) {
  Error error;
  error.cls = cls;
  error.outcome = outcome;
  error.message = std::move(message);
  return error;
}

// '*' is any text.
bool Matches(std::string_view glob, std::string_view text) {
  size_t star = std::string_view::npos, after_star = 0, g = 0, t = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      after_star = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++g;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++after_star;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == std::string_view::npos;
}

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

}  // namespace

// ---- What happens when: one fiber runs every action of the network at its time.

class Network::Core : public std::enable_shared_from_this<Network::Core> {
 public:
  using Action = std::function<void()>;
  using Key = std::pair<TimePoint, uint64_t>;
  struct Exchange;
  struct Flowing;
  class Client;
  class Writer;
  class Reader;

  explicit Core(FiberRuntime& runtime)
      : runtime_(runtime), draws_{runtime.ForkSeed()}, changed_(runtime.NewEvent()) {}

  void Start() {
    fiber_ = runtime_.Spawn("network", [this](std::stop_token stop) {
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
              const std::shared_ptr<http::ServerRequest>& request, const Fate& fate, bool again);
  void Execute(const std::shared_ptr<Exchange>& exchange,
               const std::shared_ptr<http::ServerRequest>& request, const Fate& fate, bool again);
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

Network::Core::Fate Network::Core::Decide(const Exchange& exchange) {
  const Link& link = LinkOf(exchange.from, exchange.origin);
  Fate fate;
  if (link.refuse) {
    fate.fault = Fault::kRefuse;
  } else if (link.black_hole || draws_.Chance(link.drop_request)) {
    fate.fault = Fault::kDropRequest;
  } else if (draws_.Chance(link.drop_reply)) {
    fate.fault = Fault::kDropReply;
  } else if (draws_.Chance(link.reset_reply)) {
    fate.fault = Fault::kResetReply;
  } else if (draws_.Chance(link.duplicate)) {
    fate.fault = Fault::kDuplicate;
  } else if (draws_.Chance(link.throttle)) {
    fate.fault = Fault::kThrottle;
  } else if (draws_.Chance(link.fail)) {
    static constexpr std::array kStatus = {500, 502, 503, 504};
    fate.fault = Fault::kFail;
    fate.status = kStatus[static_cast<size_t>(draws_.Unit() * kStatus.size())];
    fate.executed = fate.status == 504;
  }
  if (draws_.Chance(link.delay)) fate.delay = draws_.Between(Duration(0), link.delay_max);
  return fate;
}

void Network::Core::Begin(const std::shared_ptr<Exchange>& exchange,
                          const std::shared_ptr<http::ServerRequest>& request, const Fate& fate) {
  exchange->timer = At(exchange->deadline, [this, exchange] {
    exchange->timer.reset();
    Finish(exchange, tl::unexpected(MakeError(ErrorClass::kTimeout, Outcome::kUnknown,
                                              "no answer before the deadline")));
  });
  if (fate.fault == Fault::kDropRequest) return;
  const TimePoint arrival =
      runtime_.Now() + Latency(LinkOf(exchange->from, exchange->origin)) + fate.delay;
  At(arrival, [this, exchange, request, fate] { Arrive(exchange, request, fate, false); });
  if (fate.fault == Fault::kDuplicate) {
    At(arrival + draws_.Between(0us, 1s),
       [this, exchange, request, fate] { Arrive(exchange, request, fate, true); });
  }
}

// Runs at the server, or where it would be. The sender may have given up long ago.
void Network::Core::Arrive(const std::shared_ptr<Exchange>& exchange,
                           const std::shared_ptr<http::ServerRequest>& request, const Fate& fate,
                           bool again) {
  const auto listener = listeners_.find(exchange->origin);
  if (fate.fault == Fault::kRefuse || listener == listeners_.end()) {
    const std::string message = "connection refused by " + exchange->origin;
    At(runtime_.Now() + Latency(LinkOf(exchange->from, exchange->origin)),
       [this, exchange, message] {
         Finish(exchange,
                tl::unexpected(MakeError(ErrorClass::kUnavailable, Outcome::kNotSent, message)));
       });
    return;
  }
  exchange->generation = listener->second.generation;
  if (fate.fault == Fault::kThrottle) {
    return Reply(exchange,
                 {.status = 429, .headers = {{"Retry-After", "1"}}, .body = "", .stream = {}});
  }
  if (fate.fault == Fault::kFail && !fate.executed) {
    return Reply(exchange, {.status = fate.status, .headers = {}, .body = "", .stream = {}});
  }
  Execute(exchange, request, fate, again);
}

// A handler may wait: it gets a fiber of its own.
void Network::Core::Execute(const std::shared_ptr<Exchange>& exchange,
                            const std::shared_ptr<http::ServerRequest>& request, const Fate& fate,
                            bool again) {
  ++counts_[{exchange->origin, exchange->method, exchange->path}].executed;
  const uint64_t id = ++order_;
  handlers_[id] = runtime_.Spawn(
      exchange->origin, [this, exchange, request, fate, again, id,
                         handler = listeners_.at(exchange->origin).handler](std::stop_token) {
        runtime_.Note(
            fmt::format("executes {} {}", http::ToString(request->method), request->target));
        http::ServerResponse response = handler(*request);
        At(runtime_.Now(), [this, id] { handlers_.erase(id); });
        if (again || fate.fault == Fault::kDropReply) return;
        if (fate.fault == Fault::kResetReply) {
          return Reply(exchange, {.status = 0, .headers = {}, .body = "", .stream = {}});
        }
        if (fate.executed) {
          response = {.status = fate.status, .headers = {}, .body = "", .stream = {}};
        }
        Reply(exchange, std::move(response));
      });
}

// Sends the answer on its way back. Status 0 stands for a broken connection.
void Network::Core::Reply(const std::shared_ptr<Exchange>& exchange,
                          http::ServerResponse response) {
  const TimePoint arrival = runtime_.Now() + Latency(LinkOf(exchange->from, exchange->origin));
  auto shared = std::make_shared<http::ServerResponse>(std::move(response));
  At(arrival, [this, exchange, shared] { Deliver(exchange, std::move(*shared)); });
}

void Network::Core::Deliver(const std::shared_ptr<Exchange>& exchange,
                            http::ServerResponse response) {
  if (LinkOf(exchange->from, exchange->origin).black_hole) return;
  const auto listener = listeners_.find(exchange->origin);
  const bool closed =
      listener == listeners_.end() || listener->second.generation != exchange->generation;
  if (response.status == 0 || closed) {
    return Finish(exchange, tl::unexpected(MakeError(ErrorClass::kUnavailable, Outcome::kUnknown,
                                                     "connection reset by " + exchange->origin)));
  }
  Finish(exchange, std::move(response));
}

void Network::Core::Finish(const std::shared_ptr<Exchange>& exchange,
                           Result<http::ServerResponse> result) {
  if (exchange->done) return;
  exchange->done = true;
  if (exchange->timer) Drop(*exchange->timer);
  exchange->on_stop.reset();
  exchange->on_crash.reset();
  const auto on_head = std::move(exchange->on_head);
  on_head(std::move(result));
}

// ---- Streams

// The server's end. Its chunks arrive after a latency each, in order.
class Network::Core::Writer final : public http::ResponseWriter {
 public:
  Writer(std::shared_ptr<Core> core, std::shared_ptr<Flowing> flowing)
      : core_(std::move(core)), flowing_(std::move(flowing)) {}

  ~Writer() override {
    Send([core = core_.get(), flowing = flowing_] {
      flowing->finished = true;
      core->Pump(flowing);
    });
  }

  bool Write(std::string_view data) override {
    if (core_->stopped() || flowing_->ended || flowing_->buffered + data.size() > kStreamBuffer)
      return false;
    if (data.empty()) return true;
    flowing_->buffered += data.size();
    Send([core = core_.get(), flowing = flowing_, chunk = std::string(data)]() mutable {
      flowing->pending.push_back(std::move(chunk));
      core->Pump(flowing);
    });
    return true;
  }

 private:
  void Send(Action action) {
    if (core_->stopped()) return;
    Flowing& flowing = *flowing_;
    const Link& link = core_->LinkOf(flowing.from, flowing.origin);
    flowing.last_arrival =
        std::max(flowing.last_arrival, core_->runtime_.Now() + core_->Latency(link));
    core_->At(flowing.last_arrival, std::move(action));
  }

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<Flowing> flowing_;
};

// The client's end.
class Network::Core::Reader final : public http::Stream {
 public:
  Reader(std::shared_ptr<Core> core, std::shared_ptr<Exchange> exchange,
         std::shared_ptr<Flowing> flowing)
      : core_(std::move(core)), exchange_(std::move(exchange)), flowing_(std::move(flowing)) {}

  ~Reader() override {
    exchange_->done = true;
    if (exchange_->timer) core_->Drop(*exchange_->timer);
    exchange_->on_crash.reset();
    exchange_->on_head = nullptr;
    flowing_->ended = true;
    flowing_->on_crash.reset();
    // A callback that destroys its own stream must not lose what it runs from.
    if (!flowing_->calling) flowing_->events = {};
  }

  void Resume() override {
    core_->At(core_->runtime_.Now(), [core = core_.get(), flowing = flowing_] {
      flowing->paused = false;
      flowing->last_byte = core->runtime_.Now();
      core->Pump(flowing);
    });
  }

 private:
  const std::shared_ptr<Core> core_;
  const std::shared_ptr<Exchange> exchange_;
  const std::shared_ptr<Flowing> flowing_;
};

void Network::Core::Register(const std::shared_ptr<Flowing>& flowing) {
  std::erase_if(streams_, [](const std::weak_ptr<Flowing>& stream) {
    const auto alive = stream.lock();
    return !alive || alive->ended;
  });
  streams_.push_back(flowing);
  flowing->last_byte = runtime_.Now();
  WatchIdle(flowing);
}

// Hands over what has arrived, as far as the reader and the link take it.
void Network::Core::Pump(const std::shared_ptr<Flowing>& flowing) {
  while (!flowing->ended && !flowing->paused && !flowing->pending.empty()) {
    const Link& link = LinkOf(flowing->from, flowing->origin);
    if (link.black_hole) {
      if (std::exchange(flowing->pumping, true)) return;
      At(runtime_.Now() + kRetransmit, [this, flowing] {
        flowing->pumping = false;
        Pump(flowing);
      });
      return;
    }
    if (draws_.Chance(link.cut_stream)) {
      return End(flowing, tl::unexpected(MakeError(ErrorClass::kUnavailable, Outcome::kUnknown,
                                                   "stream cut by " + flowing->origin)));
    }
    const std::string chunk = std::move(flowing->pending.front());
    flowing->pending.pop_front();
    flowing->buffered -= chunk.size();
    flowing->last_byte = runtime_.Now();
    flowing->calling = true;
    if (flowing->events.on_data(chunk) == Flow::kPause) flowing->paused = true;
    flowing->calling = false;
    if (flowing->ended) flowing->events = {};
  }
  if (!flowing->ended && flowing->finished && flowing->pending.empty()) End(flowing, {});
}

void Network::Core::WatchIdle(const std::shared_ptr<Flowing>& flowing) {
  const TimePoint limit = flowing->last_byte + flowing->idle;
  At(limit, [this, weak = std::weak_ptr<Flowing>(flowing)] {
    const auto stream = weak.lock();
    if (!stream || stream->ended) return;
    if (stream->paused) stream->last_byte = runtime_.Now();  // silence that the reader asked for
    if (runtime_.Now() - stream->last_byte >= stream->idle) {
      return End(stream, tl::unexpected(MakeError(ErrorClass::kTimeout, Outcome::kUnknown,
                                                  "stream of " + stream->origin + " is silent")));
    }
    WatchIdle(stream);
  });
}

void Network::Core::End(const std::shared_ptr<Flowing>& flowing, Status status) {
  if (flowing->ended) return;
  flowing->ended = true;
  flowing->on_crash.reset();
  flowing->pending.clear();
  const auto on_done = std::move(flowing->events.on_done);
  if (!flowing->calling) flowing->events = {};
  if (on_done) on_done(std::move(status));
}

void Network::Core::CutStreams(const std::string& from, const std::string& origin) {
  for (const std::weak_ptr<Flowing>& weak : streams_) {
    const auto stream = weak.lock();
    if (!stream || (!from.empty() && stream->from != from) ||
        (!origin.empty() && stream->origin != origin)) {
      continue;
    }
    At(runtime_.Now(), [this, stream] {
      End(stream, tl::unexpected(MakeError(ErrorClass::kUnavailable, Outcome::kUnknown,
                                           "stream cut by " + stream->origin)));
    });
  }
}

// ---- Clients

class Network::Core::Client final : public http::HttpClient {
 public:
  Client(std::shared_ptr<Core> core, std::string name, const Incarnation* incarnation)
      : core_(std::move(core)), name_(std::move(name)) {
    if (incarnation) life_ = incarnation->Life();
  }

  ~Client() override {
    for (const auto& weak : sent_) {
      if (const auto exchange = weak.lock()) {
        core_->Finish(exchange, tl::unexpected(MakeError(ErrorClass::kCancelled, Outcome::kUnknown,
                                                         "the client is destroyed")));
      }
    }
  }

  void Send(http::Request request, std::stop_token stop, http::OnDone on_done) override {
    auto exchange = std::make_shared<Exchange>();
    exchange->on_head = [core = core_.get(), from = name_, done = std::move(on_done),
                         weak = std::weak_ptr<Exchange>(exchange),
                         life = life_](Result<http::ServerResponse> head) {
      if (!head) return done(tl::unexpected(std::move(head.error())));
      Response response{head->status, std::move(head->headers), std::move(head->body)};
      if (!head->stream) return done(std::move(response));
      Collect(core, from, weak.lock()->origin, std::move(response), std::move(head->stream), done);
    };
    if (sent_.size() >= sweep_at_) {
      std::erase_if(sent_, [](const auto& weak) { return weak.expired(); });
      sweep_at_ = std::max<size_t>(2 * sent_.size(), 64);
    }
    sent_.push_back(exchange);
    if (stop.stop_possible()) Watch(exchange, exchange->on_stop, stop, "the caller gave up");
    Launch(std::move(request), exchange, stop.stop_requested());
  }

  std::unique_ptr<http::Stream> Open(http::Request request, Duration idle,
                                     http::StreamEvents events) override {
    auto exchange = std::make_shared<Exchange>();
    auto flowing = std::make_shared<Flowing>();
    flowing->from = name_;
    flowing->events = std::move(events);
    flowing->idle = idle;
    exchange->on_head = [core = core_, flowing, weak = std::weak_ptr<Exchange>(exchange),
                         life = life_](Result<http::ServerResponse> head) {
      if (!head) return core->End(flowing, tl::unexpected(std::move(head.error())));
      flowing->origin = weak.lock()->origin;
      core->Register(flowing);
      if (life.stop_possible()) {
        flowing->on_crash.emplace(life, [core = core.get(),
                                         flowing = std::weak_ptr<Flowing>(flowing)] {
          core->At(core->runtime_.Now(), [core, flowing] {
            if (const auto stream = flowing.lock()) {
              core->End(stream, tl::unexpected(MakeError(ErrorClass::kCancelled, Outcome::kUnknown,
                                                         "the process has ended")));
            }
          });
        });
      }
      flowing->calling = true;
      flowing->events.on_head({head->status, std::move(head->headers), ""});
      flowing->calling = false;
      if (flowing->ended) {
        flowing->events = {};
        return;
      }
      auto writer = std::make_shared<Writer>(core, flowing);
      if (head->stream) return head->stream(std::move(writer));
      if (!head->body.empty()) {
        flowing->buffered += head->body.size();
        flowing->pending.push_back(std::move(head->body));
        core->Pump(flowing);
      }
    };
    Launch(std::move(request), exchange, false);
    return std::make_unique<Reader>(core_, std::move(exchange), std::move(flowing));
  }

 private:
  // A streamed answer to a request that wants a whole one.
  static void Collect(Core* core, const std::string& from, const std::string& origin,
                      Response response,
                      const std::function<void(std::shared_ptr<http::ResponseWriter>)>& stream,
                      const http::OnDone& done) {
    auto flowing = std::make_shared<Flowing>();
    auto whole = std::make_shared<Response>(std::move(response));
    flowing->from = from;
    flowing->origin = origin;
    flowing->idle = 30s;
    flowing->events.on_data = [whole](std::string_view data) {
      whole->body += data;
      return Flow::kContinue;
    };
    flowing->events.on_done = [whole, done](Status end) {
      if (!end) return done(tl::unexpected(std::move(end.error())));
      done(std::move(*whole));
    };
    core->Register(flowing);
    stream(std::make_shared<Writer>(core->shared_from_this(), flowing));
  }

  void Watch(const std::shared_ptr<Exchange>& exchange,
             std::optional<std::stop_callback<std::function<void()>>>& callback,
             const std::stop_token& token, const char* why) {
    callback.emplace(token, [core = core_.get(), weak = std::weak_ptr<Exchange>(exchange), why] {
      core->At(core->runtime_.Now(), [core, weak, why] {
        if (const auto alive = weak.lock()) {
          core->Finish(alive,
                       tl::unexpected(MakeError(ErrorClass::kCancelled, Outcome::kUnknown, why)));
        }
      });
    });
  }

  void Refuse(const std::shared_ptr<Exchange>& exchange, Error error) {
    error.outcome = Outcome::kNotSent;
    core_->At(core_->runtime_.Now(), [core = core_.get(), exchange, error = std::move(error)] {
      core->Finish(exchange, tl::unexpected(error));
    });
  }

  void Launch(http::Request request, const std::shared_ptr<Exchange>& exchange, bool stopped) {
    const Result<http::Url> url = http::CheckRequest(request);
    if (life_.stop_requested() || stopped) {
      return Refuse(exchange, MakeError(ErrorClass::kCancelled, Outcome::kNotSent,
                                        stopped ? "the caller gave up" : "the process has ended"));
    }
    if (!url) return Refuse(exchange, url.error());
    if (request.deadline == kForever) {
      return Refuse(exchange, MakeError(ErrorClass::kInvalid, Outcome::kNotSent,
                                        http::Name(request) + " has no deadline"));
    }
    if (request.deadline <= core_->runtime_.Now()) {
      return Refuse(exchange, MakeError(ErrorClass::kTimeout, Outcome::kNotSent,
                                        "the deadline had passed before it was sent"));
    }
    if (life_.stop_possible()) Watch(exchange, exchange->on_crash, life_, "the process has ended");
    exchange->from = name_;
    exchange->origin = Origin(*url);
    exchange->path = url->path;
    exchange->method = request.method;
    exchange->deadline = request.deadline;
    auto served = std::make_shared<http::ServerRequest>();
    served->method = request.method;
    served->target = url->path + (url->query.empty() ? "" : "?" + url->query);
    served->headers = std::move(request.headers);
    served->body = std::move(request.body);
    if (request.transport) served->client_certificate_pem = request.transport->client_cert_pem;

    ++core_->counts_[{exchange->origin, exchange->method, exchange->path}].sent;
    Fate fate = core_->Decide(*exchange);
    if (core_->intercept_) {
      const Sent sent{exchange->from, exchange->origin, exchange->method, served->target,
                      served->body};
      if (const auto decision = core_->intercept_(sent)) {
        fate = Fate{};
        fate.fault = decision->fault;
        fate.delay = decision->delay;
      }
    }
    core_->Begin(exchange, served, fate);
  }

  const std::shared_ptr<Core> core_;
  const std::string name_;
  std::stop_token life_;
  std::vector<std::weak_ptr<Exchange>> sent_;
  size_t sweep_at_ = 64;
};

// ---- The network

Network::Network(FiberRuntime& runtime) : core_(std::make_shared<Core>(runtime)) { core_->Start(); }
Network::~Network() { core_->Stop(); }

void Network::Listen(std::string_view origin, http::Handler handler) {
  core_->listeners_[ParseOrigin(origin)] = {std::move(handler), ++core_->generations_};
}

void Network::Close(std::string_view origin) {
  const std::string name = ParseOrigin(origin);
  core_->listeners_.erase(name);
  core_->CutStreams("", name);
}

std::unique_ptr<http::HttpClient> Network::NewClient(std::string name,
                                                     const Incarnation* incarnation) {
  return std::make_unique<Core::Client>(core_, std::move(name), incarnation);
}

void Network::SetLink(std::string_view from, std::string_view origin, const Link& link) {
  core_->links_[{std::string(from), ParseOrigin(origin)}] = link;
}

void Network::CutStreams(std::string_view from, std::string_view origin) {
  core_->CutStreams(std::string(from), ParseOrigin(origin));
}

void Network::SetIntercept(Intercept intercept) { core_->intercept_ = std::move(intercept); }

uint64_t Network::CountSent(std::string_view origin, std::optional<http::Method> method,
                            std::string_view path) const {
  const std::string name = ParseOrigin(origin);
  uint64_t count = 0;
  for (const auto& [key, counts] : core_->counts_) {
    if ((name.empty() || name == std::get<0>(key)) && (!method || method == std::get<1>(key)) &&
        Matches(path, std::get<2>(key))) {
      count += counts.sent;
    }
  }
  return count;
}

uint64_t Network::CountExecuted(std::string_view origin, std::optional<http::Method> method,
                                std::string_view path) const {
  const std::string name = ParseOrigin(origin);
  uint64_t count = 0;
  for (const auto& [key, counts] : core_->counts_) {
    if ((name.empty() || name == std::get<0>(key)) && (!method || method == std::get<1>(key)) &&
        Matches(path, std::get<2>(key))) {
      count += counts.executed;
    }
  }
  return count;
}

void Network::ResetCounts() { core_->counts_.clear(); }

}  // namespace flotilla::sim
