// Everything under paths that name no object: /api, /apis, /version, /healthz, /openapi.
#pragma once

#include "sim/api_server/server.h"

namespace flotilla::sim::api {

Answer<Reply> ServeDiscovery(Server& server, const Request& request);

// /openapi/v3/... of one group version; absent where it is not served (openapi.cc).
value::Value OpenApiV3(Server& server, std::string_view group, std::string_view version);
value::Value OpenApiV2(const Server& server);

}  // namespace flotilla::sim::api
