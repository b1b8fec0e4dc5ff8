#include "http/cpprest_client.h"

#include <cpprest/http_client.h>
#include <pplx/threadpool.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <iostream>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "http/check.h"
#include "http/trust.h"

namespace flotilla::http {
namespace {

namespace client = web::http::client;
using Bytes = Concurrency::streams::streambuf<uint8_t>;

// What the threads of the library, and the callers, say to the task that owns all transfers.
struct Transfer;
struct Start {
  std::shared_ptr<Transfer> transfer;
};
struct Cancel {
  uint64_t id;
};
struct Resume {
  uint64_t id;
};
struct Head {
  uint64_t id;
  int attempt;
  web::http::http_response response;
};
struct Data {
  uint64_t id;
  int attempt;
  const char* bytes;  // of `copy`, or valid until `taken` is set
  size_t size;
  std::string copy;
  pplx::task_completion_event<size_t> taken;
};
struct End {
  uint64_t id;
  int attempt;
  std::optional<std::string> failure;
};
using Message = std::variant<Start, Cancel, Resume, Head, Data, End>;

// Outlives its client: the library's threads may still speak to it.
class Inbox {
 public:
  explicit Inbox(Runtime& runtime) : wake_(runtime.NewEvent()) {}

  // False when nobody will read it.
  bool Post(Message message) {
    MutexLock lock(mutex_);
    if (closed_) return false;
    messages_.push_back(std::move(message));
    wake_->Set();
    return true;
  }
  std::vector<Message> Take(bool close) {
    MutexLock lock(mutex_);
    wake_->Reset();
    closed_ = close;
    return std::exchange(messages_, {});
  }
  void Wait(TimePoint until, std::stop_token stop) { wake_->Wait(until, std::move(stop)); }

 private:
  Mutex mutex_;
  std::vector<Message> messages_;
  bool closed_ = false;
  const std::unique_ptr<Event> wake_;
};

void Drop(Data& data) {
  data.taken.set_exception(std::runtime_error("nobody reads the body any more"));
}

// Where the library writes the body: each piece waits until its owner has taken it.
class BodyBuffer final : public Concurrency::streams::details::streambuf_state_manager<uint8_t> {
 public:
  BodyBuffer(std::shared_ptr<Inbox> inbox, uint64_t id, int attempt)
      : streambuf_state_manager(std::ios_base::out),
        inbox_(std::move(inbox)),
        id_(id),
        attempt_(attempt) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(size_t, std::ios_base::openmode) override {}
  size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return pos_type(traits::eof()); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return pos_type(traits::eof()); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return pos_type(traits::eof());
  }
  bool acquire(uint8_t*& pointer, size_t& count) override {
    pointer = nullptr;
    count = 0;
    return false;
  }
  void release(uint8_t*, size_t) override {}

  // The base class would answer a failure by blocking a thread of the pool until another thread of
  // the pool has closed the buffer: a few failures at once, and the library stands still.
  pplx::task<size_t> putn(const uint8_t* bytes, size_t count) override {
    return Put(bytes, count, true);
  }
  pplx::task<size_t> putn_nocopy(const uint8_t* bytes, size_t count) override {
    return Put(bytes, count, false);
  }

