// The objects of a server and what happened to them. Not thread-safe: the server's lock guards it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/schema/type.h"
#include "sim/api_server/request.h"
#include "sim/api_server/selectors.h"
#include "value/value.h"

namespace flotilla::kube::schema {
class CustomSchema;
}

namespace flotilla::sim::api {

// One version of an object. Immutable, so that answers and watches share it.
struct Stored {
  value::Value object;
  std::string ns;
  std::string name;
  std::string uid;
  uint64_t rv = 0;

  value::Ref metadata() const { return object["metadata"]; }
};
using StoredPtr = std::shared_ptr<const Stored>;

enum class ChangeType : uint8_t { kAdded, kModified, kDeleted };

struct Change {
  ChangeType type;
  StoredPtr now;     // of a deletion: the last state, with the resourceVersion of the deletion
  StoredPtr before;  // null for an addition
  uint64_t rv() const { return now->rv; }
};

class Watch;

// The objects of one resource, in the order of "namespace/name", and their latest history.
class Table {
 public:
  using Objects = std::map<std::string, StoredPtr, std::less<>>;

  static std::string Key(std::string_view ns, std::string_view name);
  StoredPtr Find(std::string_view ns, std::string_view name) const;
  const Objects& objects() const { return objects_; }
  // The objects of one namespace ("" for all), from `after` (exclusive) on.
  std::pair<Objects::const_iterator, Objects::const_iterator> Range(std::string_view ns,
                                                                    std::string_view after) const;

  void Apply(Change change, size_t keep_history);
  void Compact(uint64_t up_to);
  // Changes after `rv`; nullopt where they are forgotten.
  std::optional<std::vector<const Change*>> Since(uint64_t rv) const;
  // The objects as they were at `rv`; nullopt where that is forgotten.
  std::optional<Objects> At(uint64_t rv) const;

  std::vector<std::shared_ptr<Watch>> watches;

 private:
  Objects objects_;
  std::deque<Change> history_;
  uint64_t compacted_ = 0;  // changes up to here are forgotten
};

// What is served under one group, version and plural name.
struct ResourceType {
  std::string group;
  std::string version;
  std::string api_version;
  std::string kind;
  std::string list_kind;
  std::string plural;
  std::string singular;
  std::vector<std::string> short_names;
  std::vector<std::string> categories;
  std::vector<std::string> verbs;
  bool namespaced = false;
  bool has_status = false;
  bool has_scale = false;
  bool has_generation = false;
  const kube::schema::Type* type = nullptr;
  // Of a custom resource only.
  std::shared_ptr<const kube::schema::CustomSchema> custom;
  value::Value columns;  // additionalPrinterColumns
  value::Value scale;    // subresources.scale
  std::string crd;       // name of its definition
  // What Go's zero value of the kind would be written as: what a create is compared with.
  value::Value zero;

  std::shared_ptr<Table> table;  // shared by the versions of one resource

  bool is_custom() const { return !crd.empty(); }
  GroupResource resource() const { return {group, plural}; }
  bool Supports(std::string_view verb) const;
};
using ResourcePtr = std::shared_ptr<const ResourceType>;

// Which objects a list or watch is about.
struct Selection {
  std::string ns;
  std::string name;
  LabelSelector labels;
  FieldSelector fields;

  bool Matches(const Stored& stored) const;
};

}  // namespace flotilla::sim::api
