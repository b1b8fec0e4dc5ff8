#include "api/fields.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace flotilla::api {

using value::Ref;
using value::Value;

namespace {

// More would hide the first ones from the reader.
constexpr size_t kMaxProblems = 10;
constexpr size_t kQuoted = 80;

std::string Quote(std::string_view text) {
  return text.size() <= kQuoted ? fmt::format("\"{}\"", text)
                                : fmt::format("\"{}...\"", text.substr(0, kQuoted));
}

// Whole numbers without a fraction: bounds and values as people write them.
std::string Number(double number) { return fmt::format("{}", number); }

Value NumberValue(double number) {
  return std::trunc(number) == number ? Value(static_cast<int64_t>(number)) : Value(number);
}

template <typename T>
const T& As(const void* at) {
  return *static_cast<const T*>(at);
}
template <typename T>
T& As(void* at) {
  return *static_cast<T*>(at);
}

void CheckRange(Fields& f, double number, const char* unit, const Bounds& bounds) {
  if (bounds.min && number < *bounds.min) {
    f.Complain("{}{} is below the minimum {}{}", Number(number), unit, Number(*bounds.min), unit);
  } else if (bounds.max && number > *bounds.max) {
    f.Complain("{}{} is above the maximum {}{}", Number(number), unit, Number(*bounds.max), unit);
  }
}

using SchemaParts = std::vector<std::pair<std::string, Value>>;

void AddRange(SchemaParts& schema, const Bounds& bounds) {
  if (bounds.max) schema.emplace_back("maximum", NumberValue(*bounds.max));
  if (bounds.min) schema.emplace_back("minimum", NumberValue(*bounds.min));
}

Value RuleValue(std::string_view cel, std::string_view message) {
  return Value::Map({{"rule", Value(cel)}, {"message", Value(message)}});
}

template <typename T>
void ReadInteger(Fields& f, Ref from, void* at, const Bounds& bounds) {
  if (!from.IsInteger()) return f.WrongType("an integer", from);
  const int64_t number = from.Int(std::numeric_limits<int64_t>::max());
  if (!std::in_range<T>(number) || from.kind() == value::Kind::kUint) {
    return f.Complain("{} is too large", from.Uint(static_cast<uint64_t>(number)));
  }
  CheckRange(f, static_cast<double>(number), "", bounds);
  As<T>(at) = static_cast<T>(number);
}

template <typename T>
Value IntegerSchema(Fields&, void*, const Bounds& bounds) {
  SchemaParts schema{{"type", Value("integer")},
                     {"format", Value(sizeof(T) == 4 ? "int32" : "int64")}};
  AddRange(schema, bounds);
  return Value::Map(schema);
}

constexpr const char* kDurationPattern = R"(^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$)";
constexpr const char* kPercentPattern = "^(100|[1-9]?[0-9])%$";

}  // namespace

// --- Scalars ---

template <>
const Codec& CodecOf<bool>() {
  static constexpr Codec kCodec{[](Fields& f, Ref from, void* at, const Bounds&) {
                                  if (!from.IsBool()) return f.WrongType("true or false", from);
                                  As<bool>(at) = from.Bool();
                                },
                                [](Fields&, const void* at, bool) { return Value(As<bool>(at)); },
                                [](Fields&, void*, const Bounds&) {
                                  return Value::Map({{"type", "boolean"}});
                                }};
  return kCodec;
}

template <>
const Codec& CodecOf<int>() {
  static constexpr Codec kCodec{ReadInteger<int>,
                                [](Fields&, const void* at, bool) { return Value(As<int>(at)); },
                                IntegerSchema<int>};
  return kCodec;
}

template <>
const Codec& CodecOf<int64_t>() {
  static constexpr Codec kCodec{
      ReadInteger<int64_t>, [](Fields&, const void* at, bool) { return Value(As<int64_t>(at)); },
      IntegerSchema<int64_t>};
  return kCodec;
}

template <>
const Codec& CodecOf<double>() {
  static constexpr Codec kCodec{
      [](Fields& f, Ref from, void* at, const Bounds& bounds) {
        if (!from.IsNumber()) return f.WrongType("a number", from);
        CheckRange(f, from.Double(), "", bounds);
        As<double>(at) = from.Double();
      },
      [](Fields&, const void* at, bool) {
        const double number = As<double>(at);
        const bool whole = std::trunc(number) == number && std::abs(number) < 1e15;
        return whole ? Value(static_cast<int64_t>(number)) : Value(number);
      },
      [](Fields&, void*, const Bounds& bounds) {
        SchemaParts schema{{"type", Value("number")}};
        AddRange(schema, bounds);
        return Value::Map(schema);
      }};
  return kCodec;
}

