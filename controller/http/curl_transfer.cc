#include "http/curl_transfer.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "http/check.h"

namespace flotilla::http {
namespace {

constexpr long kConnectTimeoutMs = 10'000;
constexpr long kMaxIdleSeconds = 55;       // below the 60 s of common load balancers
constexpr long kMaxLifetimeSeconds = 600;  // follows changes of DNS and of balancers
constexpr unsigned kTcpUserTimeoutMs = 15'000;
constexpr size_t kBodyReserve = 16u << 20;  // at most, on the word of the server

// A peer that vanished is found by unacknowledged data or keep-alive probes within 15 s or so.
int OnSocket(void*, curl_socket_t socket, curlsocktype) {
  unsigned timeout = kTcpUserTimeoutMs;
  // Not every kind of socket has the option; without it only the deadlines hold.
  (void)setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
  return CURL_SOCKOPT_OK;
}

curl_blob Blob(const std::string& text) {
  // NOCOPY: the Transport outlives the transfer. libcurl does not write through the pointer.
  return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_NOCOPY};
}

bool IsOws(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsOws(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsOws(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

struct CurlTransfer::Lists {
  ~Lists() {
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
  }
  void AddHeader(const std::string& line) { headers = Append(headers, line); }
  void AddConnectTo(const std::string& line) { connect_to = Append(connect_to, line); }

  curl_slist* headers = nullptr;
  curl_slist* connect_to = nullptr;

 private:
  static curl_slist* Append(curl_slist* list, const std::string& line) {
    curl_slist* longer = curl_slist_append(list, line.c_str());
    if (!longer) throw std::bad_alloc();
    return longer;
  }
};

CurlTransfer::CurlTransfer(Runtime& runtime, uint64_t id, Request request, std::stop_token stop,
                           OnDone on_done)
    : runtime_(runtime),
      id_(id),
      request_(std::move(request)),
      stop_(std::move(stop)),
      on_done_(std::move(on_done)),
      last_byte_(runtime.Now()) {}

CurlTransfer::CurlTransfer(Runtime& runtime, uint64_t id, Request request, Duration idle,
                           StreamEvents events)
    : runtime_(runtime),
      id_(id),
      request_(std::move(request)),
      events_(std::move(events)),
      ended_(runtime.NewEvent()),
      idle_(idle),
      last_byte_(runtime.Now()) {}

CurlTransfer::~CurlTransfer() = default;

Error CurlTransfer::MakeError(ErrorClass cls, std::string_view why) const {
  return http::MakeError(request_, cls, Sent() ? Outcome::kUnknown : Outcome::kNotSent, why);
}

Status CurlTransfer::Check() {
  auto url = CheckSend(request_, is_stream(), runtime_.Now(), stop_);
  if (!url) return Pass(url);
  url_ = std::move(*url);
  return {};
}

Status CurlTransfer::Prepare(void* easy, bool http2) {
  static const Transport kDefault;
  const Transport& transport = request_.transport ? *request_.transport : kDefault;
  easy_ = easy;
  last_byte_ = runtime_.Now();
  lists_ = std::make_unique<Lists>();

  CURLcode first = CURLE_OK;
  auto set = [&](CURLoption option, auto value) {
    CURLcode code = curl_easy_setopt(easy, option, value);
    if (first == CURLE_OK) first = code;
  };

  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, curl_message_.data());
  set(CURLOPT_NOSIGNAL, 1L);
  // Without it a cancelled transfer waits for a name lookup that hangs, and the reactor with it.
  set(CURLOPT_QUICK_EXIT, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  set(CURLOPT_MAXAGE_CONN, kMaxIdleSeconds);
  set(CURLOPT_MAXLIFETIME_CONN, kMaxLifetimeSeconds);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_KEEPIDLE, 15L);
  set(CURLOPT_TCP_KEEPINTVL, 5L);
  set(CURLOPT_SOCKOPTFUNCTION, &OnSocket);
  // Empty, not absent: absent means http_proxy and no_proxy of the environment.
  set(CURLOPT_PROXY, transport.proxy_url.c_str());
  set(CURLOPT_NOPROXY, "");
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);

  set(CURLOPT_HEADERFUNCTION, &OnHeader);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &OnBody);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_PREREQFUNCTION, &OnConnected);
  set(CURLOPT_PREREQDATA, static_cast<void*>(this));

