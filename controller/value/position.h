// Where in a text something stands, and the typed detail that every parse error of this folder has.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace flotilla::value {

struct Position {
  uint32_t line = 0;    // from 1; 0 where the whole text is meant
  uint32_t column = 0;  // from 1, in characters
  bool operator==(const Position&) const = default;
};

// For callers that name the place in their own way ("web.yaml:3:5: ...").
struct ParseProblem : ErrorDetail {
  Position position;
  std::string problem;  // the message without the place
};

}  // namespace flotilla::value
