#include "sim/api_server/fields/patch.h"

#include <algorithm>
#include <charconv>

#include "value/json.h"

namespace flotilla::sim::api {

using kube::schema::Field;
using kube::schema::Type;
using value::Path;
using value::Ref;
using value::Step;
using value::Value;

namespace {

using Members = std::vector<std::pair<std::string, Value>>;

// --- RFC 6902 ---

Result<Path> ReadPointer(Ref document, std::string_view pointer) {
  Path path;
  if (pointer.empty()) return path;
  if (pointer.front() != '/') {
    return Fail(ErrorClass::kInvalid, "a JSON pointer begins with '/': {}", pointer);
  }
  Ref at = document;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    size_t end = std::min(pointer.find('/'), pointer.size());
    std::string key;
    for (size_t i = 0; i < end; ++i) {
      if (pointer[i] == '~' && i + 1 < end && (pointer[i + 1] == '0' || pointer[i + 1] == '1')) {
        key += pointer[++i] == '0' ? '~' : '/';
      } else {
        key += pointer[i];
      }
    }
    pointer.remove_prefix(end);
    if (at.IsList()) {
      size_t index = at.size();
      if (key != "-") {
        auto [stop, error] = std::from_chars(key.data(), key.data() + key.size(), index);
        if (error != std::errc() || stop != key.data() + key.size()) {
          return Fail(ErrorClass::kInvalid, "invalid array index in a JSON pointer: {}", key);
        }
      }
      path.emplace_back(index);
      at = at[index];
    } else {
      path.emplace_back(key);
      at = at[key];
    }
  }
  return path;
}

Value Inserted(const Value& list, size_t index, const Value& item) {
  std::vector<Value> items;
  for (size_t i = 0; i <= list.ref().size(); ++i) {
    if (i == index) items.push_back(item);
    if (i < list.ref().size()) items.push_back(list.Share(list.ref()[i]));
  }
  return Value::List(items);
}

Result<Value> Add(const Value& document, const Path& path, const Value& value) {
  if (path.empty()) return value;
  Path parent_path(path.begin(), path.end() - 1);
  Ref parent = value::Find(document, parent_path);
  if (!parent.IsMap() && !parent.IsList()) {
    return Fail(ErrorClass::kInvalid, "add operation does not apply: doc is missing path: \"{}\"",
                value::ToPointer(path));
  }
  if (parent.IsMap()) return value::Edited(document).Set(path, value).Done();
  if (path.back().index > parent.size()) {
    return Fail(ErrorClass::kInvalid, "add operation does not apply: index out of range: \"{}\"",
                value::ToPointer(path));
  }
  Value list = Inserted(document.Share(parent), path.back().index, value);
  if (parent_path.empty()) return list;
  return value::Edited(document).Set(parent_path, list).Done();
}

Result<Value> ApplyOperation(const Value& document, Ref operation) {
  std::string_view op = operation["op"].String();
  auto path = ReadPointer(document, operation["path"].String());
  if (!path) return Pass(path);
  Ref target = value::Find(document, *path);
  auto missing = [&]() {
    return Fail(ErrorClass::kInvalid, "{} operation does not apply: doc is missing key: {}", op,
                operation["path"].String());
  };
  if (op == "add" || op == "replace") {
    if (op == "replace" && !target) return missing();
    Value value = Value::Copy(operation["value"]);
    if (op == "add") return Add(document, *path, value);
    return path->empty() ? value : value::Edited(document).Set(*path, value).Done();
  }
  if (op == "remove") {
    if (!target) return missing();
    return value::Edited(document).Remove(*path).Done();
  }
  if (op == "test") {
    if (!(target == operation["value"]) && !(target.IsAbsent() && operation["value"].IsNull())) {
      return Fail(ErrorClass::kInvalid, "testing value {} failed", operation["path"].String());
    }
    return document;
  }
  if (op == "move" || op == "copy") {
    auto from = ReadPointer(document, operation["from"].String());
    if (!from) return Pass(from);
    Ref source = value::Find(document, *from);
    if (!source) return missing();
    Value value = document.Share(source);
    Value base = op == "move" ? value::Edited(document).Remove(*from).Done() : document;
    auto to = ReadPointer(base, operation["path"].String());
    if (!to) return Pass(to);
    return Add(base, *to, value);
  }
  return Fail(ErrorClass::kInvalid, "unexpected kind: {}", op);
}

// --- strategic ---

bool IsDirective(std::string_view key) { return key.substr(0, 1) == "$"; }

// What is new in a document, without its directives and nulls.
Value Plain(const Value& patch) {
  Ref ref = patch;
  if (ref.IsMap()) {
    Members members;
    for (auto [key, value] : ref.Members()) {
      if (IsDirective(key) || value.IsNull()) continue;
      members.emplace_back(key, Plain(patch.Share(value)));
    }
    return Value::Map(members);
  }
  if (ref.IsList()) {
    std::vector<Value> items;
    for (Ref item : ref.Items()) {
      if (item["$patch"].String() == "delete") continue;
      items.push_back(Plain(patch.Share(item)));
    }
    return Value::List(items);
  }
  return patch;
}

class Strategic {
 public:
  Value Map(const Value& document, const Value& patch, const Type* type) {
    std::string_view directive = patch["$patch"].String();
    if (directive == "replace") return Plain(patch);
    if (directive == "delete") return Value::Map({});
    Members members;
    Ref retain = patch["$retainKeys"];
    for (auto [key, value] : document.ref().Members()) {
      if (retain && !Lists(retain, key)) continue;
      members.emplace_back(key, document.Share(value));
    }
    for (auto [key, value] : patch.ref().Members()) {
      if (IsDirective(key)) continue;
      MergeMember(members, key, patch, value, type);
    }
    for (auto [key, value] : patch.ref().Members()) {
      ApplyListDirective(members, key, value, patch, type);
    }
    return Value::Map(members);
  }

