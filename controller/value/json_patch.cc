#include "value/json_patch.h"

#include <charconv>
#include <optional>

#include "value/json.h"

namespace flotilla::value {
namespace {

struct VerbName {
  PatchVerb verb;
  std::string_view name;
};
constexpr VerbName kVerbs[] = {{PatchVerb::kAdd, "add"},         {PatchVerb::kRemove, "remove"},
                               {PatchVerb::kReplace, "replace"}, {PatchVerb::kMove, "move"},
                               {PatchVerb::kCopy, "copy"},       {PatchVerb::kTest, "test"}};

bool UsesFrom(PatchVerb verb) { return verb == PatchVerb::kMove || verb == PatchVerb::kCopy; }
bool UsesValue(PatchVerb verb) {
  return verb == PatchVerb::kAdd || verb == PatchVerb::kReplace || verb == PatchVerb::kTest;
}

// RFC 6901: digits without a leading zero.
std::optional<size_t> IndexOf(std::string_view token) {
  size_t index = 0;
  const char* end = token.data() + token.size();
  if (token.empty() || (token.size() > 1 && token[0] == '0')) return std::nullopt;
  auto [at, error] = std::from_chars(token.data(), end, index);
  if (error != std::errc() || at != end || token[0] == '-') return std::nullopt;
  return index;
}

std::string Prefix(const std::vector<std::string>& tokens, size_t count) {
  Path path;
  for (size_t i = 0; i < count; ++i) path.emplace_back(tokens[i]);
  return ToPointer(path);
}

// Where `pointer` leads in `tree`. The last token may name a place that does not exist yet where
// `for_add` says so: a new key, or the end of a list.
Result<Path> Locate(Ref tree, std::string_view pointer, bool for_add) {
  auto tokens = ParsePointer(pointer);
  if (!tokens) return Pass(tokens);
  Path path;
  for (size_t i = 0; i < tokens->size(); ++i) {
    const std::string& token = (*tokens)[i];
    bool may_be_new = for_add && i + 1 == tokens->size();
    if (tree.IsMap()) {
      if (!may_be_new && tree[token].IsAbsent()) {
        return Fail(ErrorClass::kInvalid, "\"{}\" has no member \"{}\"", Prefix(*tokens, i), token);
      }
      path.emplace_back(token);
      tree = tree[token];
    } else if (tree.IsList()) {
      std::optional<size_t> index = token == "-" ? tree.size() : IndexOf(token);
      if (!index) {
        return Fail(ErrorClass::kInvalid, "\"{}\" is a list: \"{}\" is no index of it",
                    Prefix(*tokens, i), token);
      }
      if (*index > tree.size() || (*index == tree.size() && !may_be_new)) {
        return Fail(ErrorClass::kInvalid, "\"{}\" has {} items: there is none at {}",
                    Prefix(*tokens, i), tree.size(), token);
      }
      path.emplace_back(*index);
      tree = tree[*index];
    } else {
      return Fail(ErrorClass::kInvalid, "\"{}\" is no list or map but of type {}",
                  Prefix(*tokens, i), ToString(tree.kind()));
    }
  }
  return path;
}

Status Add(Value& document, std::string_view pointer, const Value& value) {
  auto path = Locate(document, pointer, true);
  if (!path) return Pass(path);
  document = Edited(std::move(document)).Insert(*path, value).Done();
  return {};
}

Status Remove(Value& document, std::string_view pointer) {
  auto path = Locate(document, pointer, false);
  if (!path) return Pass(path);
  if (path->empty()) return Fail(ErrorClass::kInvalid, "the whole document cannot be removed");
  document = Edited(std::move(document)).Remove(*path).Done();
  return {};
}

Status Apply(Value& document, const PatchOp& op) {
  switch (op.verb) {
    case PatchVerb::kAdd:
      return Add(document, op.path, op.value);
    case PatchVerb::kRemove:
      return Remove(document, op.path);
    case PatchVerb::kReplace: {
      auto path = Locate(document, op.path, false);
      if (!path) return Pass(path);
      document = Edited(std::move(document)).Set(*path, op.value).Done();
      return {};
    }
    case PatchVerb::kMove:
    case PatchVerb::kCopy: {
      auto from = Locate(document, op.from, false);
      if (!from) return Pass(from);
      Value moved = document.Share(Find(document, *from));
      if (op.verb == PatchVerb::kCopy) return Add(document, op.path, moved);
      if (op.path == op.from) return {};
      if (op.path.size() > op.from.size() && op.path.compare(0, op.from.size(), op.from) == 0 &&
          op.path[op.from.size()] == '/') {
        return Fail(ErrorClass::kInvalid, "\"{}\" cannot be moved into itself", op.from);
      }
      if (Status removed = Remove(document, op.from); !removed) return removed;
      return Add(document, op.path, moved);
    }
    case PatchVerb::kTest: {
      auto path = Locate(document, op.path, false);
      if (!path) return Pass(path);
      if (ToCanonicalJson(Find(document, *path)) == ToCanonicalJson(op.value)) return {};
      return Fail(ErrorClass::kInvalid, "the value there is another one");
    }
  }
  return {};
}

}  // namespace

const char* ToString(PatchVerb verb) {
  for (const VerbName& known : kVerbs) {
    if (known.verb == verb) return known.name.data();
  }
  return "";
}

Result<std::vector<PatchOp>> ParseJsonPatch(Ref patch) {
  if (!patch.IsList()) {
    return Fail(ErrorClass::kInvalid, "a JSON patch is a list of operations, not a {}",
                ToString(patch.kind()));
  }
  std::vector<PatchOp> ops;
  ops.reserve(patch.size());
  for (Ref entry : patch.Items()) {
    size_t index = ops.size();
    PatchOp op;
    bool known = false;
    for (const VerbName& verb : kVerbs) {
      if (entry["op"].String() != verb.name) continue;
      op.verb = verb.verb;
      known = true;
    }
    if (!known) {
      return Fail(ErrorClass::kInvalid,
                  "operation {}: op is one of add, remove, replace, move, copy, test", index);
    }
    if (!entry["path"].IsString()) {
      return Fail(ErrorClass::kInvalid, "operation {} ({}): path is missing", index,
                  ToString(op.verb));
    }
    op.path = entry["path"].Text();
    if (UsesFrom(op.verb) != entry["from"].IsString()) {
      return Fail(ErrorClass::kInvalid, "operation {} ({} \"{}\"): from {}", index,
                  ToString(op.verb), op.path,
                  UsesFrom(op.verb) ? "is missing" : "belongs to move and copy only");
    }
    op.from = entry["from"].Text();
    if (UsesValue(op.verb) != !entry["value"].IsAbsent()) {
      return Fail(ErrorClass::kInvalid, "operation {} ({} \"{}\"): value {}", index,
                  ToString(op.verb), op.path,
                  UsesValue(op.verb) ? "is missing" : "belongs to add, replace and test only");
    }
    op.value = Value::Copy(entry["value"]);
    for (const std::string& pointer : {op.path, op.from}) {
      if (auto tokens = ParsePointer(pointer); !tokens) {
        return Fail(tokens, "operation {} ({})", index, ToString(op.verb));
      }
    }
    ops.push_back(std::move(op));
  }
  return ops;
}

Value ToValue(const std::vector<PatchOp>& patch) {
  std::vector<Value> ops;
  ops.reserve(patch.size());
  for (const PatchOp& op : patch) {
    ops.push_back(Value::Map({{"op", ToString(op.verb)},
                              {"path", op.path},
                              {"from", UsesFrom(op.verb) ? Value(op.from) : Value()},
                              {"value", UsesValue(op.verb) ? op.value : Value()}}));
  }
  return Value::List(ops);
}

Result<Value> ApplyJsonPatch(const Value& document, const std::vector<PatchOp>& patch) {
  Value patched = document;
  for (size_t i = 0; i < patch.size(); ++i) {
    Status done = Apply(patched, patch[i]);
    if (!done) {
      return Fail(done, "operation {} ({} \"{}\")", i, ToString(patch[i].verb), patch[i].path);
    }
  }
  return patched;
}

Result<std::vector<std::string>> ParsePointer(std::string_view pointer) {
  std::vector<std::string> tokens;
  if (pointer.empty()) return tokens;
  if (pointer[0] != '/') {
    return Fail(ErrorClass::kInvalid, "\"{}\" is no JSON pointer: it has to begin with '/'",
                pointer);
  }
  for (size_t i = 0; i < pointer.size(); ++i) {
    char c = pointer[i];
    if (c == '/') {
      tokens.emplace_back();
    } else if (c != '~') {
      tokens.back() += c;
    } else {
      char next = i + 1 < pointer.size() ? pointer[i + 1] : '\0';
      if (next != '0' && next != '1') {
        return Fail(ErrorClass::kInvalid,
                    "\"{}\" is no JSON pointer: write '~' as \"~0\" and '/' in a key as \"~1\"",
                    pointer);
      }
      tokens.back() += next == '0' ? '~' : '/';
      ++i;
    }
  }
  return tokens;
}

Ref FindPointer(Ref tree, std::string_view pointer) {
  auto path = Locate(tree, pointer, false);
  return path ? Find(tree, *path) : Ref();
}

}  // namespace flotilla::value
