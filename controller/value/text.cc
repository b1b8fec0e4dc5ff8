#include "value/text.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace flotilla::value::internal {

size_t FindInvalidUtf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  size_t size = text.size();
  size_t at = 0;
  auto continues = [&](size_t i) { return i < size && (bytes[i] & 0xC0) == 0x80; };
  while (at < size) {
    while (at + 8 <= size) {  // eight ASCII bytes at a time
      uint64_t eight;
      std::memcpy(&eight, bytes + at, 8);
      if (eight & 0x8080808080808080u) break;
      at += 8;
    }
    if (at >= size) break;
    unsigned char lead = bytes[at];
    if (lead < 0x80) {
      ++at;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      if (!continues(at + 1)) return at;
      at += 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      if (!continues(at + 1) || !continues(at + 2)) return at;
      if (lead == 0xE0 && bytes[at + 1] < 0xA0) return at;   // overlong
      if (lead == 0xED && bytes[at + 1] >= 0xA0) return at;  // a surrogate
      at += 3;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      if (!continues(at + 1) || !continues(at + 2) || !continues(at + 3)) return at;
      if (lead == 0xF0 && bytes[at + 1] < 0x90) return at;   // overlong
      if (lead == 0xF4 && bytes[at + 1] >= 0x90) return at;  // beyond U+10FFFF
      at += 4;
    } else {
      return at;
    }
  }
  return std::string_view::npos;
}

std::string WithReplacedInvalidUtf8(std::string_view text) {
  std::string out;
  for (;;) {
    size_t bad = FindInvalidUtf8(text);
    out.append(text.substr(0, bad));
    if (bad == std::string_view::npos) return out;
    out += "\xEF\xBF\xBD";
    text.remove_prefix(bad + 1);
  }
}

void AppendUtf8(uint32_t code_point, std::string& out) {
  auto put = [&](uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

Position PositionOf(std::string_view text, size_t offset) {
  std::string_view before = text.substr(0, offset);
  auto line = std::count(before.begin(), before.end(), '\n') + 1;
  size_t start = before.rfind('\n');
  std::string_view row = start == std::string_view::npos ? before : before.substr(start + 1);
  auto column =
      std::count_if(row.begin(), row.end(), [](char c) { return (c & 0xC0) != 0x80; }) + 1;
  return {static_cast<uint32_t>(line), static_cast<uint32_t>(column)};
}

tl::unexpected<Error> ParseFailure(Position position, std::string problem) {
  auto failure = position.line == 0 ? Fail(ErrorClass::kInvalid, "{}", problem)
                                    : Fail(ErrorClass::kInvalid, "line {}, column {}: {}",
                                           position.line, position.column, problem);
  auto detail = std::make_shared<ParseProblem>();
  detail->position = position;
  detail->problem = std::move(problem);
  failure.value().detail = std::move(detail);
  return failure;
}

void AppendDouble(double real, std::string& out) {
  char shortest[32];
  auto [end, error] =
      std::to_chars(shortest, shortest + sizeof shortest, real, std::chars_format::scientific);
  std::string_view text(shortest, static_cast<size_t>(end - shortest));  // "-1.25e+02"
  if (text.front() == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  size_t e = text.find('e');
  int exponent = 0;
  const char* digits_of_exponent = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(digits_of_exponent, text.data() + text.size(), exponent);
  if (exponent < -6 || exponent >= 21) {
    out.append(text.substr(0, e + 1));
    out += exponent < 0 ? '-' : '+';
    out += std::to_string(std::abs(exponent));
    return;
  }
  std::string digits(1, text[0]);
  if (e > 2) digits.append(text.substr(2, e - 2));
  if (exponent < 0) {
    out += "0.";
    out.append(static_cast<size_t>(-exponent - 1), '0');
    out += digits;
    return;
  }
  size_t whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) {
    out += digits;
    out.append(whole - digits.size(), '0');
  } else {
    out.append(digits, 0, whole);
    out += '.';
    out.append(digits, whole);
  }
}

size_t FindRepeatedKey(const Member* members, size_t count) {
  constexpr size_t kNone = std::string_view::npos;
  if (count <= 16) {
    for (size_t i = 1; i < count; ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (members[i].key == members[j].key) return i;
      }
    }
    return kNone;
  }
  std::vector<uint32_t> order(count);
  for (size_t i = 0; i < count; ++i) order[i] = static_cast<uint32_t>(i);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    int c = members[a].key.compare(members[b].key);
    return c != 0 ? c < 0 : a < b;
  });
  size_t first = kNone;
  for (size_t i = 1; i < count; ++i) {
    if (members[order[i]].key == members[order[i - 1]].key) {
      first = std::min<size_t>(first, order[i]);
    }
  }
  return first;
}

}  // namespace flotilla::value::internal
