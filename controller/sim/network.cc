#include "sim/network.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "http/url.h"
#include "sim/network_core.h"

namespace flotilla::sim {
namespace {

std::string ParseOrigin(std::string_view text) {
  if (text.empty()) return "";
  const Result<http::Url> url = http::ParseUrl(text);
  if (!url) {
    std::fprintf(stderr, "flotilla: not an origin: %s\n", url.error().ToString().c_str());
    std::abort();
  }
  return OriginOf(*url);
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

}  // namespace

std::string OriginOf(const http::Url& url) {
  return fmt::format("{}://{}", url.tls ? "https" : "http", http::Authority(url));
}

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
    Finish(exchange,
           Broken(ErrorClass::kTimeout, Outcome::kUnknown, "no answer before the deadline"));
  });
  if (fate.fault == Fault::kDropRequest) return;
  const TimePoint arrival =
      runtime_.Now() + Latency(LinkOf(exchange->from, exchange->origin)) + fate.delay;
  At(arrival, [this, exchange, request, fate] { Arrive(exchange, request, fate); });
  if (fate.fault == Fault::kDuplicate) {
    At(arrival + draws_.Between(0us, 1s),
       [this, exchange, request, fate] { Arrive(exchange, request, fate); });
  }
}

// Runs at the server, or where it would be. The sender may have given up long ago.
void Network::Core::Arrive(const std::shared_ptr<Exchange>& exchange,
                           const std::shared_ptr<http::ServerRequest>& request, const Fate& fate) {
  const auto listener = listeners_.find(exchange->origin);
  if (fate.fault == Fault::kRefuse || listener == listeners_.end()) {
    const std::string message = "connection refused by " + exchange->origin;
    At(runtime_.Now() + Latency(LinkOf(exchange->from, exchange->origin)),
       [this, exchange, message] {
         Finish(exchange, Broken(ErrorClass::kUnavailable, Outcome::kNotSent, message));
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
  Execute(exchange, request, fate);
}

// A handler may wait: it gets a fiber of its own.
void Network::Core::Execute(const std::shared_ptr<Exchange>& exchange,
                            const std::shared_ptr<http::ServerRequest>& request, const Fate& fate) {
  ++counts_[{exchange->origin, exchange->method, exchange->path}].executed;
  const uint64_t id = ++order_;
  handlers_[id] = runtime_.Spawn(exchange->origin, [this, exchange, request, fate, id,
                                                    handler =
                                                        listeners_.at(exchange->origin).handler](
                                                       const std::stop_token&) {
    runtime_.Note(fmt::format("executes {} {}", http::ToString(request->method), request->target));
    http::ServerResponse response = handler(*request);
    At(runtime_.Now(), [this, id] { handlers_.erase(id); });
    if (fate.fault == Fault::kDropReply) return;
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
    return Finish(exchange, Broken(ErrorClass::kUnavailable, Outcome::kUnknown,
                                   "connection reset by " + exchange->origin));
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
  return core_->NewClient(std::move(name), incarnation);
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
