// What a server fills in or rewrites by rules that no table can tell: image pull policies, target
// ports, cluster addresses, job selectors.
#pragma once

#include <string_view>

#include "sim/api_server/store.h"
#include "value/value.h"

namespace flotilla::sim::api {

class Server;

// Defaults that depend on other fields of the object. The unconditional ones are filled in already.
value::Value FillDefaults(value::Value object, std::string_view group, std::string_view kind);

// What the strategies of some kinds set on create, with the uid and name already in place.
value::Value PrepareForCreate(Server& server, value::Value object, const ResourceType& resource);

// What an update may not change and the strategies therefore carry over.
value::Value PrepareForUpdate(value::Value object, value::Ref live, const ResourceType& resource);

}  // namespace flotilla::sim::api
