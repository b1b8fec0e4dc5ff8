#include "value/value.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <optional>

#include "value/arena.h"

namespace flotilla::value {

using internal::Arena;
using internal::Member;
using internal::Node;

namespace internal {
namespace {
constexpr size_t kLargestChunk = 1u << 20;
// Long enough that ordinary edits share, short enough for the stack of the destructors.
constexpr int kLongestChain = 64;
}  // namespace

Arena::Arena(size_t expected)
    : at_(first_),
      end_(first_ + sizeof first_),
      next_chunk_(std::clamp<size_t>(expected, 256, kLargestChunk)) {}

char* Arena::Slow(size_t size) {
  if (size > next_chunk_ / 2) {  // a chunk of its own; the open one stays open
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    return chunks_.back().get();
  }
  chunks_.push_back(std::make_unique_for_overwrite<char[]>(next_chunk_));
  char* room = chunks_.back().get();
  at_ = room + size;
  end_ = room + next_chunk_;
  next_chunk_ = std::min(next_chunk_ * 2, kLargestChunk);
  return room;
}

void Arena::Keep(const std::shared_ptr<const Arena>& other) {
  if (!other || other.get() == this) return;
  if (!kept_.empty() && kept_.back() == other) return;
  if (kept_.size() < 16 && std::find(kept_.begin(), kept_.end(), other) != kept_.end()) return;
  kept_.push_back(other);
  chain_ = std::max(chain_, other->chain() + 1);
}

Node UintNode(uint64_t integer) {
  if (integer <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return IntNode(static_cast<int64_t>(integer));
  }
  Node node;
  node.kind = Kind::kUint;
  node.as.uint64 = integer;
  return node;
}

Node DoubleNode(double real) {
  if (!std::isfinite(real)) return NullNode();
  Node node;
  node.kind = Kind::kDouble;
  node.as.real = real;
  return node;
}

Node ListNode(const Node* items, size_t count) {
  Node node;
  node.kind = Kind::kList;
  node.size = static_cast<uint32_t>(count);
  node.as.items = items;
  return node;
}

Node MapNode(const Member* members, size_t count) {
  Node node;
  node.kind = Kind::kMap;
  node.size = static_cast<uint32_t>(count);
  node.as.members = members;
  return node;
}

Node CopyTree(Arena& arena, const Node& tree) {
  switch (tree.kind) {
    case Kind::kString:
      return TextNode(arena.Text({tree.as.text, tree.size}));
    case Kind::kList: {
      Node* items = arena.Array<Node>(tree.size);
      for (uint32_t i = 0; i < tree.size; ++i) items[i] = CopyTree(arena, tree.as.items[i]);
      return ListNode(items, tree.size);
    }
    case Kind::kMap: {
      Member* members = arena.Array<Member>(tree.size);
      for (uint32_t i = 0; i < tree.size; ++i) {
        members[i].key = arena.Text(tree.as.members[i].key);
        members[i].value = CopyTree(arena, tree.as.members[i].value);
      }
      return MapNode(members, tree.size);
    }
    default:
      return tree;
  }
}

Node Adopt(Arena& arena, const Value& value) {
  if (!value.arena() || value.arena().get() == &arena) return *value.ref().node();
  if (value.arena()->chain() >= kLongestChain) return CopyTree(arena, *value.ref().node());
  arena.Keep(value.arena());
  return *value.ref().node();
}

}  // namespace internal

namespace {

constexpr Node kNull = internal::NullNode();
constexpr Node kFalse = internal::BoolNode(false);
constexpr Node kTrue = internal::BoolNode(true);

// A tree of one node, whose arena is empty but for it and what `make` puts there.
template <typename Make>
Value Build(size_t expected, Make make) {
  auto arena = std::make_shared<Arena>(expected);
  Node* root = arena->Array<Node>(1);
  *root = make(*arena);
  return Value(std::move(arena), root);
}

size_t BytesOf(const Node& node) {
  size_t bytes = 0;
  if (node.kind == Kind::kString) return node.size;
  if (node.kind == Kind::kList) {
    bytes = node.size * sizeof(Node) + 7;
    for (uint32_t i = 0; i < node.size; ++i) bytes += BytesOf(node.as.items[i]);
  } else if (node.kind == Kind::kMap) {
    bytes = node.size * sizeof(Member) + 7;
    for (uint32_t i = 0; i < node.size; ++i) {
      bytes += node.as.members[i].key.size() + BytesOf(node.as.members[i].value);
    }
  }
  return bytes;
}

bool Equal(const Node& a, const Node& b);

bool EqualMaps(const Node& a, const Node& b) {
  if (a.size != b.size) return false;
  // Most pairs have the same order: compare in place while that holds.
  uint32_t same = 0;
  for (; same < a.size && a.as.members[same].key == b.as.members[same].key; ++same) {
    if (!Equal(a.as.members[same].value, b.as.members[same].value)) return false;
  }
  if (same == a.size) return true;
  auto sorted = [same](const Node& map) {
    std::vector<const Member*> members;
    members.reserve(map.size - same);
    for (uint32_t i = same; i < map.size; ++i) members.push_back(&map.as.members[i]);
    std::sort(members.begin(), members.end(),
              [](const Member* x, const Member* y) { return x->key < y->key; });
    return members;
  };
  std::vector<const Member*> left = sorted(a);
  std::vector<const Member*> right = sorted(b);
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i]->key != right[i]->key || !Equal(left[i]->value, right[i]->value)) return false;
  }
  return true;
}

