// One task serves all connections, others run the handlers. A connection is touched by the serving
// task only; what crosses over is a StreamBody, which has a lock of its own.
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "http/server.h"
#include "http/stream_body.h"

namespace flotilla::http {
namespace {

namespace net = boost::asio;
namespace ssl = boost::asio::ssl;
namespace beast = boost::beast;
using boost::system::error_code;
using Executor = net::io_context::executor_type;
using Socket = net::basic_stream_socket<net::ip::tcp, Executor>;
using Acceptor = net::basic_socket_acceptor<net::ip::tcp, Executor>;
using Timer = net::basic_waitable_timer<std::chrono::steady_clock,
                                        net::wait_traits<std::chrono::steady_clock>, Executor>;

constexpr Duration kHandshakeTime = 10s;
constexpr Duration kHeaderTime = 10s;
constexpr Duration kRequestTime = 30s;
constexpr Duration kAnswerTime = 30s;
constexpr Duration kIdleTime = 75s;
constexpr Duration kLingerTime = 2s;
constexpr std::chrono::milliseconds kTick{250};  // how late a deadline may be noticed
constexpr std::chrono::milliseconds kAcceptBackOff{200};
constexpr size_t kLingerBytes = 1u << 20;
constexpr size_t kReadSize = 4096;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;
  virtual void Start() = 0;
  virtual void Close() = 0;
  virtual void Flush() = 0;
  virtual TimePoint deadline() const = 0;
};

class BeastServer final : public HttpServer {
 public:
  BeastServer(Runtime& runtime, ServerOptions options, Handler handler)
      : runtime_(runtime),
        options_(std::move(options)),
        handler_(std::move(handler)),
        acceptor_(io_),
        accept_timer_(io_),
        tick_timer_(io_) {}
  ~BeastServer() override;

  Status Listen();
  void Run();
  uint16_t port() const override { return port_; }

  // Of connections.
  net::io_context& io() { return io_; }
  TimePoint Now() const { return runtime_.Now(); }
  using Place = std::list<std::shared_ptr<Connection>>::iterator;
  Place Add(std::shared_ptr<Connection> connection);
  void Remove(Place place);
  // Runs the handler and then `answer` on the serving task.
  void Handle(ServerRequest request, std::function<void(ServerResponse)> answer);

 private:
  Status SetUpTls();
  void Accept();
  void Tick();
  void Shut();

  Runtime& runtime_;
  const ServerOptions options_;
  const Handler handler_;
  uint16_t port_ = 0;
  std::optional<ssl::context> tls_;

  // Before everything that refers to them.
  net::io_context io_{1};
  net::io_context work_;
  using Guard = net::executor_work_guard<Executor>;
  Guard io_guard_ = net::make_work_guard(io_);
  Guard work_guard_ = net::make_work_guard(work_);

  Acceptor acceptor_;
  Timer accept_timer_;
  Timer tick_timer_;
  bool ticking_ = false;
  bool accepting_ = false;
  bool shut_ = false;
  std::list<std::shared_ptr<Connection>> connections_;  // that are open

