#include "render/object.h"

#include <utility>

#include "render/canonical.h"

namespace flotilla::render {

std::string Object::Source() const { return line == 0 ? file : file + ':' + std::to_string(line); }

Object MakeObject(value::Value value, std::string file, uint32_t line) {
  Object object;
  object.gvk = kube::GvkOf(value);
  object.key = kube::KeyOf(value);
  object.digest = ObjectDigest(value);
  object.value = std::move(value);
  object.file = std::move(file);
  object.line = line;
  return object;
}

}  // namespace flotilla::render