bool Equal(const Node& a, const Node& b) {
  if (&a == &b) return true;
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kAbsent:
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return a.as.boolean == b.as.boolean;
    case Kind::kInt:
    case Kind::kUint:
      return a.as.uint64 == b.as.uint64;
    case Kind::kDouble:
      return a.as.real == b.as.real;
    case Kind::kString:
      return a.size == b.size && std::memcmp(a.as.text, b.as.text, a.size) == 0;
    case Kind::kList:
      if (a.size != b.size) return false;
      if (a.as.items == b.as.items) return true;
      for (uint32_t i = 0; i < a.size; ++i) {
        if (!Equal(a.as.items[i], b.as.items[i])) return false;
      }
      return true;
    case Kind::kMap:
      return a.as.members == b.as.members ? a.size == b.size : EqualMaps(a, b);
  }
  return false;
}

// Of equal keys the last value at the first place, absent values dropped.
template <typename Members>
Value BuildMap(const Members& members) {
  return Build(members.size() * (sizeof(Member) + 16), [&](Arena& arena) {
    Member* made = arena.Array<Member>(members.size());
    size_t count = 0;
    for (const auto& [key, value] : members) {
      if (value.IsAbsent()) continue;
      made[count++] = {std::string_view(key), internal::Adopt(arena, value)};
    }
    // Quadratic only as far as it pays: long maps are sorted to find equal keys.
    bool repeated = false;
    if (count <= 16) {
      for (size_t i = 0; i < count; ++i) {
        for (size_t j = 0; j < i; ++j) repeated |= made[i].key == made[j].key;
      }
    } else {
      std::vector<std::string_view> keys;
      keys.reserve(count);
      for (size_t i = 0; i < count; ++i) keys.push_back(made[i].key);
      std::sort(keys.begin(), keys.end());
      repeated = std::adjacent_find(keys.begin(), keys.end()) != keys.end();
    }
    if (repeated) {
      size_t kept = 0;
      for (size_t i = 0; i < count; ++i) {
        auto earlier =
            std::find_if(made, made + kept, [&](const Member& m) { return m.key == made[i].key; });
        if (earlier != made + kept) {
          earlier->value = made[i].value;
        } else {
          made[kept++] = made[i];
        }
      }
      count = kept;
    }
    for (size_t i = 0; i < count; ++i) made[i].key = arena.Text(made[i].key);
    return internal::MapNode(made, count);
  });
}

template <typename Items>
Value BuildList(const Items& items) {
  return Build(items.size() * sizeof(Node), [&](Arena& arena) {
    Node* made = arena.Array<Node>(items.size());
    size_t count = 0;
    for (const Value& item : items) {
      if (!item.IsAbsent()) made[count++] = internal::Adopt(arena, item);
    }
    return internal::ListNode(made, count);
  });
}

}  // namespace

const char* ToString(Kind kind) {
  switch (kind) {
    case Kind::kAbsent:
      return "absent";
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "boolean";
    case Kind::kInt:
    case Kind::kUint:
      return "integer";
    case Kind::kDouble:
      return "number";
    case Kind::kString:
      return "string";
    case Kind::kList:
      return "list";
    case Kind::kMap:
      return "map";
  }
  return "absent";
}

// --- Ref ---

bool Ref::Bool(bool otherwise) const {
  return kind() == Kind::kBool ? node_->as.boolean : otherwise;
}

int64_t Ref::Int(int64_t otherwise) const {
  return kind() == Kind::kInt ? node_->as.int64 : otherwise;
}

