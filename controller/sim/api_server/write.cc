// Create, update and patch.
#include <fmt/format.h>
#include <algorithm>

#include "kube/schema/builtin.h"
#include "kube/schema/conform.h"
#include "kube/schema/custom.h"
#include "sim/api_server/fields/patch.h"
#include "sim/api_server/fields/structure.h"
#include "sim/api_server/kinds/crds.h"
#include "sim/api_server/kinds/defaults.h"
#include "sim/api_server/kinds/scale.h"
#include "sim/api_server/kinds/validation.h"
#include "sim/api_server/server.h"
#include "sim/api_server/views.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::sim::api {

using kube::schema::FieldIssue;
using value::Ref;
using value::Value;

namespace {

using Members = std::vector<std::pair<std::string, Value>>;

std::string CannotBeHandled(const ResourceType& resource, std::string_view why) {
  return fmt::format("{} in version \"{}\" cannot be handled as a {}: {}", resource.kind,
                     resource.version, resource.kind, why);
}

// Unknown fields are refused, warned of, or ignored.
std::optional<ApiError> ReportUnknown(const std::vector<std::string>& unknown,
                                      const ResourceType& resource, const WriteContext& context) {
  if (unknown.empty() || context.field_validation == "Ignore") return std::nullopt;
  if (context.field_validation == "Strict") {
    std::string list;
    for (const std::string& path : unknown) {
      list += fmt::format("{}unknown field \"{}\"", list.empty() ? "" : ", ", path);
    }
    return BadRequest(CannotBeHandled(resource, "strict decoding error: " + list));
  }
  if (context.warnings != nullptr) {
    for (const std::string& path : unknown) {
      context.warnings->push_back(fmt::format("unknown field \"{}\"", path));
    }
  }
  return std::nullopt;
}

Answer<Value> Settled(Value object, std::vector<FieldIssue> issues, const ResourceType& resource,
                      const WriteContext& context) {
  std::vector<std::string> unknown;
  for (FieldIssue& issue : issues) {
    if (issue.kind == FieldIssue::Kind::kWrongType) {
      return Refuse(BadRequest(CannotBeHandled(resource, issue.detail)));
    }
    unknown.push_back(std::move(issue.path));
  }
  if (auto refused = ReportUnknown(unknown, resource, context)) return Refuse(*std::move(refused));
  return object;
}

Answer<Value> DecodeCustom(Value object, const ResourceType& resource,
                           const WriteContext& context) {
  std::vector<std::string> unknown;
  object = resource.custom->Prune(object, &unknown);
  std::vector<FieldIssue> issues;
  Value metadata = object.Share(object["metadata"]);
  if (!metadata.ref().IsMap()) metadata = Value::Map({});
  Value conformed = kube::schema::Conform(metadata, *kube::schema::FindType("meta.v1.ObjectMeta"),
                                          kube::schema::Defaults::kNone, issues);
  for (const FieldIssue& issue : issues) {
    if (issue.kind == FieldIssue::Kind::kUnknown) unknown.push_back("metadata." + issue.path);
  }
  if (auto refused = ReportUnknown(unknown, resource, context)) return Refuse(*std::move(refused));
  if (conformed.ref().node() != object["metadata"].node()) {
    object = value::Edited(std::move(object)).Set({"metadata"}, conformed).Done();
  }
  return resource.custom->Default(object);
}

// What a server's decoder and defaulter make of a body.
Answer<Value> Decode(Value object, const ResourceType& resource, const WriteContext& context) {
  if (!object.ref().IsMap()) return Refuse(BadRequest("the request body is no object"));
  std::string_view version = object["apiVersion"].String();
  std::string_view kind = object["kind"].String();
  if (!version.empty() && version != resource.api_version) {
    return Refuse(BadRequest(
        fmt::format("the API version in the data ({}) does not match the expected API version ({})",
                    version, resource.api_version)));
  }
  if (!kind.empty() && kind != resource.kind) {
    return Refuse(
        BadRequest(fmt::format("{} in version \"{}\" cannot be handled as a {}: unknown "
                               "conversion",
                               kind, resource.version, resource.kind)));
  }
  if (version.empty() || kind.empty()) {
    object = value::Edited(std::move(object))
                 .Set({"apiVersion"}, resource.api_version)
                 .Set({"kind"}, resource.kind)
                 .Done();
  }
  if (resource.is_custom()) return DecodeCustom(std::move(object), resource, context);
  std::vector<FieldIssue> issues;
  Value conformed =
      kube::schema::Conform(object, *resource.type, kube::schema::Defaults::kFill, issues);
  auto settled = Settled(std::move(conformed), std::move(issues), resource, context);
  if (!settled) return settled;
  return FillDefaults(*std::move(settled), resource.group, resource.kind);
}

Value WithoutManagedFields(const Value& object) {
  if (!object["metadata"]["managedFields"]) return object;
  return value::Edited(object).Remove({"metadata", "managedFields"}).Done();
}

FieldContext FieldsOf(const ResourceType& resource, const WriteContext& context, WallTime now) {
  FieldContext fields;
  fields.type = resource.type;
  fields.api_version = resource.api_version;
  fields.manager = context.field_manager;
  fields.subresource = context.info.subresource;
  fields.resets_status = resource.has_status;
  fields.now = FormatTime(now);
  return fields;
}

// Puts metadata in the order in which servers write it, with these changes.
Value WithMetadata(const Value& object, const Members& changes) {
  static constexpr std::string_view kOrder[] = {"name",
                                                "generateName",
                                                "namespace",
                                                "selfLink",
                                                "uid",
                                                "resourceVersion",
                                                "generation",
                                                "creationTimestamp",
                                                "deletionTimestamp",
                                                "deletionGracePeriodSeconds",
                                                "labels",
                                                "annotations",
                                                "ownerReferences",
                                                "finalizers",
                                                "managedFields"};
  Members metadata;
  auto find = [&](std::string_view key) -> Value {
    for (const auto& [name, value] : changes) {
      if (name == key) return value;
    }
    return object.Share(object["metadata"][key]);
  };
  for (std::string_view key : kOrder) {
    Value value = find(key);
    if (value && !value.ref().IsNull()) metadata.emplace_back(key, std::move(value));
  }
  return value::Edited(object).Set({"metadata"}, Value::Map(metadata)).Done();
}

std::optional<ApiError> CheckNamespace(const Server& server, const ResourceType& resource,
                                       std::string_view ns, std::string_view name) {
  if (!resource.namespaced) return std::nullopt;
  StoredPtr found = server.FindResource("", "v1", "namespaces")->table->Find("", ns);
  if (!found) return NotFound({"", "namespaces"}, ns);
  if (!found->metadata()["deletionTimestamp"]) return std::nullopt;
  ApiError error = Forbidden(
      resource.resource(), name,
      fmt::format("unable to create new content in namespace {} because it is being terminated",
                  ns));
  error.causes.push_back({"NamespaceTerminating",
                          fmt::format("namespace {} is being terminated", ns),
                          "metadata.namespace"});
  return error;
}

std::vector<FieldError> Validate(Ref object, const ResourceType& resource) {
  std::vector<FieldError> errors = ValidateMetadata(object, resource);
  std::vector<FieldError> more = resource.is_custom() ? ValidateCustom(*resource.custom, object)
                                 : resource.plural == "customresourcedefinitions"
                                     ? ValidateDefinition(object)
                                     : ValidateSpec(object, resource);
  errors.insert(errors.end(), more.begin(), more.end());
  return errors;
}

// The spec of an object: what metadata.generation counts the changes of.
bool SameSpec(Ref object, Ref live, const ResourceType& resource) {
  for (const auto* sides : {&object, &live}) {
    Ref one = *sides, other = sides == &object ? live : object;
    for (auto [key, value] : one.Members()) {
      if (key == "metadata" || key == "status" || key == "apiVersion" || key == "kind") continue;
      if (value != other[key]) return false;
    }
  }
  return !(resource.kind == "Deployment" && resource.group == "apps") ||
         object["metadata"]["annotations"] == live["metadata"]["annotations"];
}

bool MayCreateOnUpdate(const ResourceType& resource) {
  if (resource.group == "rbac.authorization.k8s.io" || resource.plural == "leases") return true;
  return resource.group.empty() &&
         (resource.plural == "services" || resource.plural == "endpoints" ||
          resource.plural == "events" || resource.plural == "limitranges");
}

bool MayUpdateUnconditionally(const ResourceType& resource) {
  return !resource.is_custom() && resource.plural != "leases" &&
         resource.group != "apiextensions.k8s.io" && resource.group != "apiregistration.k8s.io" &&
         resource.group != "admissionregistration.k8s.io" &&
         resource.plural != "poddisruptionbudgets";
}

// Only status and metadata.managedFields come from a write to the status subresource; everything
// but status from a write to the resource.
Value Isolate(const Value& object, const Value& live, const ResourceType& resource,
              std::string_view subresource) {
  if (!resource.has_status) return object;
  if (subresource == "status") {
    value::Edited merged(live);
    if (Ref status = object["status"]) {
      merged.Set({"status"}, object.Share(status));
    } else {
      merged.Remove({"status"});
    }
    // Preconditions of the writer still count.
    if (Ref version = object["metadata"]["resourceVersion"]) {
      merged.Set({"metadata", "resourceVersion"}, object.Share(version));
    }
    return merged.Done();
  }
  value::Edited merged(object);
  if (Ref status = live["status"]) {
    merged.Set({"status"}, live.Share(status));
  } else {
    merged.Remove({"status"});
  }
  return merged.Done();
}

std::optional<ApiError> CheckIdentity(Ref object, const RequestInfo& info) {
  std::string_view name = object["metadata"]["name"].String();
  std::string_view ns = object["metadata"]["namespace"].String();
  if (!name.empty() && name != info.name) {
    return BadRequest(fmt::format(
        "the name of the object ({}) does not match the name on the URL ({})", name, info.name));
  }
  bool is_namespace = info.group.empty() && info.resource == "namespaces";
  if (!ns.empty() && ns != info.namespace_name && !is_namespace) {
    return BadRequest(
        "the namespace of the provided object does not match the namespace sent on the request");
  }
  return std::nullopt;
}

// The managed fields that an update starts from (apimachinery: decodeLiveOrNew).
ManagedFields StartingFields(Ref object, Ref live, std::string_view subresource) {
  if (subresource.empty()) {
    Ref given = object["metadata"]["managedFields"];
    bool reset = (given.IsList() && given.size() == 0) ||
                 (given.size() == 1 && given[size_t{0}].size() == 0);
    if (reset) return {};
    if (given) {
      ManagedFields managed = ManagedFields::Read(object["metadata"]);
      if (!managed.empty()) return managed;
    }
  }
  return ManagedFields::Read(live["metadata"]);
}

}  // namespace

