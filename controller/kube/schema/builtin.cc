#include "kube/schema/builtin.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>

#include "value/json.h"

namespace flotilla::kube::schema {
namespace {

constexpr std::string_view kTable[] = {
#include "kube/schema/builtin_table.inc"
};
constexpr std::string_view kDefaults[] = {
#include "kube/schema/builtin_defaults.inc"
};

// The tables are part of the program: one that cannot be read is a defect of the build.
[[noreturn]] void Broken(std::string_view line) {
  std::fprintf(stderr, "broken table of built-in types: %.*s\n", static_cast<int>(line.size()),
               line.data());
  std::abort();
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  if (text == "-") return parts;
  while (true) {
    size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// The next word of `line`, which loses it.
std::string_view Word(std::string_view& line) {
  size_t end = line.find(' ');
  std::string_view word = line.substr(0, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  return word;
}

class Tables {
 public:
  static const Tables& Get() {
    static const Tables tables;
    return tables;
  }

  std::span<const TypeFacts> facts() const { return facts_; }
  const std::map<std::string_view, Type*>& named() const { return named_; }

 private:
  Tables() {
    for (std::string_view chunk : kTable) {
      for (std::string_view line : Split(chunk, '\n')) ReadName(line);
    }
    for (std::string_view chunk : kTable) {
      for (std::string_view line : Split(chunk, '\n')) ReadLine(line);
    }
    EndType();
    for (std::string_view chunk : kDefaults) {
      for (std::string_view line : Split(chunk, '\n')) ReadDefault(line);
    }
    std::sort(facts_.begin(), facts_.end(), [](const TypeFacts& a, const TypeFacts& b) {
      return std::tie(a.group, a.version, a.plural) < std::tie(b.group, b.version, b.plural);
    });
  }

  // Types refer to each other in any order, so that all names come first.
  void ReadName(std::string_view line) {
    if (Word(line) != "type") return;
    std::string_view name = Word(line);
    Type& type = types_.emplace_back();
    type.name = name;
    type.shape = Shape::kStruct;
    type.atomic = line == "atomic";
    named_.emplace(name, &type);
  }

  void ReadLine(std::string_view line) {
    if (line.substr(0, 2) == "  ") {
      ReadField(line.substr(2));
    } else if (std::string_view word = Word(line); word == "type") {
      EndType();
      current_ = named_.at(Word(line));
    } else if (word == "resource") {
      ReadResource(line);
    }
  }

  void EndType() {
    if (current_ == nullptr) return;
    fields_.push_back(std::move(open_));
    open_.clear();
    current_->fields = fields_.back();
    current_ = nullptr;
  }

  void ReadField(std::string_view line) {
    if (current_ == nullptr) Broken(line);
    std::string_view name = Word(line);
    Field field;
    for (; !name.empty(); name.remove_suffix(1)) {
      if (name.back() == '!')
        field.required = true;
      else if (name.back() == '+')
        field.always = true;
      else if (name.back() == '?')
        field.omit_zero = true;
      else
        break;
    }
    field.name = name;
    field.type = Read(Word(line));
    while (!line.empty()) {
      if (line.substr(0, 8) == "default=") {  // the last one: it may hold spaces
        field.default_value = ReadJson(line.substr(8));
        break;
      }
      std::string_view word = Word(line);
      if (word.front() == '#') {
        field.number = word.substr(1);
      } else if (word == "retain") {
        field.patch_retain_keys = true;
      } else if (word.substr(0, 6) == "merge=") {
        field.patch_merge = true;
        field.patch_merge_key = word.substr(6);
      } else {
        Broken(word);
      }
    }
    open_.push_back(std::move(field));
  }

  void ReadResource(std::string_view line) {
    TypeFacts facts;
    facts.group = Word(line);
    if (facts.group == "core") facts.group = "";
    facts.version = Word(line);
    facts.kind = Word(line);
    facts.plural = Word(line);
    facts.singular = Word(line);
    facts.short_names = Split(Word(line), ',');
    facts.categories = Split(Word(line), ',');
    facts.verbs = Split(Word(line), ',');
    facts.namespaced = Word(line) == "namespaced";
    for (std::string_view sub : Split(Word(line), ',')) {
      facts.has_status |= sub == "status";
      facts.has_scale |= sub == "scale";
    }
    facts.type = Read(Word(line));
    facts_.push_back(std::move(facts));
  }

  void ReadDefault(std::string_view line) {
    if (line.empty()) return;
    auto at = named_.find(Word(line));
    std::string_view name = Word(line);
    if (at == named_.end()) Broken(name);
    auto field = const_cast<Field*>(at->second->Find(name));
    if (field == nullptr) Broken(name);
    field->default_value = ReadJson(line);
  }

  static value::Value ReadJson(std::string_view text) {
    auto value = value::ParseJson(text);
    if (!value) Broken(text);
    return *std::move(value);
  }

  // The type of an expression; equal expressions share one.
  const Type* Read(std::string_view expression) {
    if (auto named = named_.find(expression); named != named_.end()) return named->second;
    if (auto known = anonymous_.find(expression); known != anonymous_.end()) return known->second;
    Type type = Parse(expression);
    Type& stored = types_.emplace_back(type);
    anonymous_.emplace(expression, &stored);
    return &stored;
  }

  Type Parse(std::string_view text) {
    static const std::map<std::string_view, Shape> kScalars = {
        {"any", Shape::kAny},           {"bool", Shape::kBoolean},
        {"int", Shape::kInteger},       {"number", Shape::kNumber},
        {"string", Shape::kString},     {"bytes", Shape::kBytes},
        {"time", Shape::kTime},         {"quantity", Shape::kQuantity},
        {"intstr", Shape::kIntOrString}};
    Type type;
    if (auto scalar = kScalars.find(text); scalar != kScalars.end()) {
      type.shape = scalar->second;
      type.preserve_unknown = type.shape == Shape::kAny;
    } else if (text.front() == '!') {
      type = *Read(text.substr(1));
      type.atomic = true;
    } else if (text.front() == '{' && text.back() == '}') {
      type.shape = Shape::kMap;
      type.element = Read(text.substr(1, text.size() - 2));
    } else if (text.front() == '[' && text.back() == ']') {
      ParseList(text.substr(1, text.size() - 2), type);
    } else {
      Broken(text);
    }
    return type;
  }

  void ParseList(std::string_view text, Type& type) {
    type.shape = Shape::kList;
    size_t colon = text.find(':');
    if (colon != std::string_view::npos) {
      std::string_view keys = text.substr(0, colon);
      text.remove_prefix(colon + 1);
      type.list_kind = keys == "=" ? ListKind::kSet : ListKind::kMap;
      if (type.list_kind == ListKind::kMap) type.keys = keys_.emplace_back(Split(keys, ','));
    }
    type.element = Read(text);
  }

  std::deque<Type> types_;  // addresses must stay
  std::deque<std::vector<Field>> fields_;
  std::deque<std::vector<std::string_view>> keys_;
  std::map<std::string_view, Type*> named_;
  std::map<std::string_view, Type*> anonymous_;
  std::vector<TypeFacts> facts_;
  Type* current_ = nullptr;
  std::vector<Field> open_;
};

}  // namespace

std::string TypeFacts::ApiVersion() const {
  std::string text(group);
  if (!text.empty()) text += '/';
  return text.append(version);
}

std::span<const TypeFacts> Builtins() { return Tables::Get().facts(); }

const TypeFacts* FindKind(std::string_view group, std::string_view version, std::string_view kind) {
  for (const TypeFacts& facts : Builtins()) {
    if (facts.kind == kind && facts.group == group && facts.version == version) return &facts;
  }
  return nullptr;
}

const TypeFacts* FindResource(std::string_view group, std::string_view version,
                              std::string_view plural) {
  for (const TypeFacts& facts : Builtins()) {
    if (facts.plural == plural && facts.group == group && facts.version == version) return &facts;
  }
  return nullptr;
}

const TypeFacts* FindKindInAnyVersion(std::string_view group, std::string_view kind) {
  for (const TypeFacts& facts : Builtins()) {
    if (facts.kind == kind && facts.group == group) return &facts;
  }
  return nullptr;
}

const Type* FindType(std::string_view name) {
  const auto& named = Tables::Get().named();
  auto at = named.find(name);
  return at == named.end() ? nullptr : at->second;
}

std::vector<const Type*> NamedTypes() {
  std::vector<const Type*> types;
  for (const auto& [name, type] : Tables::Get().named()) types.push_back(type);
  return types;
}

std::pair<std::string_view, std::string_view> SplitApiVersion(std::string_view api_version) {
  size_t slash = api_version.find('/');
  if (slash == std::string_view::npos) return {"", api_version};
  return {api_version.substr(0, slash), api_version.substr(slash + 1)};
}

}  // namespace flotilla::kube::schema
