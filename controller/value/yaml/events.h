// The events of a YAML text, as composing and finding a field again read them. Internal to
// value/yaml; events.cc alone knows libyaml.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "value/position.h"

namespace flotilla::value::internal {

enum class EventType : uint8_t {
  kStreamStart,
  kStreamEnd,
  kDocumentStart,
  kDocumentEnd,
  kAlias,
  kScalar,
  kListStart,
  kListEnd,
  kMapStart,
  kMapEnd,
};

class EventReader {
 public:
  // `text` outlives the reader.
  explicit EventReader(std::string_view text);
  ~EventReader();
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;

  // False where the text is no YAML: Failure() says why. What the last event gave is gone.
  bool Next();
  tl::unexpected<Error> Failure() const;

  EventType type() const { return type_; }
  Position position() const { return position_; }
  size_t offset() const { return offset_; }            // of its first character, in characters
  std::string_view anchor() const { return anchor_; }  // of a node, or what an alias names; or ""
  std::string_view text() const { return text_; }      // of a scalar
  std::string_view tag() const { return tag_; }        // of a scalar, in full; or ""
  bool plain() const {
    return plain_;
  }  // a scalar whose type its text decides: neither quoted
     // nor tagged, or tagged with "!"

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  EventType type_ = EventType::kStreamStart;
  Position position_;
  size_t offset_ = 0;
  std::string_view anchor_;
  std::string_view text_;
  std::string_view tag_;
  bool plain_ = false;
};

}  // namespace flotilla::value::internal
