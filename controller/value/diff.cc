#include "value/diff.h"

#include <algorithm>

#include "value/json.h"

namespace flotilla::value {
namespace {

// Items of a list by their names, in order of name; empty where an item has none or two share one.
using Names = std::vector<std::pair<std::string_view, size_t>>;
Names NamesOf(Ref list) {
  Names names;
  names.reserve(list.size());
  for (Ref item : list.Items()) {
    Ref name = item["name"];
    if (!name.IsString()) return {};
    names.emplace_back(name.String(), names.size());
  }
  std::sort(names.begin(), names.end());
  for (size_t i = 1; i < names.size(); ++i) {
    if (names[i].first == names[i - 1].first) return {};
  }
  return names;
}

// Looks up many keys of one map: at the same place as in the other map first, which nearly always
// finds them, then by binary search.
class MemberFinder {
 public:
  explicit MemberFinder(Ref map) : map_(map) {}

  Ref Find(std::string_view key, size_t place) {
    const internal::Member* members = map_.node()->as.members;
    if (place < map_.size() && members[place].key == key) return Ref(&members[place].value);
    if (map_.size() <= 16) return map_[key];
    if (sorted_.empty()) {
      sorted_.reserve(map_.size());
      for (size_t i = 0; i < map_.size(); ++i) sorted_.push_back(&members[i]);
      std::sort(sorted_.begin(), sorted_.end(), [](auto* a, auto* b) { return a->key < b->key; });
    }
    auto found = std::lower_bound(sorted_.begin(), sorted_.end(), key,
                                  [](auto* member, auto wanted) { return member->key < wanted; });
    return found != sorted_.end() && (*found)->key == key ? Ref(&(*found)->value) : Ref();
  }

 private:
  Ref map_;
  std::vector<const internal::Member*> sorted_;
};

class Differ {
 public:
  std::vector<Change> Run(Ref before, Ref after) {
    Compare(before, after);
    return std::move(changes_);
  }

 private:
  void Compare(Ref before, Ref after) {
    if (before.IsMap() && after.IsMap()) return CompareMaps(before, after);
    if (before.IsList() && after.IsList()) return CompareLists(before, after);
    if (!(before == after)) changes_.push_back({path_, before, after});
  }

  template <typename S>
  void At(S step, Ref before, Ref after) {
    path_.emplace_back(step);
    Compare(before, after);
    path_.pop_back();
  }

  void CompareMaps(Ref before, Ref after) {
    if (before.node()->as.members == after.node()->as.members && before.size() == after.size()) {
      return;
    }
    MemberFinder in_before(before);
    MemberFinder in_after(after);
    size_t place = 0;
    for (auto [key, child] : before.Members()) At(key, child, in_after.Find(key, place++));
    place = 0;
    for (auto [key, child] : after.Members()) {
      if (in_before.Find(key, place++).IsAbsent()) At(key, Ref(), child);
    }
  }

  void CompareLists(Ref before, Ref after) {
    if (before.size() == after.size() && before.node()->as.items == after.node()->as.items) return;
    Names old_names = NamesOf(before);
    Names new_names = NamesOf(after);
    if (!old_names.empty() && !new_names.empty()) {
      return CompareNamed(before, after, old_names, new_names);
    }
    for (size_t i = 0; i < std::max(before.size(), after.size()); ++i) At(i, before[i], after[i]);
  }

  void CompareNamed(Ref before, Ref after, const Names& old_names, const Names& new_names) {
    auto place_of = [](const Names& names, std::string_view name) -> const size_t* {
      auto found = std::lower_bound(names.begin(), names.end(), name,
                                    [](const auto& entry, auto key) { return entry.first < key; });
      return found != names.end() && found->first == name ? &found->second : nullptr;
    };
    // Items that both have must come in one order.
    size_t last = 0;
    bool reordered = false;
    for (Ref item : before.Items()) {
      const size_t* place = place_of(new_names, item["name"].String());
      if (!place) continue;
      reordered |= *place < last;
      last = *place;
    }
    if (reordered) changes_.push_back({path_, before, after});
    for (size_t i = 0; i < before.size(); ++i) {
      const size_t* place = place_of(new_names, before[i]["name"].String());
      At(place ? *place : i, before[i], place ? after[*place] : Ref());
    }
    for (size_t i = 0; i < after.size(); ++i) {
      if (!place_of(old_names, after[i]["name"].String())) At(i, Ref(), after[i]);
    }
  }

  Path path_;
  std::vector<Change> changes_;
};

std::string Short(Ref value) {
  constexpr size_t kLongest = 120;
  std::string text = ToJson(value);
  if (text.size() <= kLongest) return text;
  size_t end = kLongest;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;  // not within a character
  return text.substr(0, end) + "...";
}

}  // namespace

std::vector<Change> Diff(Ref before, Ref after) { return Differ().Run(before, after); }

std::string ToString(const std::vector<Change>& changes) {
  std::string text;
  for (const Change& change : changes) {
    text += ToString(change.path) + ": ";
    if (change.before.IsAbsent()) {
      text += "added " + Short(change.after);
    } else if (change.after.IsAbsent()) {
      text += "removed " + Short(change.before);
    } else {
      text += Short(change.before) + " -> " + Short(change.after);
    }
    text += '\n';
  }
  return text;
}

}  // namespace flotilla::value
