// An HTTP/1.1 server with limits and deadlines (Boost.Beast behind it).
//
// A handler answers a whole request at once, or takes over the connection's answer as a stream
// (watches). Slow or oversized requests are cut off by the server: 10 s for the header, 30 s for a
// request and for the answer to be taken, 75 s between requests, limits of base/limits.h for
// headers, body and connections. What it refuses it answers where it can: 400, 405, 413, 431, 501.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/http.h"

namespace flotilla::http {

struct ServerRequest {
  Method method = Method::kGet;
  std::string target;  // path and query, as sent
  Headers headers;
  std::string body;
  std::string client_certificate_pem;  // of a verified client, else empty
};

// The body of a streamed answer. Write may be called from any thread, also after the server is
// gone. Destroying it ends the body.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  // False when the peer is gone, or more than 1 MiB waits for it to read: the connection is then
  // cut, so that the peer does not take what it has for all there is. One piece may be of any size.
  virtual bool Write(std::string_view data) = 0;
};

// An answer is a whole one (`stream` empty), or head first and then what `stream` writes: it is
// called once with the writer, must not block, and keeps the writer for as long as it has something
// to say.
struct ServerResponse {
  int status = 200;
  Headers headers;
  std::string body;
  std::function<void(std::shared_ptr<ResponseWriter>)> stream;
};

// Runs on one of the server's threads; may block. Must not throw.
using Handler = std::function<ServerResponse(const ServerRequest&)>;

struct ServerOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;            // 0: any free one
  std::string certificate_pem;  // empty: plain HTTP
  std::string key_pem;
  std::string client_ca_pem;  // where set, clients may present a certificate of it
  int threads = 4;            // that run handlers
};

class HttpServer {
 public:
  virtual ~HttpServer() = default;  // stops accepting, ends every connection, waits for handlers
  virtual uint16_t port() const = 0;
};

// Unavailable where the address cannot be bound, Invalid where certificate, key or authority cannot
// be read. `runtime` runs the server's threads and must outlive it.
Result<std::unique_ptr<HttpServer>> Serve(Runtime& runtime, ServerOptions options, Handler handler);

}  // namespace flotilla::http
