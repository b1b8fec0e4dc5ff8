// Seeded random trees for property tests.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "value/value.h"

namespace flotilla::value {

class RandomTree {
 public:
  explicit RandomTree(uint64_t seed) : random_(seed) {}

  size_t Below(size_t bound) { return random_() % bound; }

  Value Make(int depth = 4) {
    switch (Below(depth > 0 ? 11 : 8)) {
      case 0:
        return nullptr;
      case 1:
        return Below(2) == 0;
      case 2:
        return static_cast<int64_t>(Below(2000)) - 1000;
      case 3:
        return static_cast<int64_t>(random_());
      case 4:
        return uint64_t{1} << 63 | random_();
      // Never a whole number, which reads back as an integer.
      case 5:
        return (static_cast<double>(static_cast<int64_t>(Below(1u << 20))) + 0.5) * Power();
      case 6:
      case 7:
        return Text();
      case 8: {
        std::vector<Value> items;
        for (size_t i = Below(5); i > 0; --i) items.push_back(Make(depth - 1));
        return Value::List(items);
      }
      default: {
        std::vector<std::pair<std::string, Value>> members;
        for (size_t i = Below(6); i > 0; --i) members.emplace_back(Text(), Make(depth - 1));
        return Value::Map(members);
      }
    }
  }

  // From pieces that are trouble for YAML or JSON.
  std::string Text() {
    static const std::vector<std::string> kPieces = {
        "a",    "name", "x-y",    " ",        "  ",         "\n",   "\n\n", "\t",
        ":",    ": ",   "#",      " #",       "-",          "- ",   "'",    "\"",
        "\\",   "{",    "}",      "[",        "]",          ",",    "&",    "*",
        "!",    "|",    ">",      "%",        "@",          "`",    "~",    "null",
        "true", "y",    "no",     "0",        "1",          "0x",   "1e3",  ".5",
        "_",    "é",    "☺",      "😀",        "<<",         "=",    "---",  "...",
        "?",    "? ",   "\r",     "\xC2\x85", "\u2028",     "\x01", "\x7f", "\b",
        "\f",   "\r\n", "\u00a0", "\ufeff",   "2001-01-01", "1:30", "/",    "key"};
    std::string text;
    for (size_t i = Below(5); i > 0; --i) text += kPieces[Below(kPieces.size())];
    return text;
  }

 private:
  double Power() {
    static constexpr double kPowers[] = {1, 1e-3, 1e-9, 1e-200, 1e30, 1e200, -1, 0.1};
    return kPowers[Below(8)];
  }

  std::mt19937_64 random_;
};

}  // namespace flotilla::value
