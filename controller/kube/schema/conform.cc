#include "kube/schema/conform.h"

#include <algorithm>

#include "kube/schema/quantity.h"
#include "value/json.h"

namespace flotilla::kube::schema {

using value::Kind;
using value::Ref;
using value::Value;

namespace {

// The path of the node that is being looked at, as a chain on the stack: written out only when
// there is something to say.
struct Where {
  const Where* parent = nullptr;
  std::string_view key;
  size_t index = 0;
  bool is_index = false;

  void Append(std::string& text) const {
    if (parent != nullptr) parent->Append(text);
    if (is_index) {
      text += '[' + std::to_string(index) + ']';
    } else if (!key.empty()) {
      if (!text.empty()) text += '.';
      text += key;
    }
  }
  std::string ToString() const {
    std::string text;
    Append(text);
    return text;
  }
};

const char* GoType(Shape shape) {
  switch (shape) {
    case Shape::kBoolean:
      return "bool";
    case Shape::kInteger:
      return "int32";
    case Shape::kNumber:
      return "float64";
    default:
      return "string";
  }
}

const char* JsonKind(Ref value) {
  switch (value.kind()) {
    case Kind::kBool:
      return "bool";
    case Kind::kString:
      return "string";
    case Kind::kList:
      return "array";
    case Kind::kMap:
      return "object";
    default:
      return "number";
  }
}

class Walk {
 public:
  Walk(const Value& owner, Defaults defaults, std::vector<FieldIssue>& issues)
      : owner_(owner), defaults_(defaults), issues_(issues) {}

  Value Any(Ref value, const Type& type, const Where& where) {
    switch (type.shape) {
      case Shape::kAny:
        return owner_.Share(value);
      case Shape::kStruct:
        return value.IsMap() ? Struct(value, type, where) : Wrong(value, type, where);
      case Shape::kMap:
        return value.IsMap() ? Map(value, type, where) : Wrong(value, type, where);
      case Shape::kList:
        return value.IsList() ? List(value, type, where) : Wrong(value, type, where);
      case Shape::kQuantity:
        return Quantity(value, type, where);
      default:
        return Scalar(value, type, where);
    }
  }

 private:
  Value Wrong(Ref value, const Type& type, const Where& where) {
    std::string path = where.ToString();
    std::string detail = "json: cannot unmarshal ";
    detail += JsonKind(value);
    detail += " into Go struct field ." + path + " of type ";
    detail +=
        type.shape == Shape::kStruct ? std::string(type.name) : std::string(GoType(type.shape));
    issues_.push_back({FieldIssue::Kind::kWrongType, std::move(path), std::move(detail)});
    return owner_.Share(value);
  }

  Value Scalar(Ref value, const Type& type, const Where& where) {
    bool fits = false;
    switch (type.shape) {
      case Shape::kBoolean:
        fits = value.IsBool();
        break;
      case Shape::kInteger:
        fits = value.IsInteger();
        break;
      case Shape::kNumber:
        fits = value.IsNumber();
        break;
      case Shape::kIntOrString:
        fits = value.IsInteger() || value.IsString();
        break;
      default:
        fits = value.IsString();
        break;
    }
    return fits ? owner_.Share(value) : Wrong(value, type, where);
  }

