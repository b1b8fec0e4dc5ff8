#include "sim/api_server/store.h"

#include <algorithm>

namespace flotilla::sim::api {

std::string Table::Key(std::string_view ns, std::string_view name) {
  std::string key;
  key.reserve(ns.size() + name.size() + 1);
  return key.append(ns).append("/").append(name);
}

StoredPtr Table::Find(std::string_view ns, std::string_view name) const {
  auto at = objects_.find(Key(ns, name));
  return at == objects_.end() ? nullptr : at->second;
}

std::pair<Table::Objects::const_iterator, Table::Objects::const_iterator> Table::Range(
    std::string_view ns, std::string_view after) const {
  auto first = objects_.begin();
  auto last = objects_.end();
  if (!ns.empty()) {
    first = objects_.lower_bound(std::string(ns) + "/");
    last = objects_.lower_bound(std::string(ns) + "0");  // '0' follows '/'
  }
  if (!after.empty()) {
    auto next = objects_.upper_bound(after);
    if (ns.empty() || next == objects_.end() || first == last || next->first > first->first) {
      first = next;
    }
    if (last != objects_.end() && (first == objects_.end() || first->first > last->first)) {
      first = last;
    }
  }
  return {first, last};
}

void Table::Apply(Change change, size_t keep_history) {
  std::string key = Key(change.now->ns, change.now->name);
  if (change.type == ChangeType::kDeleted) {
    objects_.erase(key);
  } else {
    objects_.insert_or_assign(std::move(key), change.now);
  }
  history_.push_back(std::move(change));
  while (history_.size() > keep_history) {
    compacted_ = history_.front().rv();
    history_.pop_front();
  }
}

void Table::Compact(uint64_t up_to) {
  while (!history_.empty() && history_.front().rv() <= up_to) history_.pop_front();
  compacted_ = std::max(compacted_, up_to);
}

std::optional<std::vector<const Change*>> Table::Since(uint64_t rv) const {
  if (rv < compacted_) return std::nullopt;
  auto first = std::upper_bound(history_.begin(), history_.end(), rv,
                                [](uint64_t at, const Change& change) { return at < change.rv(); });
  std::vector<const Change*> changes;
  for (; first != history_.end(); ++first) changes.push_back(&*first);
  return changes;
}

std::optional<Table::Objects> Table::At(uint64_t rv) const {
  auto changes = Since(rv);
  if (!changes) return std::nullopt;
  Objects objects = objects_;
  for (auto change = changes->rbegin(); change != changes->rend(); ++change) {
    std::string key = Key((*change)->now->ns, (*change)->now->name);
    if ((*change)->before) {
      objects.insert_or_assign(std::move(key), (*change)->before);
    } else {
      objects.erase(key);
    }
  }
  return objects;
}

bool ResourceType::Supports(std::string_view verb) const {
  return std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
}

bool Selection::Matches(const Stored& stored) const {
  if (!ns.empty() && stored.ns != ns) return false;
  if (!name.empty() && stored.name != name) return false;
  if (!labels.empty() && !labels.Matches(stored.metadata()["labels"])) return false;
  return fields.empty() || fields.Matches(stored.object);
}

}  // namespace flotilla::sim::api
