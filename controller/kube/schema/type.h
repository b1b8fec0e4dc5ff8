// How an object is built, as far as Kubernetes' own rules need to know: which lists are sets or
// keyed by fields, which maps and structs are one atomic value, which fields exist. It is what
// server-side apply (KEP-555), strategic merge patches and structural checks walk along.
//
// The built-in kinds come from one generated table (schema/builtin.h); kinds of a
// CustomResourceDefinition are compiled from its schema (schema/custom.h) into the same form.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "value/value.h"

namespace flotilla::kube::schema {

enum class Shape : uint8_t {
  kAny,  // no structure is known: scalars and lists are leaves, maps are granular
  kBoolean,
  kInteger,
  kNumber,
  kString,
  kIntOrString,
  kQuantity,  // a string or a number on the wire
  kTime,      // metav1.Time and metav1.MicroTime
  kBytes,     // base64
  kStruct,    // a map with known fields
  kMap,       // a map with free keys and values of one type
  kList,
};
const char* ToString(Shape shape);

enum class ListKind : uint8_t {
  kAtomic,  // one value as a whole
  kSet,     // of unequal scalars, each with an owner of its own
  kMap,     // of maps, told apart by `Type::keys`
};

struct Field;

struct Type {
  std::string_view name;  // "core.v1.Container"; empty for anonymous types
  Shape shape = Shape::kAny;
  ListKind list_kind = ListKind::kAtomic;
  bool atomic = false;             // a struct or map that is one value as a whole
  bool preserve_unknown = false;   // fields that are not listed are kept, of shape kAny
  bool embedded_resource = false;  // apiVersion, kind and metadata are allowed and checked
  const Type* element = nullptr;   // of a list or map; of a struct: of its unlisted fields, or null
  std::span<const Field> fields;   // of a struct, in bytewise order of their names
  std::span<const std::string_view> keys;  // of a keyed list

  // Null where the struct has no such field.
  const Field* Find(std::string_view field) const;
  // The type of what lies under `key` of a struct or map; null where nothing may lie there.
  const Type* Child(std::string_view key) const;
};

struct Field {
  std::string_view name;
  const Type* type = nullptr;
  bool required = false;
  bool nullable = false;
  bool omit_zero = false;          // servers leave it out when it is "", 0, false or empty
  bool always = false;             // servers write it even then
  bool patch_merge = false;        // x-kubernetes-patch-strategy: merge
  bool patch_retain_keys = false;  // ... retainKeys
  std::string_view patch_merge_key;
  std::string_view number;     // in Kubernetes' protobuf: "3", or "2.5" in what is inlined as 2
  value::Value default_value;  // absent: none
};

// The type of a value about which nothing is known.
const Type& AnyType();

// The elements of a list keyed by `list.keys` are the same element when these agree. A key that an
// element leaves out has the default of its field, or counts as absent.
value::Ref KeyOf(const Type& list, value::Ref element, std::string_view key);

}  // namespace flotilla::kube::schema