 private:
  static bool Lists(Ref list, std::string_view text) {
    for (Ref item : list.Items()) {
      if (item.String() == text) return true;
    }
    return false;
  }

  static auto Find(Members& members, std::string_view key) {
    return std::find_if(members.begin(), members.end(),
                        [&](const auto& member) { return member.first == key; });
  }

  static Ref OrderOf(const Value& patch, std::string_view key) {
    return patch["$setElementOrder/" + std::string(key)];
  }

  void MergeMember(Members& members, std::string_view key, const Value& patch, Ref value,
                   const Type* type) {
    auto at = Find(members, key);
    if (value.IsNull()) {
      if (at != members.end()) members.erase(at);
      return;
    }
    const Field* field = type ? type->Find(key) : nullptr;
    const Type* child = type ? type->Child(key) : nullptr;
    Value given = patch.Share(value);
    Value merged;
    if (at == members.end()) {
      bool mergeable = value.IsMap() && value["$patch"].IsAbsent();
      merged = mergeable ? Map(Value::Map({}), given, child) : Plain(given);
      if (value.IsList() && field && field->patch_merge) {
        merged = MergeList(Value::List({}), given, *field, OrderOf(patch, key));
      }
    } else if (value.IsMap() && at->second.ref().IsMap()) {
      merged = Map(at->second, given, child);
    } else if (value.IsList() && at->second.ref().IsList() && field && field->patch_merge) {
      merged = MergeList(at->second, given, *field, OrderOf(patch, key));
    } else {
      merged = Plain(given);
    }
    if (at == members.end()) {
      members.emplace_back(key, std::move(merged));
    } else {
      at->second = std::move(merged);
    }
  }

  // "$deleteFromPrimitiveList/finalizers", "$setElementOrder/containers"
  void ApplyListDirective(Members& members, std::string_view key, Ref value, const Value& patch,
                          const Type* type) {
    size_t slash = key.find('/');
    if (!IsDirective(key) || slash == std::string_view::npos) return;
    std::string_view name = key.substr(slash + 1);
    auto at = Find(members, name);
    if (at == members.end()) return;
    if (key.substr(0, slash) == "$deleteFromPrimitiveList") {
      std::vector<Value> kept;
      for (Ref item : at->second.ref().Items()) {
        bool gone = false;
        for (Ref deleted : value.Items()) gone |= deleted == item;
        if (!gone) kept.push_back(at->second.Share(item));
      }
      at->second = Value::List(kept);
    } else if (key.substr(0, slash) == "$setElementOrder" && !patch[name]) {
      const Field* field = type ? type->Find(name) : nullptr;
      std::vector<Value> items;
      for (Ref item : at->second.ref().Items()) items.push_back(at->second.Share(item));
      at->second =
          Ordered(items, value, at->second, field ? field->patch_merge_key : std::string_view());
    }
  }

