#include "kube/schema/protobuf.h"

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/limits.h"
#include "base/time.h"
#include "kube/schema/builtin.h"
#include "value/json.h"

namespace flotilla::kube::schema {

using value::Value;

namespace {

constexpr std::string_view kMagic("k8s\0", 4);
constexpr int kMaxDepth = 100;

// One field of a message on the wire.
struct WireField {
  uint64_t number = 0;
  uint64_t integer = 0;    // of wire types 0, 1 and 5
  std::string_view bytes;  // of wire type 2
  bool is_bytes = false;
};

std::optional<uint64_t> TakeVarint(std::string_view& rest) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    auto byte = static_cast<uint8_t>(rest.front());
    rest.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

bool TakeFixed(std::string_view& rest, size_t size, uint64_t& value) {
  if (rest.size() < size) return false;
  for (size_t i = 0; i < size; ++i) {
    value |= static_cast<uint64_t>(static_cast<uint8_t>(rest[i])) << (8 * i);
  }
  rest.remove_prefix(size);
  return true;
}

std::optional<std::vector<WireField>> Split(std::string_view message) {
  std::vector<WireField> fields;
  while (!message.empty()) {
    auto tag = TakeVarint(message);
    if (!tag) return std::nullopt;
    WireField field;
    field.number = *tag >> 3;
    switch (*tag & 7) {
      case 0: {
        auto value = TakeVarint(message);
        if (!value) return std::nullopt;
        field.integer = *value;
        break;
      }
      case 1:
        if (!TakeFixed(message, 8, field.integer)) return std::nullopt;
        break;
      case 2: {
        auto size = TakeVarint(message);
        if (!size || *size > message.size()) return std::nullopt;
        field.bytes = message.substr(0, *size);
        field.is_bytes = true;
        message.remove_prefix(*size);
        break;
      }
      case 5:
        if (!TakeFixed(message, 4, field.integer)) return std::nullopt;
        break;
      default:
        return std::nullopt;
    }
    fields.push_back(field);
  }
  return fields;
}

// The last value of a field of a small message.
WireField Get(const std::vector<WireField>& fields, uint64_t number) {
  WireField found;
  for (const WireField& field : fields) {
    if (field.number == number) found = field;
  }
  return found;
}

using Members = std::vector<std::pair<std::string, Value>>;

class Reader {
 public:
  bool broken() const { return broken_; }

  Value Struct(std::string_view message, const Type& type, int depth) {
    Members members;
    ReadInto(message, type, "", depth, members);
    return Value::Map(members);
  }

 private:
  std::vector<WireField> Parts(std::string_view message, int depth) {
    auto fields = depth < kMaxDepth ? Split(message) : std::nullopt;
    if (!fields) broken_ = true;
    return fields ? *std::move(fields) : std::vector<WireField>();
  }

  // `prefix` is the path of numbers to this message, where it is one that JSON inlines.
  void ReadInto(std::string_view message, const Type& type, const std::string& prefix, int depth,
                Members& members) {
    for (const WireField& wire : Parts(message, depth)) {
      std::string path = prefix + std::to_string(wire.number);
      bool inlined = false;
      for (const Field& field : type.fields) {
        if (field.number == path) {
          Add(field, wire, depth, members);
          break;
        }
        inlined |= field.number.size() > path.size() &&
                   field.number.substr(0, path.size()) == path && field.number[path.size()] == '.';
      }
      if (inlined && wire.is_bytes) ReadInto(wire.bytes, type, path + ".", depth + 1, members);
    }
  }

  static Value& Member(Members& members, std::string_view name) {
    for (auto& [key, value] : members) {
      if (key == name) return value;
    }
    return members.emplace_back(name, Value()).second;
  }

