#include "sim/api_server/fields/managed_fields.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>

#include "kube/schema/builtin.h"
#include "sim/api_server/fields/structure.h"
#include "value/json.h"

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

namespace {

constexpr size_t kMaxUpdateManagers = 10;

// Never part of anybody's fields.
const FieldSet& Stripped() {
  static const FieldSet set = [] {
    FieldSet metadata;
    for (const char* field : {"clusterName", "creationTimestamp", "generation", "managedFields",
                              "name", "namespace", "resourceVersion", "selfLink", "uid"}) {
      metadata.AddMember(PathElement::Field(field));
    }
    FieldSet all;
    all.AddMember(PathElement::Field("apiVersion"));
    all.AddMember(PathElement::Field("kind"));
    all.Add(PathElement::Field("metadata"), true, std::move(metadata));
    return all;
  }();
  return set;
}

// What a request to this resource or subresource cannot change is nobody's doing.
FieldSet Filter(FieldSet set, const FieldContext& context) {
  if (context.subresource == "status") return set.Only(PathElement::Field("status"));
  if (context.resets_status) return set.Without(PathElement::Field("status"));
  return set;
}

struct Conflicts {
  std::vector<std::pair<Manager, FieldSet>> all;
};

std::string Shown(const Manager& manager) {
  std::string text = value::ToJson(Value(manager.name));
  if (!manager.subresource.empty()) {
    text += fmt::format(" with subresource \"{}\"", manager.subresource);
  }
  if (!manager.applied) text += " using " + manager.api_version;
  return text;
}

ApiError ConflictError(const Conflicts& conflicts) {
  std::vector<FieldError> causes;
  std::vector<std::pair<std::string, std::vector<std::string>>> by_manager;
  for (const auto& [manager, fields] : conflicts.all) {
    std::string shown = Shown(manager);
    by_manager.emplace_back(shown, fields.Paths());
    for (const std::string& path : by_manager.back().second) {
      causes.push_back({"FieldManagerConflict", "conflict with " + shown, path});
    }
  }
  std::string message;
  if (causes.size() == 1) {
    message =
        fmt::format("Apply failed with 1 conflict: {}: {}", causes[0].message, causes[0].field);
  } else {
    message = fmt::format("Apply failed with {} conflicts: ", causes.size());
    bool first = true;
    for (const auto& [manager, paths] : by_manager) {
      message += fmt::format("{}conflicts with {}:", first ? "" : "\n", manager);
      first = false;
      for (const std::string& path : paths) message += "\n- " + path;
    }
  }
  return ApplyConflict(std::move(message), std::move(causes));
}

// Takes what changed away from everybody but `manager`. Returns the conflicts instead, where there
// are some and `force` is not given.
std::optional<Conflicts> TakeAway(std::map<Manager, Owned>& owners, const Manager& manager,
                                  const Comparison& comparison, bool force) {
  FieldSet changed = comparison.modified.Union(comparison.added);
  Conflicts conflicts;
  if (!changed.empty()) {
    for (const auto& [other, owned] : owners) {
      if (!(other < manager) && !(manager < other)) continue;
      FieldSet both = owned.fields.Intersect(changed);
      if (!both.empty()) conflicts.all.emplace_back(other, std::move(both));
    }
  }
  if (!force && !conflicts.all.empty()) return conflicts;
  for (const auto& [other, fields] : conflicts.all) {
    owners[other].fields = owners[other].fields.Minus(fields);
  }
  for (auto at = owners.begin(); at != owners.end();) {
    bool self = !(at->first < manager) && !(manager < at->first);
    if (!self && !comparison.removed.empty()) {
      at->second.fields = at->second.fields.Minus(comparison.removed);
    }
    at = at->second.fields.empty() ? owners.erase(at) : std::next(at);
  }
  return std::nullopt;
}

// The oldest updaters become one, so that their number stays bounded.
void CapUpdaters(ManagedFields& managed) {
  std::vector<Manager> updaters;
  for (const auto& [manager, owned] : managed.owners_) {
    if (!manager.applied) updaters.push_back(manager);
  }
  if (updaters.size() <= kMaxUpdateManagers) return;
  std::stable_sort(updaters.begin(), updaters.end(), [&](const Manager& a, const Manager& b) {
    return managed.owners_[a].time < managed.owners_[b].time;
  });
  size_t count = updaters.size();
  std::map<std::string, Manager> first;
  for (const Manager& updater : updaters) {
    if (count <= kMaxUpdateManagers) break;
    auto [at, is_first] = first.emplace(updater.api_version, updater);
    if (is_first) continue;
    Manager bucket{"ancient-changes", false, updater.api_version, ""};
    if (!managed.owners_.count(bucket)) {
      managed.owners_[bucket] = std::move(managed.owners_[at->second]);
      managed.owners_.erase(at->second);
    }
    Owned moved = std::move(managed.owners_[updater]);
    managed.owners_.erase(updater);
    Owned& into = managed.owners_[bucket];
    into.fields = into.fields.Union(moved.fields);
    into.time = moved.time;
    --count;
  }
}

// Removes what the manager applied before and no longer applies, unless somebody else owns it.
Value Prune(const Value& merged, const std::map<Manager, Owned>& owners, const FieldSet& last,
            const kube::schema::Type& type) {
  if (last.empty()) return merged;
  FieldSet last_named = WithNamedFields(last, type);
  Value pruned = RemoveFields(merged, last_named, type);
  FieldSet managed;
  for (const auto& [manager, owned] : owners) managed = managed.Union(owned.fields);
  FieldSet merged_set = WithNamedFields(ToFieldSet(merged, type), type);
  auto set_of = [&](const Value& value) { return WithNamedFields(ToFieldSet(value, type), type); };
  // Back comes what somebody owns ...
  pruned = RemoveFields(
      merged, merged_set.Minus(set_of(pruned).Union(WithNamedFields(managed, type))), type);
  // ... and what was not the manager's in the first place.
  return RemoveFields(merged, merged_set.Minus(set_of(pruned)).Intersect(last_named), type);
}

}  // namespace

