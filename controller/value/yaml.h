// YAML in and out of value trees, with the typing rules that kubectl, Helm and Flux users know
// (go-yaml v2 through sigs.k8s.io/yaml): YAML 1.1 booleans, Go's integer notations, merge keys,
// timestamps kept as text. Stricter than they are in one point: a duplicate key is an error.
//
// The parser is libyaml's; composing, typing, anchors and limits (bytes, depth, nodes, alias
// expansion) are ours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "value/value.h"

namespace flotilla::value {

struct Position {
  uint32_t line = 0;  // from 1
  uint32_t column = 0;
};

struct Document {
  Value value;
  Position start;
  // Where each node began, by its address: a side table, for messages.
  std::unordered_map<const internal::Node*, Position> positions;
  // The position of `path`, or of its nearest ancestor that has one.
  Position Where(const Path& path) const;
};

// Every document of a stream; empty documents are left out. An error reads "line 3, column 5: ...".
Result<std::vector<Document>> ParseYaml(std::string_view text);

// One document without "---", maps in the order of the tree, strings quoted where go-yaml would.
std::string ToYaml(Ref value);

}  // namespace flotilla::value
