#include "sim/api_server/fields/structure.h"

#include <fmt/format.h>
#include <algorithm>
#include <unordered_map>

#include "value/json.h"

namespace flotilla::sim::api {

using kube::schema::Field;
using kube::schema::KeyOf;
using kube::schema::ListKind;
using kube::schema::Shape;
using kube::schema::Type;
using value::Ref;
using value::Value;

namespace {

bool IsLeafMap(const Type& type) { return type.atomic; }
bool IsLeafList(const Type& type) {
  return type.shape != Shape::kList || type.list_kind == ListKind::kAtomic;
}

// The type below `key`; where the schema knows none, of free form.
const Type& Below(const Type& type, std::string_view key) {
  const Type* child = type.Child(key);
  return child != nullptr ? *child : kube::schema::AnyType();
}
const Type& Element(const Type& type) {
  return type.element != nullptr ? *type.element : kube::schema::AnyType();
}
bool IsNamed(const Type& type, std::string_view key) {
  return type.shape == Shape::kStruct && type.Find(key) != nullptr;
}

PathElement ElementOf(const Type& list, Ref item) {
  if (list.list_kind == ListKind::kSet || !item.IsMap()) return PathElement::Item(item);
  std::vector<std::pair<std::string, Ref>> keys;
  for (std::string_view key : list.keys) {
    if (Ref value = KeyOf(list, item, key)) keys.emplace_back(key, value);
  }
  return PathElement::Key(std::move(keys));
}

// The elements of a list by path element, in the order of the list.
struct Indexed {
  std::vector<PathElement> order;
  std::unordered_map<std::string, std::vector<Ref>> items;

  Indexed(const Type& type, Ref list) {
    order.reserve(list.size());
    for (Ref item : list.Items()) {
      order.push_back(ElementOf(type, item));
      items[order.back().text].push_back(item);
    }
  }
  const std::vector<Ref>* Find(const PathElement& element) const {
    auto at = items.find(element.text);
    return at == items.end() ? nullptr : &at->second;
  }
};

bool IsScalar(Ref value) { return value && !value.IsNull() && !value.IsMap() && !value.IsList(); }
bool EmptyOrNull(Ref value) { return !value || value.IsNull() || value.size() == 0; }

// --- the set of an object ---

// Returns whether the node itself is a leaf, hence a member.
bool Collect(Ref value, const Type& type, FieldSet& set);

void CollectList(Ref list, const Type& type, FieldSet& set) {
  Indexed indexed(type, list);
  for (const PathElement& element : indexed.order) {
    const std::vector<Ref>& same = *indexed.Find(element);
    FieldSet below;
    if (same.size() == 1) Collect(same.front(), Element(type), below);
    set.Add(element, true, std::move(below));
  }
}

bool Collect(Ref value, const Type& type, FieldSet& set) {
  if (value.IsList()) {
    if (IsLeafList(type)) return true;
    CollectList(value, type, set);
    return false;
  }
  if (!value.IsMap()) {
    bool container =
        type.shape == Shape::kStruct || type.shape == Shape::kMap || type.shape == Shape::kList;
    return !value.IsNull() || !container;
  }
  if (IsLeafMap(type)) return true;
  for (auto [key, child] : value.Members()) {
    FieldSet below;
    bool leaf = Collect(child, Below(type, key), below);
    bool member =
        leaf || child.IsNull() || (child.IsMap() && child.size() == 0) || !IsNamed(type, key);
    set.Add(PathElement::Field(key), member, std::move(below));
  }
  return false;
}

// --- the difference of two objects ---

struct Sides {
  FieldSet removed, modified, added;