Answer<StoredPtr> Server::CreateObject(const ResourcePtr& resource, std::string_view ns,
                                       Value object, const WriteContext& context,
                                       const ManagedFields* managed) {
  std::string_view given_ns = object["metadata"]["namespace"].String();
  if (!given_ns.empty() && given_ns != ns && resource->namespaced) {
    return Refuse(BadRequest(
        "the namespace of the provided object does not match the namespace sent on the request"));
  }
  if (managed == nullptr && !object["metadata"]["resourceVersion"].String().empty()) {
    ApiError error;
    error.message = "resourceVersion should not be set on objects to be created";
    return Refuse(std::move(error));
  }
  auto decoded = Decode(std::move(object), *resource, context);
  if (!decoded) return Refuse(decoded);
  Value created = *std::move(decoded);
  std::string name = created["metadata"]["name"].Text();
  std::string prefix = created["metadata"]["generateName"].Text();
  bool generated = name.empty() && !prefix.empty();
  if (generated) name = prefix.substr(0, 58) + ids.NameSuffix();
  if (auto refused = CheckNamespace(*this, *resource, ns, name)) return Refuse(*std::move(refused));
  created = WithMetadata(created, {{"name", name.empty() ? Value() : Value(name)},
                                   {"namespace", resource->namespaced ? Value(ns) : Value()},
                                   {"uid", ids.Uid()},
                                   {"creationTimestamp", FormatTime(WallNow())},
                                   {"generation", resource->has_generation ? Value(1) : Value()},
                                   {"deletionTimestamp", Value()},
                                   {"deletionGracePeriodSeconds", Value()},
                                   {"selfLink", Value()},
                                   {"resourceVersion", Value()}});
  if (resource->has_status) {
    Ref zero = resource->zero["status"];
    value::Edited edited(std::move(created));
    if (zero) {
      edited.Set({"status"}, resource->zero.Share(zero));
    } else {
      edited.Remove({"status"});
    }
    created = edited.Done();
  }
  ManagedFields fields = managed != nullptr
                             ? *managed
                             : TrackUpdate(resource->zero, WithoutManagedFields(created), {},
                                           FieldsOf(*resource, context, WallNow()));
  created = PrepareForCreate(*this, std::move(created), *resource);
  if (auto errors = Validate(created, *resource); !errors.empty()) {
    return Refuse(Invalid(resource->group, resource->kind, name, std::move(errors)));
  }
  if (resource->table->Find(ns, name)) {
    return Refuse(generated ? GenerateNameConflict(resource->resource(), name)
                            : AlreadyExists(resource->resource(), name));
  }
  created = WithMetadata(WithoutManagedFields(created), {{"managedFields", fields.ToValue()}});
  return Commit(resource, nullptr, std::move(created), context);
}