  if (is_stream()) {
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_FORBID_REUSE, 1L);  // and so none to use again: each has its own
  } else if (http2 && url_.tls) {
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(CURLOPT_PIPEWAIT, 1L);  // rather wait for the first handshake than make a hundred
  } else {
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  }

  // Verification of tls-server-name: the URL names the server to verify, CONNECT_TO the one to
  // reach, and Host stays what the caller's URL says.
  Url target = url_;
  if (url_.tls && !transport.server_name.empty() && transport.server_name != url_.host) {
    target.host = transport.server_name;
    auto bracketed = [](const std::string& host) {
      return host.find(':') == std::string::npos ? host : "[" + host + "]";
    };
    lists_->AddConnectTo(fmt::format("{}:{}:{}:{}", bracketed(target.host), target.port,
                                     bracketed(url_.host), url_.port));
    set(CURLOPT_CONNECT_TO, lists_->connect_to);
    if (Find(request_.headers, "Host").empty()) lists_->AddHeader("Host: " + Authority(url_));
  }
  set(CURLOPT_URL, ToString(target).c_str());
  set(CURLOPT_PATH_AS_IS, 1L);

  if (url_.tls) {
    if (transport.insecure_skip_verify) {
      set(CURLOPT_SSL_VERIFYPEER, 0L);
      set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!transport.ca_pem.empty()) {
      curl_blob ca = Blob(transport.ca_pem);
      set(CURLOPT_CAINFO_BLOB, &ca);
      // The blob replaces the bundle file, not the directory: the system's roots would stay
      // trusted.
      set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    }
    if (!transport.client_cert_pem.empty()) {
      curl_blob certificate = Blob(transport.client_cert_pem);
      curl_blob key = Blob(transport.client_key_pem);
      set(CURLOPT_SSLCERT_BLOB, &certificate);
      set(CURLOPT_SSLKEY_BLOB, &key);
    }
  }

  switch (request_.method) {
    case Method::kGet:
      set(CURLOPT_HTTPGET, 1L);
      break;
    case Method::kHead:
      set(CURLOPT_NOBODY, 1L);
      break;
    case Method::kDelete:
      if (request_.body.empty()) {
        set(CURLOPT_CUSTOMREQUEST, "DELETE");
        break;
      }
      [[fallthrough]];
    default:
      set(CURLOPT_POST, 1L);
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
      set(CURLOPT_POSTFIELDS, request_.body.c_str());
      set(CURLOPT_CUSTOMREQUEST, ToString(request_.method));
      if (Find(request_.headers, "Content-Type").empty()) lists_->AddHeader("Content-Type:");
  }
  lists_->AddHeader("Expect:");
  for (const auto& [name, value] : request_.headers) {
    // "Name;" is libcurl's notation of a header with an empty value.
    lists_->AddHeader(value.empty() ? name + ";" : fmt::format("{}: {}", name, value));
  }
  set(CURLOPT_HTTPHEADER, lists_->headers);
  // Who names encodings gets the bytes as sent. Streams are small events that nobody compresses.
  if (!is_stream() && Find(request_.headers, "Accept-Encoding").empty()) {
    set(CURLOPT_ACCEPT_ENCODING, "gzip");
  }

  if (first != CURLE_OK) {
    return tl::unexpected(MakeError(ErrorClass::kInternal, curl_easy_strerror(first)));
  }
  return {};
}

void* CurlTransfer::Release() {
  void* easy = std::exchange(easy_, nullptr);
  if (easy) curl_easy_reset(easy);
  return easy;
}

TimePoint CurlTransfer::Due() const {
  if (!is_stream()) return request_.deadline;
  if (curl_paused_) return head_complete_ ? kForever : request_.deadline;
  TimePoint silence = last_byte_ + idle_;
  return head_complete_ ? silence : std::min(silence, request_.deadline);
}

Error CurlTransfer::Overdue() const {
  if (head_complete_ && is_stream()) {
    return MakeError(ErrorClass::kTimeout,
                     fmt::format("the stream was silent for {}", FormatDuration(idle_)));
  }
  if (attempts_ == 0) {
    return MakeError(ErrorClass::kTimeout, "no connection before the deadline");
  }
  return MakeError(ErrorClass::kTimeout, answered()
                                             ? "the answer was not complete before the deadline"
                                             : "no answer before the deadline");
}

bool CurlTransfer::Sent() const {
  if (attempts_ == 0) return false;  // what a proxy was sent is not the request
  if (!easy_) return false;
  long bytes = 0;
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &bytes);
  return bytes > 0;
}

int CurlTransfer::OnConnected(void* self, char*, char*, int, int) {
  auto* transfer = static_cast<CurlTransfer*>(self);
  // libcurl sends a request again, whatever its method, when a kept connection closes before the
  // first byte of the answer. The server may have acted on it.
  if (transfer->Sent() && !IsSafe(transfer->request_.method)) {
    transfer->failure_ = transfer->MakeError(ErrorClass::kUnavailable,
                                             "the server closed the connection before it answered");
    return CURL_PREREQFUNC_ABORT;
  }
  ++transfer->attempts_;
  return CURL_PREREQFUNC_OK;
}

size_t CurlTransfer::OnHeader(char* data, size_t size, size_t count, void* self) {
  auto* transfer = static_cast<CurlTransfer*>(self);
  const size_t bytes = size * count;
  if (transfer->delivered_ || !transfer->AcceptHeaderLine({data, bytes})) return 0;
  return transfer->delivered_ ? 0 : bytes;
}