uint64_t Ref::Uint(uint64_t otherwise) const {
  if (kind() == Kind::kUint) return node_->as.uint64;
  if (kind() == Kind::kInt && node_->as.int64 >= 0) return static_cast<uint64_t>(node_->as.int64);
  return otherwise;
}

double Ref::Double(double otherwise) const {
  switch (kind()) {
    case Kind::kInt:
      return static_cast<double>(node_->as.int64);
    case Kind::kUint:
      return static_cast<double>(node_->as.uint64);
    case Kind::kDouble:
      return node_->as.real;
    default:
      return otherwise;
  }
}

std::string_view Ref::String(std::string_view otherwise) const {
  return IsString() ? std::string_view(node_->as.text, node_->size) : otherwise;
}

size_t Ref::size() const { return IsList() || IsMap() ? node_->size : 0; }

Ref Ref::operator[](std::string_view key) const {
  if (!IsMap()) return Ref();
  // Linear: Kubernetes maps are small, and the length comparison settles most members.
  for (uint32_t i = 0; i < node_->size; ++i) {
    if (node_->as.members[i].key == key) return Ref(&node_->as.members[i].value);
  }
  return Ref();
}

Ref Ref::operator[](size_t index) const {
  return IsList() && index < node_->size ? Ref(node_->as.items + index) : Ref();
}

Ref::ItemRange Ref::Items() const {
  if (!IsList()) return {nullptr, nullptr};
  return {node_->as.items, node_->as.items + node_->size};
}

Ref::MemberRange Ref::Members() const {
  if (!IsMap()) return {nullptr, nullptr};
  return {node_->as.members, node_->as.members + node_->size};
}

bool operator==(Ref a, Ref b) {
  if (a.IsAbsent() || b.IsAbsent()) return a.IsAbsent() && b.IsAbsent();
  return Equal(*a.node_, *b.node_);
}

// --- Value ---

Value::Value(std::nullptr_t) : node_(&kNull) {}
Value::Value(bool boolean) : node_(boolean ? &kTrue : &kFalse) {}
Value::Value(int64_t integer)
    : Value(Build(0, [&](Arena&) { return internal::IntNode(integer); })) {}
Value::Value(uint64_t integer)
    : Value(Build(0, [&](Arena&) { return internal::UintNode(integer); })) {}
Value::Value(double real) : Value(Build(0, [&](Arena&) { return internal::DoubleNode(real); })) {}
Value::Value(std::string_view text)
    : Value(Build(0, [&](Arena& arena) { return internal::TextNode(arena.Text(text)); })) {}

Value Value::Map(std::initializer_list<std::pair<std::string_view, Value>> members) {
  return BuildMap(members);
}
Value Value::Map(const std::vector<std::pair<std::string, Value>>& members) {
  return BuildMap(members);
}
Value Value::List(std::initializer_list<Value> items) { return BuildList(items); }
Value Value::List(const std::vector<Value>& items) { return BuildList(items); }

Value Value::Copy(Ref tree) {
  if (tree.IsAbsent()) return Value();
  return Build(BytesOf(*tree.node()),
               [&](Arena& arena) { return internal::CopyTree(arena, *tree.node()); });
}

Value Value::Share(Ref part) const {
  return part.IsAbsent() ? Value() : Value(arena_, part.node());
}

// --- Path ---

std::string ToString(const Path& path) {
  auto plain = [](std::string_view key) {
    return !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '_' || c == '-' || c == '$';
    });
  };
  std::string text;
  for (const Step& step : path) {
    if (step.is_index) {
      text += '[' + std::to_string(step.index) + ']';
    } else if (plain(step.key)) {
      if (!text.empty()) text += '.';
      text += step.key;
    } else {
      text += "[\"" + step.key + "\"]";
    }
  }
  return text;
}

std::string ToPointer(const Path& path) {
  std::string text;
  for (const Step& step : path) {
    text += '/';
    if (step.is_index) {
      text += std::to_string(step.index);
      continue;
    }
    for (char c : step.key) {
      if (c == '~') {
        text += "~0";
      } else if (c == '/') {
        text += "~1";
      } else {
        text += c;
      }
    }
  }
  return text;
}

Ref Find(Ref tree, const Path& path) {
  for (const Step& step : path) {
    tree = step.is_index ? tree[step.index] : tree[step.key];
  }
  return tree;
}

// --- Edited ---

namespace {

// One walk down a path that rebuilds the spine on the way back. Each function returns the new node,
// or nothing where the path is impossible.
class Spine {
 public:
  Spine(Arena& arena, const Path& path) : arena_(arena), path_(path) {}

