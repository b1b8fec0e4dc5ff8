#include "http/check.h"

#include <algorithm>
#include <string_view>

namespace flotilla::http {
namespace {

// RFC 9110 §5.6.2.
bool IsTokenChar(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool IsValueChar(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool EqualNoCase(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

bool IsSafe(Method method) { return method == Method::kGet || method == Method::kHead; }

std::string Name(const Request& request) {
  std::string_view url = request.url;
  return fmt::format("{} {}", ToString(request.method), url.substr(0, url.find('?')));
}

Error MakeError(const Request& request, ErrorClass cls, Outcome outcome, std::string_view why) {
  Error error;
  error.cls = cls;
  error.outcome = outcome;
  error.message = fmt::format("{}: {}", Name(request), why);
  return error;
}

Result<Url> CheckSend(const Request& request, bool stream, TimePoint now,
                      const std::stop_token& stop) {
  auto url = CheckRequest(request);
  if (!url) return url;
  auto refuse = [&](ErrorClass cls, std::string_view why) {
    return tl::unexpected(MakeError(request, cls, Outcome::kNotSent, why));
  };
  if (!stream && request.deadline == kForever) {
    return refuse(ErrorClass::kInvalid, "a request needs a deadline");
  }
  if (stop.stop_requested()) return refuse(ErrorClass::kCancelled, "cancelled");
  if (request.deadline <= now) {
    return refuse(ErrorClass::kTimeout, "its deadline passed before it was sent");
  }
  return url;
}

Result<Url> CheckRequest(const Request& request) {
  auto refuse = [&](std::string_view why) {
    return tl::unexpected(MakeError(request, ErrorClass::kInvalid, Outcome::kNotSent, why));
  };
  auto url = ParseUrl(request.url);
  if (!url) {
    Error error = std::move(url.error());
    error.outcome = Outcome::kNotSent;
    return Fail(std::move(error), "a request cannot be sent");
  }
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || !std::all_of(name.begin(), name.end(), IsTokenChar)) {
      return refuse("a header has a name that is no token");
    }
    if (!std::all_of(value.begin(), value.end(), IsValueChar)) {
      return refuse(fmt::format("header {} holds a control character", name));
    }
    for (const char* framing : {"Content-Length", "Transfer-Encoding", "Connection", "TE",
                                "Trailer", "Upgrade", "Expect"}) {
      if (EqualNoCase(name, framing)) {
        return refuse(fmt::format("header {} is the client's to set", name));
      }
    }
  }
  if (IsSafe(request.method) && !request.body.empty()) return refuse("has a body");
  return url;
}

}  // namespace flotilla::http
