#include "api/fields.h"

#include <algorithm>
#include <set>

namespace flotilla::api {

using value::Ref;
using value::Value;

namespace {

// More would hide the first ones from the reader.
constexpr size_t kMaxProblems = 10;
constexpr size_t kQuoted = 80;

}  // namespace

std::string Codecs::Quote(std::string_view text) {
  return text.size() <= kQuoted ? fmt::format("\"{}\"", text)
                                : fmt::format("\"{}...\"", text.substr(0, kQuoted));
}

Value Codecs::Rule(std::string_view cel, std::string_view message) {
  return Value::Map({{"rule", Value(cel)}, {"message", Value(message)}});
}

// --- Composed types ---

void Codecs::ReadEnum(Fields& f, Ref from, unsigned char& at, EnumName name) {
  if (!from.IsString()) return f.WrongType("a string", from);
  std::string known;
  for (unsigned char e = 0; name(e) != nullptr; ++e) {
    if (from.String() == name(e)) {
      at = e;
      return;
    }
    known += known.empty() ? "" : ", ";
    known += name(e);
  }
  f.Complain("{} is not one of {}", Codecs::Quote(from.String()), known);
}

Value Codecs::EnumSchema(EnumName name) {
  std::vector<Value> names;
  for (unsigned char e = 0; name(e) != nullptr; ++e) names.emplace_back(name(e));
  return Value::Map({{"type", "string"}, {"enum", Value::List(names)}});
}

Value Codecs::ListSchema(Value items, const Bounds& bounds) {
  Parts schema{{"type", Value("array")}};
  if (bounds.max_items > 0) schema.emplace_back("maxItems", Value(bounds.max_items));
  if (bounds.min_items > 0) schema.emplace_back("minItems", Value(bounds.min_items));
  schema.emplace_back("items", std::move(items));
  if (bounds.key) {
    schema.emplace_back("x-kubernetes-list-type", Value("map"));
    schema.emplace_back("x-kubernetes-list-map-keys", Value::List({bounds.key}));
  } else {
    schema.emplace_back("x-kubernetes-list-type", Value("atomic"));
  }
  return Value::Map(schema);
}

const Codec& Codecs::Reference() {
  static constexpr Fields::Visitor kDescribe = [](Fields& f, void* at) {
    f.Required("name", *static_cast<std::string*>(at), "The name of the object.",
               {.format = &kDnsSubdomain});
  };
  static constexpr Codec kCodec{
      [](Fields& f, Ref from, void* at, const Bounds&) { f.ReadStruct(from, at, kDescribe); },
      [](Fields& f, const void* at, bool keep) {
        return static_cast<const std::string*>(at)->empty() ? Value()
                                                            : f.WriteStruct(at, keep, kDescribe);
      },
      [](Fields& f, void* at, const Bounds&) { return f.StructSchema(at, kDescribe); }};
  return kCodec;
}

const Codec& Codecs::References() {
  using Kind = List<std::string, Reference>;
  static constexpr Codec kCodec{Kind::Read, Kind::Write, Kind::Schema};
  return kCodec;
}

// --- Fields ---

void Fields::RequiredReference(const char* name, std::string& field, const char* doc) {
  Visit(name, &field, Codecs::Reference(), doc, {}, true);
}
void Fields::Reference(const char* name, std::string& field, const char* doc) {
  Visit(name, &field, Codecs::Reference(), doc, {}, false);
}
void Fields::References(const char* name, std::vector<std::string>& field, const char* doc,
                        const Bounds& bounds) {
  Bounds by_name = bounds;
  by_name.key = "name";
  Visit(name, &field, Codecs::References(), doc, by_name, false);
}

void Fields::Visit(const char* name, void* at, const Codec& codec, const char* doc,
                   const Bounds& bounds, bool required) {
  switch (mode_) {
    case Mode::kParse: {
      frame_.known.push_back({name, required});
      const Ref found = frame_.from[name];
      const size_t length = path_.size();
      if (!path_.empty()) path_ += '.';
      path_ += name;
      if (found.IsAbsent() || (found.IsNull() && !codec.null_is_value)) {
        if (required && !lenient_) Complain("is required");
      } else if (required && !lenient_ && found.IsString() && found.String().empty()) {
        Complain("must not be empty");
      } else {
        codec.read(*this, found, at, bounds);
      }
      path_.resize(length);
      return;
    }
    case Mode::kPrint:
      frame_.members.emplace_back(name, codec.write(*this, at, required));
      return;
    case Mode::kSchema: {
      frame_.known.push_back({name, required});
      const Value own = codec.schema(*this, at, bounds);
      Members schema{{"description", Value(doc)}};
      for (auto [key, part] : own.ref().Members()) {
        schema.emplace_back(key, own.Share(part));
      }
      if (required && own["type"].String() == "string" && !own["enum"]) {
        schema.emplace_back("minLength", Value(1));
      }
      if (codec.has_default && !required && !lenient_) {
        Value preset = codec.write(*this, at, false);
        const bool says_something =
            !preset.IsAbsent() && !preset.ref().IsMap() && preset != Value(false);
        if (says_something) schema.emplace_back("default", std::move(preset));
      }
      frame_.members.emplace_back(name, Value::Map(schema));
      return;
    }
  }
}

void Fields::VisitStatus(void* at, const Codec& codec, const char* doc) {
  has_status_ = true;
  lenient_ = true;
  Visit("status", at, codec, doc, {}, false);
  lenient_ = false;
}

void Fields::Rule(const char* cel, const char* message, bool holds) {
  if (mode_ == Mode::kSchema && cel != nullptr) {
    AddRule(cel, message);
  } else if (mode_ == Mode::kParse && !holds && problems_.size() == frame_.problems) {
    Complain("{}", message);  // a field that could not be read says enough
  }
}

void Fields::Immutable(const char* message, const char* except) {
  if (mode_ != Mode::kSchema) return;
  if (except == nullptr) return AddRule("self == oldSelf", message);
  std::string same;
  for (const Known& field : frame_.known) {
    if (!same.empty()) same += " && ";
    if (field.name == std::string_view(except)) {
      same += fmt::format("(!has(oldSelf.{0}) || (has(self.{0}) && self.{0} == oldSelf.{0}))",
                          field.name);
    } else if (field.required) {
      same += fmt::format("self.{0} == oldSelf.{0}", field.name);
    } else {
      same += fmt::format(
          "has(self.{0}) == has(oldSelf.{0}) && (!has(self.{0}) || self.{0} == oldSelf.{0})",
          field.name);
    }
  }
  AddRule(std::move(same), message);
}

void Fields::AddRule(std::string cel, const char* message) {
  frame_.rules.push_back(Codecs::Rule(cel, message));
}

void Fields::Kind(const KindInfo& kind, const char* doc) {
  kind_ = &kind;
  kind_doc_ = doc;
  for (const char* name : {"apiVersion", "kind", "metadata"}) frame_.known.push_back({name, true});
}

void Fields::Column(const char* name, const char* type, const char* json_path, const char* doc,
                    int priority) {
  if (mode_ != Mode::kSchema) return;
  columns_.push_back(Value::Map({{"name", name},
                                 {"type", type},
                                 {"jsonPath", json_path},
                                 {"description", doc},
                                 {"priority", priority > 0 ? Value(priority) : Value()}}));
}

void Fields::AddProblem(std::string problem) {
  problems_.push_back(path_.empty() ? std::move(problem) : fmt::format("{}: {}", path_, problem));
}

void Fields::WrongType(const char* wanted, Ref found) {
  Complain("must be {}, is {}", wanted, value::ToString(found.kind()));
}

void Fields::CheckUnknown() {
  if (lenient_) return;
  for (auto [key, unused] : frame_.from.Members()) {
    const auto has_name = [&key = key](const Known& field) { return key == field.name; };
    if (std::any_of(frame_.known.begin(), frame_.known.end(), has_name)) continue;
    std::string known;
    for (const Known& field : frame_.known) {
      known += known.empty() ? "" : ", ";
      known += field.name;
    }
    const size_t length = path_.size();
    if (!path_.empty()) path_ += '.';
    path_ += key;
    Complain("unknown field; known here: {}", known);
    path_.resize(length);
  }
}

void Fields::ReadStruct(Ref from, void* at, Visitor describe) {
  if (!from.IsMap()) return WrongType("a map", from);
  Frame outer = std::exchange(frame_, Frame{.from = from, .problems = problems_.size()});
  describe(*this, at);
  CheckUnknown();
  frame_ = std::move(outer);
}

Value Fields::WriteStruct(const void* at, bool keep, Visitor describe) {
  Frame outer = std::exchange(frame_, Frame{});
  // Printing reads only; one description of the fields serves both directions.
  describe(*this, const_cast<void*>(at));
  Value map = Value::Map(frame_.members);
  frame_ = std::move(outer);
  return map.ref().size() == 0 && !keep ? Value() : map;
}

Value Fields::StructSchema(void* at, Visitor describe) {
  Frame outer = std::exchange(frame_, Frame{});
  describe(*this, at);
  std::vector<Value> required;
  for (const Known& field : frame_.known) {
    if (field.required) required.emplace_back(field.name);
  }
  Members schema{{"type", Value("object")}};
  if (!required.empty()) schema.emplace_back("required", Value::List(required));
  schema.emplace_back("properties", Value::Map(frame_.members));
  if (!frame_.rules.empty()) {
    schema.emplace_back("x-kubernetes-validations", Value::List(frame_.rules));
  }
  frame_ = std::move(outer);
  return Value::Map(schema);
}

bool Fields::BeginList(Ref from, const Bounds& bounds) {
  if (!from.IsList()) {
    WrongType("a list", from);
    return false;
  }
  const auto items = from.size();
  const auto least = static_cast<size_t>(bounds.min_items);
  const auto most = static_cast<size_t>(bounds.max_items);
  if (items < least || (most > 0 && items > most)) {
    const std::string wanted = least == most   ? fmt::format("exactly {}", most)
                               : items < least ? fmt::format("at least {}", least)
                                               : fmt::format("at most {}", most);
    Complain("has {} {}, {} {} allowed", items, items == 1 ? "item" : "items", wanted,
             (items < least ? least : most) == 1 ? "is" : "are");
    return false;
  }
  if (bounds.key) {
    std::set<std::string_view> seen;
    for (Ref item : from.Items()) {
      const std::string_view key = item[bounds.key].String();
      if (!key.empty() && !seen.insert(key).second) {
        Complain("{} {} appears twice", bounds.key, Codecs::Quote(key));
      }
    }
  }
  return true;
}

void Fields::ReadItem(size_t index, Ref from, void* at, const Codec& codec, const Bounds& bounds) {
  const size_t length = path_.size();
  path_ += fmt::format("[{}]", index);
  codec.read(*this, from, at, bounds);
  path_.resize(length);
}

// --- Whole objects ---

flotilla::Status Fields::Parse(Ref object, Meta& meta, void* at, Visitor describe) {
  if (!object.IsMap()) {
    return Fail(ErrorClass::kInvalid, "an object must be a map, is {}",
                value::ToString(object.kind()));
  }
  Fields f(Mode::kParse);
  f.frame_.from = object;

  f.lenient_ = true;
  f.path_ = "metadata";
  if (object["metadata"]) f.ReadStruct(object["metadata"], &meta, Codecs::DescribeAs<Meta>);
  f.lenient_ = false;
  f.path_.clear();

  describe(f, at);
  f.CheckUnknown();

  const std::string_view kind = object["kind"].String();
  const std::string_view version = object["apiVersion"].String();
  if (kind != f.kind_->kind || version != kApiVersion) {
    return Fail(ErrorClass::kInvalid, "expected {} of {}, found {} of {}", f.kind_->kind,
                kApiVersion, kind.empty() ? "no kind" : kind,
                version.empty() ? "no apiVersion" : version);
  }
  if (meta.name.empty() && object.At("metadata", "generateName").String().empty()) {
    f.problems_.insert(f.problems_.begin(), "metadata.name: is required");
  }
  if (f.problems_.empty()) return {};
  const size_t shown = std::min(f.problems_.size(), kMaxProblems);
  std::string all;
  for (size_t i = 0; i < shown; ++i) {
    all += i == 0 ? "" : "; ";
    all += f.problems_[i];
  }
  if (shown < f.problems_.size()) all += fmt::format("; and {} more", f.problems_.size() - shown);
  return Fail(ErrorClass::kInvalid, "{} {}: {}", kind, meta.name.empty() ? "?" : meta.Key(), all);
}

Value Fields::Print(const Meta& meta, const void* at, Visitor describe) {
  Fields f(Mode::kPrint);
  Value metadata = f.WriteStruct(&meta, true, Codecs::DescribeAs<Meta>);
  const Value parts = f.WriteStruct(at, true, describe);
  return Value::Map({{"apiVersion", Value(kApiVersion)},
                     {"kind", Value(f.kind_->kind)},
                     {"metadata", std::move(metadata)},
                     {"spec", parts.Share(parts["spec"])},
                     {"status", parts.Share(parts["status"])}});
}

Value Fields::Crd(void* defaults, Visitor describe) {
  Fields f(Mode::kSchema);
  const Value parts = f.StructSchema(defaults, describe);
  const KindInfo& kind = *f.kind_;

  const auto text = [](const char* doc) {
    return Value::Map({{"type", "string"}, {"description", doc}});
  };
  Members properties{
      {"apiVersion", text("The version of the schema of this object: flotilla.dev/v1alpha1.")},
      {"kind", text("The kind of this object.")},
      {"metadata", Value::Map({{"type", "object"}})}};
  for (auto [name, schema] : parts["properties"].Members()) {
    properties.emplace_back(name, parts.Share(schema));
  }
  Value columns = f.columns_.empty() ? Value() : Value::List(f.columns_);
  Value status = f.has_status_ ? Value::Map({{"status", Value::Map(Members{})}}) : Value();
  Value version = Value::Map(
      {{"name", Value(kVersion)},
       {"served", true},
       {"storage", true},
       {"additionalPrinterColumns", columns},
       {"subresources", status},
       {"schema",
        Value::Map({{"openAPIV3Schema", Value::Map({{"description", f.kind_doc_},
                                                    {"type", "object"},
                                                    {"required", Value::List({"spec"})},
                                                    {"properties", Value::Map(properties)}})}})}});
  Value short_names = kind.short_name.empty() ? Value() : Value::List({Value(kind.short_name)});
  return Value::Map(
      {{"apiVersion", "apiextensions.k8s.io/v1"},
       {"kind", "CustomResourceDefinition"},
       {"metadata", Value::Map({{"name", fmt::format("{}.{}", kind.plural, kGroup)}})},
       {"spec", Value::Map({{"group", Value(kGroup)},
                            {"names", Value::Map({{"categories", Value::List({"flotilla"})},
                                                  {"kind", Value(kind.kind)},
                                                  {"listKind", fmt::format("{}List", kind.kind)},
                                                  {"plural", Value(kind.plural)},
                                                  {"shortNames", short_names},
                                                  {"singular", Value(kind.singular)}})},
                            {"scope", kind.namespaced ? "Namespaced" : "Cluster"},
                            {"versions", Value::List({version})}})}});
}

}  // namespace flotilla::api
