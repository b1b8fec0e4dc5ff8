// What a request asks for: Kubernetes' paths, queries and headers taken apart.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/server.h"
#include "sim/api_server/api_server.h"
#include "sim/api_server/status.h"

namespace flotilla::sim::api {

// Query parameters, decoded.
class Query {
 public:
  Query() = default;
  explicit Query(std::string_view text);
  std::string_view Get(std::string_view name) const;  // the first, or ""
  bool Has(std::string_view name) const;
  bool IsTrue(std::string_view name) const;  // "1", "true" and the like

 private:
  std::vector<std::pair<std::string, std::string>> parameters_;
};

// How objects are to be written in the answer.
enum class Projection : uint8_t { kFull, kMetadata, kTable };

struct Request {
  const http::ServerRequest* http = nullptr;
  RequestInfo info;
  Query query;
  bool is_resource = false;
  Projection projection = Projection::kFull;
  User user;

  GroupResource resource() const { return {info.group, info.resource}; }
};

// The path decides everything but whether the resource exists.
Answer<Request> ParseRequest(const http::ServerRequest& request);

std::string DecodePercent(std::string_view text, bool plus_is_space);

// What the Accept header prefers among what this server writes; nullopt: nothing of it.
std::optional<Projection> Negotiate(std::string_view accept);
// True where Accept asks for this media type with this parameter ("as=APIGroupDiscoveryList").
bool Accepts(std::string_view accept, std::string_view parameter);

}  // namespace flotilla::sim::api
