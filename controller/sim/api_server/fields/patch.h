// JSON patches (RFC 6902), merge patches (RFC 7386) and Kubernetes' strategic merge patches.
#pragma once

#include "base/result.h"
#include "kube/schema/type.h"
#include "value/value.h"

namespace flotilla::sim::api {

Result<value::Value> ApplyJsonPatch(const value::Value& document, value::Ref patch);
value::Value ApplyMergePatch(const value::Value& document, const value::Value& patch);
// Lists with a patch strategy "merge" are merged by key; understands $patch (replace, delete,
// merge), $deleteFromPrimitiveList, $setElementOrder and $retainKeys.
Result<value::Value> ApplyStrategicPatch(const value::Value& document, const value::Value& patch,
                                         const kube::schema::Type& type);

}  // namespace flotilla::sim::api
