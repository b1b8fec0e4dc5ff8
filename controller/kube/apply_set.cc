#include "kube/apply_set.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/compress.h"
#include "base/digest.h"
#include "base/encoding.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

using value::Ref;
using value::Value;

constexpr const char* kBinaryKey = "inventory";
constexpr const char* kManagedBy = "app.kubernetes.io/managed-by";
constexpr const char* kParentLabel = "flotilla.dev/parent";
constexpr size_t kDigits = 40;

void Member(std::string& json, const char* key, std::string_view text) {
  if (text.empty()) return;
  if (json.back() != '{') json += ',';
  json.append(1, '"').append(key).append("\":");
  AppendJsonString(json, text);
}

std::string ToJson(const std::vector<InventoryEntry>& inventory) {
  std::string json = R"({"version":1,"objects":[)";
  json.reserve(json.size() + inventory.size() * 256);
  for (const InventoryEntry& entry : inventory) {
    if (json.back() != '[') json += ',';
    json += '{';
    Member(json, "group", entry.id.group);
    Member(json, "kind", entry.id.kind);
    Member(json, "namespace", entry.id.ns);
    Member(json, "name", entry.id.name);
    Member(json, "uid", entry.uid);
    Member(json, "digest", entry.digest);
    if (entry.generation != 0) json.append(fmt::format(",\"generation\":{}", entry.generation));
    Member(json, "resourceVersion", entry.resource_version);
    json += '}';
  }
  return json += "]}";
}

Result<std::vector<InventoryEntry>> FromJson(std::string_view json) {
  const Result<Value> parsed = value::ParseJson(json);
  if (!parsed) return Pass(parsed);
  if ((*parsed)["version"].Int() != 1) {
    return Fail(ErrorClass::kInvalid, "version {} is not one that this program reads",
                (*parsed)["version"].Int());
  }
  const Ref objects = (*parsed)["objects"];
  if (objects.size() > limits::kObjectsPerApplication) {
    return Fail(ErrorClass::kInvalid, "{} objects are more than {} (kObjectsPerApplication)",
                objects.size(), limits::kObjectsPerApplication);
  }
  std::vector<InventoryEntry> inventory;
  inventory.reserve(objects.size());
  for (Ref object : objects.Items()) {
    InventoryEntry entry;
    entry.id = {object["group"].Text(), object["kind"].Text(), object["namespace"].Text(),
                object["name"].Text()};
    entry.uid = object["uid"].String();
    entry.digest = object["digest"].String();
    entry.generation = object["generation"].Int();
    entry.resource_version = object["resourceVersion"].String();
    if (entry.id.kind.empty() || entry.id.name.empty()) {
      return Fail(ErrorClass::kInvalid, "object {} has no kind or name", inventory.size());
    }
    inventory.push_back(std::move(entry));
  }
  return inventory;
}

// Group-kinds and namespaces as the ApplySet annotations list them: sorted, with commas.
std::string Join(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text.append(text.empty() ? "" : ",").append(name);
  return text;
}

std::set<GroupKind> ParseGroupKinds(std::string_view text) {
  std::set<GroupKind> kinds;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view one = text.substr(0, comma);
    const size_t dot = one.find('.');
    if (!one.empty()) {
      kinds.insert({dot == std::string_view::npos ? "" : std::string(one.substr(dot + 1)),
                    std::string(one.substr(0, dot))});
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return kinds;
}

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

Value ConfigMap(Value metadata, Value data, std::string_view bytes, Value immutable = {}) {
  return Value::Map({{"apiVersion", Value("v1")},
                     {"kind", Value("ConfigMap")},
                     {"metadata", std::move(metadata)},
                     {"immutable", std::move(immutable)},
                     {"data", std::move(data)},
                     {"binaryData", Value::Map({{kBinaryKey, Value(EncodeBase64(bytes))}})}});
}

Value Chunk(const std::string& parent, const std::string& name, std::string_view bytes) {
  return ConfigMap(Value::Map({{"name", Value(name)},
                               {"namespace", Value(kParentNamespace)},
                               {"labels", Value::Map({{kManagedBy, Value("flotilla")},
                                                      {kParentLabel, Value(parent)}})}}),
                   {}, bytes, Value(true));
}

Result<std::string> BytesOf(Ref config_map) {
  const Ref encoded = config_map.At("binaryData", kBinaryKey);
  std::optional<std::string> bytes = DecodeBase64(encoded.String());
  if (!encoded.IsString() || !bytes) {
    return Fail(ErrorClass::kInvalid, "ConfigMap {}: binaryData.{} is missing or damaged",
                KeyOf(config_map).ToString(), kBinaryKey);
  }
  return *std::move(bytes);
}

}  // namespace

