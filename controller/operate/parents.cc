#include "operate/parents.h"

#include "value/json.h"

namespace flotilla::operate {
namespace {

const kube::GroupVersionResource kConfigMaps{"", "v1", "configmaps"};
// Parents are the controller's own records: they are written as itself, whoever owns the objects.
const kube::Impersonation kAsOurselves{};

}  // namespace

Result<std::optional<kube::Parent>> ReadParent(Member& member, deliver::Lane lane,
                                               const std::string& name, std::stop_token stop) {
  kube::Client& client = member.client(lane);
  auto stored = client.Find(kConfigMaps, {kube::kParentNamespace, name}, stop);
  if (!stored) return Fail(stored, "read the record of the application on {}", member.name());
  if (!*stored) return std::optional<kube::Parent>();
  auto head = kube::DecodeHead(**stored);
  if (!head) return Fail(head, "read the record of the application on {}", member.name());
  std::vector<value::Value> chunks;
  for (const std::string& chunk : head->parent.chunks) {
    auto part = client.Get(kConfigMaps, {kube::kParentNamespace, chunk}, stop);
    if (!part) return Fail(part, "read the inventory of the application on {}", member.name());
    chunks.push_back(std::move(*part));
  }
  auto parent = kube::Decode(std::move(*head), chunks);
  if (!parent) return Fail(parent, "read the inventory of the application on {}", member.name());
  return std::optional<kube::Parent>(std::move(*parent));
}

Result<kube::Parent> SwapParent(Member& member, deliver::Lane lane, kube::Parent parent,
                                std::stop_token stop) {
  auto encoded = kube::Encode(parent);
  if (!encoded) return Pass(encoded);
  kube::Client& client = member.client(lane);
  kube::WriteOptions options;
  options.impersonation = kAsOurselves;
  for (const value::Value& chunk : encoded->chunks) {
    auto made = client.Do(
        kube::CreateRequest(kConfigMaps, kube::kParentNamespace, value::ToJson(chunk), options), stop);
    if (!made && kube::ReasonOf(made.error()) != kube::Reason::kAlreadyExists) {
      return Fail(made, "record the inventory on {}", member.name());
    }
  }
  std::string body = value::ToJson(encoded->config_map);
  const kube::ObjectKey key{kube::kParentNamespace, parent.name};
  const bool create = parent.resource_version.empty();
  auto stored =
      client.Do(create ? kube::CreateRequest(kConfigMaps, key.ns, std::move(body), options)
                       : kube::UpdateRequest(kConfigMaps, key, std::move(body), options),
                stop);
  if (!stored) {
    if (kube::ReasonOf(stored.error()) == kube::Reason::kNamespaceNotFound) {
      return Fail(stored, "{} lacks the namespace {}: register it with `flotilla cluster add {}`",
                  member.name(), kube::kParentNamespace, member.name());
    }
    Error error = stored.error();
    if (kube::ReasonOf(error) == kube::Reason::kAlreadyExists) error.cls = ErrorClass::kConflict;
    return Fail(std::move(error), "record the target on {}", member.name());
  }
  auto head = kube::DecodeHead(*stored);
  if (!head) return Pass(head);
  parent.uid = head->parent.uid;
  parent.resource_version = head->parent.resource_version;
  parent.chunks = head->parent.chunks;
  return parent;
}

Status RemoveParent(Member& member, deliver::Lane lane, const kube::Parent& parent,
                    std::stop_token stop) {
  kube::DeleteOptions options;
  options.uid = parent.uid;
  options.resource_version = parent.resource_version;
  options.impersonation = kAsOurselves;
  auto removed = member.client(lane).Do(
      kube::DeleteRequest(kConfigMaps, {kube::kParentNamespace, parent.name}, options), stop);
  if (!removed && removed.error().cls != ErrorClass::kNotFound) return Pass(removed);
  for (const std::string& chunk : parent.chunks) {
    auto gone = member.client(lane).Do(
        kube::DeleteRequest(kConfigMaps, {kube::kParentNamespace, chunk}, {}), stop);
    if (!gone && gone.error().cls != ErrorClass::kNotFound) return Pass(gone);
  }
  return {};
}

}  // namespace flotilla::operate
