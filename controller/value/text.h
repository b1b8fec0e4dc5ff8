// What the parsers and writers of this folder share about text: UTF-8, places, numbers, keys.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "value/arena.h"
#include "value/position.h"

namespace flotilla::value::internal {

// The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629: no surrogates, no
// overlong forms), or npos.
size_t FindInvalidUtf8(std::string_view text);

// Each byte that FindInvalidUtf8 would stop at, as U+FFFD.
std::string WithReplacedInvalidUtf8(std::string_view text);

void AppendUtf8(uint32_t code_point, std::string& out);

Position PositionOf(std::string_view text, size_t offset);

// "line 3, column 5: `problem`", with the detail.
tl::unexpected<Error> ParseFailure(Position position, std::string problem);

// As Go's encoding/json writes a float64: shortest digits that read back equal, 'e' notation below
// 1e-6 and from 1e21 on, no padded exponent.
void AppendDouble(double real, std::string& out);

// The keys of Kubernetes objects repeat: each is stored once while it stays in this small cache.
class KeyCache {
 public:
  explicit KeyCache(Arena& arena) : arena_(arena) {}
  std::string_view Store(std::string_view key) {
    if (key.empty() || key.size() > 64) return arena_.Text(key);
    auto byte = [&](size_t i) { return static_cast<unsigned char>(key[i]); };
    size_t slot =
        (key.size() * 61 + byte(0) * 7u + byte(key.size() / 2) * 31u + byte(key.size() - 1) * 13u) %
        slots_.size();
    if (slots_[slot] != key) slots_[slot] = arena_.Text(key);
    return slots_[slot];
  }

 private:
  Arena& arena_;
  std::array<std::string_view, 512> slots_;
};

// The index of the first of `count` members whose key an earlier one has, or npos.
size_t FindRepeatedKey(const Member* members, size_t count);

}  // namespace flotilla::value::internal