Answer<StoredPtr> Server::ReplaceObject(const ResourcePtr& resource, const StoredPtr& live,
                                        Value object, const WriteContext& context,
                                        const ManagedFields* managed) {
  auto decoded = Decode(std::move(object), *resource, context);
  if (!decoded) return Refuse(decoded);
  Value before = InVersion(live->object, *resource);
  Value after = Isolate(*decoded, before, *resource, context.info.subresource);
  std::string_view version = after["metadata"]["resourceVersion"].String();
  if (version.empty()) {
    if (!MayUpdateUnconditionally(*resource)) {
      return Refuse(
          Invalid(resource->group, resource->plural, live->name,
                  {{"FieldValueInvalid", "Invalid value: 0: must be specified for an update",
                    "metadata.resourceVersion"}}));
    }
  } else if (version != std::to_string(live->rv)) {
    return Refuse(ModifiedConflict(resource->resource(), live->name));
  }
  after = PrepareForUpdate(std::move(after), before, *resource);
  Ref old = before["metadata"];
  Ref now = after["metadata"];
  auto keep = [&](const char* field) { return before.Share(old[field]); };
  after = WithMetadata(
      after, {{"name", now["name"] ? after.Share(now["name"]) : keep("name")},
              {"namespace", now["namespace"] ? after.Share(now["namespace"]) : keep("namespace")},
              {"uid", now["uid"] ? after.Share(now["uid"]) : keep("uid")},
              {"creationTimestamp", keep("creationTimestamp")},
              {"deletionTimestamp", keep("deletionTimestamp")},
              {"deletionGracePeriodSeconds", keep("deletionGracePeriodSeconds")},
              {"generation", keep("generation")},
              {"resourceVersion", keep("resourceVersion")}});
  std::vector<FieldError> errors = ValidateMetadataUpdate(after, before);
  for (const auto& more :
       {Validate(after, *resource), ValidateSpecUpdate(after, before, *resource)}) {
    errors.insert(errors.end(), more.begin(), more.end());
  }
  if (!errors.empty()) {
    return Refuse(Invalid(resource->group, resource->kind, live->name, std::move(errors)));
  }
  if (resource->has_generation && context.info.subresource != "status" &&
      !SameSpec(after, before, *resource)) {
    after = WithMetadata(after, {{"generation", Value(old["generation"].Int() + 1)}});
  }
  Value bare_before = WithoutManagedFields(before), bare_after = WithoutManagedFields(after);
  ManagedFields was = ManagedFields::Read(before["metadata"]);
  ManagedFields fields =
      managed != nullptr ? *managed : StartingFields(*decoded, before, context.info.subresource);
  // What nobody has been recorded for is not recorded from now on either.
  if (managed == nullptr && !fields.empty()) {
    fields = TrackUpdate(bare_before, WithoutManagedFields(*decoded), std::move(fields),
                         FieldsOf(*resource, context, WallNow()));
  }
  // A write that changes nothing but times is none.
  if (bare_before == bare_after && fields == was) return live;
  after = WithMetadata(bare_after, {{"managedFields", fields.ToValue()}});
  if (after["metadata"]["deletionTimestamp"] && after["metadata"]["finalizers"].size() == 0 &&
      !(resource->kind == "Namespace" && after["spec"]["finalizers"].size() != 0)) {
    EraseObject(resource, live, context);
    auto gone = std::make_shared<Stored>(*live);
    gone->object = after;
    return gone;
  }
  return Commit(resource, live, std::move(after), context);
}

