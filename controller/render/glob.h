// Globs over paths of a source: `include` and `exclude` of an Application's source.
//
//   *     any characters but '/'          ?      one character but '/'
//   **    any characters, '/' too         [a-z]  one of a class; [!a-z] none of it
//   {a,b} one of these (may nest)         \x     x itself
//
// A glob without '/' is matched with the last component, at any depth ("*.yaml", "README*"); one
// with '/' with the whole path below the source ("staging/**", "/top.yaml"). "**/" also matches
// nothing: "**/x.yaml" is "x.yaml" at any depth.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flotilla::render {

// Time is bounded by the product of the lengths of glob and path.
bool GlobMatches(std::string_view glob, std::string_view path);

// Invalid for an unclosed '[' or '{', a '\' at the end, or too many alternatives.
Status CheckGlob(std::string_view glob);

}  // namespace flotilla::render
