#include "sim/api_server/fields/field_set.h"

#include <algorithm>
#include <charconv>

#include "value/json.h"

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

namespace {

int Rank(std::string_view text) {
  switch (text.empty() ? ' ' : text.front()) {
    case 'f':
      return 0;
    case 'k':
      return 1;
    case 'v':
      return 2;
    default:
      return 3;
  }
}

const std::vector<FieldSet::Child>& None() {
  static const std::vector<FieldSet::Child> none;
  return none;
}

// Go writes strings in path elements with HTML escapes, as encoding/json does.
void AppendGoJson(Ref value, std::string& out) {
  size_t start = out.size();
  value::AppendJson(value, out);
  for (size_t i = start; i < out.size(); ++i) {
    const char* escape = out[i] == '<'   ? "\\u003c"
                         : out[i] == '>' ? "\\u003e"
                         : out[i] == '&' ? "\\u0026"
                                         : nullptr;
    if (escape != nullptr) out.replace(i, 1, escape);
  }
}

}  // namespace

PathElement PathElement::Field(std::string_view name) {
  PathElement element;
  element.text.reserve(name.size() + 2);
  element.text.append("f:").append(name);
  return element;
}

PathElement PathElement::Key(std::vector<std::pair<std::string, Ref>> fields) {
  std::sort(fields.begin(), fields.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  PathElement element{"k:{"};
  for (const auto& [name, value] : fields) {
    if (element.text.size() > 3) element.text += ',';
    element.text.append("\"").append(name).append("\":");
    AppendGoJson(value, element.text);
  }
  element.text += '}';
  return element;
}

PathElement PathElement::Item(Ref item) {
  PathElement element{"v:"};
  AppendGoJson(item, element.text);
  return element;
}

void PathElement::AppendTo(std::string& path) const {
  std::string_view rest = std::string_view(text).substr(2);
  switch (text.front()) {
    case 'f':
      path.append(".").append(rest);
      break;
    case 'k': {
      auto keys = value::ParseJson(rest);
      path += '[';
      bool first = true;
      if (keys) {
        for (auto [name, value] : keys->ref().Members()) {
          if (!first) path += ',';
          first = false;
          path.append(name).append("=");
          value::AppendJson(value, path);
        }
      }
      path += ']';
      break;
    }
    case 'v':
      path.append("[=").append(rest).append("]");
      break;
    default:
      path.append("[").append(rest).append("]");
  }
}

std::strong_ordering PathElement::operator<=>(const PathElement& other) const {
  int rank = Rank(text);
  if (int others = Rank(other.text); rank != others) return rank <=> others;
  if (rank == 3) {
    int64_t a = 0, b = 0;
    std::from_chars(text.data() + 2, text.data() + text.size(), a);
    std::from_chars(other.text.data() + 2, other.text.data() + other.text.size(), b);
    return a <=> b;
  }
  return text.compare(other.text) <=> 0;
}

const std::vector<FieldSet::Child>& FieldSet::children() const {
  return children_ ? *children_ : None();
}

std::vector<FieldSet::Child>& FieldSet::Mutable() {
  if (!children_) {
    children_ = std::make_shared<std::vector<Child>>();
  } else if (children_.use_count() > 1) {
    children_ = std::make_shared<std::vector<Child>>(*children_);
  }
  return *children_;
}

const FieldSet::Child* FieldSet::Find(const PathElement& element) const {
  const std::vector<Child>& all = children();
  auto at = std::lower_bound(all.begin(), all.end(), element,
                             [](const Child& c, const PathElement& e) { return c.element < e; });
  return at != all.end() && at->element == element ? &*at : nullptr;
}

bool FieldSet::Has(const PathElement& element) const {
  const Child* child = Find(element);
  return child != nullptr && child->member;
}

void FieldSet::Add(PathElement element, bool member, FieldSet below) {
  if (!member && below.empty()) return;
  std::vector<Child>& all = Mutable();
  if (all.empty() || all.back().element < element) {  // the usual way: in order
    all.push_back({std::move(element), member, std::move(below)});
    return;
  }
  auto at = std::lower_bound(all.begin(), all.end(), element,
                             [](const Child& c, const PathElement& e) { return c.element < e; });
  if (at != all.end() && at->element == element) {
    at->member |= member;
    at->below = at->below.Union(below);
  } else {
    all.insert(at, {std::move(element), member, std::move(below)});
  }
}

FieldSet FieldSet::Union(const FieldSet& other) const {
  if (empty()) return other;
  if (other.empty() || children_ == other.children_) return *this;
  FieldSet result;
  std::vector<Child>& all = result.Mutable();
  auto a = children().begin(), b = other.children().begin();
  while (a != children().end() || b != other.children().end()) {
    if (b == other.children().end() || (a != children().end() && a->element < b->element)) {
      all.push_back(*a++);
    } else if (a == children().end() || b->element < a->element) {
      all.push_back(*b++);
    } else {
      all.push_back({a->element, a->member || b->member, a->below.Union(b->below)});
      ++a, ++b;
    }
  }
  return result;
}

FieldSet FieldSet::Minus(const FieldSet& other) const {
  if (empty() || other.empty()) return *this;
  FieldSet result;
  for (const Child& child : children()) {
    const Child* theirs = other.Find(child.element);
    if (theirs == nullptr) {
      result.Mutable().push_back(child);
      continue;
    }
    FieldSet below = child.below.Minus(theirs->below);
    bool member = child.member && !theirs->member;
    if (member || !below.empty()) {
      result.Mutable().push_back({child.element, member, std::move(below)});
    }
  }
  return result;
}

FieldSet FieldSet::Intersect(const FieldSet& other) const {
  FieldSet result;
  if (empty() || other.empty()) return result;
  for (const Child& child : children()) {
    const Child* theirs = other.Find(child.element);
    if (theirs == nullptr) continue;
    FieldSet below = child.below.Intersect(theirs->below);
    bool member = child.member && theirs->member;
    if (member || !below.empty()) {
      result.Mutable().push_back({child.element, member, std::move(below)});
    }
  }
  return result;
}

FieldSet FieldSet::MinusBelow(const FieldSet& other) const {
  if (empty() || other.empty()) return *this;
  FieldSet result;
  for (const Child& child : children()) {
    const Child* theirs = other.Find(child.element);
    if (theirs == nullptr) {
      result.Mutable().push_back(child);
    } else if (!theirs->member) {
      FieldSet below = child.below.MinusBelow(theirs->below);
      if (child.member || !below.empty()) {
        result.Mutable().push_back({child.element, child.member, std::move(below)});
      }
    }
  }
  return result;
}

FieldSet FieldSet::Only(const PathElement& element) const {
  FieldSet result;
  if (const Child* child = Find(element)) result.Mutable().push_back(*child);
  return result;
}

FieldSet FieldSet::Without(const PathElement& element) const {
  if (Find(element) == nullptr) return *this;
  FieldSet result;
  for (const Child& child : children()) {
    if (child.element != element) result.Mutable().push_back(child);
  }
  return result;
}

bool FieldSet::operator==(const FieldSet& other) const {
  if (children_ == other.children_) return true;
  const std::vector<Child>&a = children(), &b = other.children();
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](const Child& x, const Child& y) {
           return x.member == y.member && x.element == y.element && x.below == y.below;
         });
}

