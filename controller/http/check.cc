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

tl::unexpected<Error> NotSent(tl::unexpected<Error> fail) {
  Error error = std::move(fail.value());
  error.outcome = Outcome::kNotSent;
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace

bool IsSafe(Method method) { return method == Method::kGet || method == Method::kHead; }

std::string Name(const Request& request) {
  std::string_view url = request.url;
  return fmt::format("{} {}", ToString(request.method), url.substr(0, url.find('?')));
}

Result<Url> CheckRequest(const Request& request) {
  auto url = ParseUrl(request.url);
  if (!url) return NotSent(Fail(url, "a request cannot be sent"));
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || !std::all_of(name.begin(), name.end(), IsTokenChar)) {
      return NotSent(
          Fail(ErrorClass::kInvalid, "{}: a header has a name that is no token", Name(request)));
    }
    if (!std::all_of(value.begin(), value.end(), IsValueChar)) {
      return NotSent(Fail(ErrorClass::kInvalid, "{}: header {} holds a control character",
                          Name(request), name));
    }
    for (const char* framing : {"Content-Length", "Transfer-Encoding", "Connection", "TE",
                                "Trailer", "Upgrade", "Expect"}) {
      if (EqualNoCase(name, framing)) {
        return NotSent(Fail(ErrorClass::kInvalid, "{}: header {} is the client's to set",
                            Name(request), name));
      }
    }
  }
  if (IsSafe(request.method) && !request.body.empty()) {
    return NotSent(Fail(ErrorClass::kInvalid, "{}: has a body", Name(request)));
  }
  return url;
}

}  // namespace flotilla::http
