// One description of every field of our kinds, from which parsing, printing, strictness, defaults
// and the CustomResourceDefinition all follow. Included by the .cc files of this folder only.
//
//   void Describe(Fields& f, PrunePolicy& p) {
//     f.Optional("enabled", p.enabled, "False keeps objects that left the source.");
//     f.Optional("maxPercent", p.max_percent, "Budget in percent.", {.min = 0, .max = 100});
//     f.Rule("self.enabled || !has(self.when)", "when needs enabled", p.enabled || ...);
//   }
//
// - Parsing: unknown fields, wrong types and values out of bounds are errors that name the path;
//   all of them are reported together. null means absent, as in Kubernetes. What is absent keeps
//   the value of the C++ initialiser, which the schema states as its default.
// - Printing: empty strings, lists, maps and structs of optional fields are left out; numbers,
//   booleans and enumerations are always written.
// - An enumeration is a `enum class : unsigned char` counting from 0 whose ToString() returns
//   nullptr beyond the last (see NameOf).
// - Within status, unknown and missing fields are no error: another version of us wrote them.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/meta.h"
#include "base/result.h"
#include "base/time.h"
#include "value/value.h"

namespace flotilla::api {

// A named syntax of strings: a pattern for the schema, the same check in C++, and words for people.
struct Format {
  const char* pattern;
  const char* says;  // "a DNS label: ..."
  bool (*accepts)(std::string_view text);
  bool quotable = true;  // false: messages do not repeat the value, which may hold a secret
  int max_length = 0;    // where the pattern does not bound it
};
extern const Format kDnsLabel;      // RFC 1123, 63 bytes
extern const Format kDnsSubdomain;  // names of Kubernetes objects, 253 bytes
extern const Format kLabelKey;      // prefix/name
extern const Format kLabelValue;
extern const Format kGitUrl;   // without user info where it is HTTP
extern const Format kHttpUrl;  // likewise
extern const Format kCommitId;
extern const Format kRelativePath;  // '/'-separated, without "..", not absolute
extern const Format kJsonPointer;   // RFC 6901, not the empty one

struct Bounds {
  std::optional<double> min = {};  // of numbers, counts and percentages
  std::optional<double> max = {};
  std::optional<Duration> shortest = {};  // of durations
  std::optional<Duration> longest = {};
  const Format* format = nullptr;  // of strings, items of lists, values of labels
  int min_items = 0;
  int max_items = 0;          // 0: none
  const char* key = nullptr;  // items are maps, unique by this member
};

// How one type is read, written and described; `at` points to a T.
struct Codec {
  void (*read)(Fields& f, value::Ref from, void* at, const Bounds& bounds);
  // Absent where there is nothing worth writing, unless `keep`.
  value::Value (*write)(Fields& f, const void* at, bool keep);
  // Without description and default.
  value::Value (*schema)(Fields& f, void* at, const Bounds& bounds);
  bool has_default = true;  // false: what is absent stays absent (optional<T>)
  bool null_is_value = false;
};
template <typename T>
const Codec& CodecOf();

// The name of an enumerator; nullptr beyond the last.
template <typename E, size_t N>
constexpr const char* NameOf(const char* const (&names)[N], E e) {
  return static_cast<size_t>(e) < N ? names[static_cast<size_t>(e)] : nullptr;
}

class Fields {
 public:
  template <typename T>
  void Required(const char* name, T& field, const char* doc, const Bounds& bounds = {}) {
    Visit(name, &field, CodecOf<T>(), doc, bounds, true);
  }
  template <typename T>
  void Optional(const char* name, T& field, const char* doc, const Bounds& bounds = {}) {
    Visit(name, &field, CodecOf<T>(), doc, bounds, false);
  }
  // The name of another object, written {name: ...}.
  void RequiredReference(const char* name, std::string& field, const char* doc);
  void Reference(const char* name, std::string& field, const char* doc);
  void References(const char* name, std::vector<std::string>& field, const char* doc,
                  const Bounds& bounds = {});

  // What must hold between the fields above it: as a CEL expression for the API server, and as
  // `holds` for our own parser. Where CEL cannot express it, `cel` is nullptr.
  void Rule(const char* cel, const char* message, bool holds);
  // The fields above never change after creation; `except` may be set once.
  void Immutable(const char* message, const char* except = nullptr);