  void Add(const Field& field, const WireField& wire, int depth, Members& members) {
    Value& member = Member(members, field.name);
    if (field.type->shape == Shape::kList) {
      std::vector<Value> items;
      for (value::Ref item : member.ref().Items()) items.push_back(member.Share(item));
      items.push_back(One(*field.type->element, wire, depth));
      member = Value::List(items);
    } else if (field.type->shape == Shape::kMap) {
      Members entries;
      for (auto [key, value] : member.ref().Members())
        entries.emplace_back(key, member.Share(value));
      std::vector<WireField> entry = Parts(wire.bytes, depth);
      entries.emplace_back(Get(entry, 1).bytes, One(*field.type->element, Get(entry, 2), depth));
      member = Value::Map(entries);
    } else {
      member = One(*field.type, wire, depth);
    }
  }

  Value One(const Type& type, const WireField& wire, int depth) {
    switch (type.shape) {
      case Shape::kBoolean:
        return wire.integer != 0;
      case Shape::kInteger:
        return static_cast<int64_t>(wire.integer);
      case Shape::kNumber:
        return std::bit_cast<double>(wire.integer);
      case Shape::kBytes:
        return EncodeBase64(wire.bytes);
      case Shape::kStruct:
        return Struct(wire.bytes, type, depth + 1);
      case Shape::kQuantity:
        return Value(Get(Parts(wire.bytes, depth), 1).bytes);
      case Shape::kTime:
        return Time(Parts(wire.bytes, depth));
      case Shape::kIntOrString: {
        std::vector<WireField> parts = Parts(wire.bytes, depth);
        if (Get(parts, 1).integer != 0) return Value(Get(parts, 3).bytes);
        return static_cast<int64_t>(Get(parts, 2).integer);
      }
      case Shape::kAny: {
        auto json = value::ParseJson(Get(Parts(wire.bytes, depth), 1).bytes);
        return json ? *std::move(json) : Value::Map({});
      }
      default:
        return Value(wire.bytes);
    }
  }

  static Value Time(const std::vector<WireField>& parts) {
    auto seconds = static_cast<int64_t>(Get(parts, 1).integer);
    auto nanoseconds = static_cast<int64_t>(Get(parts, 2).integer);
    if (seconds == 0 && nanoseconds == 0) return nullptr;
    WallTime time{std::chrono::seconds(seconds) + std::chrono::microseconds(nanoseconds / 1000)};
    return nanoseconds == 0 ? FormatTime(time) : FormatMicroTime(time);
  }

  bool broken_ = false;
};

const Type* TypeOf(std::string_view api_version, std::string_view kind) {
  if (kind == "DeleteOptions") return FindType("meta.v1.DeleteOptions");
  if (kind == "Scale") return FindType("autoscaling.v1.Scale");
  if (kind == "TokenRequest") return FindType("authentication.v1.TokenRequest");
  auto [group, version] = SplitApiVersion(api_version);
  const TypeFacts* facts = FindKind(group, version, kind);
  return facts != nullptr ? facts->type : nullptr;
}

}  // namespace

Result<Value> ParseProtobuf(std::string_view bytes) {
  auto malformed = [] { return Fail(ErrorClass::kInvalid, "malformed protobuf"); };
  if (bytes.size() > limits::kDocumentBytes) {
    return Fail(ErrorClass::kInvalid, "the object has more than {} bytes", limits::kDocumentBytes);
  }
  if (bytes.substr(0, kMagic.size()) != kMagic) return malformed();
  auto envelope = Split(bytes.substr(kMagic.size()));  // runtime.Unknown
  if (!envelope) return malformed();
  auto type_meta = Split(Get(*envelope, 1).bytes);
  if (!type_meta) return malformed();
  std::string_view api_version = Get(*type_meta, 1).bytes, kind = Get(*type_meta, 2).bytes;
  const Type* type = TypeOf(api_version, kind);
  if (type == nullptr) {
    return Fail(ErrorClass::kInvalid, "no kind \"{}\" is registered for version \"{}\"", kind,
                api_version);
  }
  Reader reader;
  Value object = reader.Struct(Get(*envelope, 2).bytes, *type, 0);
  if (reader.broken()) return malformed();
  return value::Edited(std::move(object))
      .Set({"apiVersion"}, Value(api_version))
      .Set({"kind"}, Value(kind))
      .Done();
}

}  // namespace flotilla::kube::schema
