// What one application put on one cluster, recorded there.
//
// The record is a ConfigMap, the parent of an ApplySet as Kubernetes defines it
// (applyset.kubernetes.io, KEP-3659), so that kubectl and others see whose objects these are. It
// holds who wrote last (the fence), the target, and the inventory: the list of objects, which alone
// decides what may be pruned. Encoding and decoding are pure; operate/ swaps parents by
// resourceVersion.
//
// The inventory is zstd-compressed JSON in binaryData. A ConfigMap takes 1 MiB, so beyond 900 KiB
// the rest is in further ConfigMaps, named by their content: they are written before the parent
// that names them, and removed after no parent names them any more.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "base/time.h"
#include "kube/resource.h"
#include "value/value.h"

namespace flotilla::kube {

inline constexpr const char* kApplySetId = "applyset.kubernetes.io/id";  // label of parents
inline constexpr const char* kApplySetPartOf =
    "applyset.kubernetes.io/part-of";  // label of members
inline constexpr const char* kApplySetTooling = "applyset.kubernetes.io/tooling";
inline constexpr const char* kApplySetGroupKinds = "applyset.kubernetes.io/contains-group-kinds";
inline constexpr const char* kApplySetNamespaces = "applyset.kubernetes.io/additional-namespaces";
inline constexpr const char* kFenceAnnotation = "flotilla.dev/fence";  // also of every member
inline constexpr const char* kParentNamespace = "flotilla-system";
inline constexpr const char* kTooling = "flotilla/v1";

// "applyset-" + base64url(sha256("<name>.<namespace>.<kind>.<group>")) + "-v1".
std::string ApplySetId(std::string_view name, std::string_view ns, std::string_view kind,
                       std::string_view group);
// The id of the parent ConfigMap of that name: the value of kApplySetPartOf on its members.
std::string ParentId(std::string_view parent_name);
// "flotilla-" and 40 hex digits, of the hub and the application.
std::string ParentName(std::string_view hub_uid, std::string_view app_ns,
                       std::string_view app_name);

struct InventoryEntry {
  ObjectId id{};
  std::string uid{};
  std::string digest{};            // of the object as we want it, hex
  int64_t generation = 0;          // as our last write left it; 0 for kinds without
  std::string resource_version{};  // where generation is 0
  bool operator==(const InventoryEntry&) const = default;
};

struct Parent {
  std::string name{};
  std::string hub_uid{};
  std::string application_ns{};
  std::string application{};
  int64_t fence = 0;
  std::string target_digest{};  // of the release that is being, or was, applied
  std::string phase{};          // of operate/: "Applying", "Applied", ...
  std::optional<WallTime> applied_at{};
  std::set<GroupKind> group_kinds{};        // at least those of the inventory
  std::vector<InventoryEntry> inventory{};  // sorted by id
  // Of the stored object; empty before it exists.
  std::string uid{};
  std::string resource_version{};
  // ConfigMaps that hold the rest of a large inventory, as read; in order.
  std::vector<std::string> chunks{};
  bool operator==(const Parent&) const = default;
};

struct EncodedParent {
  value::Value config_map;           // with uid and resourceVersion where the parent has them
  std::vector<value::Value> chunks;  // to be written first; immutable, so AlreadyExists is success
};
// Sorts the inventory; adds its kinds to group_kinds. Invalid for two entries of one id.
Result<EncodedParent> Encode(Parent parent);

// Everything but the inventory that lies in chunks: `chunks` says which to read.
struct ParentHead {
  Parent parent;
  std::string first_bytes;  // of the compressed inventory
  std::string sha256;       // of all of them, hex
};
Result<ParentHead> DecodeHead(value::Ref config_map);
// `chunks`: the ConfigMaps that head.parent.chunks names, in order. Invalid where bytes are
// missing, damaged, or beyond the limits of base/limits.h.
Result<Parent> Decode(ParentHead head, const std::vector<value::Value>& chunks);

}  // namespace flotilla::kube
