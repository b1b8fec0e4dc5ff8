#include "kube/schema/custom.h"

#include <re2/re2.h>
#include <algorithm>
#include <deque>
#include <map>
#include <optional>

#include "base/encoding.h"
#include "base/time.h"
#include "kube/schema/builtin.h"
#include "value/json.h"

namespace flotilla::kube::schema {

using value::Kind;
using value::Ref;
using value::Value;

namespace {

constexpr int kMaxDepth = 64;

// One node of the schema: what Type tells, and the constraints.
struct Rules {
  Type type;
  Ref source;
  std::string_view kind;  // "object", "array", "string", ..., or "" for int-or-string and any
  bool nullable = false;
  bool preserve = false;
  bool embedded = false;
  bool int_or_string = false;
  Ref default_value;
  std::vector<std::pair<std::string_view, const Rules*>> properties;  // sorted
  const Rules* additional = nullptr;                                  // of unlisted properties
  const Rules* items = nullptr;
  std::unique_ptr<RE2> pattern;

  const Rules* Property(std::string_view name) const {
    auto at = std::lower_bound(properties.begin(), properties.end(), name,
                               [](const auto& p, std::string_view n) { return p.first < n; });
    return at != properties.end() && at->first == name ? at->second : additional;
  }
  bool IsListed(std::string_view name) const {
    auto at = std::lower_bound(properties.begin(), properties.end(), name,
                               [](const auto& p, std::string_view n) { return p.first < n; });
    return at != properties.end() && at->first == name;
  }
};

std::string Join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}
std::string Join(const std::string& path, size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

class Compiled final : public CustomSchema {
 public:
  explicit Compiled(Value source) : source_(std::move(source)) {}

  Status Build() {
    auto root = BuildNode(source_, 0);
    if (!root) return Pass(root);
    root_ = *root;
    AddObjectMeta(*const_cast<Rules*>(root_));
    return {};
  }

  const Type& type() const override { return root_->type; }
  Ref source() const override { return source_; }

  Value Prune(const Value& object, std::vector<std::string>* unknown) const override {
    return PruneNode(object, object, *root_, "", true, unknown);
  }
  Value Default(const Value& object) const override {
    return DefaultNode(object, object, *root_, true);
  }
  std::vector<Violation> Validate(Ref object) const override {
    std::vector<Violation> violations;
    Check(object, *root_, "", true, violations);
    return violations;
  }

 private:
  Result<const Rules*> BuildNode(Ref schema, int depth) {
    if (depth > kMaxDepth) return Fail(ErrorClass::kInvalid, "the schema is nested too deeply");
    Rules& rules = rules_.emplace_back();
    rules.source = schema;
    rules.kind = schema["type"].String();
    rules.nullable = schema["nullable"].Bool();
    rules.preserve = schema["x-kubernetes-preserve-unknown-fields"].Bool();
    rules.embedded = schema["x-kubernetes-embedded-resource"].Bool();
    rules.int_or_string = schema["x-kubernetes-int-or-string"].Bool();
    rules.default_value = schema["default"];
    if (rules.kind.empty() && !rules.int_or_string && !rules.preserve) {
      return Fail(ErrorClass::kInvalid, "a schema without type is not structural");
    }
    if (Ref pattern = schema["pattern"]) {
      RE2::Options options(RE2::Quiet);
      options.set_max_mem(1 << 20);
      rules.pattern = std::make_unique<RE2>(std::string(pattern.String()), options);
      if (!rules.pattern->ok()) {
        return Fail(ErrorClass::kInvalid, "invalid pattern \"{}\": {}", pattern.String(),
                    rules.pattern->error());
      }
    }
    if (auto built = BuildChildren(rules, schema, depth); !built) return Pass(built);
    SetType(rules, schema);
    return &rules;
  }

  Status BuildChildren(Rules& rules, Ref schema, int depth) {
    for (auto [name, property] : schema["properties"].Members()) {
      auto child = BuildNode(property, depth + 1);
      if (!child) return Fail(child, "property {}", name);
      rules.properties.emplace_back(name, *child);
    }
    std::sort(rules.properties.begin(), rules.properties.end());
    if (Ref additional = schema["additionalProperties"]) {
      if (additional.IsMap()) {
        auto child = BuildNode(additional, depth + 1);
        if (!child) return Fail(child, "additionalProperties");
        rules.additional = *child;
      } else if (additional.Bool()) {
        rules.preserve = true;
      }
    }
    if (Ref items = schema["items"]; items.IsMap()) {
      auto child = BuildNode(items, depth + 1);
      if (!child) return Fail(child, "items");
      rules.items = *child;
    } else if (rules.kind == "array") {
      return Fail(ErrorClass::kInvalid, "an array without items is not structural");
    }
    return {};
  }

  void SetType(Rules& rules, Ref schema) {
    Type& type = rules.type;
    type.preserve_unknown = rules.preserve;
    type.embedded_resource = rules.embedded;
    if (rules.int_or_string) {
      type.shape = Shape::kIntOrString;
    } else if (rules.kind == "object") {
      SetObjectType(rules, schema);
    } else if (rules.kind == "array") {
      type.shape = Shape::kList;
      type.element = &rules.items->type;
      std::string_view list_type = schema["x-kubernetes-list-type"].String();
      type.list_kind = list_type == "set"   ? ListKind::kSet
                       : list_type == "map" ? ListKind::kMap
                                            : ListKind::kAtomic;
      auto& keys = keys_.emplace_back();
      for (Ref key : schema["x-kubernetes-list-map-keys"].Items()) keys.push_back(key.String());
      type.keys = keys;
    } else {
      type.shape = rules.kind == "string"    ? Shape::kString
                   : rules.kind == "integer" ? Shape::kInteger
                   : rules.kind == "number"  ? Shape::kNumber
                   : rules.kind == "boolean" ? Shape::kBoolean
                                             : Shape::kAny;
    }
  }

  void SetObjectType(Rules& rules, Ref schema) {
    Type& type = rules.type;
    type.atomic = schema["x-kubernetes-map-type"].String() == "atomic";
    if (rules.properties.empty()) {
      type.shape = rules.additional ? Shape::kMap : rules.preserve ? Shape::kAny : Shape::kStruct;
      type.element = rules.additional ? &rules.additional->type : nullptr;
      return;
    }
    type.shape = Shape::kStruct;
    type.element = rules.additional ? &rules.additional->type : nullptr;
    auto& fields = fields_.emplace_back();
    for (const auto& [name, property] : rules.properties) {
      Field field;
      field.name = name;
      field.type = &property->type;
      field.nullable = property->nullable;
      if (property->default_value) field.default_value = source_.Share(property->default_value);
      for (Ref required : schema["required"].Items()) field.required |= required.String() == name;
      fields.push_back(std::move(field));
    }
    type.fields = fields;
  }

  // apiVersion, kind and metadata belong to every root, whatever the schema says about them.
  void AddObjectMeta(Rules& root) {
    static const Type text = [] {
      Type type;
      type.shape = Shape::kString;
      return type;
    }();
    if (root.type.shape != Shape::kStruct) {
      if (!root.preserve) return;
      root.type.shape = Shape::kStruct;
    }
    auto& fields = fields_.emplace_back(root.type.fields.begin(), root.type.fields.end());
    auto set = [&](std::string_view name, const Type* type) {
      auto at = std::lower_bound(fields.begin(), fields.end(), name,
                                 [](const Field& f, std::string_view n) { return f.name < n; });
      if (at == fields.end() || at->name != name) at = fields.insert(at, Field());
      at->name = name;
      at->type = type;
      at->default_value = {};
    };
    set("apiVersion", &text);
    set("kind", &text);
    set("metadata", FindType("meta.v1.ObjectMeta"));
    root.type.fields = fields;
  }

  static bool IsRootField(std::string_view key) {
    return key == "apiVersion" || key == "kind" || key == "metadata";
  }

  // --- pruning ---

  Value PruneNode(const Value& owner, Ref value, const Rules& rules, const std::string& path,
                  bool root, std::vector<std::string>* unknown) const {
    if (value.IsList() && rules.items) {
      std::vector<Value> items;
      bool changed = false;
      size_t index = 0;
      for (Ref item : value.Items()) {
        items.push_back(PruneNode(owner, item, *rules.items, Join(path, index++), false, unknown));
        changed |= items.back().ref().node() != item.node();
      }
      return changed ? Value::List(items) : owner.Share(value);
    }
    if (!value.IsMap()) return owner.Share(value);
    std::vector<std::pair<std::string, Value>> members;
    bool changed = false;
    for (auto [key, child] : value.Members()) {
      if ((root || rules.embedded) && IsRootField(key)) {
        members.emplace_back(key, owner.Share(child));
        continue;
      }
      const Rules* below = rules.Property(key);
      if (!below) {
        if (rules.preserve) {
          members.emplace_back(key, owner.Share(child));
        } else {
          changed = true;
          if (unknown) unknown->push_back(Join(path, key));
        }
        continue;
      }
      members.emplace_back(key, PruneNode(owner, child, *below, Join(path, key), false, unknown));
      changed |= members.back().second.ref().node() != child.node();
    }
    return changed ? Value::Map(members) : owner.Share(value);
  }

  // --- defaulting ---

  Value DefaultNode(const Value& owner, Ref value, const Rules& rules, bool root) const {
    if (value.IsList() && rules.items) {
      std::vector<Value> items;
      bool changed = false;
      for (Ref item : value.Items()) {
        items.push_back(DefaultNode(owner, item, *rules.items, false));
        changed |= items.back().ref().node() != item.node();
      }
      return changed ? Value::List(items) : owner.Share(value);
    }
    if (!value.IsMap()) return owner.Share(value);
    std::vector<std::pair<std::string, Value>> members;
    bool changed = false;
    for (auto [key, child] : value.Members()) {
      const Rules* below = root && IsRootField(key) ? nullptr : rules.Property(key);
      if (!below) {
        members.emplace_back(key, owner.Share(child));
        continue;
      }
      if (child.IsNull() && !below->nullable && rules.IsListed(key)) {
        changed = true;  // gone, or replaced by the default below
        continue;
      }
      members.emplace_back(key, DefaultNode(owner, child, *below, false));
      changed |= members.back().second.ref().node() != child.node();
    }
    for (const auto& [name, property] : rules.properties) {
      if (!property->default_value || (root && IsRootField(name))) continue;
      auto same = [&, wanted = name](const auto& member) { return member.first == wanted; };
      if (std::any_of(members.begin(), members.end(), same)) continue;
      Value filled = source_.Share(property->default_value);
      members.emplace_back(name, DefaultNode(filled, filled, *property, false));
      changed = true;
    }
    return changed ? Value::Map(members) : owner.Share(value);
  }

  // --- validating ---

  static void Say(std::vector<Violation>& out, Violation::Kind kind, const std::string& path,
                  std::string message, Ref value) {
    out.push_back({kind, path, std::move(message), Value::Copy(value), {}, 0});
  }

  void Check(Ref value, const Rules& rules, const std::string& path, bool root,
             std::vector<Violation>& out) const {
    if (value.IsNull() && rules.nullable) return;
    if (!CheckType(value, rules, path, out)) return;
    CheckValue(value, rules, path, out);
    if (value.IsMap()) CheckMap(value, rules, path, root, out);
    if (value.IsList()) CheckList(value, rules, path, out);
  }

  static bool CheckType(Ref value, const Rules& rules, const std::string& path,
                        std::vector<Violation>& out) {
    std::string_view have = value.IsMap()       ? "object"
                            : value.IsList()    ? "array"
                            : value.IsString()  ? "string"
                            : value.IsBool()    ? "boolean"
                            : value.IsInteger() ? "integer"
                            : value.IsNumber()  ? "number"
                                                : "null";
    bool fits = rules.kind.empty() || have == rules.kind ||
                (rules.kind == "number" && have == "integer") ||
                (rules.kind == "integer" && value.IsNumber() &&
                 value.Double() == static_cast<double>(static_cast<int64_t>(value.Double())));
    if (rules.int_or_string) fits = value.IsInteger() || value.IsString();
    if (fits) return true;
    std::string wanted = rules.int_or_string ? "integer,string" : std::string(rules.kind);
    out.push_back({Violation::Kind::kType,
                   path,
                   (path.empty() ? std::string() : path) + " in body must be of type " + wanted +
                       ": \"" + std::string(have) + "\"",
                   Value(have),
                   {},
                   0});
    return false;
  }

  static void CheckValue(Ref value, const Rules& rules, const std::string& path,
                         std::vector<Violation>& out) {
    Ref source = rules.source;
    if (Ref allowed = source["enum"]) {
      bool listed = false;
      std::vector<std::string> names;
      for (Ref one : allowed.Items()) {
        listed |= one == value;
        names.push_back(one.IsString() ? one.Text() : value::ToJson(one));
      }
      if (!listed) {
        out.push_back({Violation::Kind::kNotSupported, path, "", Value::Copy(value), names, 0});
      }
    }
    if (value.IsNumber()) CheckNumber(value, source, path, out);
    if (value.IsString()) CheckString(value, rules, path, out);
  }

  static void CheckNumber(Ref value, Ref source, const std::string& path,
                          std::vector<Violation>& out) {
    using K = Violation::Kind;
    auto bound = [&](const char* name) { return source[name]; };
    std::string shown = path + " in body should be ";
    if (Ref least = bound("minimum")) {
      bool open = source["exclusiveMinimum"].Bool();
      if (open ? value.Double() <= least.Double() : value.Double() < least.Double()) {
        Say(out, K::kInvalid, path,
            shown + (open ? "greater than " : "greater than or equal to ") + value::ToJson(least),
            value);
      }
    }
    if (Ref most = bound("maximum")) {
      bool open = source["exclusiveMaximum"].Bool();
      if (open ? value.Double() >= most.Double() : value.Double() > most.Double()) {
        Say(out, K::kInvalid, path,
            shown + (open ? "less than " : "less than or equal to ") + value::ToJson(most), value);
      }
    }
    if (Ref factor = bound("multipleOf"); factor && factor.Double() != 0) {
      double ratio = value.Double() / factor.Double();
      if (ratio != static_cast<double>(static_cast<int64_t>(ratio))) {
        Say(out, K::kInvalid, path, shown + "a multiple of " + value::ToJson(factor), value);
      }
    }
  }

  static size_t Characters(std::string_view text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
  }

  static bool HasFormat(std::string_view text, std::string_view format) {
    if (format == "date-time") return ParseTime(text).has_value();
    if (format == "byte") return DecodeBase64(text).has_value();
    if (format == "duration") return ParseDuration(text).has_value();
    return true;
  }

  static void CheckString(Ref value, const Rules& rules, const std::string& path,
                          std::vector<Violation>& out) {
    using K = Violation::Kind;
    Ref source = rules.source;
    size_t length = Characters(value.String());
    if (Ref most = source["maxLength"]; most && length > most.Uint()) {
      out.push_back({K::kTooLong, path, "", Value::Copy(value), {}, most.Int()});
    }
    if (Ref least = source["minLength"]; least && length < least.Uint()) {
      Say(out, K::kInvalid, path,
          path + " in body should be at least " + value::ToJson(least) + " chars long", value);
    }
    if (rules.pattern && !RE2::PartialMatch(std::string(value.String()), *rules.pattern)) {
      Say(out, K::kInvalid, path, path + " in body should match '" + source["pattern"].Text() + "'",
          value);
    }
    if (!HasFormat(value.String(), source["format"].String())) {
      Say(out, K::kInvalid, path,
          path + " in body must be of type " + source["format"].Text() + ": " +
              value::ToJson(value),
          value);
    }
  }

  void CheckMap(Ref map, const Rules& rules, const std::string& path, bool root,
                std::vector<Violation>& out) const {
    for (Ref required : rules.source["required"].Items()) {
      if (!map[required.String()]) {
        Say(out, Violation::Kind::kRequired, Join(path, required.String()), "", Ref());
      }
    }
    if (Ref most = rules.source["maxProperties"]; most && map.size() > most.Uint()) {
      out.push_back({Violation::Kind::kTooMany,
                     path,
                     "",
                     Value(static_cast<int64_t>(map.size())),
                     {},
                     most.Int()});
    }
    if (Ref least = rules.source["minProperties"]; least && map.size() < least.Uint()) {
      Say(out, Violation::Kind::kInvalid, path,
          path + " in body should have at least " + value::ToJson(least) + " properties", map);
    }
    for (auto [key, value] : map.Members()) {
      if ((root || rules.embedded) && key == "metadata") continue;
      const Rules* below = rules.Property(key);
      if (below) Check(value, *below, Join(path, key), false, out);
    }
  }

  void CheckList(Ref list, const Rules& rules, const std::string& path,
                 std::vector<Violation>& out) const {
    if (Ref most = rules.source["maxItems"]; most && list.size() > most.Uint()) {
      out.push_back({Violation::Kind::kTooMany,
                     path,
                     "",
                     Value(static_cast<int64_t>(list.size())),
                     {},
                     most.Int()});
    }
    if (Ref least = rules.source["minItems"]; least && list.size() < least.Uint()) {
      Say(out, Violation::Kind::kInvalid, path,
          path + " in body should have at least " + value::ToJson(least) + " items", list);
    }
    size_t index = 0;
    std::vector<std::string> seen;
    for (Ref item : list.Items()) {
      std::string here = Join(path, index++);
      if (rules.items) Check(item, *rules.items, here, false, out);
      if (rules.type.list_kind == ListKind::kAtomic) continue;
      std::string identity;
      if (rules.type.list_kind == ListKind::kSet) {
        value::AppendJson(item, identity);
      } else {
        for (std::string_view key : rules.type.keys) {
          if (Ref part = KeyOf(rules.type, item, key)) value::AppendJson(part, identity);
          identity += ',';
        }
      }
      if (std::find(seen.begin(), seen.end(), identity) != seen.end()) {
        Say(out, Violation::Kind::kDuplicate, here, "", item);
      }
      seen.push_back(std::move(identity));
    }
  }

  Value source_;
  std::deque<Rules> rules_;  // addresses must stay
  std::deque<std::vector<Field>> fields_;
  std::deque<std::vector<std::string_view>> keys_;
  const Rules* root_ = nullptr;
};

}  // namespace

Result<std::shared_ptr<const CustomSchema>> CustomSchema::Compile(Value open_api_v3_schema) {
  auto compiled = std::make_shared<Compiled>(std::move(open_api_v3_schema));
  if (auto built = compiled->Build(); !built) return Pass(built);
  return std::shared_ptr<const CustomSchema>(std::move(compiled));
}

std::shared_ptr<const CustomSchema> CustomSchema::KeepAll() {
  static const auto schema =
      *Compile(Value::Map({{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}}));
  return schema;
}

}  // namespace flotilla::kube::schema