  std::vector<std::unique_ptr<Task>> workers_;
  std::unique_ptr<Task> server_;
};

// --- one connection

std::optional<Method> MethodOf(beast::http::verb verb) {
  switch (verb) {
    case beast::http::verb::get:
      return Method::kGet;
    case beast::http::verb::head:
      return Method::kHead;
    case beast::http::verb::post:
      return Method::kPost;
    case beast::http::verb::put:
      return Method::kPut;
    case beast::http::verb::patch:
      return Method::kPatch;
    case beast::http::verb::delete_:
      return Method::kDelete;
    default:
      return std::nullopt;
  }
}

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

bool IsFraming(std::string_view name) {
  for (beast::string_view own : {"Content-Length", "Transfer-Encoding", "Connection"}) {
    if (beast::iequals(own, beast::string_view(name.data(), name.size()))) return true;
  }
  return false;
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

template <typename Stream>
class ConnectionOver final : public Connection {
 public:
  template <typename... Args>
  ConnectionOver(BeastServer& server, Args&&... args)
      : server_(server), stream_(std::forward<Args>(args)...), buffer_(kBufferLimit) {}

  void Start() override {
    place_ = server_.Add(Self());
    Arm(kHandshakeTime);
    if constexpr (kTls) {
      stream_.async_handshake(ssl::stream_base::server, [self = Self()](error_code error) {
        if (error) return self->Close();
        self->client_certificate_ = self->ReadClientCertificate();
        self->ReadHeader();
      });
    } else {
      ReadHeader();
    }
  }

  void Close() override {
    if (std::exchange(closed_, true)) return;
    if (body_) body_->Detach();
    error_code ignored;
    socket().close(ignored);
    server_.Remove(place_);
  }

  void Flush() override {
    if (closed_ || writing_ || !body_) return;
    const bool ended = body_->Take(output_);
    if (output_.empty()) {
      if (ended) FinishStream();
      return;
    }
    writing_ = true;
    net::async_write(stream_, net::buffer(output_), [self = Self()](error_code error, size_t) {
      self->writing_ = false;
      if (error) return self->Close();
      self->Flush();
    });
  }

  TimePoint deadline() const override { return deadline_; }

 private:
  static constexpr bool kTls = !std::is_same_v<Stream, Socket>;
  static constexpr size_t kBufferLimit = limits::kHeaderBytes + 2 * kReadSize;
  using Parser = beast::http::request_parser<beast::http::string_body>;

  std::shared_ptr<ConnectionOver> Self() {
    return std::static_pointer_cast<ConnectionOver>(shared_from_this());
  }

  Socket& socket() {
    if constexpr (kTls) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  void Arm(Duration time) { deadline_ = server_.Now() + time; }
  void Disarm() { deadline_ = kForever; }

  std::string ReadClientCertificate() {
    std::string pem;
    if constexpr (kTls) {
      SSL* handle = stream_.native_handle();
      X509* certificate = SSL_get1_peer_certificate(handle);
      if (!certificate) return pem;
      if (SSL_get_verify_result(handle) == X509_V_OK) {
        BIO* memory = BIO_new(BIO_s_mem());
        PEM_write_bio_X509(memory, certificate);
        char* text = nullptr;
        const long size = BIO_get_mem_data(memory, &text);
        pem.assign(text, static_cast<size_t>(size));
        BIO_free(memory);
      }
      X509_free(certificate);
    }
    return pem;
  }

  // Waits for the next request, or for the peer to go away while an answer is streamed to it.
  void ReadSome() {
    reading_ = true;
    stream_.async_read_some(buffer_.prepare(kReadSize),
                            [self = Self()](error_code error, size_t bytes) {
                              self->reading_ = false;
                              if (error) return self->Close();
                              self->buffer_.commit(bytes);
                              if (self->lingering_) return self->Discard();
                              if (!self->body_) self->ReadHeader();
                            });
  }

  void NextRequest() {
    if (!keep_alive_) return Linger();
    Arm(kIdleTime);
    if (reading_) return;  // ReadSome goes on
    buffer_.size() > 0 ? ReadHeader() : ReadSome();
  }

  void ReadHeader() {
    Arm(kHeaderTime);
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(limits::kHeaderBytes));
    parser_->body_limit(limits::kServerBodyBytes);
    beast::http::async_read_header(
        stream_, buffer_, *parser_,
        [self = Self()](error_code error, size_t) { self->OnHeader(error); });
  }

  void OnHeader(error_code error) {
    if (error) return Refuse(error);
    const auto& message = parser_->get();
    keep_alive_ = message.keep_alive();
    chunked_answer_ = message.version() >= 11;
    if (!MethodOf(message.method())) return Refuse(405, "method not allowed");
    if (message.target().empty() || message.target().front() != '/') {
      return Refuse(400, "the target is not a path");
    }
    // A coding that is not understood leaves open where the body ends.
    const auto coding = message.find(beast::http::field::transfer_encoding);
    if (coding != message.end() && !beast::iequals(coding->value(), "chunked")) {
      return Refuse(501, "unknown transfer coding");
    }
    Arm(kRequestTime);
    if (parser_->is_done()) return Dispatch();
    if (beast::iequals(message[beast::http::field::expect], "100-continue")) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      net::async_write(stream_, net::buffer(kContinue.data(), kContinue.size()),
                       [self = Self()](error_code failed, size_t) {
                         failed ? self->Close() : self->ReadBody();
                       });
      return;
    }
    ReadBody();
  }

  void ReadBody() {
    beast::http::async_read(stream_, buffer_, *parser_, [self = Self()](error_code error, size_t) {
      error ? self->Refuse(error) : self->Dispatch();
    });
  }

  void Dispatch() {
    Disarm();
    auto message = parser_->release();
    parser_.reset();
    ServerRequest request;
    request.method = MethodOf(message.method()).value_or(Method::kGet);
    request.target = View(message.target());
    for (const auto& field : message) {
      request.headers.emplace_back(View(field.name_string()), View(field.value()));
    }
    request.body = std::move(message.body());
    request.client_certificate_pem = client_certificate_;
    head_only_ = request.method == Method::kHead;
    server_.Handle(std::move(request),
                   [self = Self()](ServerResponse answer) { self->Answer(std::move(answer)); });
  }

  void Answer(ServerResponse answer) {
    if (closed_) return;
    const bool bodiless = answer.status == 204 || answer.status == 304;
    const bool streamed = answer.stream && !head_only_ && !bodiless;
    if (streamed && !chunked_answer_) keep_alive_ = false;  // HTTP/1.0: the end is the end

    std::string head;
    head.reserve(256);
    auto out = std::back_inserter(head);
    const auto reason =
        beast::http::obsolete_reason(static_cast<beast::http::status>(answer.status));
    fmt::format_to(out, "HTTP/1.1 {} {}\r\n", answer.status, View(reason));
    for (const auto& [name, value] : answer.headers) {
      if (IsFraming(name)) continue;
      if (name.empty() || HasControl(name) || HasControl(value)) {
        return Answer({500, {}, "the answer has a header that cannot be sent\n", {}});
      }
      fmt::format_to(out, "{}: {}\r\n", name, value);
    }
    if (streamed) {
      if (chunked_answer_) head += "Transfer-Encoding: chunked\r\n";
    } else if (!bodiless) {
      fmt::format_to(out, "Content-Length: {}\r\n", answer.body.size());
    }
    head += keep_alive_ ? "\r\n" : "Connection: close\r\n\r\n";

    if (streamed) {
      // Called until Detach, that is while this is open, and so the server's.
      auto notify = [this](bool cut) {
        net::post(server_.io(), [self = Self(), cut] { cut ? self->Close() : self->Flush(); });
      };
      body_ = std::make_shared<StreamBody>(chunked_answer_, std::move(head), std::move(notify));
      answer.stream(NewWriter(body_));
      if (!reading_ && buffer_.size() == 0) ReadSome();
      return Flush();
    }
    output_ = std::move(head);
    answer_body_ = head_only_ || bodiless ? std::string() : std::move(answer.body);
    Arm(kAnswerTime);
    const std::array<net::const_buffer, 2> buffers{net::buffer(output_), net::buffer(answer_body_)};
    net::async_write(stream_, buffers, [self = Self()](error_code error, size_t) {
      if (error) return self->Close();
      std::string().swap(self->answer_body_);
      self->NextRequest();
    });
  }

  void FinishStream() {
    body_->Detach();
    body_.reset();
    NextRequest();
  }

  void Refuse(error_code error) {
    namespace http = beast::http;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return Refuse(431, "the header is too large");
    }
    if (error == http::error::body_limit) return Refuse(413, "the body is too large");
    // Anything else of this category is a text that is not HTTP; the rest is the peer going away.
    const bool malformed = error.category() == make_error_code(http::error::bad_value).category() &&
                           error != http::error::end_of_stream &&
                           error != http::error::partial_message;
    malformed ? Refuse(400, "malformed request") : Close();
  }

