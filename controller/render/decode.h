// From the text of one file to the objects in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "render/problems.h"
#include "value/value.h"

namespace flotilla::render {

struct Decoded {
  value::Value value;
  std::string file;
  uint32_t line = 0;
};

// Appends every object of `text`, Lists unrolled. What is wrong goes to `problems`: the file yields
// no object then.
void DecodeFile(const std::string& file, std::string_view text, std::vector<Decoded>& objects,
                Problems& problems);

struct FieldProblem {
  value::Path path;
  std::string what;
};
// What every object has to have: apiVersion, kind, a usable name, and labels and annotations that
// are strings.
std::vector<FieldProblem> CheckObject(value::Ref object);

}  // namespace flotilla::render