Answer<Reply> Server::Create(const Request& request, const ResourcePtr& resource, Value body) {
  Reply reply;
  reply.code = 201;
  reply.resource = resource;
  auto created = CreateObject(resource, resource->namespaced ? request.info.namespace_name : "",
                              std::move(body), ContextOf(request, &reply.warnings));
  if (!created) return Refuse(created);
  reply.object = *std::move(created);
  return reply;
}

Answer<Reply> Server::Update(const Request& request, const ResourcePtr& resource, Value body) {
  Reply reply;
  reply.resource = resource;
  WriteContext context = ContextOf(request, &reply.warnings);
  std::string ns = resource->namespaced ? request.info.namespace_name : "";
  StoredPtr live = resource->table->Find(ns, request.info.name);
  if (request.info.subresource == "scale") {
    if (!live) return Refuse(NotFound(resource->resource(), request.info.name));
    return UpdateScale(*this, resource, live, body, context);
  }
  if (auto refused = CheckIdentity(body, request.info)) return Refuse(*std::move(refused));
  if (body.ref().IsMap() && body["metadata"]["name"].String().empty()) {
    return Refuse(BadRequest("name must be provided"));
  }
  Answer<StoredPtr> updated = StoredPtr();
  std::string_view uid = body["metadata"]["uid"].String();
  if (live && !uid.empty() && uid != live->uid) {
    return Refuse(
        Conflict(resource->resource(), live->name,
                 fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}",
                             uid, live->uid)));
  }
  if (live) {
    updated = ReplaceObject(resource, live, std::move(body), context);
  } else if (MayCreateOnUpdate(*resource) && request.info.subresource.empty()) {
    reply.code = 201;
    updated = CreateObject(resource, ns, std::move(body), context);
  } else {
    return Refuse(NotFound(resource->resource(), request.info.name));
  }
  if (!updated) return Refuse(updated);
  reply.object = *std::move(updated);
  return reply;
}

