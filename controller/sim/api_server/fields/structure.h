// Walks over objects along their types: the set of fields of an object, the difference of two, the
// merge of an applied configuration into a live object, and the removal of fields. The rules are
// those of sigs.k8s.io/structured-merge-diff (typed/), which a real server uses.
#pragma once

#include <string>

#include "kube/schema/type.h"
#include "sim/api_server/fields/field_set.h"
#include "value/value.h"

namespace flotilla::sim::api {

struct Comparison {
  FieldSet removed;
  FieldSet modified;
  FieldSet added;
};

FieldSet ToFieldSet(value::Ref object, const kube::schema::Type& type);
Comparison Compare(value::Ref before, value::Ref after, const kube::schema::Type& type);

// `config` laid over `live`: lists that are sets or keyed are merged, all else is replaced.
value::Value Merge(const value::Value& live, const value::Value& config,
                   const kube::schema::Type& type);
// Without the list items, map entries and struct fields that are members of `fields`.
value::Value RemoveFields(const value::Value& object, const FieldSet& fields,
                          const kube::schema::Type& type);

// Named struct fields are no members of their own in the set of an object (only what lies below
// them is); for removal they have to be.
FieldSet WithNamedFields(const FieldSet& set, const kube::schema::Type& type);

// What is wrong with an applied configuration: unknown fields, wrong types, duplicate list items.
// Empty where nothing is; else as a real server words it: ".spec.foo: field not declared in
// schema".
std::string CheckStructure(value::Ref object, const kube::schema::Type& type);

}  // namespace flotilla::sim::api
