// Objects in Kubernetes' protobuf encoding (application/vnd.kubernetes.protobuf), as typed clients
// such as kubectl send them. Only reading: answers are JSON, which every client accepts.
#pragma once

#include <string_view>

#include "base/result.h"
#include "value/value.h"

namespace flotilla::kube::schema {

// The object of a built-in kind, with apiVersion and kind, as its JSON would have been.
Result<value::Value> ParseProtobuf(std::string_view bytes);

}  // namespace flotilla::kube::schema
