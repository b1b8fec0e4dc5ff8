// JSON Patch (RFC 6902) and JSON Pointer (RFC 6901).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "value/value.h"

namespace flotilla::value {

enum class PatchVerb : uint8_t { kAdd, kRemove, kReplace, kMove, kCopy, kTest };
const char* ToString(PatchVerb verb);  // "add", ...

struct PatchOp {
  PatchVerb verb = PatchVerb::kReplace;
  std::string path;  // a pointer: "/spec/replicas"
  std::string from;  // of move and copy
  Value value;       // of add, replace and test; may be null, not absent
  bool operator==(const PatchOp&) const = default;
};

// A list of {op, path, from, value}. Members that the operation does not use are an error.
Result<std::vector<PatchOp>> ParseJsonPatch(Ref patch);
Value ToValue(const std::vector<PatchOp>& patch);

// All operations in order, or an Invalid error that names the first one that is not possible:
//   operation 2 (replace "/spec/replica"): "/spec" has no member "replica"
// Numbers are tested by value: 1 equals 1.0.
Result<Value> ApplyJsonPatch(const Value& document, const std::vector<PatchOp>& patch);

// The tokens of a pointer, unescaped. Invalid where it is neither empty nor begins with '/', or has
// a '~' that is not part of "~0" or "~1".
Result<std::vector<std::string>> ParsePointer(std::string_view pointer);

// What `pointer` names in `tree`; absent where there is nothing or it is no pointer.
Ref FindPointer(Ref tree, std::string_view pointer);

}  // namespace flotilla::value
