// YAML in and out of value trees, with the typing rules that kubectl, Helm and Flux users know
// (go-yaml v2 through sigs.k8s.io/yaml): YAML 1.1 booleans, Go's integer notations, merge keys,
// timestamps kept as text. Stricter than they are where they lose something silently: a duplicate
// key is an error, and so is a number that JSON cannot express (.nan, .inf).
//
// The parser is libyaml's; composing, typing, anchors and limits (bytes, depth, nodes, alias
// expansion) are ours. An alias costs no memory: it shares the nodes of its anchor.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "value/position.h"
#include "value/value.h"

namespace flotilla::value {

struct Document {
  Value value;
  Position start;

  // The position of `path`, or of its nearest ancestor that the text itself has (not through an
  // alias or merge key). Reads the text again: for messages.
  Position Where(const Path& path) const;

  std::shared_ptr<const std::string> text;  // the whole stream, shared by its documents
  size_t index = 0;                         // of the document in it, empty ones counted
};

// Every document of a stream; empty documents are left out. An error reads "line 3, column 5: ..."
// and carries a ParseProblem.
Result<std::vector<Document>> ParseYaml(std::string_view text);

// One document without "---", maps in the order of the tree, strings quoted where go-yaml would.
std::string ToYaml(Ref value);

}  // namespace flotilla::value
