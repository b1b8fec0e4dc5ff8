// What a server refuses: the rules for metadata, and for the kinds that a delivery is made of the
// rules that a delivery meets (required fields, selectors, immutable fields).
#pragma once

#include <string_view>
#include <vector>

#include "sim/api_server/status.h"
#include "sim/api_server/store.h"
#include "value/value.h"

namespace flotilla::sim::api {

std::vector<FieldError> ValidateMetadata(value::Ref object, const ResourceType& resource);
std::vector<FieldError> ValidateMetadataUpdate(value::Ref object, value::Ref live);

std::vector<FieldError> ValidateSpec(value::Ref object, const ResourceType& resource);
std::vector<FieldError> ValidateSpecUpdate(value::Ref object, value::Ref live,
                                           const ResourceType& resource);

}  // namespace flotilla::sim::api
