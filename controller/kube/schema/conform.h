// What a server makes of an object of a built-in kind when it decodes it: unknown fields are
// dropped, zero values dropped or written as the Go types demand, quantities made canonical,
// unconditional defaults filled in.
#pragma once

#include <string>
#include <vector>

#include "kube/schema/type.h"
#include "value/value.h"

namespace flotilla::kube::schema {

struct FieldIssue {
  enum class Kind : uint8_t { kUnknown, kWrongType } kind;
  std::string path;    // "spec.template.spec.containers[0].image"
  std::string detail;  // of a wrong type: as Go's decoder words it
};

enum class Defaults : uint8_t { kNone, kFill };

// Shares with `object` all that needs no change. Issues are appended in the order of the object.
value::Value Conform(const value::Value& object, const Type& type, Defaults defaults,
                     std::vector<FieldIssue>& issues);

// Whether the value is one that Go leaves out under `omitempty`: "", 0, false, null, [], {}.
bool IsZero(value::Ref value);

}  // namespace flotilla::kube::schema