  Value Quantity(Ref value, const Type& type, const Where& where) {
    std::string text = value.IsString() ? value.Text() : value::ToJson(value);
    if (!value.IsString() && !value.IsNumber()) return Wrong(value, type, where);
    auto canonical = CanonicalQuantity(text);
    if (!canonical) {
      issues_.push_back({FieldIssue::Kind::kWrongType, where.ToString(),
                         "quantities must match the regular expression "
                         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"});
      return owner_.Share(value);
    }
    if (value.IsString() && *canonical == text) return owner_.Share(value);
    return Value(*canonical);
  }

  Value List(Ref list, const Type& type, const Where& where) {
    std::vector<Value> items;
    bool changed = false;
    items.reserve(list.size());
    for (size_t i = 0; i < list.size(); ++i) {
      Ref item = list[i];
      Where here{&where, {}, i, true};
      items.push_back(Any(item, *type.element, here));
      changed |= items.back().ref().node() != item.node();
    }
    return changed ? Value::List(items) : owner_.Share(list);
  }

  Value Map(Ref map, const Type& type, const Where& where) {
    std::vector<std::pair<std::string, Value>> members;
    bool changed = false;
    members.reserve(map.size());
    for (auto [key, value] : map.Members()) {
      Where here{&where, key, 0, false};
      // Go reads null into a value that is no pointer as the zero value.
      Value kept = value.IsNull() && type.element->shape == Shape::kString
                       ? Value("")
                       : Any(value, *type.element, here);
      changed |= kept.ref().node() != value.node();
      members.emplace_back(key, std::move(kept));
    }
    return changed ? Value::Map(members) : owner_.Share(map);
  }

  Value Struct(Ref map, const Type& type, const Where& where) {
    std::vector<std::pair<std::string, Value>> members;
    bool changed = false;
    members.reserve(map.size() + 4);
    for (auto [key, value] : map.Members()) {
      const Field* field = type.Find(key);
      Where here{&where, key, 0, false};
      if (field == nullptr) {
        if (type.preserve_unknown) {
          members.emplace_back(key, owner_.Share(value));
        } else {
          issues_.push_back({FieldIssue::Kind::kUnknown, here.ToString(), {}});
          changed = true;
        }
        continue;
      }
      if (value.IsNull() && !field->nullable) {
        changed = true;
        continue;
      }
      // An empty slice that is written even when empty comes back from storage as null.
      if (field->always && field->type->shape == Shape::kList && value.IsList() &&
          value.size() == 0) {
        changed = true;
        continue;
      }
      Value kept = Any(value, *field->type, here);
      if (field->omit_zero && IsZero(kept)) {
        changed = true;
        continue;
      }
      changed |= kept.ref().node() != value.node();
      members.emplace_back(key, std::move(kept));
    }
    for (const Field& field : type.fields) {
      if (!field.always && !field.default_value) continue;
      auto same = [&](const auto& member) { return member.first == field.name; };
      if (std::any_of(members.begin(), members.end(), same)) continue;
      Value filled = Absent(field, where);
      if (!filled) continue;
      changed = true;
      members.emplace_back(field.name, std::move(filled));
    }
    return changed ? Value::Map(members) : owner_.Share(map);
  }

  // What an absent field is written as; absent where it stays away.
  Value Absent(const Field& field, const Where& where) {
    if (defaults_ == Defaults::kFill && field.default_value) return field.default_value;
    if (!field.always) return {};
    switch (field.type->shape) {
      case Shape::kStruct: {
        static const Value empty = Value::Map({});
        Where here{&where, field.name, 0, false};
        return Walk(empty, defaults_, issues_).Any(empty, *field.type, here);
      }
      case Shape::kString:
        return "";
      case Shape::kInteger:
        return 0;
      case Shape::kNumber:
        return 0;
      case Shape::kBoolean:
        return false;
      case Shape::kList:
      case Shape::kTime:
        return nullptr;
      default:
        return {};
    }
  }

  const Value& owner_;
  const Defaults defaults_;
  std::vector<FieldIssue>& issues_;
};

}  // namespace

bool IsZero(Ref value) {
  switch (value.kind()) {
    case Kind::kAbsent:
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return !value.Bool();
    case Kind::kInt:
      return value.Int() == 0;
    case Kind::kDouble:
      return value.Double() == 0;
    case Kind::kString:
      return value.String().empty();
    case Kind::kList:
    case Kind::kMap:
      return value.size() == 0;
    default:
      return false;
  }
}

Value Conform(const Value& object, const Type& type, Defaults defaults,
              std::vector<FieldIssue>& issues) {
  return Walk(object, defaults, issues).Any(object, type, Where{});
}

}  // namespace flotilla::kube::schema
