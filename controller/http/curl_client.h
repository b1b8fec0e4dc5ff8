// HttpClient over libcurl: the default backend (docs/decisions/0001-http-client.md).
//
// One task of the runtime, the reactor, owns every connection; any thread hands it requests.
// Unary requests share the connections of their Transport (HTTP/2 where the server speaks it over
// TLS, else HTTP/1.1 with keep-alive); every stream has an HTTP/1.1 connection of its own, so that
// neither a stuck connection nor a slow reader of one watch touches anything else.
#pragma once

#include <memory>

#include "http/http.h"

namespace flotilla::http {

struct CurlOptions {
  bool http2 = true;  // offer HTTP/2 for unary requests over TLS
};

// Destroying the client ends everything that is under way with Cancelled, and waits for it. It must
// not be destroyed from one of its own callbacks. `runtime` must outlive it.
std::unique_ptr<HttpClient> NewCurlClient(Runtime& runtime, CurlOptions options = {});

}  // namespace flotilla::http