  static bool Same(Ref a, Ref b, std::string_view key) {
    return key.empty() ? a == b : a[key] == b[key];
  }

  // Items that the order names come in that order; the others keep theirs, and come before such an
  // item only where both were there before in that order (apimachinery: normalizeElementOrder).
  static Value Ordered(const std::vector<Value>& items, Ref order, Ref original,
                       std::string_view key) {
    auto place = [&](Ref list, Ref item) {
      size_t at = 0;
      for (Ref one : list.Items()) {
        if (Same(one, item, key)) return at;
        ++at;
      }
      return std::string::npos;
    };
    std::vector<Value> named, others;
    for (const Value& item : items) {
      (place(order, item) == std::string::npos ? others : named).push_back(item);
    }
    auto sort_by = [&](std::vector<Value>& list, Ref by) {
      std::stable_sort(list.begin(), list.end(),
                       [&](const Value& a, const Value& b) { return place(by, a) < place(by, b); });
    };
    sort_by(named, order);
    sort_by(others, original);
    std::vector<Value> merged;
    size_t i = 0, j = 0;
    while (i < others.size() || j < named.size()) {
      bool other_first = j >= named.size();
      if (i < others.size() && j < named.size()) {
        size_t left = place(original, others[i]), right = place(original, named[j]);
        other_first = left != std::string::npos && right != std::string::npos && left < right;
      }
      merged.push_back(other_first ? others[i++] : named[j++]);
    }
    return Value::List(merged);
  }

  Value MergeList(const Value& document, const Value& patch, const Field& field, Ref order) {
    for (Ref item : patch.ref().Items()) {
      if (item["$patch"].String() == "replace") return Plain(WithoutReplace(patch));
    }
    std::vector<Value> items;
    for (Ref item : document.ref().Items()) items.push_back(document.Share(item));
    std::string_view key = field.patch_merge_key;
    for (Ref item : patch.ref().Items()) {
      auto at = std::find_if(items.begin(), items.end(),
                             [&](const Value& have) { return Same(have, item, key); });
      if (item["$patch"].String() == "delete") {
        if (at != items.end()) items.erase(at);
      } else if (at == items.end()) {
        items.push_back(item.IsMap() ? Map(Value::Map({}), patch.Share(item), field.type->element)
                                     : patch.Share(item));
      } else if (item.IsMap()) {
        *at = Map(*at, patch.Share(item), field.type->element);
      }
    }
    return Ordered(items, order ? order : patch.ref(), document, key);
  }

  static Value WithoutReplace(const Value& patch) {
    std::vector<Value> items;
    for (Ref item : patch.ref().Items()) {
      if (item["$patch"].IsAbsent()) items.push_back(patch.Share(item));
    }
    return Value::List(items);
  }
};

}  // namespace

Result<Value> ApplyJsonPatch(const Value& document, Ref patch) {
  if (!patch.IsList()) return Fail(ErrorClass::kInvalid, "a JSON patch is a list of operations");
  Value result = document;
  for (Ref operation : patch.Items()) {
    auto next = ApplyOperation(result, operation);
    if (!next) return next;
    result = *std::move(next);
  }
  return result;
}

Value ApplyMergePatch(const Value& document, const Value& patch) {
  if (!patch.ref().IsMap()) return patch;
  Members members;
  for (auto [key, value] : document.ref().Members()) {
    Ref given = patch.ref()[key];
    if (given.IsNull()) continue;
    members.emplace_back(key, given ? ApplyMergePatch(document.Share(value), patch.Share(given))
                                    : document.Share(value));
  }
  for (auto [key, value] : patch.ref().Members()) {
    if (value.IsNull() || document.ref()[key]) continue;
    members.emplace_back(key, ApplyMergePatch(Value(), patch.Share(value)));
  }
  return Value::Map(members);
}

Result<Value> ApplyStrategicPatch(const Value& document, const Value& patch, const Type& type) {
  if (!patch.ref().IsMap()) return Fail(ErrorClass::kInvalid, "a strategic merge patch is a map");
  return Strategic().Map(document, patch, &type);
}

}  // namespace flotilla::sim::api
