// Whether an object has become what its spec asks for, by the rules of kstatus
// (sigs.k8s.io/cli-utils/pkg/kstatus): what `kubectl wait`-like tools, Flux and Helm 4 agree on.
#pragma once

#include <string>

#include "deliver/machine.h"
#include "value/value.h"

namespace flotilla::deliver {

struct ObjectHealth {
  Health health = Health::kUnknown;
  std::string message;  // "2 of 3 replicas are available"; empty when healthy
  bool operator==(const ObjectHealth&) const = default;
};

// `object` as the API server has it, with status. `now` decides how long a pod may be unschedulable.
ObjectHealth HealthOf(value::Ref object, WallTime now);

}  // namespace flotilla::deliver
