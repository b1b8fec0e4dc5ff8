// What is there now of an application's objects: identity and version only, one list per kind.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "operate/delivery.h"

namespace flotilla::operate {

struct LiveObject {
  std::string uid;
  std::string resource_version;
  int64_t generation = 0;
  int64_t fence = 0;  // of the write that last changed it, by its annotation
  bool controlled = false;  // a controller ownerReference: somebody else's in truth
  bool deleting = false;
};
using LiveSet = std::map<kube::ObjectId, LiveObject>;

LiveObject ToLive(value::Ref object);

// Where the objects of a set live: each kind once, with its namespace where all are in one.
struct KindScope {
  kube::ApiResource resource;
  std::string ns;  // empty: all namespaces, or a cluster-scoped kind
};

// Objects with the label of `parent_id`, of these kinds. One wave of requests.
Result<LiveSet> ListLive(Member& member, deliver::Lane lane, const std::string& parent_id,
                         const std::vector<KindScope>& kinds, std::stop_token stop);

}  // namespace flotilla::operate