  // The four parts of a kind, in this order.
  void Kind(const KindInfo& kind, const char* doc);
  void Column(const char* name, const char* type, const char* json_path, const char* doc,
              int priority = 0);
  template <typename T>
  void Spec(T& spec, const char* doc) {
    Visit("spec", &spec, CodecOf<T>(), doc, {}, true);
  }
  template <typename T>
  void Status(T& status, const char* doc) {
    VisitStatus(&status, CodecOf<T>(), doc);
  }

  // For codecs: a problem of the current path.
  template <typename... Args>
  void Complain(fmt::format_string<Args...> format, Args&&... args) {
    AddProblem(fmt::format(format, std::forward<Args>(args)...));
  }
  void WrongType(const char* wanted, value::Ref found);

  // For ParseObject, PrintObject and CrdOf, which see. `describe` visits the object at `at`.
  using Visitor = void (*)(Fields& f, void* at);
  static flotilla::Status Parse(value::Ref object, Meta& meta, void* at, Visitor describe);
  static value::Value Print(const Meta& meta, const void* at, Visitor describe);
  static value::Value Crd(void* defaults, Visitor describe);

 private:
  friend struct Codecs;
  enum class Mode : unsigned char { kParse, kPrint, kSchema };
  using Members = std::vector<std::pair<std::string, value::Value>>;
  struct Known {
    const char* name;
    bool required;
  };
  // The struct that is being visited.
  struct Frame {
    value::Ref from;      // parse
    size_t problems = 0;  // parse: how many there were before it
    std::vector<Known> known = {};
    Members members = {};  // print: its fields; schema: their schemas
    std::vector<value::Value> rules = {};
  };

  explicit Fields(Mode mode) : mode_(mode) {}
  void Visit(const char* name, void* at, const Codec& codec, const char* doc, const Bounds& bounds,
             bool required);
  void VisitStatus(void* at, const Codec& codec, const char* doc);
  void AddRule(std::string cel, const char* message);
  void AddProblem(std::string problem);
  void CheckUnknown();

  void ReadStruct(value::Ref from, void* at, Visitor describe);
  value::Value WriteStruct(const void* at, bool keep, Visitor describe);
  value::Value StructSchema(void* at, Visitor describe);
  bool BeginList(value::Ref from, const Bounds& bounds);
  void ReadItem(size_t index, value::Ref from, void* at, const Codec& codec, const Bounds& bounds);

  Mode mode_;
  bool lenient_ = false;  // inside metadata and status
  Frame frame_;
  std::string path_;
  std::vector<std::string> problems_;
  const KindInfo* kind_ = nullptr;
  const char* kind_doc_ = nullptr;
  bool has_status_ = false;
  std::vector<value::Value> columns_;
};

// Result<T> of an object of one of our kinds; T has meta, and Describe(Fields&, T&) names its kind.
template <typename T>
Result<T> ParseObject(value::Ref object);
template <typename T>
value::Value PrintObject(const T& object);
// The CustomResourceDefinition of T.
template <typename T>
value::Value CrdOf();

// --- Codecs of composed types; those of scalars are in scalars.cc ---

template <>
const Codec& CodecOf<bool>();
template <>
const Codec& CodecOf<int>();
template <>
const Codec& CodecOf<int64_t>();
template <>
const Codec& CodecOf<double>();
template <>
const Codec& CodecOf<std::string>();
template <>
const Codec& CodecOf<Duration>();
template <>
const Codec& CodecOf<WallTime>();
template <>
const Codec& CodecOf<IntOrPercent>();
template <>
const Codec& CodecOf<Labels>();
template <>
const Codec& CodecOf<value::Value>();  // any JSON

struct Codecs {
  using Ref = value::Ref;
  using Value = value::Value;
  using EnumName = const char* (*)(unsigned char);
  static void ReadEnum(Fields& f, Ref from, unsigned char& at, EnumName name);
  static Value EnumSchema(EnumName name);
  using Parts = std::vector<std::pair<std::string, Value>>;  // of a schema
  static std::string Quote(std::string_view text);           // for messages, cut where it is long
  static Value Rule(std::string_view cel, std::string_view message);
  static Value ListSchema(Value items, const Bounds& bounds);

  static const Codec& Reference();   // a std::string, as {name: ...}
  static const Codec& References();  // a list of those

