// Which resources are served.
#include <fmt/format.h>
#include <algorithm>

#include "kube/schema/builtin.h"
#include "kube/schema/conform.h"
#include "sim/api_server/server.h"

namespace flotilla::sim::api {
namespace {

// Kinds whose strategy counts spec changes in metadata.generation.
bool CountsGenerations(std::string_view group, std::string_view kind) {
  if (group == "apps") return kind != "ControllerRevision";
  if (group == "batch" || group == "policy" || group == "admissionregistration.k8s.io" ||
      group == "apiextensions.k8s.io" || group == "autoscaling" || group == "discovery.k8s.io" ||
      group == "flowcontrol.apiserver.k8s.io") {
    return true;
  }
  if (group == "networking.k8s.io") {
    return kind == "Ingress" || kind == "NetworkPolicy" || kind == "IngressClass";
  }
  if (group == "scheduling.k8s.io") return kind == "PriorityClass";
  return group.empty() &&
         (kind == "Pod" || kind == "PodTemplate" || kind == "ReplicationController");
}

// Versions that another version of the same objects already serves; there is no conversion.
bool IsLeftOut(const kube::schema::TypeFacts& facts) {
  return (facts.group == "autoscaling" && facts.version == "v1") || facts.kind == "Binding" ||
         facts.kind == "ComponentStatus";
}

std::string Key(std::string_view group, std::string_view version, std::string_view plural) {
  return fmt::format("{}/{}/{}", group, version, plural);
}

}  // namespace

ResourcePtr Server::FindResource(std::string_view group, std::string_view version,
                                 std::string_view plural) const {
  auto at = resources.find(Key(group, version, plural));
  return at == resources.end() ? nullptr : at->second;
}

ResourcePtr Server::FindStorage(std::string_view group, std::string_view plural) const {
  for (const auto& [key, resource] : resources) {
    if (resource->group == group && resource->plural == plural) return resource;
  }
  return nullptr;
}

ResourcePtr Server::FindKind(std::string_view group, std::string_view kind) const {
  for (const auto& [key, resource] : resources) {
    if (resource->kind == kind && resource->group == group) return resource;
  }
  return nullptr;
}

std::vector<ResourcePtr> Server::Resources() const {
  std::vector<ResourcePtr> all;
  for (const auto& [key, resource] : resources) all.push_back(resource);
  return all;
}

void Server::Serve(ResourcePtr resource) {
  openapi.clear();
  auto served = std::make_shared<ResourceType>(*resource);
  if (!served->table) {
    std::shared_ptr<Table>& table = tables[served->resource().ToString()];
    if (!table) table = std::make_shared<Table>();
    served->table = table;
  }
  served->zero = value::Value::Map(
      {{"apiVersion", value::Value(served->api_version)}, {"kind", value::Value(served->kind)}});
  if (!served->is_custom()) {
    std::vector<kube::schema::FieldIssue> issues;
    served->zero =
        kube::schema::Conform(served->zero, *served->type, kube::schema::Defaults::kNone, issues);
  }
  resources[Key(served->group, served->version, served->plural)] = std::move(served);
}

void Server::StopServing(std::string_view crd) {
  openapi.clear();
  for (auto at = resources.begin(); at != resources.end();) {
    at = at->second->crd == crd ? resources.erase(at) : std::next(at);
  }
}

void Server::Bootstrap() {
  for (const kube::schema::TypeFacts& facts : kube::schema::Builtins()) {
    if (IsLeftOut(facts)) continue;
    auto resource = std::make_shared<ResourceType>();
    resource->group = facts.group;
    resource->version = facts.version;
    resource->api_version = facts.ApiVersion();
    resource->kind = facts.kind;
    resource->list_kind = resource->kind + "List";
    resource->plural = facts.plural;
    resource->singular = facts.singular;
    resource->short_names.assign(facts.short_names.begin(), facts.short_names.end());
    resource->categories.assign(facts.categories.begin(), facts.categories.end());
    resource->verbs.assign(facts.verbs.begin(), facts.verbs.end());
    resource->namespaced = facts.namespaced;
    resource->has_status = facts.has_status;
    resource->has_scale = facts.has_scale;
    resource->has_generation = CountsGenerations(facts.group, facts.kind);
    resource->type = facts.type;
    Serve(std::move(resource));
  }
  ResourcePtr namespaces = FindResource("", "v1", "namespaces");
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    value::Value object = value::Value::Map({{"apiVersion", "v1"},
                                             {"kind", "Namespace"},
                                             {"metadata", value::Value::Map({{"name", name}})}});
    (void)CreateObject(namespaces, "", std::move(object),
                       OwnContext(*namespaces, "", name, "create"));
  }
  Settle();
}

}  // namespace flotilla::sim::api
