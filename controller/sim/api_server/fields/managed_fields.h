// Who owns which field: metadata.managedFields as a real server keeps it (KEP-555; the rules of
// structured-merge-diff's merge.Updater and of apimachinery's managedfields).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "kube/schema/type.h"
#include "sim/api_server/fields/field_set.h"
#include "sim/api_server/status.h"
#include "value/value.h"

namespace flotilla::sim::api {

// What tells one entry from another.
struct Manager {
  std::string name;
  bool applied = false;     // operation Apply, else Update
  std::string api_version;  // of an Apply not part of its identity
  std::string subresource;

  bool operator<(const Manager& other) const;
};

struct Owned {
  FieldSet fields;
  std::string api_version;
  std::string time;  // RFC 3339
};

class ManagedFields {
 public:
  // Entries that cannot be read are as if there were none.
  static ManagedFields Read(value::Ref metadata);
  value::Value ToValue() const;  // the list; absent where there are no entries
  bool empty() const { return owners_.empty(); }
  bool operator==(const ManagedFields& other) const;  // without regard to times

  std::map<Manager, Owned> owners_;
};

struct FieldContext {
  const kube::schema::Type* type = nullptr;
  std::string api_version;
  std::string manager;
  std::string subresource;     // "" or "status"
  bool resets_status = false;  // the main resource never owns status
  std::string now;
};

// After a create, update or patch turned `before` into `after` (managedFields left out of both).
ManagedFields TrackUpdate(value::Ref before, value::Ref after, ManagedFields managed,
                          const FieldContext& context);

struct Applied {
  value::Value object;  // as it shall be stored, before defaults
  ManagedFields managed;
  bool changed = true;  // false: the object equals the live one
};
// Lays `config` over `live` in the name of the context's manager.
Answer<Applied> Apply(const value::Value& live, const value::Value& config, ManagedFields managed,
                      const FieldContext& context, bool force);

}  // namespace flotilla::sim::api
