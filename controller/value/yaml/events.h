// libyaml's events, as composing and finding a field again read them. Internal to value/yaml.
#pragma once

#include <yaml.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "value/position.h"
#include "value/text.h"

namespace flotilla::value::internal {

inline std::string_view ViewOf(const yaml_char_t* text, size_t size) {
  return {reinterpret_cast<const char*>(text), size};
}
inline std::string_view ViewOf(const yaml_char_t* text) {
  return text ? std::string_view(reinterpret_cast<const char*>(text)) : std::string_view();
}
inline Position PositionOf(const yaml_mark_t& mark) {
  return {static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
}

// libyaml's events, one at a time.
class EventReader {
 public:
  explicit EventReader(std::string_view text) : text_(text) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~EventReader() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;

  // False where the text is no YAML: Failure() says why.
  bool Next() {
    yaml_event_delete(&event_);
    return yaml_parser_parse(&parser_, &event_) == 1;
  }
  const yaml_event_t& event() const { return event_; }
  yaml_event_type_t type() const { return event_.type; }
  Position position() const { return PositionOf(event_.start_mark); }

  // An alias or the anchor of a node; "" for none.
  std::string_view Anchor() const {
    switch (event_.type) {
      case YAML_ALIAS_EVENT:
        return ViewOf(event_.data.alias.anchor);
      case YAML_SCALAR_EVENT:
        return ViewOf(event_.data.scalar.anchor);
      case YAML_SEQUENCE_START_EVENT:
        return ViewOf(event_.data.sequence_start.anchor);
      case YAML_MAPPING_START_EVENT:
        return ViewOf(event_.data.mapping_start.anchor);
      default:
        return {};
    }
  }
  std::string_view ScalarText() const {
    return ViewOf(event_.data.scalar.value, event_.data.scalar.length);
  }

  tl::unexpected<Error> Failure() const {
    if (parser_.error == YAML_READER_ERROR) {
      return ParseFailure(PositionOf(text_, parser_.problem_offset), parser_.problem);
    }
    std::string problem = parser_.problem ? parser_.problem : "the text is not YAML";
    if (parser_.context &&
        std::string_view(parser_.context) != "while scanning for the next token") {
      problem += std::string(" ") + parser_.context;
      if (parser_.context_mark.line != parser_.problem_mark.line) {
        problem += " that begins in line " + std::to_string(parser_.context_mark.line + 1);
      }
    }
    size_t at = parser_.problem_mark.index;  // in characters: right in ASCII, close elsewhere
    char c = at < text_.size() ? text_[at] : '\0';
    if (c == '\t') {
      problem += "; indent with spaces, YAML allows no tabs there";
    } else if (c == '@' || c == '`' || c == '%') {
      problem += "; quote a text that begins with this character";
    }
    return ParseFailure(PositionOf(parser_.problem_mark), std::move(problem));
  }

 private:
  std::string_view text_;
  yaml_parser_t parser_;
  yaml_event_t event_{};
};

}  // namespace flotilla::value::internal
