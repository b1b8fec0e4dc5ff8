// Names of things in a Kubernetes API: kinds, resources, objects, and the paths they live at.
//
// All of these are plain values that order and compare. An ObjectId leaves the version out, because
// one object can be read through several versions of its group and is still one object.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "value/value.h"

namespace flotilla::kube {

struct GroupKind {
  std::string group;  // "" is the core group
  std::string kind;
  auto operator<=>(const GroupKind&) const = default;
  std::string ToString() const;  // "Deployment.apps", "ConfigMap"
};

struct GroupVersionKind {
  std::string group;
  std::string version;
  std::string kind;
  auto operator<=>(const GroupVersionKind&) const = default;
  GroupKind ToGroupKind() const { return {group, kind}; }
  std::string ApiVersion() const;  // "apps/v1", "v1"
  std::string ToString() const;    // "apps/v1 Deployment"
};

struct GroupVersionResource {
  std::string group;
  std::string version;
  std::string resource;  // plural, lower case
  auto operator<=>(const GroupVersionResource&) const = default;
  std::string ToString() const;  // "deployments.v1.apps"
};

// Where an object is, inside its kind. `ns` is empty for cluster-scoped objects.
struct ObjectKey {
  std::string ns;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
  std::string ToString() const;  // "ns/name", "name"
};

// Which object on a cluster, whatever the version it is written in.
struct ObjectId {
  std::string group;
  std::string kind;
  std::string ns;
  std::string name;
  auto operator<=>(const ObjectId&) const = default;
  GroupKind ToGroupKind() const { return {group, kind}; }
  ObjectKey Key() const { return {ns, name}; }
  std::string ToString() const;  // "Deployment.apps web/frontend": how messages name an object
};

// One resource as an API server serves it.
struct ApiResource {
  GroupVersionResource gvr{};
  std::string kind{};
  std::string singular{};
  bool namespaced = false;
  std::vector<std::string> verbs{};         // sorted
  std::vector<std::string> short_names{};   // as served
  std::vector<std::string> subresources{};  // "status", "scale", ...; sorted
  GroupVersionKind Gvk() const { return {gvr.group, gvr.version, kind}; }
  bool HasVerb(std::string_view verb) const;
  bool HasSubresource(std::string_view name) const;
  bool operator==(const ApiResource&) const = default;
};

// "apps/v1" → {"apps", "v1"}; "v1" → {"", "v1"}. Invalid for an empty part or a second slash.
struct GroupVersion {
  std::string group;
  std::string version;
  auto operator<=>(const GroupVersion&) const = default;
};
Result<GroupVersion> ParseApiVersion(std::string_view api_version);

// From apiVersion and kind of an object; parts that it lacks are empty.
GroupVersionKind GvkOf(value::Ref object);
ObjectKey KeyOf(value::Ref object);
ObjectId IdOf(value::Ref object);
// Members of metadata; "" or 0 where absent.
std::string_view NameOf(value::Ref object);
std::string_view NamespaceOf(value::Ref object);
std::string_view UidOf(value::Ref object);
std::string_view ResourceVersionOf(value::Ref object);
int64_t GenerationOf(value::Ref object);
std::string_view LabelOf(value::Ref object, std::string_view key);
std::string_view AnnotationOf(value::Ref object, std::string_view key);

// "/apis/apps/v1/namespaces/web/deployments", "/api/v1/nodes"; an empty `ns` of a namespaced
// resource means all namespaces. Segments are percent-encoded.
std::string CollectionPath(const GroupVersionResource& gvr, std::string_view ns);
// ".../deployments/frontend", ".../deployments/frontend/status".
std::string ObjectPath(const GroupVersionResource& gvr, const ObjectKey& key,
                       std::string_view subresource = {});

}  // namespace flotilla::kube
