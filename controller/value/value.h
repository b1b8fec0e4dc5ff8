// The value tree of every Kubernetes object: null, bool, int64, uint64, double, string, list, map.
//
// A Value owns an immutable tree (nodes and strings live in arenas that it shares); copying one
// costs a reference count. A Ref is a view of one node of somebody's Value: pass Refs down, keep
// Values. Maps keep the order in which they were written and have no two equal keys. Both may be
// read from any number of threads.
//
//   Value object = *ParseJson(text);
//   std::string_view name = object["metadata"]["name"].String();    // "" where absent
//   for (Ref container : object.At("spec", "template", "spec", "containers").Items()) ...
//   Value changed = Edited(object).Set({"metadata", "labels", "app"}, "web").Done();
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flotilla::value {

enum class Kind : uint8_t { kAbsent, kNull, kBool, kInt, kUint, kDouble, kString, kList, kMap };
const char* ToString(Kind kind);  // "absent", "null", "boolean", "integer", ..., as error messages name them

class Ref;
class Value;

namespace internal {
struct Member;
// 16 bytes. Lists and maps point to contiguous children in an arena.
struct Node {
  Kind kind = Kind::kAbsent;
  uint32_t size = 0;  // bytes of a string, children of a list or map
  union {
    bool boolean;
    int64_t int64;
    uint64_t uint64;
    double real;
    const char* text;
    const Node* items;
    const Member* members;
  } as = {.uint64 = 0};
};
struct Member {
  std::string_view key;
  Node value;
};
class Arena;
}  // namespace internal

// A view of one node. Absent where the path that led here does not exist: reading on is safe, and
// yields absent again.
class Ref {
 public:
  Ref() = default;

  Kind kind() const { return node_ ? node_->kind : Kind::kAbsent; }
  bool IsAbsent() const { return kind() == Kind::kAbsent; }
  explicit operator bool() const { return !IsAbsent(); }
  bool IsNull() const { return kind() == Kind::kNull; }
  bool IsBool() const { return kind() == Kind::kBool; }
  bool IsString() const { return kind() == Kind::kString; }
  bool IsList() const { return kind() == Kind::kList; }
  bool IsMap() const { return kind() == Kind::kMap; }
  bool IsInteger() const { return kind() == Kind::kInt || kind() == Kind::kUint; }
  bool IsNumber() const { return IsInteger() || kind() == Kind::kDouble; }

  // The value, or `otherwise` where the node is absent or of another kind.
  bool Bool(bool otherwise = false) const;
  int64_t Int(int64_t otherwise = 0) const;    // integers that fit
  double Double(double otherwise = 0) const;   // any number
  uint64_t Uint(uint64_t otherwise = 0) const;
  std::string_view String(std::string_view otherwise = {}) const;
  std::string Text(std::string_view otherwise = {}) const { return std::string(String(otherwise)); }

  size_t size() const;  // children of a list or map; 0 for all else
  Ref operator[](std::string_view key) const;  // absent where this is no map or has no such key
  Ref operator[](const char* key) const { return (*this)[std::string_view(key)]; }
  Ref operator[](size_t index) const;
  Ref operator[](int index) const { return (*this)[static_cast<size_t>(index)]; }
  template <typename... Keys>
  Ref At(Keys... keys) const {
    Ref at = *this;
    ((at = at[std::string_view(keys)]), ...);
    return at;
  }

  // Children in order. Empty ranges for other kinds.
  struct ItemRange;
  struct MemberRange;
  ItemRange Items() const;      // for (Ref item : list.Items())
  MemberRange Members() const;  // for (auto [key, value] : map.Members())

  // Deep equality, in the time of one walk. Maps compare without regard to order; 1 (int) equals 1 (uint) but not 1.0.
  friend bool operator==(Ref a, Ref b);

  const internal::Node* node() const { return node_; }
  explicit Ref(const internal::Node* node) : node_(node) {}

 private:
  const internal::Node* node_ = nullptr;
};

struct Ref::ItemRange {
  struct Iterator {
    const internal::Node* at;
    Ref operator*() const { return Ref(at); }
    Iterator& operator++() { ++at; return *this; }
    bool operator==(const Iterator&) const = default;
  };
  const internal::Node* first;
  const internal::Node* last;
  Iterator begin() const { return {first}; }
  Iterator end() const { return {last}; }
};

struct Ref::MemberRange {
  struct Iterator {
    const internal::Member* at;
    std::pair<std::string_view, Ref> operator*() const { return {at->key, Ref(&at->value)}; }
    Iterator& operator++() { ++at; return *this; }
    bool operator==(const Iterator&) const = default;
  };
  const internal::Member* first;
  const internal::Member* last;
  Iterator begin() const { return {first}; }
  Iterator end() const { return {last}; }
};

// Owns (a share of) a tree. Implicitly a Ref; everything that reads takes a Ref.
class Value {
 public:
  Value() = default;  // absent
  Value(std::nullptr_t);
  Value(bool boolean);
  Value(int integer) : Value(static_cast<int64_t>(integer)) {}
  Value(unsigned integer) : Value(static_cast<int64_t>(integer)) {}
  Value(int64_t integer);
  Value(uint64_t integer);  // kUint only above the range of int64
  Value(double real);       // NaN and infinities, which JSON lacks, become null
  Value(std::string_view text);
  Value(const std::string& text) : Value(std::string_view(text)) {}
  Value(const char* text) : Value(std::string_view(text)) {}

  // Builds from parts, which are shared, not copied. Absent members and items are left out; of
  // equal keys the last value counts, at the place of the first.
  static Value Map(std::initializer_list<std::pair<std::string_view, Value>> members);
  static Value Map(const std::vector<std::pair<std::string, Value>>& members);
  static Value List(std::initializer_list<Value> items);
  static Value List(const std::vector<Value>& items);
  // A deep copy into an arena of its own: what to keep of a large document.
  static Value Copy(Ref tree);
  // A part of this tree that shares its ownership.
  Value Share(Ref part) const;

  operator Ref() const { return ref(); }
  Ref ref() const { return Ref(node_); }
  Ref operator[](std::string_view key) const { return ref()[key]; }
  Ref operator[](const char* key) const { return ref()[key]; }
  template <typename... Keys>
  Ref At(Keys... keys) const { return ref().At(keys...); }
  bool IsAbsent() const { return ref().IsAbsent(); }
  explicit operator bool() const { return !IsAbsent(); }

  friend bool operator==(const Value& a, const Value& b) { return a.ref() == b.ref(); }

  // For parsers and editors of this folder.
  Value(std::shared_ptr<const internal::Arena> arena, const internal::Node* node)
      : arena_(std::move(arena)), node_(node) {}
  const std::shared_ptr<const internal::Arena>& arena() const { return arena_; }

 private:
  std::shared_ptr<const internal::Arena> arena_;
  const internal::Node* node_ = nullptr;
};

// One step of a path: a key of a map or an index of a list.
struct Step {
  std::string key;
  size_t index = 0;
  bool is_index = false;
  Step(std::string_view k) : key(k) {}
  Step(const char* k) : key(k) {}
  Step(const std::string& k) : key(k) {}
  Step(size_t i) : index(i), is_index(true) {}
  Step(int i) : index(static_cast<size_t>(i)), is_index(true) {}
  bool operator==(const Step&) const = default;
};
using Path = std::vector<Step>;
// "spec.template.spec.containers[0].image": how messages name a field.
std::string ToString(const Path& path);
// RFC 6901: "/spec/template/spec/containers/0/image".
std::string ToPointer(const Path& path);

Ref Find(Ref tree, const Path& path);

// Edits make overlays: what is not touched is shared with the original, which does not change.
class Edited {
 public:
  explicit Edited(Value original) : value_(std::move(original)) {}
  Edited(Edited&&) = default;
  Edited& operator=(Edited&&) = default;
  // Makes the maps on the way where they are absent or null; an existing key keeps its place, a new one comes last.
  // A list index must exist, or be the size of the list (append). An impossible path changes nothing.
  // Setting to absent removes.
  Edited& Set(const Path& path, const Value& value);
  // As Set, but a list index makes room: what stood there and behind moves up by one.
  Edited& Insert(const Path& path, const Value& value);
  Edited& Remove(const Path& path);  // nothing happens where it does not exist
  Value Done();

 private:
  internal::Arena& arena();
  Edited& Put(const Path& path, const Value& value, bool insert);

  Value value_;
  std::shared_ptr<internal::Arena> arena_;  // of the new nodes; one for all edits
};

}  // namespace flotilla::value
