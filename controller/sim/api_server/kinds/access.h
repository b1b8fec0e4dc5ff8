// Who asks, and whether they may: bearer tokens, client certificates, impersonation, RBAC, access
// reviews and service account tokens. Under the server's lock.
#pragma once

#include <optional>

#include "http/server.h"
#include "sim/api_server/server.h"

namespace flotilla::sim::api {

// The user of a request, with impersonation applied. Fails with 401 for an unknown token, and with
// 403 where the impersonation is not allowed.
Answer<User> Authenticate(Server& server, const http::ServerRequest& request);

struct Attributes {
  std::string verb;
  std::string group;
  std::string resource;  // "pods" or "pods/status"
  std::string ns;
  std::string name;
  std::string path;  // of a request that is about no resource
};
// RBAC (rbac.authorization.k8s.io/v1) over the stored roles and bindings.
bool IsAllowed(const Server& server, const User& user, const Attributes& attributes);

// Why the request is refused; nullopt where it is allowed.
std::optional<ApiError> Authorize(const Server& server, const Request& request);

bool IsReview(const ResourceType& resource);
Answer<Reply> AnswerReview(Server& server, const Request& request, const ResourceType& resource,
                           const value::Value& body);
// serviceaccounts/NAME/token
Answer<Reply> IssueToken(Server& server, const Request& request, const ResourceType& resource,
                         const value::Value& body);

}  // namespace flotilla::sim::api
