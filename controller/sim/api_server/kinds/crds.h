// CustomResourceDefinitions: checked, served at once, and taken away with their objects.
#pragma once

#include "kube/schema/custom.h"
#include "sim/api_server/server.h"

namespace flotilla::sim::api {

std::vector<FieldError> ValidateDefinition(value::Ref definition);
std::vector<FieldError> ValidateCustom(const kube::schema::CustomSchema& schema, value::Ref object);

// After a definition was written or is to go away.
void SettleDefinition(Server& server, const ResourcePtr& resource, const Change& change);
// After an object of a custom resource is gone: its definition may be waiting for that.
void SettleCustomRemoval(Server& server, const ResourceType& resource);

}  // namespace flotilla::sim::api
