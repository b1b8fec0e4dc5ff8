// When two answers are the same answer.
#pragma once

#include <map>
#include <string>

#include "target.h"

namespace flotilla::contract {

// What differs by nature is made alike: times, resource versions, and (by alias, so that references
// still have to agree) uids.
class Mask {
 public:
  value::Value Apply(const value::Value& body);

 private:
  value::Value Walk(const value::Value& owner, value::Ref value, std::string_view key);
  std::string Aliased(std::string_view text);
  void Learn(value::Ref value);

  std::map<std::string, std::string, std::less<>> aliases_;
};

// Accepted answers must be equal in full, refused ones in code and reason. "" where they are, else
// what differs.
std::string Difference(const Answer& embedded, Mask& embedded_mask, const Answer& real,
                       Mask& real_mask);

}  // namespace flotilla::contract
