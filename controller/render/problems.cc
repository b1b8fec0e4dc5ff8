#include "render/problems.h"

namespace flotilla::render {

void Problems::Add(std::string_view file, value::Position at, std::string_view what) {
  std::string text(file);
  if (at.line > 0) text += fmt::format(":{}", at.line);
  if (at.column > 0) text += fmt::format(":{}", at.column);
  Add(text.append(": ").append(what));
}

void Problems::Add(std::string what) {
  if (++count_ <= kShown) shown_.push_back(std::move(what));
}

tl::unexpected<Error> Problems::ToError() const {
  std::string text;
  for (const std::string& problem : shown_) {
    if (!text.empty()) text += '\n';
    text += problem;
  }
  if (count_ > kShown) text += fmt::format("\nand {} more", count_ - kShown);
  return Fail(ErrorClass::kInvalid, "{}", text);
}

}  // namespace flotilla::render
