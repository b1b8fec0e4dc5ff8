// Freeze and ClusterFreeze: stop forward progress, with owner, reason and expiry (DESIGN section
// 2). Rollbacks go on. `flotilla pause` creates a Freeze of one application, `resume` deletes it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/conditions.h"
#include "api/meta.h"
#include "base/result.h"

namespace flotilla::api {

struct FreezeSpec {
  std::string application;  // name, same namespace; "": every application of the namespace
  std::string reason;
  std::optional<WallTime> expires;  // absent: until deleted
  std::string requested_by;         // its owner; equals the requesting user
  bool operator==(const FreezeSpec&) const = default;
};

struct Freeze {
  Meta meta;
  FreezeSpec spec;

  bool AppliesTo(const Meta& application, WallTime now) const;
  bool operator==(const Freeze&) const = default;
};

// The same across namespaces. Cluster-scoped.
struct ClusterFreezeSpec {
  std::vector<std::string> namespaces;  // names; empty: all
  std::string reason;
  std::optional<WallTime> expires;
  std::string requested_by;
  bool operator==(const ClusterFreezeSpec&) const = default;
};

struct ClusterFreeze {
  Meta meta;
  ClusterFreezeSpec spec;

  bool AppliesTo(const Meta& application, WallTime now) const;
  bool operator==(const ClusterFreeze&) const = default;
};

Result<Freeze> ParseFreeze(value::Ref object);
Result<ClusterFreeze> ParseClusterFreeze(value::Ref object);
value::Value ToValue(const Freeze& freeze);
value::Value ToValue(const ClusterFreeze& freeze);

void Describe(Fields& f, Freeze& freeze);
void Describe(Fields& f, ClusterFreeze& freeze);

}  // namespace flotilla::api
