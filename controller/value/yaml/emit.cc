// ToYaml: our tree → libyaml's emitter, with the styles that sigs.k8s.io/yaml chooses.
#include <yaml.h>

#include "base/encoding.h"
#include "value/text.h"
#include "value/yaml.h"
#include "value/yaml/scalar.h"

namespace flotilla::value {
namespace {

class Emitter {
 public:
  explicit Emitter(std::string& out) {
    yaml_emitter_initialize(&emitter_);
    yaml_emitter_set_output(&emitter_, Write, &out);
    yaml_emitter_set_unicode(&emitter_, 1);
    yaml_emitter_set_width(&emitter_, -1);  // one line per scalar: diffs stay readable
  }
  ~Emitter() { yaml_emitter_delete(&emitter_); }
  Emitter(const Emitter&) = delete;
  Emitter& operator=(const Emitter&) = delete;

  void Document(Ref value) {
    yaml_event_t event;
    yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
    Emit(event);
    yaml_document_start_event_initialize(&event, nullptr, nullptr, nullptr, 1);
    Emit(event);
    Node(value);
    yaml_document_end_event_initialize(&event, 1);
    Emit(event);
    yaml_stream_end_event_initialize(&event);
    Emit(event);
  }

 private:
  static int Write(void* out, unsigned char* bytes, size_t size) {
    static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(bytes), size);
    return 1;
  }
  void Emit(yaml_event_t& event) { yaml_emitter_emit(&emitter_, &event); }

  void Node(Ref value) {
    yaml_event_t event;
    switch (value.kind()) {
      case Kind::kList: {
        auto style = value.size() == 0 ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;
        yaml_sequence_start_event_initialize(&event, nullptr, nullptr, 1, style);
        Emit(event);
        for (Ref item : value.Items()) Node(item);
        yaml_sequence_end_event_initialize(&event);
        return Emit(event);
      }
      case Kind::kMap: {
        auto style = value.size() == 0 ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE;
        yaml_mapping_start_event_initialize(&event, nullptr, nullptr, 1, style);
        Emit(event);
        for (auto [key, child] : value.Members()) {
          Text(key);
          Node(child);
        }
        yaml_mapping_end_event_initialize(&event);
        return Emit(event);
      }
      case Kind::kString:
        return Text(value.String());
      case Kind::kAbsent:
      case Kind::kNull:
        return Scalar("null", YAML_PLAIN_SCALAR_STYLE);
      case Kind::kBool:
        return Scalar(value.Bool() ? "true" : "false", YAML_PLAIN_SCALAR_STYLE);
      case Kind::kInt:
        return Scalar(std::to_string(value.Int()), YAML_PLAIN_SCALAR_STYLE);
      case Kind::kUint:
        return Scalar(std::to_string(value.Uint()), YAML_PLAIN_SCALAR_STYLE);
      case Kind::kDouble: {
        std::string text;
        internal::AppendDouble(value.Double(), text);
        return Scalar(text, YAML_PLAIN_SCALAR_STYLE);
      }
    }
  }

  // Plain where it reads back as the same string; the emitter quotes what cannot be plain.
  void Text(std::string_view text) {
    if (text.find('\n') != text.npos) return Scalar(text, YAML_LITERAL_SCALAR_STYLE);
    bool plain = internal::ResolveScalar(text).type == internal::ScalarType::kString &&
                 !internal::LooksLikeBase60(text) && text != "<<";
    Scalar(text, plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
  }

  void Scalar(std::string_view text, yaml_scalar_style_t style) {
    std::string repaired;
    if (internal::FindInvalidUtf8(text) != text.npos) {
      repaired = internal::WithReplacedInvalidUtf8(text);
      text = repaired;
    }
    yaml_event_t event;
    yaml_scalar_event_initialize(&event, nullptr, nullptr,
                                 reinterpret_cast<const yaml_char_t*>(text.data()),
                                 static_cast<int>(text.size()), 1, 1, style);
    Emit(event);
  }

  yaml_emitter_t emitter_;
};

}  // namespace

std::string ToYaml(Ref value) {
  std::string out;
  Emitter(out).Document(value);
  // libyaml ends the document explicitly after a literal block with trailing empty lines; go-yaml
  // does not.
  constexpr std::string_view kEnd = "\n...\n";
  if (out.size() > kEnd.size() && std::string_view(out).substr(out.size() - kEnd.size()) == kEnd) {
    out.resize(out.size() - kEnd.size() + 1);
  }
  return out;
}

}  // namespace flotilla::value
