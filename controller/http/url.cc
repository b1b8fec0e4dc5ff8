#include "http/url.h"

#include <algorithm>
#include <charconv>

#include "base/encoding.h"

namespace flotilla::http {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool IsUnreserved(char c) {
  return IsAlpha(c) || IsDigit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool StartsWithNoCase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(),
                                                    [](char a, char b) { return a == ToLower(b); });
}

bool IsHostName(std::string_view host) {
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), IsUnreserved);
}

bool IsIpv6(std::string_view host) {
  return host.find(':') != std::string_view::npos &&
         std::all_of(host.begin(), host.end(),
                     [](char c) { return HexValue(c) >= 0 || c == ':' || c == '.'; });
}

uint16_t DefaultPort(bool tls) { return tls ? 443 : 80; }

}  // namespace

Result<Url> ParseUrl(std::string_view text) {
  Url url;
  std::string_view rest = text;
  if (StartsWithNoCase(rest, "https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (StartsWithNoCase(rest, "http://")) {
    rest.remove_prefix(7);
  } else {
    return Fail(ErrorClass::kInvalid, "a URL must begin with http:// or https://");
  }
  for (char c : rest) {
    if (c <= ' ' || c >= 0x7f) {
      return Fail(ErrorClass::kInvalid, "a URL holds a blank, a control or a non-ASCII character");
    }
  }
  if (rest.find('#') != std::string_view::npos) {
    return Fail(ErrorClass::kInvalid, "a URL of a request has no fragment");
  }

  size_t end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, end);
  rest.remove_prefix(end);
  if (authority.find('@') != std::string_view::npos) {
    return Fail(ErrorClass::kInvalid, "credentials do not belong into a URL");
  }

  std::string_view host = authority;
  std::string_view port;
  bool has_port = false;
  if (authority.starts_with('[')) {
    size_t close = authority.find(']');
    if (close == std::string_view::npos) {
      return Fail(ErrorClass::kInvalid, "the IPv6 address of a URL lacks its ']'");
    }
    host = authority.substr(1, close - 1);
    std::string_view after = authority.substr(close + 1);
    if (!IsIpv6(host) || (!after.empty() && after.front() != ':')) {
      return Fail(ErrorClass::kInvalid, "\"{}\" is no host", authority);
    }
    has_port = !after.empty();
    if (has_port) port = after.substr(1);
  } else {
    size_t colon = authority.find(':');
    has_port = colon != std::string_view::npos;
    if (has_port) {
      host = authority.substr(0, colon);
      port = authority.substr(colon + 1);
    }
    if (!IsHostName(host)) return Fail(ErrorClass::kInvalid, "\"{}\" is no host", host);
  }
  url.port = DefaultPort(url.tls);
  if (has_port) {
    auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc() || stop != port.data() + port.size() || url.port == 0) {
      return Fail(ErrorClass::kInvalid, "\"{}\" is no port", port);
    }
  }
  url.host = host;
  std::transform(url.host.begin(), url.host.end(), url.host.begin(), ToLower);

  Target target = SplitTarget(rest);
  url.path = target.path.empty() ? "/" : target.path;
  url.query = target.query;
  return url;
}

std::string Authority(const Url& url) {
  bool ipv6 = url.host.find(':') != std::string::npos;
  std::string text = ipv6 ? "[" + url.host + "]" : url.host;
  if (url.port != DefaultPort(url.tls)) text += ":" + std::to_string(url.port);
  return text;
}

std::string ToString(const Url& url) {
  std::string text = url.tls ? "https://" : "http://";
  text += Authority(url);
  text += url.path;
  if (!url.query.empty()) {
    text += '?';
    text += url.query;
  }
  return text;
}

void AppendQuery(std::string& url, std::string_view key, std::string_view value) {
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += PercentEncode(key);
  url += '=';
  url += PercentEncode(value);
}

Result<Query> ParseQuery(std::string_view query) {
  Query parameters;
  auto decode = [](std::string_view text) -> Result<std::string> {
    std::string blanks(text);
    std::replace(blanks.begin(), blanks.end(), '+', ' ');
    auto plain = PercentDecode(blanks);
    if (!plain) return Fail(ErrorClass::kInvalid, "a '%' in a query is no percent-encoding");
    return std::move(*plain);
  };
  while (!query.empty()) {
    size_t end = std::min(query.find('&'), query.size());
    std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty()) continue;
    size_t equals = std::min(part.find('='), part.size());
    auto key = decode(part.substr(0, equals));
    if (!key) return Pass(key);
    auto value = decode(part.substr(std::min(equals + 1, part.size())));
    if (!value) return Pass(value);
    parameters.emplace_back(std::move(*key), std::move(*value));
  }
  return parameters;
}

std::string_view Find(const Query& query, std::string_view key, std::string_view otherwise) {
  for (const auto& [name, value] : query) {
    if (name == key) return value;
  }
  return otherwise;
}

Target SplitTarget(std::string_view target) {
  size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

}  // namespace flotilla::http
