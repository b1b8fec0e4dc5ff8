// Sets of fields of an object, as metadata.managedFields records them (fieldsV1 of
// sigs.k8s.io/structured-merge-diff).
//
// A set is a tree. A node stands for a path; it can be a member itself ("this list item exists, and
// is mine") and have members below it. Nodes are shared between sets and never change once shared.
#pragma once

#include <compare>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "value/value.h"

namespace flotilla::sim::api {

// One step of a path, in its serialised form: "f:spec", `k:{"name":"web"}`, `v:"x"`, "i:3".
// The order is the one of structured-merge-diff: fields, keys, values, indexes.
struct PathElement {
  std::string text;

  static PathElement Field(std::string_view name);
  // `fields` are the keys and their values.
  static PathElement Key(std::vector<std::pair<std::string, value::Ref>> fields);
  static PathElement Item(value::Ref item);

  // As messages show a path: ".spec", `[name="web"]`, `[="x"]`, "[3]".
  void AppendTo(std::string& path) const;
  std::strong_ordering operator<=>(const PathElement& other) const;
  bool operator==(const PathElement&) const = default;
};

class FieldSet {
 public:
  struct Child;

  FieldSet() = default;

  bool empty() const { return children().empty(); }
  const std::vector<Child>& children() const;
  // Null where there is nothing at or below that element.
  const Child* Find(const PathElement& element) const;
  bool Has(const PathElement& element) const;

  // While building: elements may come in any order.
  void Add(PathElement element, bool member, FieldSet below);
  void AddMember(PathElement element) { Add(std::move(element), true, {}); }

  FieldSet Union(const FieldSet& other) const;
  FieldSet Minus(const FieldSet& other) const;  // members that are not members of the other
  FieldSet Intersect(const FieldSet& other) const;
  // Without what lies at or below a member of `other`.
  FieldSet MinusBelow(const FieldSet& other) const;
  // What lies below one top-level field only.
  FieldSet Only(const PathElement& element) const;
  FieldSet Without(const PathElement& element) const;
  bool operator==(const FieldSet& other) const;

  // Paths of all members, in order, as messages show them.
  std::vector<std::string> Paths() const;

  value::Value ToFieldsV1() const;
  static FieldSet FromFieldsV1(value::Ref fields);

 private:
  void AppendPaths(std::string& prefix, std::vector<std::string>& paths) const;
  std::vector<Child>& Mutable();

  std::shared_ptr<std::vector<Child>> children_;  // sorted; null: empty
};

struct FieldSet::Child {
  PathElement element;
  bool member = false;
  FieldSet below;
};

}  // namespace flotilla::sim::api