  void AddBelow(const PathElement& element, Sides& below) {
    removed.Add(element, false, std::move(below.removed));
    modified.Add(element, false, std::move(below.modified));
    added.Add(element, false, std::move(below.added));
  }
};

enum class Change : uint8_t { kNone, kRemoved, kModified, kAdded };

// Fills what lies below; returns what happened to the node itself.
Change CompareNodes(Ref before, Ref after, const Type& type, Sides& sides);

void Note(Sides& sides, const PathElement& element, Change change, Sides below) {
  sides.AddBelow(element, below);
  if (change == Change::kRemoved) sides.removed.AddMember(element);
  if (change == Change::kModified) sides.modified.AddMember(element);
  if (change == Change::kAdded) sides.added.AddMember(element);
}

void CompareChild(const PathElement& element, Ref before, Ref after, const Type& type,
                  Sides& sides) {
  Sides below;
  Change change = CompareNodes(before, after, type, below);
  Note(sides, element, change, std::move(below));
}

Change Leaf(Ref before, Ref after) {
  if (!before) return Change::kAdded;
  if (!after) return Change::kRemoved;
  return before == after ? Change::kNone : Change::kModified;
}

Change Presence(Ref before, Ref after) {
  if (!before) return Change::kAdded;
  return after ? Change::kNone : Change::kRemoved;
}

void CompareLists(Ref before, Ref after, const Type& type, Sides& sides) {
  Indexed old_items(type, before), new_items(type, after);
  auto visit = [&](const PathElement& element) {
    const std::vector<Ref>* a = old_items.Find(element);
    const std::vector<Ref>* b = new_items.Find(element);
    size_t olds = a ? a->size() : 0, news = b ? b->size() : 0;
    if (olds <= 1 && news <= 1) {
      CompareChild(element, olds ? a->front() : Ref(), news ? b->front() : Ref(), Element(type),
                   sides);
    } else if (olds >= 2 && news >= 2) {  // repeated before and after: one value as a whole
      if (!std::equal(a->begin(), a->end(), b->begin(), b->end())) {
        sides.modified.AddMember(element);
      }
    } else if (olds >= 2) {
      if (news) CompareChild(element, Ref(), b->front(), Element(type), sides);
      sides.removed.AddMember(element);
    } else {
      if (olds) CompareChild(element, a->front(), Ref(), Element(type), sides);
      sides.added.AddMember(element);
    }
  };
  std::vector<std::string_view> seen;
  for (const PathElement& element : old_items.order) {
    if (std::find(seen.begin(), seen.end(), element.text) != seen.end()) continue;
    if (old_items.Find(element)->size() > 1) seen.push_back(element.text);
    visit(element);
  }
  for (const PathElement& element : new_items.order) {
    if (old_items.Find(element)) continue;
    if (std::find(seen.begin(), seen.end(), element.text) != seen.end()) continue;
    if (new_items.Find(element)->size() > 1) seen.push_back(element.text);
    visit(element);
  }
}

void CompareMaps(Ref before, Ref after, const Type& type, Sides& sides) {
  for (auto [key, value] : before.Members()) {
    CompareChild(PathElement::Field(key), value, after[key], Below(type, key), sides);
  }
  for (auto [key, value] : after.Members()) {
    if (before[key]) continue;
    CompareChild(PathElement::Field(key), Ref(), value, Below(type, key), sides);
  }
}

Change CompareNodes(Ref before, Ref after, const Type& type, Sides& sides) {
  if (before && after && before.node() == after.node()) return Change::kNone;
  bool maps = before.IsMap() || after.IsMap();
  bool lists = before.IsList() || after.IsList();
  bool mixed = (maps && lists) || IsScalar(before) || IsScalar(after);
  if (mixed || (!maps && !lists)) return Leaf(before, after);
  if (maps ? IsLeafMap(type) : IsLeafList(type)) return Leaf(before, after);
  if (EmptyOrNull(before) && EmptyOrNull(after)) return Leaf(before, after);
  if (maps) {
    CompareMaps(before, after, type, sides);
  } else {
    CompareLists(before, after, type, sides);
  }
  return Presence(before, after);
}

// --- merging ---

class Merger {
 public:
  Merger(const Value& live, const Value& config) : live_(live), config_(config) {}

  Value Node(Ref live, Ref config, const Type& type) {
    if (!config) return live_.Share(live);
    if (!live) return config_.Share(config);
    bool maps = (live.IsMap() || live.IsNull()) && (config.IsMap() || config.IsNull());
    bool lists = (live.IsList() || live.IsNull()) && (config.IsList() || config.IsNull());
    if (EmptyOrNull(live) && EmptyOrNull(config)) return config_.Share(config);
    if (maps && !IsLeafMap(type)) return Maps(live, config, type);
    if (lists && !IsLeafList(type)) return Lists(live, config, type);
    return config_.Share(config);
  }