  void Refuse(int status, std::string_view why) {
    keep_alive_ = false;
    head_only_ = false;
    Answer({status, {{"Content-Type", "text/plain"}}, std::string(why) + "\n", {}});
  }

  // Closing at once while the peer still sends would reset the connection, and the answer with it.
  void Linger() {
    error_code ignored;
    socket().shutdown(net::socket_base::shutdown_send, ignored);
    buffer_.consume(buffer_.size());
    parser_.reset();
    lingering_ = true;
    Arm(kLingerTime);
    if (!reading_) Discard();
  }

  void Discard() {
    socket().async_read_some(buffer_.prepare(kReadSize),
                             [self = Self()](error_code error, size_t bytes) {
                               self->lingered_ += bytes;
                               if (error || self->lingered_ > kLingerBytes) return self->Close();
                               self->Discard();
                             });
  }

  BeastServer& server_;
  BeastServer::Place place_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::string client_certificate_;
  TimePoint deadline_ = kForever;
  std::shared_ptr<StreamBody> body_;  // of the answer that is being streamed
  std::string output_;
  std::string answer_body_;
  size_t lingered_ = 0;
  bool keep_alive_ = false;
  bool chunked_answer_ = true;
  bool head_only_ = false;
  bool reading_ = false;  // ReadSome is under way
  bool writing_ = false;  // a part of body_ is under way
  bool lingering_ = false;
  bool closed_ = false;
};

// --- the server

Status BeastServer::SetUpTls() {
  if (options_.certificate_pem.empty()) return {};
  tls_.emplace(ssl::context::tls_server);
  error_code error;
  auto broken = [&](const char* what) {
    return Fail(ErrorClass::kInvalid, "the server's {} cannot be used: {}", what, error.message());
  };
  SSL_CTX* context = tls_->native_handle();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  tls_->use_certificate_chain(net::buffer(options_.certificate_pem), error);
  if (error) return broken("certificate");
  tls_->use_private_key(net::buffer(options_.key_pem), ssl::context::pem, error);
  if (error) return broken("key");
  if (!options_.client_ca_pem.empty()) {
    tls_->add_certificate_authority(net::buffer(options_.client_ca_pem), error);
    if (error) return broken("authority of clients");
    tls_->set_verify_mode(ssl::verify_peer, error);
    if (error) return broken("verification of clients");
    // Sessions of clients with certificates can be resumed only within a named context.
    static constexpr unsigned char kContext[] = "flotilla";
    SSL_CTX_set_session_id_context(context, kContext, sizeof kContext - 1);
  }
  return {};
}

