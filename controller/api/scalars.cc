// How scalars, and the maps that hold only them, are read, written and described.
#include "api/fields.h"

#include <cmath>
#include <limits>

namespace flotilla::api {

using value::Ref;
using value::Value;

namespace {

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

using SchemaParts = Codecs::Parts;

void AddRange(SchemaParts& schema, const Bounds& bounds) {
  if (bounds.max) schema.emplace_back("maximum", NumberValue(*bounds.max));
  if (bounds.min) schema.emplace_back("minimum", NumberValue(*bounds.min));
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
            return f.Complain("{} is not {}", Codecs::Quote(from.String()), format->says);
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
          return f.Complain("{} is not a duration such as 90s or 1h30m",
                            Codecs::Quote(from.String()));
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
          rules.push_back(Codecs::Rule(fmt::format("duration(self) >= duration('{}')", least),
                                       fmt::format("must be at least {}", least)));
        }
        if (bounds.longest) {
          const std::string most = FormatDuration(*bounds.longest);
          rules.push_back(Codecs::Rule(fmt::format("duration(self) <= duration('{}')", most),
                                       fmt::format("must be at most {}", most)));
        }
        if (!rules.empty()) schema.emplace_back("x-kubernetes-validations", Value::List(rules));
        return Value::Map(schema);
      }};
  return kCodec;
}

template <>
const Codec& CodecOf<WallTime>() {
  static constexpr Codec kCodec{[](Fields& f, Ref from, void* at, const Bounds&) {
                                  if (!from.IsString())
                                    return f.WrongType("a time such as 2026-11-20T08:15:30Z", from);
                                  const std::optional<WallTime> time = ParseTime(from.String());
                                  if (!time) {
                                    return f.Complain(
                                        "{} is not a time such as 2026-11-20T08:15:30Z",
                                        Codecs::Quote(from.String()));
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
                            Codecs::Quote(from.String()));
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
            f.Complain("the value of {} must be a string, is {} (put it in quotes)",
                       Codecs::Quote(key), value::ToString(item.kind()));
          }
          if (bounds.format && !kLabelKey.accepts(key)) {
            f.Complain("{} is not {}", Codecs::Quote(key), kLabelKey.says);
          }
          if (bounds.format && !bounds.format->accepts(item.String())) {
            f.Complain("the value of {}, {}, is not {}", Codecs::Quote(key),
                       Codecs::Quote(item.String()), bounds.format->says);
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

}  // namespace flotilla::api