void FieldSet::AppendPaths(std::string& prefix, std::vector<std::string>& paths) const {
  for (const Child& child : children()) {
    size_t length = prefix.size();
    child.element.AppendTo(prefix);
    if (child.member) paths.push_back(prefix);
    child.below.AppendPaths(prefix, paths);
    prefix.resize(length);
  }
}

std::vector<std::string> FieldSet::Paths() const {
  std::vector<std::string> paths;
  std::string prefix;
  AppendPaths(prefix, paths);
  return paths;
}

Value FieldSet::ToFieldsV1() const {
  static const Value empty_map = Value::Map({});
  std::vector<std::pair<std::string, Value>> members;
  members.reserve(children().size() + 1);
  for (const Child& child : children()) {
    Value below = child.below.empty() ? empty_map : child.below.ToFieldsV1();
    if (child.member && !child.below.empty()) {
      std::vector<std::pair<std::string, Value>> with_self;
      with_self.emplace_back(".", empty_map);
      for (auto [key, value] : below.ref().Members()) {
        with_self.emplace_back(key, below.Share(value));
      }
      below = Value::Map(with_self);
    }
    members.emplace_back(child.element.text, std::move(below));
  }
  return Value::Map(members);
}

FieldSet FieldSet::FromFieldsV1(Ref fields) {
  FieldSet set;
  for (auto [key, value] : fields.Members()) {
    if (key == "." || key.size() < 2 || key[1] != ':') continue;
    bool member = value.size() == 0 || !value["."].IsAbsent();
    set.Add(PathElement{std::string(key)}, member, FromFieldsV1(value));
  }
  return set;
}

}  // namespace flotilla::sim::api