bool CurlTransfer::AcceptHeaderLine(std::string_view line) {
  last_byte_ = runtime_.Now();
  header_bytes_ += line.size();
  if (header_bytes_ > limits::kHeaderBytes) {
    failure_ = MakeError(
        ErrorClass::kInvalid,
        fmt::format("the header of the answer is larger than {} bytes", limits::kHeaderBytes));
    return false;
  }
  if (head_complete_) return true;  // a trailer

  if (line.starts_with("HTTP/")) {  // a status line: of the answer, or of an interim one before it
    response_.headers.clear();
    response_.status = 0;
    size_t blank = line.find(' ');
    if (blank != std::string_view::npos) {
      line.remove_prefix(blank + 1);
      std::from_chars(line.data(), line.data() + line.size(), response_.status);
    }
    return true;
  }
  std::string_view text = Trim(line);
  if (text.empty()) {
    if (response_.status < 200) return true;
    head_complete_ = true;
    if (is_stream()) {
      in_callback_ = true;
      events_.on_head(response_);
      in_callback_ = false;
    } else if (curl_off_t length = 0;
               curl_easy_getinfo(easy_, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == CURLE_OK &&
               length > 0 && request_.method != Method::kHead) {
      response_.body.reserve(std::min(static_cast<size_t>(length), kBodyReserve));
    }
    return true;
  }
  if ((line.front() == ' ' || line.front() == '\t') && !response_.headers.empty()) {
    response_.headers.back().second.append(" ").append(text);  // RFC 9112 §5.2
    return true;
  }
  size_t colon = text.find(':');
  if (colon == std::string_view::npos) return true;
  response_.headers.emplace_back(text.substr(0, colon), Trim(text.substr(colon + 1)));
  return true;
}

size_t CurlTransfer::OnBody(char* data, size_t size, size_t count, void* self) {
  auto* transfer = static_cast<CurlTransfer*>(self);
  const size_t bytes = size * count;
  if (transfer->delivered_) return CURL_WRITEFUNC_ERROR;
  if (transfer->is_stream()) {
    if (transfer->paused_) {
      transfer->curl_paused_ = true;
      return CURL_WRITEFUNC_PAUSE;  // libcurl keeps the data and shows it again
    }
    transfer->last_byte_ = transfer->runtime_.Now();
    transfer->in_callback_ = true;
    transfer->paused_ = transfer->events_.on_data({data, bytes}) == Flow::kPause;
    transfer->in_callback_ = false;
    return transfer->delivered_ ? CURL_WRITEFUNC_ERROR : bytes;
  }
  transfer->last_byte_ = transfer->runtime_.Now();
  std::string& body = transfer->response_.body;
  if (bytes > limits::kResponseBytes - body.size()) {
    transfer->failure_ = transfer->MakeError(
        ErrorClass::kInvalid,
        fmt::format("the body of the answer is larger than {} bytes", limits::kResponseBytes));
    return CURL_WRITEFUNC_ERROR;
  }
  body.append(data, bytes);
  return bytes;
}

void CurlTransfer::Resume() {
  paused_ = false;
  if (!std::exchange(curl_paused_, false)) return;
  last_byte_ = runtime_.Now();
  if (easy_) curl_easy_pause(easy_, CURLPAUSE_CONT);
}

Error CurlTransfer::Describe(int code) const {
  ErrorClass cls = ErrorClass::kUnavailable;
  switch (code) {
    case CURLE_SSL_CERTPROBLEM:     // our certificate or key cannot be read
    case CURLE_SSL_CACERT_BADFILE:  // the authorities cannot be read
      cls = ErrorClass::kInvalid;
      break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CLIENTCERT:  // the server demands a certificate
      cls = ErrorClass::kUnauthenticated;
      break;
    case CURLE_OPERATION_TIMEDOUT:
      cls = ErrorClass::kTimeout;
      break;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_FAILED_INIT:
    case CURLE_UNKNOWN_OPTION:
      cls = ErrorClass::kInternal;
      break;
    default:
      break;
  }
  const auto known = static_cast<CURLcode>(code);
  std::string_view detail = curl_message_.data();
  if (detail.empty()) detail = curl_easy_strerror(known);
  return MakeError(cls, detail);
}

void CurlTransfer::Finish(int code) {
  if (failure_) return Deliver(tl::unexpected(std::move(*failure_)));
  if (code != CURLE_OK) return Deliver(tl::unexpected(Describe(code)));
  if (!head_complete_) {  // which libcurl forgives
    return Finish(ErrorClass::kUnavailable, "the connection ended within the header of the answer");
  }
  Deliver(std::move(response_));
}

void CurlTransfer::Finish(Error error) { Deliver(tl::unexpected(std::move(error))); }

void CurlTransfer::Finish(ErrorClass cls, std::string_view why) {
  Deliver(tl::unexpected(MakeError(cls, why)));
}

void CurlTransfer::Deliver(Result<Response> result) {
  if (delivered_) return;
  delivered_ = true;
  if (!is_stream()) {
    auto done = std::exchange(on_done_, nullptr);
    done(std::move(result));
    return;
  }
  auto done = std::exchange(events_.on_done, nullptr);
  done(result ? Status() : Status(tl::unexpected(std::move(result.error()))));
  done = nullptr;
  // What the callbacks hold goes before the owner is told that the end is over; one that is running
  // right now (it destroyed its own stream) cannot.
  if (!in_callback_) events_ = {};
  ended_->Set();
}

}  // namespace flotilla::http
