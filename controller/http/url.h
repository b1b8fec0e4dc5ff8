// URLs of HTTP and HTTPS, taken apart and put together (RFC 3986).
//
// Strict on purpose: what a parser tolerates, the next one reads differently. Only visible ASCII,
// no credentials in the authority, no fragment, no port 0. Path and query stay as written
// (percent-encoded, see base/encoding.h); ParseQuery decodes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace flotilla::http {

struct Url {
  bool tls = false;   // https
  std::string host;   // lower case; an IPv6 address without brackets
  uint16_t port = 0;  // 80 or 443 where the text names none
  std::string path;   // begins with '/'
  std::string query;  // without '?'

  bool operator==(const Url&) const = default;
};

Result<Url> ParseUrl(std::string_view text);

// The text that parses to `url`; the port is left out where it is the scheme's own.
std::string ToString(const Url& url);
// "host" or "host:port", as in a Host header; IPv6 in brackets.
std::string Authority(const Url& url);

// Appends "?key=value" or "&key=value" (encoded) to a URL or a target without fragment.
void AppendQuery(std::string& url, std::string_view key, std::string_view value);

// The parameters of a query in order, decoded as HTML forms and Go's net/url do: '+' is a blank,
// a key without '=' has the value "".
using Query = std::vector<std::pair<std::string, std::string>>;
Result<Query> ParseQuery(std::string_view query);
// The first value of that key, or "".
std::string_view Find(const Query& query, std::string_view key, std::string_view otherwise);

// The parts of a target as a request line holds it.
struct Target {
  std::string_view path;
  std::string_view query;  // without '?'
};
Target SplitTarget(std::string_view target);

}  // namespace flotilla::http
