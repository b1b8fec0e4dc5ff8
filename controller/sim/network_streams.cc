#include <algorithm>

#include "sim/network_core.h"

namespace flotilla::sim {
namespace {

using http::Flow;

// How long a stream's chunk waits before it is tried again on a black-holed link.
constexpr Duration kRetransmit = 200ms;
// What a stream may hold that its reader has not taken (http/server.h).
constexpr size_t kStreamBuffer = 1u << 20;

}  // namespace

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

std::shared_ptr<http::ResponseWriter> Network::Core::NewWriter(std::shared_ptr<Flowing> flowing) {
  return std::make_shared<Writer>(shared_from_this(), std::move(flowing));
}

std::unique_ptr<http::Stream> Network::Core::NewReader(std::shared_ptr<Exchange> exchange,
                                                       std::shared_ptr<Flowing> flowing) {
  return std::make_unique<Reader>(shared_from_this(), std::move(exchange), std::move(flowing));
}

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
      return End(flowing, Broken(ErrorClass::kUnavailable, Outcome::kUnknown,
                                 "stream cut by " + flowing->origin));
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
      return End(stream, Broken(ErrorClass::kTimeout, Outcome::kUnknown,
                                "stream of " + stream->origin + " is silent"));
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
      End(stream,
          Broken(ErrorClass::kUnavailable, Outcome::kUnknown, "stream cut by " + stream->origin));
    });
  }
}

}  // namespace flotilla::sim