 private:
  Value Maps(Ref live, Ref config, const Type& type) {
    std::vector<std::pair<std::string, Value>> members;
    members.reserve(live.size() + config.size());
    for (auto [key, value] : live.Members()) {
      members.emplace_back(key, Node(value, config[key], Below(type, key)));
    }
    for (auto [key, value] : config.Members()) {
      if (!live[key]) members.emplace_back(key, Node(Ref(), value, Below(type, key)));
    }
    return Value::Map(members);
  }

  // Items of the live list keep their order, those of the configuration theirs; where both give an
  // order, the configuration's wins.
  Value Lists(Ref live, Ref config, const Type& type) {
    Indexed lhs(type, live), rhs(type, config);
    std::vector<Value> out;
    std::vector<const PathElement*> shared;
    for (const PathElement& element : rhs.order) {
      if (lhs.Find(element)) shared.push_back(&element);
    }
    size_t next_shared = 0;
    auto is_next_shared = [&](const PathElement& element) {
      return next_shared < shared.size() && *shared[next_shared] == element;
    };
    std::vector<std::string_view> merged;
    auto is_merged = [&](const PathElement& element) {
      return std::find(merged.begin(), merged.end(), element.text) != merged.end();
    };
    auto merge = [&](const PathElement& element) {
      const std::vector<Ref>* mine = lhs.Find(element);
      // Repeated live items are not merged with, but replaced.
      Ref old = mine && mine->size() == 1 ? mine->front() : Ref();
      out.push_back(Node(old, rhs.Find(element)->front(), Element(type)));
      merged.push_back(element.text);
    };
    size_t l = 0, r = 0;
    while (l < lhs.order.size() || r < rhs.order.size()) {
      if (l < lhs.order.size() && r < rhs.order.size()) {
        if (lhs.order[l] == rhs.order[r]) {
          merge(rhs.order[r]);
          ++l, ++r, ++next_shared;
          continue;
        }
        if (rhs.Find(lhs.order[l]) && next_shared < shared.size() &&
            !is_next_shared(lhs.order[l])) {
          ++l;
          continue;
        }
      }
      if (l < lhs.order.size()) {
        if (!rhs.Find(lhs.order[l])) {
          out.push_back(live_.Share(live[l]));
          ++l;
          continue;
        }
        if (is_merged(lhs.order[l])) ++l;
      }
      if (r < rhs.order.size()) {
        bool advance = is_next_shared(rhs.order[r]);
        merge(rhs.order[r]);
        ++r;
        if (advance) ++next_shared;
      }
    }
    return Value::List(out);
  }

