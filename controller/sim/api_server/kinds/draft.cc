#include "sim/api_server/kinds/draft.h"

#include <algorithm>

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

size_t Draft::size() const {
  if (map_) return map_->size();
  return list_ ? list_->size() : value_.ref().size();
}

void Draft::OpenMap() {
  if (map_) return;
  map_ = std::make_unique<Members>();
  for (auto [key, value] : value_.ref().Members()) map_->emplace_back(key, value_.Share(value));
  value_ = Value();
}

Draft* Draft::Find(std::string_view key) {
  if (!map_) {
    if (!value_[key]) return nullptr;
    OpenMap();
  }
  for (auto& [name, member] : *map_) {
    if (name == key) return member.IsAbsent() ? nullptr : &member;
  }
  return nullptr;
}

Draft& Draft::operator[](std::string_view key) {
  OpenMap();
  for (auto& [name, member] : *map_) {
    if (name == key) return member;
  }
  return map_->emplace_back(key, Draft()).second;
}

std::vector<Draft>& Draft::Items() {
  if (!list_) {
    list_ = std::make_unique<std::vector<Draft>>();
    for (Ref item : value_.ref().Items()) list_->emplace_back(value_.Share(item));
    value_ = Value();
  }
  return *list_;
}

void Draft::Remove(std::string_view key) {
  if (!Find(key)) return;
  std::erase_if(*map_, [&](const auto& member) { return member.first == key; });
}

bool Draft::Default(std::string_view key, Value value) {
  if (Find(key)) return false;
  (*this)[key] = Draft(std::move(value));
  return true;
}

Value Draft::Done() const {
  if (map_) {
    std::vector<std::pair<std::string, Value>> members;
    members.reserve(map_->size());
    for (const auto& [name, member] : *map_) members.emplace_back(name, member.Done());
    return Value::Map(members);
  }
  if (list_) {
    std::vector<Value> items;
    items.reserve(list_->size());
    for (const Draft& item : *list_) items.push_back(item.Done());
    return Value::List(items);
  }
  return value_;
}

}  // namespace flotilla::sim::api