  std::optional<Node> Put(const Node& at, size_t depth, const Node& leaf, bool insert) {
    if (depth == path_.size()) return leaf;
    const Step& step = path_[depth];
    bool fresh = at.kind == Kind::kAbsent || at.kind == Kind::kNull;
    Kind wanted = step.is_index ? Kind::kList : Kind::kMap;
    if (!fresh && at.kind != wanted) return std::nullopt;
    size_t size = fresh ? 0 : at.size;
    size_t place = step.is_index ? step.index : PlaceOf(at, step.key, size);
    if (place > size) return std::nullopt;
    const Node* below = nullptr;
    if (place < size) {
      below = step.is_index ? &at.as.items[place] : &at.as.members[place].value;
    }
    std::optional<Node> changed = Put(below ? *below : Node(), depth + 1, leaf, insert);
    if (!changed) return std::nullopt;
    size_t new_size = std::max(size, place + 1);
    if (step.is_index) {
      bool make_room = insert && depth + 1 == path_.size() && place < size;
      if (make_room) ++new_size;
      Node* items = arena_.Array<Node>(new_size);
      std::copy_n(at.as.items, place, items);
      std::copy_n(at.as.items + place, size - place, items + place + (make_room ? 1 : 0));
      items[place] = *changed;
      return internal::ListNode(items, new_size);
    }
    Member* members = arena_.Array<Member>(new_size);
    std::copy_n(at.as.members, size, members);
    if (place == size) members[place].key = arena_.Text(step.key);
    members[place].value = *changed;
    return internal::MapNode(members, new_size);
  }

  // Called only for paths that exist.
  Node Remove(const Node& at, size_t depth) {
    const Step& step = path_[depth];
    bool last = depth + 1 == path_.size();
    size_t place = step.is_index ? step.index : PlaceOf(at, step.key, at.size);
    size_t new_size = last ? at.size - 1 : at.size;
    if (step.is_index) {
      Node* items = arena_.Array<Node>(new_size);
      CopyAround(at.as.items, at.size, place, items, last);
      if (!last) items[place] = Remove(at.as.items[place], depth + 1);
      return internal::ListNode(items, new_size);
    }
    Member* members = arena_.Array<Member>(new_size);
    CopyAround(at.as.members, at.size, place, members, last);
    if (!last) members[place].value = Remove(at.as.members[place].value, depth + 1);
    return internal::MapNode(members, new_size);
  }

 private:
  static size_t PlaceOf(const Node& map, std::string_view key, size_t size) {
    size_t place = 0;
    while (place < size && map.as.members[place].key != key) ++place;
    return place;
  }
  template <typename T>
  static void CopyAround(const T* from, size_t size, size_t place, T* to, bool leave_out) {
    std::copy_n(from, place, to);
    if (leave_out) {
      std::copy_n(from + place + 1, size - place - 1, to + place);
    } else {
      std::copy_n(from + place, size - place, to + place);
    }
  }

  Arena& arena_;
  const Path& path_;
};

}  // namespace

Arena& Edited::arena() {
  if (!arena_) arena_ = std::make_shared<Arena>();
  return *arena_;
}

Edited& Edited::Set(const Path& path, const Value& value) {
  return value.IsAbsent() ? Remove(path) : Put(path, value, false);
}

Edited& Edited::Insert(const Path& path, const Value& value) {
  return value.IsAbsent() ? *this : Put(path, value, true);
}

Edited& Edited::Put(const Path& path, const Value& value, bool insert) {
  if (path.empty()) {
    value_ = value;
    return *this;
  }
  Node original = value_.IsAbsent() ? Node() : internal::Adopt(arena(), value_);
  std::optional<Node> changed =
      Spine(arena(), path).Put(original, 0, internal::Adopt(arena(), value), insert);
  if (!changed) return *this;
  Node* root = arena().Array<Node>(1);
  *root = *changed;
  value_ = Value(arena_, root);
  return *this;
}

Edited& Edited::Remove(const Path& path) {
  if (path.empty()) {
    value_ = Value();
    return *this;
  }
  if (Find(value_, path).IsAbsent()) return *this;
  Node original = internal::Adopt(arena(), value_);
  Node* root = arena().Array<Node>(1);
  *root = Spine(arena(), path).Remove(original, 0);
  value_ = Value(arena_, root);
  return *this;
}

Value Edited::Done() {
  arena_.reset();
  return std::move(value_);
}

}  // namespace flotilla::value