template <>
const Codec& CodecOf<std::string>() {
  static constexpr Codec kCodec{
      [](Fields& f, Ref from, void* at, const Bounds& bounds) {
        if (!from.IsString()) return f.WrongType("a string", from);
        if (const Format* format = bounds.format;
            format && !from.String().empty() && !format->accepts(from.String())) {
          if (format->quotable)
            return f.Complain("{} is not {}", Quote(from.String()), format->says);
          return f.Complain("is not {}", format->says);
        }
        As<std::string>(at) = from.Text();
      },
      [](Fields&, const void* at, bool keep) {
        const auto& text = As<std::string>(at);
        return text.empty() && !keep ? Value() : Value(text);
      },
      [](Fields&, void*, const Bounds& bounds) {
        SchemaParts schema{{"type", Value("string")}};
        if (const Format* format = bounds.format) {
          if (format->max_length > 0) schema.emplace_back("maxLength", Value(format->max_length));
          schema.emplace_back("pattern", Value(format->pattern));
        }
        return Value::Map(schema);
      }};
  return kCodec;
}

template <>
const Codec& CodecOf<Duration>() {
  static constexpr Codec kCodec{
      [](Fields& f, Ref from, void* at, const Bounds& bounds) {
        if (!from.IsString()) return f.WrongType("a duration such as 90s or 1h30m", from);
        const std::optional<Duration> duration = ParseDuration(from.String());
        if (!duration || *duration < 0s) {
          return f.Complain("{} is not a duration such as 90s or 1h30m", Quote(from.String()));
        }
        if (bounds.shortest && *duration < *bounds.shortest) {
          return f.Complain("{} is shorter than {}", from.String(),
                            FormatDuration(*bounds.shortest));
        }
        if (bounds.longest && *duration > *bounds.longest) {
          return f.Complain("{} is longer than {}", from.String(), FormatDuration(*bounds.longest));
        }
        As<Duration>(at) = *duration;
      },
      [](Fields&, const void* at, bool) { return Value(FormatDuration(As<Duration>(at))); },
      [](Fields&, void*, const Bounds& bounds) {
        // The length bounds the cost of the rules that the API server evaluates.
        SchemaParts schema{{"type", Value("string")},
                           {"maxLength", Value(64)},
                           {"pattern", Value(kDurationPattern)}};
        std::vector<Value> rules;
        if (bounds.shortest) {
          const std::string least = FormatDuration(*bounds.shortest);
          rules.push_back(RuleValue(fmt::format("duration(self) >= duration('{}')", least),
                                    fmt::format("must be at least {}", least)));
        }
        if (bounds.longest) {
          const std::string most = FormatDuration(*bounds.longest);
          rules.push_back(RuleValue(fmt::format("duration(self) <= duration('{}')", most),
                                    fmt::format("must be at most {}", most)));
        }
        if (!rules.empty()) schema.emplace_back("x-kubernetes-validations", Value::List(rules));
        return Value::Map(schema);
      }};
  return kCodec;
}

template <>
const Codec& CodecOf<WallTime>() {
  static constexpr Codec kCodec{
      [](Fields& f, Ref from, void* at, const Bounds&) {
        if (!from.IsString()) return f.WrongType("a time such as 2026-11-20T08:15:30Z", from);
        const std::optional<WallTime> time = ParseTime(from.String());
        if (!time) {
          return f.Complain("{} is not a time such as 2026-11-20T08:15:30Z", Quote(from.String()));
        }
        As<WallTime>(at) = *time;
      },
      [](Fields&, const void* at, bool) {
        const WallTime time = As<WallTime>(at);
        const bool whole = time.time_since_epoch() % 1s == 0us;
        return Value(whole ? FormatTime(time) : FormatMicroTime(time));
      },
      [](Fields&, void*, const Bounds&) {
        return Value::Map({{"type", "string"}, {"format", "date-time"}});
      }};
  return kCodec;
}