Answer<StoredPtr> Server::ApplyConfiguration(const Request& request, const ResourcePtr& resource,
                                             const StoredPtr& live, const Value& config,
                                             const WriteContext& context) {
  if (context.field_manager.empty() || !request.query.Has("fieldManager")) {
    return Refuse(Invalid("meta.k8s.io", "PatchOptions", "",
                          {FieldError::Required("fieldManager", "is required for apply patch")}));
  }
  if (!config.ref().IsMap()) return Refuse(BadRequest("error decoding patch: not an object"));
  if (config["apiVersion"].String() != resource->api_version ||
      config["kind"].String() != resource->kind) {
    auto [group, version] = kube::schema::SplitApiVersion(config["apiVersion"].String());
    return Refuse(BadRequest(fmt::format("invalid object type: {}/{}, Kind={}", group, version,
                                         config["kind"].String())));
  }
  if (config["metadata"]["managedFields"]) {
    return Refuse(BadRequest("metadata.managedFields must be nil"));
  }
  if (std::string problem = CheckStructure(config, *resource->type); !problem.empty()) {
    // A plain error of the field manager: a 500 without reason.
    ApiError error;
    std::string_view ns = config["metadata"]["namespace"].String();
    error.message = fmt::format("failed to create typed patch object ({}/{}; {}/{}, Kind={}): {}",
                                ns, config["metadata"]["name"].String(), resource->group,
                                resource->version, resource->kind, problem);
    return Refuse(std::move(error));
  }
  Value before = live ? InVersion(live->object, *resource) : resource->zero;
  FieldContext fields = FieldsOf(*resource, context, WallNow());
  ManagedFields managed = ManagedFields::Read(before["metadata"]);
  if (live && managed.empty()) {
    FieldContext first = fields;
    first.manager = "before-first-apply";
    managed = TrackUpdate(resource->zero, WithoutManagedFields(before), {}, first);
  }
  auto applied = Apply(WithoutManagedFields(before), config, std::move(managed), fields,
                       request.query.IsTrue("force"));
  if (!applied) return Refuse(applied);
  if (live) return ReplaceObject(resource, live, applied->object, context, &applied->managed);
  if (Ref uid = config["metadata"]["uid"]) {
    return Refuse(Conflict(resource->resource(), request.info.name,
                           fmt::format("uid mismatch: the provided object specified uid {}, and no "
                                       "existing object was found",
                                       uid.String())));
  }
  Value object = applied->object;
  if (object["metadata"]["name"].String().empty()) {
    object = value::Edited(object).Set({"metadata", "name"}, request.info.name).Done();
  }
  return CreateObject(resource, resource->namespaced ? request.info.namespace_name : "", object,
                      context, &applied->managed);
}

