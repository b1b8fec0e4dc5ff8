// HttpClient over cpprestsdk, the other backend (docs/decisions/0001-http-client.md says why it is
// not the default). What the library gets wrong is made good here as far as it can be from outside:
//   - the body goes through a buffer of ours: back-pressure, limits, and a negative chunk size is
//     an error instead of the end of the process;
//   - certificates are verified by us against the transport's authorities alone. The library would
//     parse and trust the system's for every connection, so SSL_CERT_FILE and SSL_CERT_DIR of the
//     process are pointed at nothing (what they named before counts as the system's);
//   - its thread pool has 4 threads instead of 40, and no callback of ours runs on them;
//   - redirects are off; deadlines, idle limits and cancellation are ours;
//   - it repeats any request whose kept connection closes, so requests that write get a new one;
//   - its threads crash in OpenSSL's exit handlers, so exit() becomes _exit() once a client
//   existed.
// What remains: headers of answers, and one chunk of a body, have no limit in memory; interim (1xx)
// answers are taken for the answer; HTTP/2 and header order are missing.
#pragma once

#include <memory>

#include "http/http.h"

namespace flotilla::http {

// Destroying the client ends everything that is under way with Cancelled, and waits for it. It must
// not be destroyed from one of its own callbacks. `runtime` must outlive it.
std::unique_ptr<HttpClient> NewCpprestClient(Runtime& runtime);

}  // namespace flotilla::http
