#include <algorithm>

#include "http/check.h"
#include "http/url.h"
#include "sim/network_core.h"

namespace flotilla::sim {

using http::Flow;
using http::Response;

class Network::Core::Client final : public http::HttpClient {
 public:
  Client(std::shared_ptr<Core> core, std::string name, const Incarnation* incarnation)
      : core_(std::move(core)), name_(std::move(name)) {
    if (incarnation) life_ = incarnation->Life();
  }

  ~Client() override {
    for (const auto& weak : sent_) {
      if (const auto exchange = weak.lock()) {
        core_->Finish(exchange,
                      Broken(ErrorClass::kCancelled, Outcome::kUnknown, "the client is destroyed"));
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
      Collect(core, from, weak.lock()->origin, std::move(response), head->stream, done);
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
        flowing->on_crash.emplace(
            life, [core = core.get(), flowing = std::weak_ptr<Flowing>(flowing)] {
              core->At(core->runtime_.Now(), [core, flowing] {
                if (const auto stream = flowing.lock()) {
                  core->End(stream, Broken(ErrorClass::kCancelled, Outcome::kUnknown,
                                           "the process has ended"));
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
      auto writer = core->NewWriter(flowing);
      if (head->stream) return head->stream(std::move(writer));
      if (!head->body.empty()) {
        flowing->buffered += head->body.size();
        flowing->pending.push_back(std::move(head->body));
        core->Pump(flowing);
      }
    };
    Launch(std::move(request), exchange, false);
    return core_->NewReader(std::move(exchange), std::move(flowing));
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
    stream(core->NewWriter(flowing));
  }

  void Watch(const std::shared_ptr<Exchange>& exchange,
             std::optional<std::stop_callback<std::function<void()>>>& callback,
             const std::stop_token& token, const char* why) {
    callback.emplace(token, [core = core_.get(), weak = std::weak_ptr<Exchange>(exchange), why] {
      core->At(core->runtime_.Now(), [core, weak, why] {
        if (const auto alive = weak.lock()) {
          core->Finish(alive, Broken(ErrorClass::kCancelled, Outcome::kUnknown, why));
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
      return Refuse(exchange, Broken(ErrorClass::kCancelled, Outcome::kNotSent,
                                     stopped ? "the caller gave up" : "the process has ended")
                                  .value());
    }
    if (!url) return Refuse(exchange, url.error());
    if (request.deadline == kForever) {
      return Refuse(exchange, Broken(ErrorClass::kInvalid, Outcome::kNotSent,
                                     http::Name(request) + " has no deadline")
                                  .value());
    }
    if (request.deadline <= core_->runtime_.Now()) {
      return Refuse(exchange, Broken(ErrorClass::kTimeout, Outcome::kNotSent,
                                     "the deadline had passed before it was sent")
                                  .value());
    }
    if (life_.stop_possible()) Watch(exchange, exchange->on_crash, life_, "the process has ended");
    exchange->from = name_;
    exchange->origin = OriginOf(*url);
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

std::unique_ptr<http::HttpClient> Network::Core::NewClient(std::string name,
                                                           const Incarnation* incarnation) {
  return std::make_unique<Client>(shared_from_this(), std::move(name), incarnation);
}

}  // namespace flotilla::sim
