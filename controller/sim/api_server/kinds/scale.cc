#include "sim/api_server/kinds/scale.h"

#include <fmt/format.h>

#include "sim/api_server/views.h"

namespace flotilla::sim::api {

using value::Path;
using value::Ref;
using value::Value;

namespace {

// ".spec.replicas" → {"spec", "replicas"}
Path ReadPath(std::string_view text) {
  Path path;
  while (!text.empty()) {
    if (text.front() == '.') text.remove_prefix(1);
    size_t dot = text.find('.');
    path.emplace_back(text.substr(0, dot));
    text.remove_prefix(dot == std::string_view::npos ? text.size() : dot);
  }
  return path;
}

Path ReplicasPath(const ResourceType& resource) {
  if (!resource.is_custom()) return {"spec", "replicas"};
  return ReadPath(resource.scale["specReplicasPath"].String());
}

bool Owns(const FieldSet& fields, const Path& path) {
  FieldSet at = fields;
  bool member = false;
  for (const value::Step& step : path) {
    const FieldSet::Child* child = at.Find(PathElement::Field(step.key));
    if (child == nullptr) return false;
    member = child->member;
    at = FieldSet(child->below);
  }
  return member;
}

// The replicas change hands only where they were in somebody's hands (apimachinery: ScaleHandler);
// such an entry has no time.
ManagedFields TrackScale(const Value& before, const Value& after, const ResourceType& resource,
                         const WriteContext& context) {
  ManagedFields managed = ManagedFields::Read(before["metadata"]);
  Path path = ReplicasPath(resource);
  bool owned = false;
  for (const auto& [manager, fields] : managed.owners_) owned |= Owns(fields.fields, path);
  if (!owned) return managed;
  FieldContext fields;
  fields.type = resource.type;
  fields.api_version = resource.api_version;
  fields.manager = context.field_manager;
  fields.subresource = "scale";
  return TrackUpdate(before, after, std::move(managed), fields);
}

std::string SelectorText(Ref selector) {
  if (selector.IsString()) return selector.Text();
  std::string text;
  for (auto [key, value] : selector["matchLabels"].Members()) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value.String());
  }
  return text;
}

}  // namespace

Value ScaleOf(const Stored& stored, const ResourceType& resource) {
  Ref object = stored.object;
  Ref metadata = object["metadata"];
  Path status = resource.is_custom() ? ReadPath(resource.scale["statusReplicasPath"].String())
                                     : Path{"status", "replicas"};
  Ref selector =
      resource.is_custom()
          ? value::Find(object, ReadPath(resource.scale["labelSelectorPath"].String(".")))
          : object["spec"]["selector"];
  std::string shown = resource.is_custom() && !resource.scale["labelSelectorPath"]
                          ? std::string()
                          : SelectorText(selector);
  int64_t replicas = value::Find(object, ReplicasPath(resource)).Int();
  auto share = [&](const char* field) { return stored.object.Share(metadata[field]); };
  return Value::Map(
      {{"kind", "Scale"},
       {"apiVersion", "autoscaling/v1"},
       {"metadata", Value::Map({{"name", share("name")},
                                {"namespace", share("namespace")},
                                {"uid", share("uid")},
                                {"resourceVersion", share("resourceVersion")},
                                {"creationTimestamp", share("creationTimestamp")}})},
       {"spec", replicas ? Value::Map({{"replicas", replicas}}) : Value::Map({})},
       {"status", Value::Map({{"replicas", value::Find(object, status).Int()},
                              {"selector", shown.empty() ? Value() : Value(shown)}})}});
}

Answer<Reply> GetScale(const Stored& stored, const ResourceType& resource) {
  if (!value::Find(stored.object, ReplicasPath(resource))) {
    return Refuse(InternalError(fmt::format("the spec replicas field \"{}\" does not exist",
                                            resource.scale["specReplicasPath"].String())));
  }
  Reply reply;
  reply.body = ScaleOf(stored, resource);
  return reply;
}

Answer<Reply> UpdateScale(Server& server, const ResourcePtr& resource, const StoredPtr& live,
                          const Value& scale, const WriteContext& context) {
  std::string_view version = scale["metadata"]["resourceVersion"].String();
  if (!version.empty() && version != std::to_string(live->rv)) {
    return Refuse(ModifiedConflict(resource->resource(), live->name));
  }
  Ref replicas = scale["spec"]["replicas"];
  if (replicas.Int() < 0) {
    return Refuse(Invalid(
        "autoscaling", "Scale", live->name,
        {FieldError::Invalid("spec.replicas", replicas, "must be greater than or equal to 0")}));
  }
  Value object = value::Edited(InVersion(live->object, *resource))
                     .Set(ReplicasPath(*resource), Value(replicas.Int()))
                     .Done();
  ManagedFields managed = TrackScale(live->object, object, *resource, context);
  auto updated = server.ReplaceObject(resource, live, std::move(object), context, &managed);
  if (!updated) return Refuse(updated);
  Reply reply;
  reply.body = ScaleOf(**updated, *resource);
  return reply;
}

}  // namespace flotilla::sim::api
