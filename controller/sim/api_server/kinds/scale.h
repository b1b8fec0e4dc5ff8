// The scale subresource: autoscaling/v1 Scale.
#pragma once

#include "sim/api_server/server.h"

namespace flotilla::sim::api {

value::Value ScaleOf(const Stored& stored, const ResourceType& resource);
Answer<Reply> GetScale(const Stored& stored, const ResourceType& resource);
Answer<Reply> UpdateScale(Server& server, const ResourcePtr& resource, const StoredPtr& live,
                          const value::Value& scale, const WriteContext& context);

}  // namespace flotilla::sim::api
