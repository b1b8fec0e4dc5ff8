#include "kube/schema/type.h"

#include <algorithm>

namespace flotilla::kube::schema {

const char* ToString(Shape shape) {
  switch (shape) {
    case Shape::kAny:
      return "any";
    case Shape::kBoolean:
      return "boolean";
    case Shape::kInteger:
      return "integer";
    case Shape::kNumber:
      return "number";
    case Shape::kString:
      return "string";
    case Shape::kIntOrString:
      return "int-or-string";
    case Shape::kQuantity:
      return "quantity";
    case Shape::kTime:
      return "time";
    case Shape::kBytes:
      return "bytes";
    case Shape::kStruct:
      return "object";
    case Shape::kMap:
      return "map";
    case Shape::kList:
      return "array";
  }
  return "any";
}

const Field* Type::Find(std::string_view field) const {
  auto at =
      std::lower_bound(fields.begin(), fields.end(), field,
                       [](const Field& f, std::string_view wanted) { return f.name < wanted; });
  return at != fields.end() && at->name == field ? &*at : nullptr;
}

const Type* Type::Child(std::string_view key) const {
  if (shape == Shape::kAny) return &AnyType();
  if (shape == Shape::kMap) return element;
  if (shape != Shape::kStruct) return nullptr;
  if (const Field* field = Find(key)) return field->type;
  if (element != nullptr) return element;
  return preserve_unknown ? &AnyType() : nullptr;
}

const Type& AnyType() {
  static const Type any = [] {
    Type type;
    type.preserve_unknown = true;
    return type;
  }();
  return any;
}

value::Ref KeyOf(const Type& list, value::Ref element, std::string_view key) {
  if (value::Ref given = element[key]) return given;
  if (list.element == nullptr) return {};
  const Field* field = list.element->Find(key);
  return field != nullptr ? field->default_value.ref() : value::Ref();
}

}  // namespace flotilla::kube::schema