std::string ApplySetId(std::string_view name, std::string_view ns, std::string_view kind,
                       std::string_view group) {
  const Digest digest = DigestOf(fmt::format("{}.{}.{}.{}", name, ns, kind, group));
  return "applyset-" + EncodeBase64Url(digest.View()) + "-v1";
}

std::string ParentId(std::string_view parent_name) {
  return ApplySetId(parent_name, kParentNamespace, "ConfigMap", "");
}

std::string ParentName(std::string_view hub_uid, std::string_view app_ns,
                       std::string_view app_name) {
  Sha256 hash;
  hash.UpdateField(hub_uid).UpdateField(app_ns).UpdateField(app_name);
  return "flotilla-" + hash.Finish().Hex().substr(0, kDigits);
}

Result<EncodedParent> Encode(Parent parent) {
  std::vector<InventoryEntry>& inventory = parent.inventory;
  std::sort(inventory.begin(), inventory.end(),
            [](const InventoryEntry& a, const InventoryEntry& b) { return a.id < b.id; });
  if (inventory.size() > limits::kObjectsPerApplication) {
    return Fail(ErrorClass::kInvalid,
                "the inventory of {} objects is larger than {} (kObjectsPerApplication)",
                inventory.size(), limits::kObjectsPerApplication);
  }
  std::set<std::string> kinds;
  std::set<std::string> namespaces;
  for (const GroupKind& kind : parent.group_kinds) kinds.insert(kind.ToString());
  for (size_t i = 0; i < inventory.size(); ++i) {
    const ObjectId& id = inventory[i].id;
    if (id.kind.empty() || id.name.empty()) {
      return Fail(ErrorClass::kInvalid, "an object of the inventory has no kind or name");
    }
    if (i > 0 && inventory[i - 1].id == id) {
      return Fail(ErrorClass::kInvalid, "{} is in the inventory twice", id.ToString());
    }
    kinds.insert(id.ToGroupKind().ToString());
    if (!id.ns.empty() && id.ns != kParentNamespace) namespaces.insert(id.ns);
  }
  const std::string json = ToJson(inventory);
  if (json.size() > limits::kInventoryBytes) {
    return Fail(ErrorClass::kInvalid, "the inventory takes more than {} bytes (kInventoryBytes)",
                limits::kInventoryBytes);
  }
  const std::string bytes = Compress(json);

  EncodedParent encoded;
  std::string names;
  std::string_view rest = bytes;
  const auto take = [&rest] {
    const std::string_view part = rest.substr(0, limits::kInventoryChunkBytes);
    rest.remove_prefix(part.size());
    return part;
  };
  const std::string_view first = take();
  while (!rest.empty()) {
    const std::string_view part = take();
    const std::string name = parent.name + '-' + DigestOf(part).Hex().substr(0, 12);
    names.append(names.empty() ? "" : ",").append(name);
    encoded.chunks.push_back(Chunk(parent.name, name, part));
  }
  if (encoded.chunks.size() > limits::kInventoryChunks) {
    return Fail(ErrorClass::kInvalid, "the inventory takes more than {} parts (kInventoryChunks)",
                limits::kInventoryChunks);
  }

  const auto given = [](std::string_view text) { return text.empty() ? Value() : Value(text); };
  Value metadata = Value::Map(
      {{"name", Value(parent.name)},
       {"namespace", Value(kParentNamespace)},
       {"uid", given(parent.uid)},
       {"resourceVersion", given(parent.resource_version)},
       {"labels",
        Value::Map({{kApplySetId, Value(ParentId(parent.name))}, {kManagedBy, Value("flotilla")}})},
       {"annotations", Value::Map({{kApplySetTooling, Value(kTooling)},
                                   {kApplySetGroupKinds, Value(Join(kinds))},
                                   {kApplySetNamespaces, Value(Join(namespaces))}})}});
  Value data = Value::Map(
      {{"hub", Value(parent.hub_uid)},
       {"application", Value(parent.application_ns + '/' + parent.application)},
       {"fence", Value(std::to_string(parent.fence))},
       {"target", given(parent.target_digest)},
       {"phase", given(parent.phase)},
       {"appliedAt", parent.applied_at ? Value(FormatMicroTime(*parent.applied_at)) : Value()},
       {"inventorySha256", Value(DigestOf(bytes).Hex())},
       {"inventoryChunks", given(names)}});
  encoded.config_map = ConfigMap(std::move(metadata), std::move(data), first);
  return encoded;
}

