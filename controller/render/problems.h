// Everything wrong with the input of a render: people fix a list in one go, not one by one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "value/position.h"

namespace flotilla::render {

class Problems {
 public:
  // "deploy/web.yaml:3:5: what". A position without line names the file alone.
  void Add(std::string_view file, value::Position at, std::string_view what);
  void Add(std::string what);

  bool empty() const { return count_ == 0; }
  // Invalid, one problem per line; beyond kShown only their number.
  tl::unexpected<Error> ToError() const;

 private:
  static constexpr size_t kShown = 20;
  std::vector<std::string> shown_;
  size_t count_ = 0;
};

}  // namespace flotilla::render
