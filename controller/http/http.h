// The HTTP client as the rest of the code sees it.
//
// Send is the primitive: it never blocks, and calls `on_done` exactly once, also after a
// cancellation, and never from inside Send. Do is Send plus a wait. Callbacks run on the client's
// own thread (in the simulation: on the fiber of the network) and must not block.
//
// What every implementation guarantees, and tests/contract/http checks of each: deadlines hold
// whatever the other side does; decoded bodies and headers have limits (base/limits.h); redirects
// are never followed; header names and values with control characters are refused; an idle
// connection closed by the other side is not an error of the next request; a request that may have
// been processed is never sent twice (an error then says Outcome::kUnknown).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/runtime.h"
#include "base/time.h"

namespace flotilla::http {

enum class Method : unsigned char { kGet, kHead, kPost, kPut, kPatch, kDelete };
const char* ToString(Method method);

// Names compare without regard to case; order is kept.
using Headers = std::vector<std::pair<std::string, std::string>>;
// The value of the first header of that name, or "".
std::string_view Find(const Headers& headers, std::string_view name);

// How to reach and trust one endpoint (scheme, host, port). Immutable and shared by all its
// requests; connections are pooled per Transport. Rotation of a certificate is a new Transport.
// PEM is held in memory and never written to a file.
struct Transport {
  std::string ca_pem;           // empty: the system's certificate authorities
  std::string client_cert_pem;  // empty: none
  std::string client_key_pem;
  std::string server_name;  // verified instead of the URL's host where not empty
  std::string proxy_url;    // empty: none; the environment is never consulted
  bool insecure_skip_verify = false;
  int max_connections = 64;  // for unary requests; streams have connections of their own
};

struct Request {
  Method method = Method::kGet;
  std::string url;  // absolute: http or https
  Headers headers;
  std::string body;
  TimePoint deadline = kForever;               // for the whole exchange; required for Send
  std::shared_ptr<const Transport> transport;  // null: defaults
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;
};

// Where a stream stands. Destroying it cancels and waits for the last callback to return.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void Resume() = 0;  // after on_data answered kPause
};

enum class Flow : unsigned char { kContinue, kPause };

struct StreamEvents {
  std::function<void(const Response& head)> on_head;  // body empty; called once, before data
  std::function<Flow(std::string_view data)> on_data;
  std::function<void(Status end)> on_done;  // exactly once: a clean end of the body, or why not
};

using OnDone = std::function<void(Result<Response>)>;

class HttpClient {
 public:
  virtual ~HttpClient() = default;

  // `stop` cancels: on_done then gets Cancelled within 50 ms.
  // Every HTTP status is an answer, not an error.
  virtual void Send(Request request, std::stop_token stop, OnDone on_done) = 0;

  // A long answer, read as it comes. `idle` is the longest silence between bytes; the deadline of
  // the request covers only the time until the head. Uses a connection that no unary request
  // shares.
  virtual std::unique_ptr<Stream> Open(Request request, Duration idle, StreamEvents events) = 0;
};

// Sends and waits.
Result<Response> Do(Runtime& runtime, HttpClient& client, Request request, std::stop_token stop);

}  // namespace flotilla::http
