// One rendered object and where it came from.
#pragma once

#include <cstdint>
#include <string>

#include "base/digest.h"
#include "kube/resource.h"
#include "value/value.h"

namespace flotilla::render {

struct Object {
  kube::GroupVersionKind gvk;
  kube::ObjectKey key;  // with the namespace that it will have on the cluster
  value::Value value;   // as it will be applied
  Digest digest;        // ObjectDigest(value)
  // For messages; no part of the object's digest. `file` is relative to the root of the tree.
  std::string file;
  uint32_t line = 0;

  kube::ObjectId Id() const { return {gvk.group, gvk.kind, key.ns, key.name}; }
  std::string Source() const;  // "deploy/web.yaml:12"
};

// Reads apiVersion, kind, namespace and name from `value`, and digests it; checks nothing.
Object MakeObject(value::Value value, std::string file = {}, uint32_t line = 0);

}  // namespace flotilla::render