bool Manager::operator<(const Manager& other) const {
  auto key = [](const Manager& m) {
    return std::tuple(std::string_view(m.name), m.applied,
                      m.applied ? std::string_view() : std::string_view(m.api_version),
                      std::string_view(m.subresource));
  };
  return key(*this) < key(other);
}

bool ManagedFields::operator==(const ManagedFields& other) const {
  return owners_.size() == other.owners_.size() &&
         std::equal(owners_.begin(), owners_.end(), other.owners_.begin(),
                    [](const auto& a, const auto& b) {
                      return !(a.first < b.first) && !(b.first < a.first) &&
                             a.second.api_version == b.second.api_version &&
                             a.second.fields == b.second.fields;
                    });
}

ManagedFields ManagedFields::Read(Ref metadata) {
  ManagedFields managed;
  for (Ref entry : metadata["managedFields"].Items()) {
    std::string_view operation = entry["operation"].String();
    if ((operation != "Apply" && operation != "Update") ||
        entry["fieldsType"].String() != "FieldsV1" || entry["apiVersion"].String().empty()) {
      return {};
    }
    Manager manager{entry["manager"].Text(), operation == "Apply", entry["apiVersion"].Text(),
                    entry["subresource"].Text()};
    Owned& owned = managed.owners_[manager];
    owned.fields = FieldSet::FromFieldsV1(entry["fieldsV1"]);
    owned.api_version = manager.api_version;
    owned.time = entry["time"].Text();
  }
  return managed;
}

Value ManagedFields::ToValue() const {
  if (owners_.empty()) return {};
  std::vector<std::pair<const Manager*, const Owned*>> sorted;
  for (const auto& [manager, owned] : owners_) sorted.emplace_back(&manager, &owned);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    auto key = [](const auto& entry) {
      return std::tuple(!entry.first->applied, std::string_view(entry.second->time),
                        std::string_view(entry.first->name),
                        std::string_view(entry.second->api_version),
                        std::string_view(entry.first->subresource));
    };
    return key(a) < key(b);
  });
  std::vector<Value> entries;
  for (const auto& [manager, owned] : sorted) {
    entries.push_back(Value::Map(
        {{"manager", manager->name},
         {"operation", manager->applied ? "Apply" : "Update"},
         {"apiVersion", owned->api_version},
         {"time", owned->time.empty() ? Value() : Value(owned->time)},
         {"fieldsType", "FieldsV1"},
         {"fieldsV1", owned->fields.ToFieldsV1()},
         {"subresource", manager->subresource.empty() ? Value() : Value(manager->subresource)}}));
  }
  return Value::List(entries);
}

ManagedFields TrackUpdate(Ref before, Ref after, ManagedFields managed,
                          const FieldContext& context) {
  Comparison comparison = Compare(before, after, *context.type);
  comparison.removed = Filter(std::move(comparison.removed), context);
  comparison.modified = Filter(std::move(comparison.modified), context);
  comparison.added = Filter(std::move(comparison.added), context);
  Manager self{"", false, "", ""};  // stands apart from everybody, also from earlier writes
  (void)TakeAway(managed.owners_, self, comparison, true);
  FieldSet mine = comparison.modified.Union(comparison.added).Minus(Stripped());
  if (mine.empty()) return managed;
  Manager manager{context.manager, false, context.api_version, context.subresource};
  Owned& owned = managed.owners_[manager];
  owned.fields = owned.fields.Union(mine);
  owned.api_version = context.api_version;
  owned.time = context.now;
  CapUpdaters(managed);
  return managed;
}

Answer<Applied> Apply(const Value& live, const Value& config, ManagedFields managed,
                      const FieldContext& context, bool force) {
  Manager manager{context.manager, true, "", context.subresource};
  FieldSet last;
  std::string last_time;
  if (auto known = managed.owners_.find(manager); known != managed.owners_.end()) {
    last = known->second.fields;
    last_time = known->second.time;
  }
  Value merged = Merge(live, config, *context.type);
  Owned& owned = managed.owners_[manager];
  owned.fields = Filter(ToFieldSet(config, *context.type), context);
  owned.api_version = context.api_version;
  Applied applied;
  applied.object = Prune(merged, managed.owners_, last, *context.type);
  Comparison comparison = Compare(live, applied.object, *context.type);
  comparison.removed = Filter(std::move(comparison.removed), context);
  comparison.modified = Filter(std::move(comparison.modified), context);
  comparison.added = Filter(std::move(comparison.added), context);
  if (auto conflicts = TakeAway(managed.owners_, manager, comparison, force)) {
    return Refuse(ConflictError(*conflicts));
  }
  applied.changed = live.ref() != applied.object.ref();
  if (auto at = managed.owners_.find(manager); at != managed.owners_.end()) {
    at->second.fields = at->second.fields.Minus(Stripped());
    at->second.time = applied.changed ? context.now : last_time;
    if (at->second.fields.empty()) managed.owners_.erase(at);
  }
  applied.managed = std::move(managed);
  return applied;
}

}  // namespace flotilla::sim::api
