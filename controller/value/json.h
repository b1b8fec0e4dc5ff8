// JSON (RFC 8259) in and out of value trees.
//
// Integers without fraction and exponent become int64, or uint64 above its range, or double beyond;
// everything else is a double. Duplicate keys are an error. Depth, bytes and nodes are limited
// (base/limits.h). An error reads "line 3, column 5: ..." and carries a ParseProblem.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "value/position.h"
#include "value/value.h"

namespace flotilla::value {

Result<Value> ParseJson(std::string_view text);

// Compact, keys in the order of the map. Doubles as Go's encoding/json writes them; no HTML escapes.
std::string ToJson(Ref value);
void AppendJson(Ref value, std::string& out);
// Two spaces, a member per line, as kubectl prints.
std::string ToPrettyJson(Ref value);

// The canonical form that digests are taken over: compact, keys sorted bytewise at every level,
// absent members left out. Specified in docs/canonical-form.md.
std::string ToCanonicalJson(Ref value);

}  // namespace flotilla::value
