// How stored objects are shown: in the version that was asked for, whole, as metadata only, or as
// the rows of a table (kubectl get).
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "sim/api_server/store.h"

namespace flotilla::sim::api {

// The object in the version of `resource`.
value::Value InVersion(const value::Value& object, const ResourceType& resource);
// A PartialObjectMetadata of it.
value::Value MetadataOnly(const value::Value& object);

// A metav1.Table with these objects as rows. `include` is "", "None", "Metadata" or "Object".
value::Value ToTable(const ResourceType& resource, const std::vector<value::Value>& objects,
                     const value::Value& list_metadata, std::string_view include, bool with_header,
                     WallTime now);

// Appends the JSON of one stored object as `projection` shows it (not as a table).
void AppendObject(const Stored& stored, const ResourceType& resource, Projection projection,
                  std::string& out);
// The same as an item of a list: those of built-in kinds leave apiVersion and kind out.
void AppendItem(const Stored& stored, const ResourceType& resource, Projection projection,
                std::string& out);

}  // namespace flotilla::sim::api