Result<ParentHead> DecodeHead(Ref config_map) {
  ParentHead head;
  Parent& parent = head.parent;
  parent.name = NameOf(config_map);
  parent.uid = UidOf(config_map);
  parent.resource_version = ResourceVersionOf(config_map);
  const auto damaged = [&](std::string_view what) {
    return Fail(ErrorClass::kInvalid, "ApplySet parent {}/{}: {}", kParentNamespace, parent.name,
                what);
  };
  const std::string_view tooling = AnnotationOf(config_map, kApplySetTooling);
  if (!tooling.starts_with("flotilla/")) {
    return Fail(ErrorClass::kConflict, "ApplySet parent {}/{} belongs to another tool ({})",
                kParentNamespace, parent.name, tooling.empty() ? "none is named" : tooling);
  }
  if (LabelOf(config_map, kApplySetId) != ParentId(parent.name)) {
    return damaged(fmt::format("label {} is not the id of this object", kApplySetId));
  }
  const Ref data = config_map["data"];
  parent.hub_uid = data["hub"].String();
  if (parent.hub_uid.empty()) return damaged("data.hub is missing");
  const std::string_view application = data["application"].String();
  const size_t slash = application.find('/');
  if (slash == std::string_view::npos) return damaged("data.application is not NAMESPACE/NAME");
  parent.application_ns = application.substr(0, slash);
  parent.application = application.substr(slash + 1);
  const std::string_view fence = data["fence"].String();
  const auto [end, code] = std::from_chars(fence.data(), fence.data() + fence.size(), parent.fence);
  if (code != std::errc() || end != fence.data() + fence.size() || parent.fence < 0) {
    return damaged("data.fence is not a number");
  }
  parent.target_digest = data["target"].String();
  parent.phase = data["phase"].String();
  if (const Ref applied = data["appliedAt"]) {
    parent.applied_at = ParseTime(applied.String());
    if (!parent.applied_at) return damaged("data.appliedAt is not a time");
  }
  parent.group_kinds = ParseGroupKinds(AnnotationOf(config_map, kApplySetGroupKinds));
  parent.chunks = Split(data["inventoryChunks"].String());
  if (parent.chunks.size() > limits::kInventoryChunks) {
    return damaged("data.inventoryChunks names too many (kInventoryChunks)");
  }
  for (const std::string& chunk : parent.chunks) {
    if (!chunk.starts_with(parent.name + '-')) {
      return damaged("data.inventoryChunks names a ConfigMap of something else");
    }
  }
  head.sha256 = data["inventorySha256"].String();
  Result<std::string> bytes = BytesOf(config_map);
  if (!bytes) return Pass(bytes);
  head.first_bytes = *std::move(bytes);
  return head;
}

Result<Parent> Decode(ParentHead head, const std::vector<Value>& chunks) {
  Parent& parent = head.parent;
  const auto damaged = [&](std::string_view what) {
    return Fail(ErrorClass::kInvalid, "the inventory of ApplySet parent {}/{} {}", kParentNamespace,
                parent.name, what);
  };
  if (chunks.size() != parent.chunks.size()) {
    return damaged(fmt::format("has {} parts, not {}", parent.chunks.size(), chunks.size()));
  }
  std::string bytes = std::move(head.first_bytes);
  for (size_t i = 0; i < chunks.size(); ++i) {
    if (NameOf(chunks[i]) != parent.chunks[i]) {
      return damaged(fmt::format("wants {}, not {}", parent.chunks[i], NameOf(chunks[i])));
    }
    Result<std::string> part = BytesOf(chunks[i]);
    if (!part) return Pass(part);
    bytes += *part;
  }
  if (DigestOf(bytes).Hex() != head.sha256) return damaged("does not have the digest it should");
  const Result<std::string> json = Decompress(bytes, limits::kInventoryBytes);
  if (!json) return Fail(json, "the inventory of {}", parent.name);
  Result<std::vector<InventoryEntry>> inventory = FromJson(*json);
  if (!inventory) return Fail(inventory, "the inventory of {}", parent.name);
  parent.inventory = *std::move(inventory);
  return std::move(parent);
}

}  // namespace flotilla::kube
