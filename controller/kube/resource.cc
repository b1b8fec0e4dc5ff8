#include "kube/resource.h"

#include <algorithm>

#include "base/encoding.h"

namespace flotilla::kube {
namespace {

std::string Qualified(std::string_view name, std::string_view group) {
  std::string text(name);
  if (!group.empty()) text.append(1, '.').append(group);
  return text;
}

}  // namespace

std::string GroupKind::ToString() const { return Qualified(kind, group); }

std::string GroupVersionKind::ApiVersion() const {
  return group.empty() ? version : group + '/' + version;
}

std::string GroupVersionKind::ToString() const { return ApiVersion() + ' ' + kind; }

std::string GroupVersionResource::ToString() const {
  return Qualified(resource + '.' + version, group);
}

std::string ObjectKey::ToString() const { return ns.empty() ? name : ns + '/' + name; }

std::string ObjectId::ToString() const {
  return Qualified(kind, group) + ' ' + (ns.empty() ? name : ns + '/' + name);
}

bool ApiResource::HasVerb(std::string_view verb) const {
  return std::binary_search(verbs.begin(), verbs.end(), verb);
}

bool ApiResource::HasSubresource(std::string_view name) const {
  return std::binary_search(subresources.begin(), subresources.end(), name);
}

Result<GroupVersion> ParseApiVersion(std::string_view api_version) {
  const size_t slash = api_version.find('/');
  GroupVersion parsed;
  if (slash == std::string_view::npos) {
    parsed.version = api_version;
  } else {
    parsed.group = api_version.substr(0, slash);
    parsed.version = api_version.substr(slash + 1);
  }
  if (parsed.version.empty() || (slash != std::string_view::npos && parsed.group.empty()) ||
      parsed.version.find('/') != std::string::npos) {
    return Fail(ErrorClass::kInvalid, "apiVersion \"{}\" is not GROUP/VERSION or VERSION",
                api_version);
  }
  return parsed;
}

GroupVersionKind GvkOf(value::Ref object) {
  const std::string_view api_version = object["apiVersion"].String();
  const size_t slash = api_version.find('/');
  GroupVersionKind gvk;
  if (slash == std::string_view::npos) {
    gvk.version = api_version;
  } else {
    gvk.group = api_version.substr(0, slash);
    gvk.version = api_version.substr(slash + 1);
  }
  gvk.kind = object["kind"].String();
  return gvk;
}

ObjectKey KeyOf(value::Ref object) {
  return {std::string(NamespaceOf(object)), std::string(NameOf(object))};
}

ObjectId IdOf(value::Ref object) {
  GroupVersionKind gvk = GvkOf(object);
  return {std::move(gvk.group), std::move(gvk.kind), std::string(NamespaceOf(object)),
          std::string(NameOf(object))};
}

std::string_view NameOf(value::Ref object) { return object.At("metadata", "name").String(); }

std::string_view NamespaceOf(value::Ref object) {
  return object.At("metadata", "namespace").String();
}

std::string_view UidOf(value::Ref object) { return object.At("metadata", "uid").String(); }

std::string_view ResourceVersionOf(value::Ref object) {
  return object.At("metadata", "resourceVersion").String();
}

int64_t GenerationOf(value::Ref object) { return object.At("metadata", "generation").Int(); }

std::string_view LabelOf(value::Ref object, std::string_view key) {
  return object.At("metadata", "labels", key).String();
}

std::string_view AnnotationOf(value::Ref object, std::string_view key) {
  return object.At("metadata", "annotations", key).String();
}

std::string CollectionPath(const GroupVersionResource& gvr, std::string_view ns) {
  std::string path = gvr.group.empty() ? "/api/" : "/apis/" + PercentEncode(gvr.group) + '/';
  path += PercentEncode(gvr.version);
  if (!ns.empty()) path.append("/namespaces/").append(PercentEncode(ns));
  path.append(1, '/').append(PercentEncode(gvr.resource));
  return path;
}

std::string ObjectPath(const GroupVersionResource& gvr, const ObjectKey& key,
                       std::string_view subresource) {
  std::string path = CollectionPath(gvr, key.ns);
  path.append(1, '/').append(PercentEncode(key.name));
  if (!subresource.empty()) path.append(1, '/').append(PercentEncode(subresource));
  return path;
}

}  // namespace flotilla::kube
