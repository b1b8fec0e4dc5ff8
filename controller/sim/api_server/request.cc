#include "sim/api_server/request.h"

#include <cctype>

namespace flotilla::sim::api {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Calls `visit` with each trimmed part of a list; stops when it answers true.
template <typename Visit>
bool AnyPart(std::string_view text, char separator, Visit visit) {
  while (true) {
    size_t end = text.find(separator);
    if (visit(Trim(text.substr(0, end)))) return true;
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string> Segments(std::string_view path) {
  std::vector<std::string> parts;
  size_t at = 1;
  while (at < path.size()) {
    size_t end = path.find('/', at);
    if (end == std::string_view::npos) end = path.size();
    if (end > at) parts.push_back(DecodePercent(path.substr(at, end - at), false));
    at = end + 1;
  }
  return parts;
}

std::string VerbOf(http::Method method, const RequestInfo& info, const Query& query) {
  bool named = !info.name.empty();
  switch (method) {
    case http::Method::kGet:
    case http::Method::kHead:
      if (query.IsTrue("watch")) return "watch";
      return named ? "get" : "list";
    case http::Method::kPost:
      return "create";
    case http::Method::kPut:
      return "update";
    case http::Method::kPatch:
      return "patch";
    case http::Method::kDelete:
      return named ? "delete" : "deletecollection";
  }
  return "";
}

// /api/v1/... and /apis/GROUP/VERSION/...; what follows is
// [namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE]].
void TakeApart(const std::vector<std::string>& parts, Request& request) {
  RequestInfo& info = request.info;
  size_t at;
  if (parts.size() >= 3 && parts[0] == "api") {
    info.version = parts[1];
    at = 2;
  } else if (parts.size() >= 4 && parts[0] == "apis") {
    info.group = parts[1];
    info.version = parts[2];
    at = 3;
  } else {
    return;
  }
  request.is_resource = true;
  if (parts[at] == "watch") ++at;  // the old form of a watch
  if (at >= parts.size()) return;
  if (parts[at] == "namespaces" && parts.size() >= at + 2) {
    info.namespace_name = parts[at + 1];
    bool sub_of_namespace =
        parts.size() == at + 3 && (parts[at + 2] == "status" || parts[at + 2] == "finalize");
    if (parts.size() > at + 2 && !sub_of_namespace) at += 2;
  }
  info.resource = parts[at];
  if (parts.size() > at + 1) info.name = parts[at + 1];
  if (parts.size() > at + 2) info.subresource = parts[at + 2];
}

}  // namespace

std::string DecodePercent(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() + 0 && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else if (text[i] == '+' && plus_is_space) {
      decoded += ' ';
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

Query::Query(std::string_view text) {
  while (!text.empty()) {
    size_t end = text.find('&');
    std::string_view part = text.substr(0, end);
    size_t equals = part.find('=');
    if (!part.empty()) {
      std::string_view value =
          equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
      parameters_.emplace_back(DecodePercent(part.substr(0, equals), true),
                               DecodePercent(value, true));
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

std::string_view Query::Get(std::string_view name) const {
  for (const auto& [key, value] : parameters_) {
    if (key == name) return value;
  }
  return {};
}

bool Query::Has(std::string_view name) const {
  for (const auto& [key, value] : parameters_) {
    if (key == name) return true;
  }
  return false;
}

bool Query::IsTrue(std::string_view name) const {
  std::string_view value = Get(name);
  return value == "1" || value == "true" || value == "True" || value == "t" || value == "TRUE";
}

bool Accepts(std::string_view accept, std::string_view parameter) {
  return AnyPart(accept, ',', [&](std::string_view type) {
    return AnyPart(type, ';', [&](std::string_view part) { return part == parameter; });
  });
}

std::optional<Projection> Negotiate(std::string_view accept) {
  if (accept.empty()) return Projection::kFull;
  std::optional<Projection> found;
  AnyPart(accept, ',', [&](std::string_view range) {
    std::string_view type = Trim(range.substr(0, range.find(';')));
    if (type != "application/json" && type != "*/*" && type != "application/*" &&
        type != "application/yaml") {
      return false;
    }
    bool table = Accepts(range, "as=Table");
    bool metadata = Accepts(range, "as=PartialObjectMetadata") ||
                    Accepts(range, "as=PartialObjectMetadataList");
    bool other = !table && !metadata && range.find("as=") != std::string_view::npos;
    if (other) return false;
    found = table ? Projection::kTable : metadata ? Projection::kMetadata : Projection::kFull;
    return true;
  });
  return found;
}

Answer<Request> ParseRequest(const http::ServerRequest& http) {
  Request request;
  request.http = &http;
  std::string_view target = http.target;
  size_t question = target.find('?');
  std::string_view path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = Query(target.substr(question + 1));
  request.info.path = path;
  TakeApart(Segments(path), request);
  if (request.is_resource) {
    request.info.verb = VerbOf(http.method, request.info, request.query);
    std::string_view dry_run = request.query.Get("dryRun");
    if (!dry_run.empty() && dry_run != "All") {
      return Refuse(Invalid("meta.k8s.io", "CreateOptions", "",
                            {FieldError::NotSupported(
                                "dryRun", value::Value::List({value::Value(dry_run)}), {"All"})}));
    }
    request.info.dry_run = !dry_run.empty();
  }
  std::optional<Projection> projection = Negotiate(http::Find(http.headers, "Accept"));
  if (!projection && request.is_resource) {
    ApiError error;
    error.code = 406;
    error.reason = "NotAcceptable";
    error.message =
        "only the following media types are accepted: application/json, "
        "application/json;as=Table;v=v1;g=meta.k8s.io, "
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    return Refuse(std::move(error));
  }
  request.projection = projection.value_or(Projection::kFull);
  return request;
}

}  // namespace flotilla::sim::api