Status BeastServer::Listen() {
  if (auto ready = SetUpTls(); !ready) return Pass(ready);
  error_code error;
  const auto address = net::ip::make_address(options_.address, error);
  if (error) return Fail(ErrorClass::kInvalid, "\"{}\" is no IP address", options_.address);
  const net::ip::tcp::endpoint endpoint(address, options_.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(net::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(net::socket_base::max_listen_connections, error);
  if (!error) port_ = acceptor_.local_endpoint(error).port();
  if (error) {
    return Fail(ErrorClass::kUnavailable, "cannot listen on {} port {}: {}", options_.address,
                options_.port, error.message());
  }
  return {};
}

void BeastServer::Run() {
  Accept();
  server_ = runtime_.Spawn("http-server", [this](const std::stop_token&) { io_.run(); });
  for (int i = 0; i < options_.threads; ++i) {
    workers_.push_back(
        runtime_.Spawn("http-handler", [this](const std::stop_token&) { work_.run(); }));
  }
}

BeastServer::~BeastServer() {
  net::post(io_, [this] { Shut(); });
  work_guard_.reset();
  work_.stop();  // handlers that run finish; requests that wait are dropped
  workers_.clear();
  io_guard_.reset();
  server_.reset();
}

void BeastServer::Shut() {
  shut_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  tick_timer_.cancel();
  while (!connections_.empty()) std::shared_ptr(connections_.front())->Close();
}

BeastServer::Place BeastServer::Add(std::shared_ptr<Connection> connection) {
  connections_.push_back(std::move(connection));
  if (!std::exchange(ticking_, true)) Tick();
  return std::prev(connections_.end());
}

void BeastServer::Remove(Place place) {
  connections_.erase(place);
  if (!accepting_) Accept();
}

// One timer for the deadlines of all connections: they are many, and rarely reached.
void BeastServer::Tick() {
  tick_timer_.expires_after(kTick);
  tick_timer_.async_wait([this](error_code error) {
    if (error || shut_) return;
    const TimePoint now = Now();
    for (auto place = connections_.begin(); place != connections_.end();) {
      const auto connection = *place++;  // Close removes it from the list
      if (connection->deadline() <= now) connection->Close();
    }
    ticking_ = !connections_.empty();
    if (ticking_) Tick();
  });
}

void BeastServer::Accept() {
  accepting_ = !shut_ && connections_.size() < limits::kServerConnections;
  if (!accepting_) return;  // goes on when a connection ends
  acceptor_.async_accept(io_.get_executor(), [this](error_code error, Socket socket) {
    if (shut_) return;
    if (error) {
      // Out of descriptors or memory: accepting again at once would spin.
      accept_timer_.expires_after(kAcceptBackOff);
      accept_timer_.async_wait([this](error_code) { Accept(); });
      return;
    }
    error_code ignored;
    socket.set_option(net::ip::tcp::no_delay(true), ignored);
    socket.set_option(net::socket_base::keep_alive(true), ignored);
    if (tls_) {
      std::make_shared<ConnectionOver<ssl::stream<Socket>>>(*this, std::move(socket), *tls_)
          ->Start();
    } else {
      std::make_shared<ConnectionOver<Socket>>(*this, std::move(socket))->Start();
    }
    Accept();
  });
}

void BeastServer::Handle(ServerRequest request, std::function<void(ServerResponse)> answer) {
  if (options_.threads == 0) return answer(handler_(request));
  net::post(work_, [this, request = std::move(request), answer = std::move(answer)]() mutable {
    net::post(io_, [answer = std::move(answer), response = handler_(request)]() mutable {
      answer(std::move(response));
    });
  });
}

}  // namespace

Result<std::unique_ptr<HttpServer>> Serve(Runtime& runtime, ServerOptions options,
                                          Handler handler) {
  try {
    auto server = std::make_unique<BeastServer>(runtime, std::move(options), std::move(handler));
    if (auto listening = server->Listen(); !listening) return Pass(listening);
    server->Run();
    return server;
  } catch (const std::exception& error) {
    return Fail(ErrorClass::kUnavailable, "cannot start the server: {}", error.what());
  }
}

}  // namespace flotilla::http
