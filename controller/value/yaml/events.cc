#include "value/yaml/events.h"

#include <yaml.h>

#include <string>
#include <utility>

#include "value/text.h"

namespace flotilla::value::internal {
namespace {

std::string_view ViewOf(const yaml_char_t* text) {
  return text ? std::string_view(reinterpret_cast<const char*>(text)) : std::string_view();
}

Position PositionOf(const yaml_mark_t& mark) {
  return {static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
}

EventType TypeOf(yaml_event_type_t type) {
  switch (type) {
    case YAML_NO_EVENT:  // after the end
    case YAML_STREAM_END_EVENT:
      return EventType::kStreamEnd;
    case YAML_STREAM_START_EVENT:
      return EventType::kStreamStart;
    case YAML_DOCUMENT_START_EVENT:
      return EventType::kDocumentStart;
    case YAML_DOCUMENT_END_EVENT:
      return EventType::kDocumentEnd;
    case YAML_ALIAS_EVENT:
      return EventType::kAlias;
    case YAML_SCALAR_EVENT:
      return EventType::kScalar;
    case YAML_SEQUENCE_START_EVENT:
      return EventType::kListStart;
    case YAML_SEQUENCE_END_EVENT:
      return EventType::kListEnd;
    case YAML_MAPPING_START_EVENT:
      return EventType::kMapStart;
    case YAML_MAPPING_END_EVENT:
      return EventType::kMapEnd;
  }
  return EventType::kStreamEnd;
}

}  // namespace

struct EventReader::Parser {
  explicit Parser(std::string_view source) : text(source) {
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~Parser() {
    yaml_event_delete(&event);
    yaml_parser_delete(&parser);
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  std::string_view text;
  yaml_parser_t parser;
  yaml_event_t event{};
};

EventReader::EventReader(std::string_view text) : parser_(std::make_unique<Parser>(text)) {}
EventReader::~EventReader() = default;

bool EventReader::Next() {
  yaml_event_t& event = parser_->event;
  yaml_event_delete(&event);
  if (yaml_parser_parse(&parser_->parser, &event) != 1) return false;
  type_ = TypeOf(event.type);
  position_ = PositionOf(event.start_mark);
  offset_ = event.start_mark.index;
  anchor_ = {};
  switch (event.type) {
    case YAML_ALIAS_EVENT:
      anchor_ = ViewOf(event.data.alias.anchor);
      break;
    case YAML_SEQUENCE_START_EVENT:
      anchor_ = ViewOf(event.data.sequence_start.anchor);
      break;
    case YAML_MAPPING_START_EVENT:
      anchor_ = ViewOf(event.data.mapping_start.anchor);
      break;
    case YAML_SCALAR_EVENT: {
      const auto& scalar = event.data.scalar;
      anchor_ = ViewOf(scalar.anchor);
      text_ = {reinterpret_cast<const char*>(scalar.value), scalar.length};
      tag_ = ViewOf(scalar.tag);
      plain_ = scalar.plain_implicit != 0;
      break;
    }
    default:
      break;
  }
  return true;
}

tl::unexpected<Error> EventReader::Failure() const {
  const yaml_parser_t& parser = parser_->parser;
  const std::string_view text = parser_->text;
  if (parser.error == YAML_READER_ERROR) {
    return ParseFailure(internal::PositionOf(text, parser.problem_offset), parser.problem);
  }
  std::string problem = parser.problem ? parser.problem : "the text is not YAML";
  if (parser.context && std::string_view(parser.context) != "while scanning for the next token") {
    problem += std::string(" ") + parser.context;
    if (parser.context_mark.line != parser.problem_mark.line) {
      problem += " that begins in line " + std::to_string(parser.context_mark.line + 1);
    }
  }
  const size_t at = parser.problem_mark.index;  // in characters: right in ASCII, close elsewhere
  const char c = at < text.size() ? text[at] : '\0';
  if (c == '\t') {
    problem += "; indent with spaces, YAML allows no tabs there";
  } else if (c == '@' || c == '`' || c == '%') {
    problem += "; quote a text that begins with this character";
  }
  return ParseFailure(PositionOf(parser.problem_mark), std::move(problem));
}

}  // namespace flotilla::value::internal
