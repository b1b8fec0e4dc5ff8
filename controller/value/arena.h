// Where the nodes and strings of value trees live. Internal to value/.
//
// An Arena is filled by one parser or editor, then read only, and freed as a whole with the last
// Value that points into it. Trees may point into other arenas: an arena keeps those alive.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

#include "value/value.h"

namespace flotilla::value::internal {

class Arena {
 public:
  // `expected` is a guess of the bytes to come; 0 is right for a scalar or a small edit.
  explicit Arena(size_t expected = 0);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Uninitialised room for `count` objects of a type without destructor.
  template <typename T>
  T* Array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 8);
    return static_cast<T*>(Aligned(count * sizeof(T)));
  }
  std::string_view Text(std::string_view text) {
    if (text.empty()) return {"", 0};
    char* room = Bytes(text.size());
    std::memcpy(room, text.data(), text.size());
    return {room, text.size()};
  }

  // Lives at least as long as this arena from now on.
  void Keep(const std::shared_ptr<const Arena>& other);
  // Arenas on the longest chain of kept ones, this one included: bounds the recursion of the
  // destructor. Adopt() copies rather than let it grow without end.
  int chain() const { return chain_; }

 private:
  char* Bytes(size_t size) {
    if (static_cast<size_t>(end_ - at_) < size) return Slow(size);
    char* room = at_;
    at_ += size;
    return room;
  }
  void* Aligned(size_t size) {
    size_t gap = static_cast<size_t>(-reinterpret_cast<intptr_t>(at_)) & 7;
    if (static_cast<size_t>(end_ - at_) < size + gap) return Slow(size);
    char* room = at_ + gap;
    at_ = room + size;
    return room;
  }
  char* Slow(size_t size);  // opens a new chunk

  char* at_;
  char* end_;
  size_t next_chunk_;
  int chain_ = 1;
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::vector<std::shared_ptr<const Arena>> kept_;
  alignas(8) char first_[64];  // a scalar needs no second allocation
};

inline Node TextNode(std::string_view stored) {
  Node node;
  node.kind = Kind::kString;
  node.size = static_cast<uint32_t>(stored.size());
  node.as.text = stored.data();
  return node;
}
constexpr Node NullNode() {
  Node node;
  node.kind = Kind::kNull;
  return node;
}
constexpr Node BoolNode(bool boolean) {
  Node node;
  node.kind = Kind::kBool;
  node.as.boolean = boolean;
  return node;
}
constexpr Node IntNode(int64_t integer) {
  Node node;
  node.kind = Kind::kInt;
  node.as.int64 = integer;
  return node;
}
Node UintNode(uint64_t integer);  // kInt where it fits
Node DoubleNode(double real);     // kNull where it is not finite
// Children already in an arena, keys unequal.
Node ListNode(const Node* items, size_t count);
Node MapNode(const Member* members, size_t count);

// A deep copy of `tree` in `arena`.
Node CopyTree(Arena& arena, const Node& tree);
// The tree of `value` for use inside a tree of `arena`: shared, or copied where chains are long.
Node Adopt(Arena& arena, const Value& value);

}  // namespace flotilla::value::internal