template <>
const Codec& CodecOf<IntOrPercent>() {
  static constexpr Codec kCodec{
      [](Fields& f, Ref from, void* at, const Bounds& bounds) {
        auto& out = As<IntOrPercent>(at);
        if (from.IsInteger()) {
          out.percent = false;
          return ReadInteger<int>(f, from, &out.value, bounds);
        }
        if (!from.IsString()) return f.WrongType("a count or a percentage such as \"25%\"", from);
        std::string_view digits = from.String();
        const bool percent = !digits.empty() && digits.back() == '%';
        if (percent) digits.remove_suffix(1);
        int number = 0;
        for (char digit : digits) {
          if (digit < '0' || digit > '9' || number > 100) number = 101;
          number = number * 10 + (digit - '0');
        }
        const bool canonical = digits.size() == 1 || (!digits.empty() && digits[0] != '0');
        if (!percent || !canonical || number > 100) {
          return f.Complain("{} is neither a count nor a percentage from \"0%\" to \"100%\"",
                            Quote(from.String()));
        }
        CheckRange(f, number, "%", bounds);
        out = Percent(number);
      },
      [](Fields&, const void* at, bool) {
        const auto& number = As<IntOrPercent>(at);
        return number.percent ? Value(number.ToString()) : Value(number.value);
      },
      [](Fields&, void*, const Bounds& bounds) {
        SchemaParts schema{{"x-kubernetes-int-or-string", Value(true)},
                           {"pattern", Value(kPercentPattern)}};
        AddRange(schema, bounds);
        return Value::Map(schema);
      }};
  return kCodec;
}

template <>
const Codec& CodecOf<Labels>() {
  static constexpr Codec kCodec{
      [](Fields& f, Ref from, void* at, const Bounds& bounds) {
        if (!from.IsMap()) return f.WrongType("a map of strings", from);
        auto& labels = As<Labels>(at);
        labels.clear();
        for (auto [key, item] : from.Members()) {
          if (!item.IsString()) {
            f.Complain("the value of {} must be a string, is {} (put it in quotes)", Quote(key),
                       value::ToString(item.kind()));
          }
          if (bounds.format && !kLabelKey.accepts(key)) {
            f.Complain("{} is not {}", Quote(key), kLabelKey.says);
          }
          if (bounds.format && !bounds.format->accepts(item.String())) {
            f.Complain("the value of {}, {}, is not {}", Quote(key), Quote(item.String()),
                       bounds.format->says);
          }
          labels.emplace(key, item.Text());
        }
      },
      [](Fields&, const void* at, bool keep) {
        const auto& labels = As<Labels>(at);
        if (labels.empty() && !keep) return Value();
        SchemaParts members;
        members.reserve(labels.size());
        for (const auto& [key, text] : labels) members.emplace_back(key, Value(text));
        return Value::Map(members);
      },
      [](Fields& f, void*, const Bounds& bounds) {
        std::string example;
        Value values = CodecOf<std::string>().schema(f, &example, bounds);
        return Value::Map({{"type", "object"}, {"additionalProperties", std::move(values)}});
      }};
  return kCodec;
}

template <>
const Codec& CodecOf<Value>() {
  static constexpr Codec kCodec{
      [](Fields&, Ref from, void* at, const Bounds&) { As<Value>(at) = Value::Copy(from); },
      [](Fields&, const void* at, bool) { return As<Value>(at); },
      [](Fields&, void*, const Bounds&) {
        return Value::Map({{"nullable", true}, {"x-kubernetes-preserve-unknown-fields", true}});
      },
      /*has_default=*/false, /*null_is_value=*/true};
  return kCodec;
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
  f.Complain("{} is not one of {}", Quote(from.String()), known);
}

Value Codecs::EnumSchema(EnumName name) {
  std::vector<Value> names;
  for (unsigned char e = 0; name(e) != nullptr; ++e) names.emplace_back(name(e));
  return Value::Map({{"type", "string"}, {"enum", Value::List(names)}});
}

Value Codecs::ListSchema(Value items, const Bounds& bounds) {
  SchemaParts schema{{"type", Value("array")}};
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
    f.Required("name", As<std::string>(at), "The name of the object.", {.format = &kDnsSubdomain});
  };
  static constexpr Codec kCodec{
      [](Fields& f, Ref from, void* at, const Bounds&) { f.ReadStruct(from, at, kDescribe); },
      [](Fields& f, const void* at, bool keep) {
        return As<std::string>(at).empty() ? Value() : f.WriteStruct(at, keep, kDescribe);
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
  frame_.rules.push_back(RuleValue(cel, message));
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
        Complain("{} {} appears twice", bounds.key, Quote(key));
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
