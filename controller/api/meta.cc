#include "api/meta.h"

#include <algorithm>

#include "api/fields.h"

namespace flotilla::api {

std::string Meta::Key() const { return ns.empty() ? name : ns + '/' + name; }

int IntOrPercent::RoundUp(int total) const {
  return percent ? static_cast<int>((int64_t{value} * total + 99) / 100) : value;
}

int IntOrPercent::RoundDown(int total) const {
  return percent ? static_cast<int>(int64_t{value} * total / 100) : value;
}

std::string IntOrPercent::ToString() const {
  return percent ? fmt::format("{}%", value) : fmt::format("{}", value);
}

void Describe(Fields& f, OwnerReference& owner) {
  f.Required("apiVersion", owner.api_version, "API group and version of the owner.");
  f.Required("kind", owner.kind, "Kind of the owner.");
  f.Required("name", owner.name, "Name of the owner.");
  f.Required("uid", owner.uid, "uid of the owner.");
  f.Optional("controller", owner.controller, "Whether the owner manages the object.");
  f.Optional("blockOwnerDeletion", owner.block_owner_deletion,
             "Whether foreground deletion of the owner waits for the object.");
}

void Describe(Fields& f, Meta& meta) {
  // The API server counts generations from 1: 0 is an object that was never stored.
  std::optional<int64_t> generation;
  if (meta.generation != 0) generation = meta.generation;
  f.Optional("name", meta.name, "Unique among the objects of the kind in the namespace.");
  f.Optional("namespace", meta.ns, "Empty for cluster-scoped kinds.");
  f.Optional("uid", meta.uid, "Unique over time.");
  f.Optional("resourceVersion", meta.resource_version, "Changes with every write.");
  f.Optional("generation", generation, "Changes with every write of spec.");
  f.Optional("creationTimestamp", meta.created, "When the object was stored.");
  f.Optional("deletionTimestamp", meta.deleted, "When its deletion was asked for.");
  f.Optional("labels", meta.labels, "For selectors.");
  f.Optional("annotations", meta.annotations, "For tools.");
  f.Optional("finalizers", meta.finalizers, "What must be done before it may disappear.");
  f.Optional("ownerReferences", meta.owners, "With whom it disappears.");
  meta.generation = generation.value_or(0);
}

}  // namespace flotilla::api