 protected:
  pplx::task<int_type> _putc(uint8_t byte) override {
    return Put(&byte, 1, true).then([byte](size_t) -> int_type { return byte; });
  }
  pplx::task<size_t> _putn(const uint8_t* bytes, size_t count, bool copy) override {
    return Put(bytes, count, copy);
  }
  pplx::task<size_t> _putn(const uint8_t* bytes, size_t count) override {
    return Put(bytes, count, true);
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  uint8_t* _alloc(size_t) override { return nullptr; }
  void _commit(size_t) override {}
  pplx::task<int_type> _bumpc() override { return NoByte(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return NoByte(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return NoByte(); }
  pplx::task<int_type> _ungetc() override { return NoByte(); }
  pplx::task<size_t> _getn(uint8_t*, size_t) override { return pplx::task_from_result<size_t>(0); }
  size_t _scopy(uint8_t*, size_t) override { return 0; }

 private:
  static pplx::task<int_type> NoByte() { return pplx::task_from_result<int_type>(traits::eof()); }

  pplx::task<size_t> Put(const uint8_t* bytes, size_t count, bool copy) {
    // A negative chunk size arrives here as a huge one.
    if (count > limits::kResponseBytes) {
      return pplx::task_from_exception<size_t>(std::runtime_error("a chunk has an invalid size"));
    }
    Data data{id_, attempt_, reinterpret_cast<const char*>(bytes), count, {}, {}};
    if (copy) data.copy.assign(data.bytes, count);
    if (copy) data.bytes = nullptr;
    auto taken = data.taken;
    if (!inbox_->Post(std::move(data))) {
      return pplx::task_from_exception<size_t>(std::runtime_error("the client is closed"));
    }
    return pplx::create_task(taken);
  }

  const std::shared_ptr<Inbox> inbox_;
  const uint64_t id_;
  const int attempt_;
};

struct Transfer {
  bool is_stream() const { return ended != nullptr; }
  // The library does not tell; but before a handshake nothing can have been sent.
  Outcome Known() const {
    return !launched || (own_trust && !own_trust->completed()) ? Outcome::kNotSent
                                                               : Outcome::kUnknown;
  }
  void Finish(Result<Response> result) {
    if (std::exchange(delivered, true)) return;
    if (!is_stream()) return std::exchange(on_done, nullptr)(std::move(result));
    auto done = std::exchange(events.on_done, nullptr);
    done(result ? Status() : Status(tl::unexpected(std::move(result.error()))));
    done = nullptr;
    if (!in_callback) events = {};
    ended->Set();
  }
  void Finish(ErrorClass cls, Outcome outcome, std::string_view why) {
    Finish(tl::unexpected(MakeError(request, cls, outcome, why)));
  }

  uint64_t id = 0;
  Request request;
  Url url;
  std::stop_token stop;
  OnDone on_done;
  Duration idle{};
  StreamEvents events;
  std::unique_ptr<Event> ended;

  pplx::cancellation_token_source cancel;
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  std::unique_ptr<client::http_client> own_client;  // where it shares none
  std::shared_ptr<Trust> own_trust;
  std::shared_ptr<Trust> trust;
  Response response;
  std::optional<Data> waiting;  // comes before the head, or while paused
  TimePoint last_byte;
  TimePoint scheduled = kForever;
  int attempt = 0;
  bool launched = false;
  bool in_window = false;
  bool has_head = false;
  bool paused = false;
  bool in_callback = false;
  bool delivered = false;
};

class CpprestClient;
thread_local const CpprestClient* running_owner = nullptr;

class CpprestClient final : public HttpClient {
 public:
  explicit CpprestClient(Runtime& runtime);
  ~CpprestClient() override { task_.reset(); }

  void Send(Request request, std::stop_token stop, OnDone on_done) override;
  std::unique_ptr<Stream> Open(Request request, Duration idle, StreamEvents events) override;

  bool OnOwner() const { return running_owner == this; }
  Inbox& inbox() { return *inbox_; }

 private:
  // Unary requests of one Transport: at most its max_connections at once.
  struct Window {
    std::weak_ptr<const Transport> transport;
    int active = 0;
    std::vector<std::shared_ptr<Transfer>> waiting;
    struct Shared {
      std::unique_ptr<client::http_client> client;
      std::shared_ptr<Trust> trust;
    };
    std::map<std::pair<std::string, bool>, Shared> clients;  // by origin, and whether decoding
  };

  void Run(const std::stop_token& stop);
  void On(Start start);
  void On(Cancel cancel);
  void On(Resume resume);
  void On(Head head);
  void On(Data data);
  void On(End end);

  Window& WindowOf(const std::shared_ptr<const Transport>& transport);
  Status Launch(Transfer& transfer);
  Result<client::http_client*> ClientFor(Transfer& transfer);
  void Consume(Transfer& transfer, Data data);
  std::shared_ptr<Transfer> Remove(uint64_t id);
  void Schedule(Transfer& transfer);
  void Expire();
  Transfer* Find(uint64_t id, int attempt);

  Runtime& runtime_;
  const std::shared_ptr<Inbox> inbox_;
  std::atomic<uint64_t> next_id_{1};
  std::map<uint64_t, std::shared_ptr<Transfer>> transfers_;
  std::set<std::pair<TimePoint, uint64_t>> due_;
  std::map<const Transport*, Window> windows_;
  std::unique_ptr<Task> task_;  // last: ends first
};

class CpprestStream final : public Stream {
 public:
  CpprestStream(CpprestClient& client, std::shared_ptr<Transfer> transfer)
      : client_(client), transfer_(std::move(transfer)) {}
  ~CpprestStream() override {
    if (transfer_->ended->IsSet()) return;  // and the client may be gone
    if (client_.OnOwner()) {
      transfer_->Finish(ErrorClass::kCancelled, transfer_->Known(), "cancelled");
    }
    client_.inbox().Post(Cancel{transfer_->id});
    transfer_->ended->Wait(kForever, {});
  }
  void Resume() override {
    if (!transfer_->ended->IsSet()) client_.inbox().Post(http::Resume{transfer_->id});
  }

 private:
  CpprestClient& client_;
  const std::shared_ptr<Transfer> transfer_;
};

CpprestClient::CpprestClient(Runtime& runtime)
    : runtime_(runtime), inbox_(std::make_shared<Inbox>(runtime)) {
  task_ = runtime_.Spawn("http-client", [this](const std::stop_token& stop) { Run(stop); });
}

void CpprestClient::Send(Request request, std::stop_token stop, OnDone on_done) {
  auto transfer = std::make_shared<Transfer>();
  transfer->id = next_id_++;
  transfer->request = std::move(request);
  transfer->stop = std::move(stop);
  transfer->on_done = std::move(on_done);
  inbox_->Post(Start{std::move(transfer)});
}

std::unique_ptr<Stream> CpprestClient::Open(Request request, Duration idle, StreamEvents events) {
  auto transfer = std::make_shared<Transfer>();
  transfer->id = next_id_++;
  transfer->request = std::move(request);
  transfer->idle = idle;
  transfer->events = std::move(events);
  transfer->ended = runtime_.NewEvent();
  inbox_->Post(Start{transfer});
  return std::make_unique<CpprestStream>(*this, std::move(transfer));
}

void CpprestClient::Run(const std::stop_token& stop) {
  running_owner = this;
  while (!stop.stop_requested()) {
    for (Message& message : inbox_->Take(false)) {
      std::visit([this](auto& what) { On(std::move(what)); }, message);
    }
    Expire();
    inbox_->Wait(due_.empty() ? kForever : due_.begin()->first, stop);
  }
  // Callbacks may send more: that is cancelled too.
  auto cancel = [](Transfer& transfer) {
    transfer.Finish(ErrorClass::kCancelled, transfer.Known(), "the client is closed");
  };
  for (bool idle = false; !idle;) {
    idle = true;
    for (Message& message : inbox_->Take(false)) {
      idle = false;
      if (auto* start = std::get_if<Start>(&message)) cancel(*start->transfer);
      if (auto* data = std::get_if<Data>(&message)) Drop(*data);
    }
    while (!transfers_.empty()) {
      idle = false;
      cancel(*Remove(transfers_.begin()->first));
    }
  }
  for (Message& message : inbox_->Take(true)) {
    if (auto* data = std::get_if<Data>(&message)) Drop(*data);
  }
  running_owner = nullptr;
}

CpprestClient::Window& CpprestClient::WindowOf(const std::shared_ptr<const Transport>& transport) {
  auto [place, added] = windows_.try_emplace(transport.get());
  // A new Transport may live where an old one did.
  if (!added && place->second.transport.lock() != transport) place->second.clients.clear();
  place->second.transport = transport;
  if (added) {
    std::erase_if(windows_, [](const auto& entry) {
      return entry.first && entry.second.active == 0 && entry.second.transport.expired();
    });
  }
  return place->second;
}

void CpprestClient::On(Start start) {
  Transfer& transfer = *start.transfer;
  if (transfer.delivered) return;
  auto url = CheckSend(transfer.request, transfer.is_stream(), runtime_.Now(), transfer.stop);
  if (!url) return transfer.Finish(Pass(url));
  transfer.url = std::move(*url);
  transfer.last_byte = runtime_.Now();
  transfers_.emplace(transfer.id, start.transfer);
  Schedule(transfer);
  if (transfer.stop.stop_possible()) {
    transfer.on_stop.emplace(transfer.stop,
                             [inbox = inbox_, id = transfer.id] { inbox->Post(Cancel{id}); });
  }
  if (!transfer.is_stream()) {
    Window& window = WindowOf(transfer.request.transport);
    const int most = transfer.request.transport ? transfer.request.transport->max_connections
                                                : Transport().max_connections;
    if (window.active >= most) return window.waiting.push_back(start.transfer);
    ++window.active;
    transfer.in_window = true;
  }
  if (auto launched = Launch(transfer); !launched) {
    Remove(transfer.id)->Finish(Pass(launched));
  }
}

Result<client::http_client*> CpprestClient::ClientFor(Transfer& transfer) {
  static const Transport kDefault;
  const Transport& transport = transfer.request.transport ? *transfer.request.transport : kDefault;
  const bool decode =
      !transfer.is_stream() && http::Find(transfer.request.headers, "Accept-Encoding").empty();
  const std::string origin =
      fmt::format("http{}://{}/", transfer.url.tls ? "s" : "", Authority(transfer.url));
  // The library repeats a request whose kept connection closes, whatever its method.
  const bool shares =
      !transfer.is_stream() && IsSafe(transfer.request.method) && transfer.attempt == 0;
  Window::Shared* shared = nullptr;
  if (shares) {
    shared = &WindowOf(transfer.request.transport).clients[{origin, decode}];
    transfer.trust = shared->trust;
    if (shared->client) return shared->client.get();
  }

  client::http_client_config config;
  config.set_timeout(std::chrono::hours(24));  // ours are what counts
  config.set_max_redirects(0);
  config.set_request_compressed_response(decode);
  config.set_proxy(transport.proxy_url.empty() ? web::web_proxy(web::web_proxy::disabled)
                                               : web::web_proxy(web::uri(transport.proxy_url)));
  if (transfer.url.tls) {
    auto trust = Trust::Make(transport, transfer.url.host);
    if (!trust) return Fail(trust, "{}", Name(transfer.request));
    transfer.trust = *trust;
    config.set_validate_certificates(!transport.insecure_skip_verify);
    config.set_tlsext_sni_enabled(false);  // Trust names the server
    config.set_ssl_context_callback([trust = *trust](boost::asio::ssl::context& context) {
      Trust::Install(trust, context.native_handle());
    });
  }
  auto made = std::make_unique<client::http_client>(web::uri(origin), config);
  if (shared) {
    shared->client = std::move(made);
    shared->trust = transfer.trust;
    return shared->client.get();
  }
  transfer.own_client = std::move(made);
  transfer.own_trust = transfer.trust;
  return transfer.own_client.get();
}

Status CpprestClient::Launch(Transfer& transfer) try {
  auto sender = ClientFor(transfer);
  if (!sender) return Pass(sender);

  web::http::http_request request(ToString(transfer.request.method));
  const std::string& query = transfer.url.query;
  request.set_request_uri(web::uri(transfer.url.path + (query.empty() ? "" : "?" + query)));
  if (!IsSafe(transfer.request.method)) {
    request.set_body(transfer.request.body, std::string("text/plain"));
    request.headers().remove("Content-Type");
  }
  for (const auto& [name, value] : transfer.request.headers) request.headers().add(name, value);
  const uint64_t id = transfer.id;
  const int attempt = transfer.attempt;
  request.set_response_stream(
      Concurrency::streams::ostream(Bytes(std::make_shared<BodyBuffer>(inbox_, id, attempt))));
  transfer.launched = true;
  (*sender)
      ->request(request, transfer.cancel.get_token())
      .then([inbox = inbox_, id, attempt](const web::http::http_response& response) {
        inbox->Post(Head{id, attempt, response});
        return response.content_ready();
      })
      .then([inbox = inbox_, id, attempt](const pplx::task<web::http::http_response>& ready) {
        std::optional<std::string> failure;
        try {
          ready.get();
        } catch (const std::exception& error) {
          failure = error.what();
        }
        inbox->Post(End{id, attempt, std::move(failure)});
      });
  return {};
} catch (const std::exception& error) {
  return tl::unexpected(
      MakeError(transfer.request, ErrorClass::kInvalid, Outcome::kNotSent, error.what()));
}

Transfer* CpprestClient::Find(uint64_t id, int attempt) {
  auto found = transfers_.find(id);
  return found != transfers_.end() && found->second->attempt == attempt ? found->second.get()
                                                                        : nullptr;
}

void CpprestClient::On(Cancel cancel) {
  if (auto transfer = Remove(cancel.id)) {
    transfer->Finish(ErrorClass::kCancelled, transfer->Known(), "cancelled");
  }
}

void CpprestClient::On(Resume resume) {
  auto found = transfers_.find(resume.id);
  if (found == transfers_.end()) return;
  Transfer& transfer = *found->second;
  if (!std::exchange(transfer.paused, false)) return;
  transfer.last_byte = runtime_.Now();
  Schedule(transfer);
  if (auto data = std::exchange(transfer.waiting, std::nullopt)) {
    Consume(transfer, std::move(*data));
  }
}

void CpprestClient::On(Head head) {
  Transfer* transfer = Find(head.id, head.attempt);
  if (!transfer) return;
  transfer->has_head = true;
  transfer->last_byte = runtime_.Now();
  transfer->response.status = head.response.status_code();
  for (const auto& [name, value] : head.response.headers()) {
    transfer->response.headers.emplace_back(name, value);
  }
  Schedule(*transfer);
  if (transfer->is_stream() && !transfer->delivered) {
    transfer->in_callback = true;
    transfer->events.on_head(transfer->response);
    transfer->in_callback = false;
  }
  if (auto data = std::exchange(transfer->waiting, std::nullopt)) {
    Consume(*transfer, std::move(*data));
  }
}

void CpprestClient::On(Data data) {
  Transfer* transfer = Find(data.id, data.attempt);
  if (!transfer) return Drop(data);
  if (!transfer->has_head || transfer->paused) {
    transfer->waiting = std::move(data);
    return;
  }
  Consume(*transfer, std::move(data));
}

void CpprestClient::Consume(Transfer& transfer, Data data) {
  const std::string_view bytes(data.bytes ? data.bytes : data.copy.data(), data.size);
  transfer.last_byte = runtime_.Now();
  if (transfer.delivered) return Drop(data);
  if (transfer.is_stream()) {
    transfer.in_callback = true;
    transfer.paused = transfer.events.on_data(bytes) == Flow::kPause;
    transfer.in_callback = false;
  } else if (bytes.size() > limits::kResponseBytes - transfer.response.body.size()) {
    Drop(data);
    Remove(transfer.id)
        ->Finish(
            ErrorClass::kInvalid, Outcome::kUnknown,
            fmt::format("the body of the answer is larger than {} bytes", limits::kResponseBytes));
    return;
  } else {
    transfer.response.body += bytes;
  }
  data.taken.set(data.size);  // the library reads on; its next piece waits where we are paused
}

void CpprestClient::On(End end) {
  Transfer* transfer = Find(end.id, end.attempt);
  if (!transfer) return;
  if (!end.failure) {
    auto ended = Remove(end.id);
    return ended->Finish(std::move(ended->response));
  }
  const std::string_view why = *end.failure;
  const bool handshake = why.find("SSL handshake") != std::string_view::npos;
  const bool unreached = handshake || why.starts_with("Error resolving address") ||
                         why.starts_with("Failed to connect");
  if (!unreached && !transfer->has_head && !transfer->is_stream() && transfer->attempt == 0 &&
      IsSafe(transfer->request.method)) {
    // Perhaps a kept connection that the server had closed: once more, on one of its own.
    transfer->attempt = 1;
    transfer->response = {};
    if (Launch(*transfer)) return;
  }
  const bool refused = handshake && transfer->trust && transfer->trust->refused();
  Remove(end.id)->Finish(refused ? ErrorClass::kUnauthenticated : ErrorClass::kUnavailable,
                         unreached ? Outcome::kNotSent : Outcome::kUnknown,
                         refused ? "the certificate of the server cannot be verified" : why);
}

std::shared_ptr<Transfer> CpprestClient::Remove(uint64_t id) {
  auto found = transfers_.find(id);
  if (found == transfers_.end()) return nullptr;
  auto transfer = std::move(found->second);
  transfers_.erase(found);
  due_.erase({transfer->scheduled, id});
  transfer->on_stop.reset();
  transfer->cancel.cancel();
  if (auto data = std::exchange(transfer->waiting, std::nullopt)) Drop(*data);
  if (!transfer->is_stream()) {
    Window& window = WindowOf(transfer->request.transport);
    std::erase(window.waiting, transfer);
    if (transfer->in_window) {
      --window.active;
      if (!window.waiting.empty()) {
        auto next = std::move(window.waiting.front());
        window.waiting.erase(window.waiting.begin());
        ++window.active;
        next->in_window = true;
        if (auto launched = Launch(*next); !launched) {
          inbox_->Post(End{next->id, next->attempt, launched.error().message});
        }
      }
    }
  }
  return transfer;
}

void CpprestClient::Schedule(Transfer& transfer) {
  due_.erase({transfer.scheduled, transfer.id});
  transfer.scheduled = transfer.request.deadline;
  if (transfer.is_stream()) {
    const TimePoint silence =
        transfer.paused && transfer.waiting ? kForever : transfer.last_byte + transfer.idle;
    transfer.scheduled = transfer.has_head ? silence : std::min(silence, transfer.request.deadline);
  }
  if (transfer.scheduled != kForever) due_.emplace(transfer.scheduled, transfer.id);
}

void CpprestClient::Expire() {
  const TimePoint now = runtime_.Now();
  while (!due_.empty() && due_.begin()->first <= now) {
    Transfer& transfer = *transfers_.at(due_.begin()->second);
    Schedule(transfer);
    if (transfer.scheduled > now) continue;
    auto ended = Remove(transfer.id);
    ended->Finish(ErrorClass::kTimeout, ended->Known(),
                  ended->is_stream() && ended->has_head
                      ? fmt::format("the stream was silent for {}", FormatDuration(ended->idle))
                      : "no complete answer before the deadline");
  }
}

// Once per process, before the library starts its threads.
void TameLibrary() {
  static const bool done = [] {
    Transport system;  // reads the system's authorities while the environment still names them
    (void)Trust::Make(system, "");
    // NOLINTBEGIN(concurrency-mt-unsafe): nothing else of ours reads or changes the environment
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    setenv("SSL_CERT_DIR", "/dev/null", 1);
    // NOLINTEND(concurrency-mt-unsafe)
    try {
      crossplat::threadpool::initialize_with_threads(4);
    } catch (const std::exception&) {
      return false;  // somebody else has: more threads, nothing worse
    }
    on_exit(
        [](int status, void*) {
          std::cout.flush();
          std::fflush(nullptr);
          _exit(status);
        },
        nullptr);
    return true;
  }();
  (void)done;
}

}  // namespace

std::unique_ptr<HttpClient> NewCpprestClient(Runtime& runtime) {
  TameLibrary();
  return std::make_unique<CpprestClient>(runtime);
}

}  // namespace flotilla::http
