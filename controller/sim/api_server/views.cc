#include "sim/api_server/views.h"

#include "value/json.h"

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

Value InVersion(const Value& object, const ResourceType& resource) {
  if (object["apiVersion"].String() == resource.api_version) return object;
  return value::Edited(object).Set({"apiVersion"}, Value(resource.api_version)).Done();
}

Value MetadataOnly(const Value& object) {
  return Value::Map({{"kind", "PartialObjectMetadata"},
                     {"apiVersion", "meta.k8s.io/v1"},
                     {"metadata", object.Share(object["metadata"])}});
}

void AppendObject(const Stored& stored, const ResourceType& resource, Projection projection,
                  std::string& out) {
  if (projection == Projection::kMetadata) {
    out += R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":)";
    value::AppendJson(stored.metadata(), out);
    out += '}';
  } else {
    value::AppendJson(InVersion(stored.object, resource), out);
  }
}

void AppendItem(const Stored& stored, const ResourceType& resource, Projection projection,
                std::string& out) {
  if (projection != Projection::kFull || resource.is_custom()) {
    AppendObject(stored, resource, projection, out);
    return;
  }
  out += '{';
  bool first = true;
  for (auto [key, value] : stored.object.ref().Members()) {
    if (key == "apiVersion" || key == "kind") continue;
    if (!first) out += ',';
    first = false;
    out.append("\"").append(key).append("\":");
    value::AppendJson(value, out);
  }
  out += '}';
}

}  // namespace flotilla::sim::api