  const Value& live_;
  const Value& config_;
};

// --- removing ---

Value Remove(const Value& owner, Ref value, const FieldSet& fields, const Type& type) {
  if (fields.empty()) return owner.Share(value);
  if (value.IsMap() && value.size() > 0 && !IsLeafMap(type)) {
    std::vector<std::pair<std::string, Value>> members;
    members.reserve(value.size());
    for (auto [key, child] : value.Members()) {
      const FieldSet::Child* found = fields.Find(PathElement::Field(key));
      if (found && found->member) continue;
      Value kept =
          found ? Remove(owner, child, found->below, Below(type, key)) : owner.Share(child);
      // What becomes empty by removal becomes null, as structured-merge-diff leaves it.
      members.emplace_back(key, kept ? std::move(kept) : Value(nullptr));
    }
    return members.empty() ? Value() : Value::Map(members);
  }
  if (value.IsList() && value.size() > 0 && !IsLeafList(type)) {
    std::vector<Value> items;
    for (Ref item : value.Items()) {
      const FieldSet::Child* found = fields.Find(ElementOf(type, item));
      if (found && found->member) continue;
      Value kept = found ? Remove(owner, item, found->below, Element(type)) : owner.Share(item);
      items.push_back(kept ? std::move(kept) : Value(nullptr));
    }
    return items.empty() ? Value() : Value::List(items);
  }
  // An atomic map or list below which something is to go cannot stay in part.
  return value.IsMap() || value.IsList() ? Value() : owner.Share(value);
}

// --- checking ---

std::string Check(Ref value, const Type& type);

std::string CheckItems(Ref list, const Type& type) {
  std::vector<std::string> seen;
  size_t index = 0;
  for (Ref item : list.Items()) {
    PathElement element{"i:" + std::to_string(index++)};
    if (!IsLeafList(type)) {
      if (type.list_kind == ListKind::kMap && !item.IsMap()) {
        return fmt::format(": element {}: associative list with keys may not have non-map elements",
                           index - 1);
      }
      element = ElementOf(type, item);
      if (element.text == "k:{}") {
        std::string keys;
        for (std::string_view key : type.keys)
          keys += fmt::format("{}\"{}\"", keys.empty() ? "" : " ", key);
        return fmt::format(
            ": element {}: associative list with keys has an element that omits all key fields "
            "[{}] "
            "(and doesn't have default values for any key fields)",
            index - 1, keys);
      }
      std::string shown;
      element.AppendTo(shown);
      if (std::find(seen.begin(), seen.end(), element.text) != seen.end()) {
        return ": duplicate entries for key " + shown;
      }
      seen.push_back(element.text);
    }
    std::string problem = Check(item, Element(type));
    if (!problem.empty()) {
      std::string shown;
      element.AppendTo(shown);
      return shown + problem;
    }
  }
  return {};
}

std::string CheckMembers(Ref map, const Type& type) {
  for (auto [key, value] : map.Members()) {
    const Type* child = type.Child(key);
    if (child == nullptr) return fmt::format(".{}: field not declared in schema", key);
    std::string problem = Check(value, *child);
    if (!problem.empty()) return fmt::format(".{}{}", key, problem);
  }
  return {};
}

std::string Check(Ref value, const Type& type) {
  if (value.IsNull()) return {};
  auto expected = [&](std::string_view what) {
    return fmt::format(": expected {}, got {}", what, value::ToJson(value));
  };
  switch (type.shape) {
    case Shape::kStruct:
    case Shape::kMap:
      return value.IsMap() ? CheckMembers(value, type) : expected("map");
    case Shape::kList:
      return value.IsList() ? CheckItems(value, type) : expected("list");
    case Shape::kString:
    case Shape::kTime:
    case Shape::kBytes:
      return value.IsString() ? std::string() : expected("string");
    case Shape::kInteger:
    case Shape::kNumber:
      return value.IsNumber() ? std::string() : expected("numeric (int or float)");
    case Shape::kBoolean:
      return value.IsBool() ? std::string() : expected("boolean");
    case Shape::kIntOrString:
    case Shape::kQuantity:
      return value.IsNumber() || value.IsString() ? std::string() : expected("any scalar");
    case Shape::kAny:
      return {};
  }
  return {};
}

}  // namespace

FieldSet ToFieldSet(Ref object, const Type& type) {
  FieldSet set;
  Collect(object, type, set);
  return set;
}

Comparison Compare(Ref before, Ref after, const Type& type) {
  Sides sides;
  CompareNodes(before, after, type, sides);
  return {std::move(sides.removed), std::move(sides.modified), std::move(sides.added)};
}

Value Merge(const Value& live, const Value& config, const Type& type) {
  return Merger(live, config).Node(live, config, type);
}

Value RemoveFields(const Value& object, const FieldSet& fields, const Type& type) {
  return Remove(object, object, fields, type);
}

FieldSet WithNamedFields(const FieldSet& set, const Type& type) {
  FieldSet result;
  for (const FieldSet::Child& child : set.children()) {
    bool is_field = child.element.text.front() == 'f';
    std::string_view key = std::string_view(child.element.text).substr(2);
    const Type* below = nullptr;
    bool named = false;
    if (is_field) {
      named = !child.below.empty() && IsNamed(type, key);
      below = type.Child(key);
    } else if (child.element.text.front() == 'k') {
      below = type.element;
    }
    FieldSet inner =
        WithNamedFields(child.below, below != nullptr ? *below : kube::schema::AnyType());
    result.Add(child.element, child.member || named, std::move(inner));
  }
  return result;
}

std::string CheckStructure(Ref object, const Type& type) { return Check(object, type); }

}  // namespace flotilla::sim::api
