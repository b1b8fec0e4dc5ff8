// What a request must satisfy before any backend sends it.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/http.h"
#include "http/url.h"

namespace flotilla::http {

// The parsed URL of a request that is safe to send. Invalid (and NotSent) where a header could end
// its line early (CR, LF, NUL), a header that frames the message is set by hand (Content-Length,
// Transfer-Encoding, Connection), a GET or HEAD has a body, or the URL is none of ours.
Result<Url> CheckRequest(const Request& request);

// The same, and what forbids to send it now: no deadline (streams need none), one that has passed,
// or a stop.
Result<Url> CheckSend(const Request& request, bool stream, TimePoint now,
                      const std::stop_token& stop);

// True where repeating the request cannot do harm: GET and HEAD.
bool IsSafe(Method method);

// "GET https://host/path": names a request in messages, without its query, which may hold secrets.
std::string Name(const Request& request);
// An error whose message begins with that name.
Error MakeError(const Request& request, ErrorClass cls, Outcome outcome, std::string_view why);

}  // namespace flotilla::http
