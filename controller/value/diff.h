// What differs between two trees: for drift, for `flotilla diff`, and for messages.
#pragma once

#include <string>
#include <vector>

#include "value/value.h"

namespace flotilla::value {

struct Change {
  Path path;   // in `after`; of what is gone, in `before`
  Ref before;  // absent: added
  Ref after;   // absent: removed
};

// Empty exactly where the trees are equal. Maps are compared member by member, in the order of
// `before`, additions last. Lists whose items all have a "name" of their own (containers, ports,
// env) are compared item by item of that name, plus one change of the list as a whole where the
// order of the common names differs; other lists by index. The Refs point into the trees given.
std::vector<Change> Diff(Ref before, Ref after);

// One line per change, values as compact JSON, long ones shortened:
//   spec.replicas: 3 -> 5
//   spec.template.spec.containers[0].env[1]: added {"name":"B","value":"2"}
//   metadata.labels["app.kubernetes.io/part-of"]: removed "shop"
std::string ToString(const std::vector<Change>& changes);

}  // namespace flotilla::value