namespace {

Answer<Value> ReadPatch(std::string_view text) {
  auto json = value::ParseJson(text);
  if (json) return *std::move(json);
  auto yaml = value::ParseYaml(text);
  if (yaml && yaml->size() == 1) return yaml->front().value;
  return Refuse(BadRequest(fmt::format("error decoding patch: {}", json.error().ToString())));
}

Answer<Value> Patched(const Value& document, const Value& patch, std::string_view type,
                      const ResourceType& resource) {
  if (type == "application/merge-patch+json") {
    if (!patch.ref().IsMap()) return Refuse(BadRequest("error decoding patch: not an object"));
    return ApplyMergePatch(document, patch);
  }
  auto patched = type == "application/json-patch+json"
                     ? ApplyJsonPatch(document, patch)
                     : ApplyStrategicPatch(document, patch, *resource.type);
  if (patched) return *std::move(patched);
  ApiError error;
  error.code = 422;
  error.reason = "Invalid";
  error.message = "the server rejected our request due to an error in our request";
  if (!patch.ref().IsList() && !patch.ref().IsMap()) error = BadRequest(patched.error().ToString());
  return Refuse(std::move(error));
}

}  // namespace

Answer<Reply> Server::Patch(const Request& request, const ResourcePtr& resource) {
  Reply reply;
  reply.resource = resource;
  WriteContext context = ContextOf(request, &reply.warnings);
  std::string_view type = http::Find(request.http->headers, "Content-Type");
  type = type.substr(0, type.find(';'));
  bool apply = type == "application/apply-patch+yaml";
  bool strategic = type == "application/strategic-merge-patch+json" && !resource->is_custom();
  if (!apply && !strategic && type != "application/merge-patch+json" &&
      type != "application/json-patch+json") {
    return Refuse(UnsupportedMediaType(
        type,
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"));
  }
  if (!apply && request.query.Has("force")) {
    return Refuse(
        Invalid("meta.k8s.io", "PatchOptions", "",
                {FieldError::Forbidden("force", "may not be specified for non-apply patch")}));
  }
  auto patch = ReadPatch(request.http->body);
  if (!patch) return Refuse(patch);
  std::string ns = resource->namespaced ? request.info.namespace_name : "";
  StoredPtr live = resource->table->Find(ns, request.info.name);
  if (!live && (!apply || !request.info.subresource.empty())) {
    return Refuse(NotFound(resource->resource(), request.info.name));
  }
  if (request.info.subresource == "scale") {
    Value scale = ScaleOf(*live, *resource);
    Value merged = apply ? ApplyMergePatch(scale, *patch) : Value();
    if (!apply) {
      auto patched = Patched(scale, *patch, type, *resource);
      if (!patched) return Refuse(patched);
      merged = *std::move(patched);
    }
    return UpdateScale(*this, resource, live, merged, context);
  }
  Answer<StoredPtr> stored = StoredPtr();
  if (apply) {
    if (auto refused = CheckIdentity(*patch, request.info)) return Refuse(*std::move(refused));
    stored = ApplyConfiguration(request, resource, live, *patch, context);
    if (!live) reply.code = 201;
  } else {
    auto patched = Patched(InVersion(live->object, *resource), *patch, type, *resource);
    if (!patched) return Refuse(patched);
    if (auto refused = CheckIdentity(*patched, request.info)) return Refuse(*std::move(refused));
    stored = ReplaceObject(resource, live, *std::move(patched), context);
  }
  if (!stored) return Refuse(stored);
  reply.object = *std::move(stored);
  return reply;
}

}  // namespace flotilla::sim::api