  template <typename T>
  static void DescribeAs(Fields& f, void* at) {
    Describe(f, *static_cast<T*>(at));
  }

  template <typename E>
  struct Enum {
    static const char* Name(unsigned char e) { return ToString(static_cast<E>(e)); }
    static void Read(Fields& f, Ref from, void* at, const Bounds&) {
      ReadEnum(f, from, *static_cast<unsigned char*>(at), Name);
    }
    static Value Write(Fields&, const void* at, bool) {
      return Value(Name(*static_cast<const unsigned char*>(at)));
    }
    static Value Schema(Fields&, void*, const Bounds&) { return EnumSchema(Name); }
  };

  template <typename T>
  struct Struct {
    static void Read(Fields& f, Ref from, void* at, const Bounds&) {
      f.ReadStruct(from, at, DescribeAs<T>);
    }
    static Value Write(Fields& f, const void* at, bool keep) {
      return f.WriteStruct(at, keep, DescribeAs<T>);
    }
    static Value Schema(Fields& f, void* at, const Bounds&) {
      return f.StructSchema(at, DescribeAs<T>);
    }
  };

  template <typename T>
  struct Maybe {
    static void Read(Fields& f, Ref from, void* at, const Bounds& bounds) {
      CodecOf<T>().read(f, from, &static_cast<std::optional<T>*>(at)->emplace(), bounds);
    }
    static Value Write(Fields& f, const void* at, bool) {
      const auto& maybe = *static_cast<const std::optional<T>*>(at);
      return maybe ? CodecOf<T>().write(f, &*maybe, true) : Value();
    }
    static Value Schema(Fields& f, void*, const Bounds& bounds) {
      T example{};
      return CodecOf<T>().schema(f, &example, bounds);
    }
  };

  // `Item` gives the codec of the items: CodecOf<T>, or another view of a T.
  template <typename T, const Codec& (*Item)()>
  struct List {
    static void Read(Fields& f, Ref from, void* at, const Bounds& bounds) {
      auto& list = *static_cast<std::vector<T>*>(at);
      list.clear();
      if (!f.BeginList(from, bounds)) return;
      list.reserve(from.size());
      for (Ref item : from.Items()) {
        const size_t index = list.size();
        f.ReadItem(index, item, &list.emplace_back(), Item(), bounds);
      }
    }
    static Value Write(Fields& f, const void* at, bool keep) {
      const auto& list = *static_cast<const std::vector<T>*>(at);
      if (list.empty() && !keep) return Value();
      std::vector<Value> items;
      items.reserve(list.size());
      for (const T& item : list) items.push_back(Item().write(f, &item, true));
      return Value::List(items);
    }
    static Value Schema(Fields& f, void*, const Bounds& bounds) {
      T example{};
      return ListSchema(Item().schema(f, &example, bounds), bounds);
    }
  };

  template <template <typename> typename Kind, typename T>
  static constexpr Codec Make(bool has_default = true) {
    return {Kind<T>::Read, Kind<T>::Write, Kind<T>::Schema, has_default};
  }
  template <typename T>
  struct Of {
    static constexpr Codec Choose() {
      if constexpr (std::is_enum_v<T>) {
        return Make<Enum, T>();
      } else {
        return Make<Struct, T>();
      }
    }
    static constexpr Codec kCodec = Choose();
  };
  template <typename T>
  struct Of<std::optional<T>> {
    static constexpr Codec kCodec = Make<Maybe, T>(false);
  };
  template <typename T>
  struct Of<std::vector<T>> {
    using Kind = List<T, CodecOf<T>>;
    static constexpr Codec kCodec{Kind::Read, Kind::Write, Kind::Schema};
  };
};

template <typename T>
const Codec& CodecOf() {
  return Codecs::Of<T>::kCodec;
}

template <typename T>
Result<T> ParseObject(value::Ref object) {
  T parsed;
  if (auto done = Fields::Parse(object, parsed.meta, &parsed, Codecs::DescribeAs<T>); !done) {
    return Pass(done);
  }
  return parsed;
}
template <typename T>
value::Value PrintObject(const T& object) {
  return Fields::Print(object.meta, &object, Codecs::DescribeAs<T>);
}
template <typename T>
value::Value CrdOf() {
  T defaults;
  return Fields::Crd(&defaults, Codecs::DescribeAs<T>);
}

}  // namespace flotilla::api
