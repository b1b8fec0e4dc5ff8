// OpenAPI documents made from the type facts: enough for kubectl's validation, apply and explain,
// and for clients that look for the parameters dryRun and fieldValidation.
#include <fmt/format.h>
#include <set>

#include "kube/schema/builtin.h"
#include "kube/schema/custom.h"
#include "sim/api_server/kinds/discovery.h"

namespace flotilla::sim::api {

using kube::schema::Field;
using kube::schema::ListKind;
using kube::schema::Shape;
using kube::schema::Type;
using value::Ref;
using value::Value;

namespace {

using Members = std::vector<std::pair<std::string, Value>>;

std::string DefinitionName(std::string_view type) {
  std::string_view prefix = "io.k8s.api.";
  if (type.substr(0, 5) == "meta.") prefix = "io.k8s.apimachinery.pkg.apis.";
  if (type.substr(0, 14) == "apiextensions.") prefix = "io.k8s.apiextensions-apiserver.pkg.apis.";
  return std::string(prefix).append(type);
}

class Components {
 public:
  Value Schema(const Type& type) {
    switch (type.shape) {
      case Shape::kStruct:
        return Reference(type);
      case Shape::kMap:
        return Value::Map({{"type", "object"}, {"additionalProperties", Schema(*type.element)}});
      case Shape::kList:
        return ListSchema(type);
      case Shape::kBoolean:
        return Value::Map({{"type", "boolean"}});
      case Shape::kInteger:
        return Value::Map({{"type", "integer"}, {"format", "int64"}});
      case Shape::kNumber:
        return Value::Map({{"type", "number"}});
      case Shape::kTime:
        return Value::Map({{"type", "string"}, {"format", "date-time"}});
      case Shape::kBytes:
        return Value::Map({{"type", "string"}, {"format", "byte"}});
      case Shape::kIntOrString:
        return Value::Map({{"x-kubernetes-int-or-string", true},
                           {"format", "int-or-string"},
                           {"oneOf", OneOf("integer")}});
      case Shape::kQuantity:
        return Value::Map({{"oneOf", OneOf("number")}});
      case Shape::kAny:
        return Value::Map({{"type", "object"}});
      case Shape::kString:
        break;
    }
    return Value::Map({{"type", "string"}});
  }

  // The definition of a root, with the kinds that it is.
  void Root(const Type& type, const Value& kinds) {
    Reference(type);
    FillPending();
    std::string name = DefinitionName(type.name);
    for (auto& [key, value] : schemas_) {
      if (key == name) {
        value = value::Edited(value).Set({"x-kubernetes-group-version-kind"}, kinds).Done();
      }
    }
  }

  void Add(std::string name, Value schema) {
    schemas_.emplace_back(std::move(name), std::move(schema));
  }

  Value Done() {
    FillPending();
    return Value::Map(schemas_);
  }

  Value Reference(const Type& type) {
    if (type.name.empty()) return Definition(type);
    if (seen_.insert(type.name).second) pending_.push_back(&type);
    return Value::Map({{"$ref", "#/components/schemas/" + DefinitionName(type.name)}});
  }

 private:
  static Value OneOf(const char* other) {
    return Value::List({Value::Map({{"type", "string"}}), Value::Map({{"type", other}})});
  }

  Value ListSchema(const Type& type) {
    Members members{{"type", "array"}, {"items", Schema(*type.element)}};
    const char* kind = type.list_kind == ListKind::kMap   ? "map"
                       : type.list_kind == ListKind::kSet ? "set"
                                                          : "atomic";
    members.emplace_back("x-kubernetes-list-type", kind);
    if (type.list_kind == ListKind::kMap) {
      std::vector<Value> keys(type.keys.begin(), type.keys.end());
      members.emplace_back("x-kubernetes-list-map-keys", Value::List(keys));
    }
    return Value::Map(members);
  }

  Value Definition(const Type& type) {
    Members properties;
    std::vector<Value> required;
    for (const Field& field : type.fields) {
      Value schema = Schema(*field.type);
      if (field.patch_merge || field.patch_retain_keys) {
        std::string strategy = field.patch_merge ? "merge" : "";
        if (field.patch_retain_keys) strategy += strategy.empty() ? "retainKeys" : ",retainKeys";
        value::Edited edited(schema);
        edited.Set({"x-kubernetes-patch-strategy"}, strategy);
        if (!field.patch_merge_key.empty()) {
          edited.Set({"x-kubernetes-patch-merge-key"}, Value(field.patch_merge_key));
        }
        schema = edited.Done();
      }
      if (field.required) required.emplace_back(field.name);
      properties.emplace_back(field.name, std::move(schema));
    }
    return Value::Map({{"type", "object"},
                       {"properties", Value::Map(properties)},
                       {"required", required.empty() ? Value() : Value::List(required)},
                       {"x-kubernetes-map-type", type.atomic ? Value("atomic") : Value()}});
  }

  void FillPending() {
    while (!pending_.empty()) {
      const Type* type = pending_.back();
      pending_.pop_back();
      schemas_.emplace_back(DefinitionName(type->name), Definition(*type));
    }
  }

  Members schemas_;
  std::set<std::string_view> seen_;
  std::vector<const Type*> pending_;
};

Value Parameter(const char* name) {
  return Value::Map({{"name", name},
                     {"in", "query"},
                     {"schema", Value::Map({{"type", "string"}, {"uniqueItems", true}})}});
}

Value Operation(const char* action, const Value& kind, bool writes) {
  std::vector<Value> parameters;
  if (writes) {
    for (const char* name : {"dryRun", "fieldManager", "fieldValidation", "force"}) {
      parameters.push_back(Parameter(name));
    }
  }
  return Value::Map({{"parameters", Value::List(parameters)},
                     {"responses", Value::Map({{"200", Value::Map({{"description", "OK"}})}})},
                     {"x-kubernetes-action", action},
                     {"x-kubernetes-group-version-kind", kind}});
}

void AddPaths(const ResourceType& resource, const std::string& root, Members& paths) {
  Value kind = Value::Map(
      {{"group", resource.group}, {"version", resource.version}, {"kind", resource.kind}});
  std::string base =
      root + (resource.namespaced ? "/namespaces/{namespace}/" : "/") + resource.plural;
  Members collection, item;
  if (resource.Supports("list")) collection.emplace_back("get", Operation("list", kind, false));
  if (resource.Supports("create")) collection.emplace_back("post", Operation("post", kind, true));
  if (resource.Supports("get")) item.emplace_back("get", Operation("get", kind, false));
  if (resource.Supports("update")) item.emplace_back("put", Operation("put", kind, true));
  if (resource.Supports("patch")) item.emplace_back("patch", Operation("patch", kind, true));
  if (resource.Supports("delete")) item.emplace_back("delete", Operation("delete", kind, true));
  if (!collection.empty()) paths.emplace_back(base, Value::Map(collection));
  if (!item.empty()) paths.emplace_back(base + "/{name}", Value::Map(item));
}

// A custom kind's own schema, with metadata as every object has it.
Value CustomDefinition(const ResourceType& resource, Components& components, const Value& kinds) {
  Ref source = resource.custom->source();
  value::Edited edited(Value::Copy(source));
  edited.Set({"properties", "apiVersion"}, Value::Map({{"type", "string"}}));
  edited.Set({"properties", "kind"}, Value::Map({{"type", "string"}}));
  edited.Set({"properties", "metadata"},
             components.Reference(*kube::schema::FindType("meta.v1.ObjectMeta")));
  edited.Set({"x-kubernetes-group-version-kind"}, kinds);
  return edited.Done();
}

// "flotilla.dev", "v1", "Rollout" → "dev.flotilla.v1.Rollout"
std::string CustomName(const ResourceType& resource) {
  std::string name;
  std::string_view rest = resource.group;
  while (!rest.empty()) {
    size_t dot = rest.rfind('.');
    name.append(rest.substr(dot == std::string_view::npos ? 0 : dot + 1)).append(".");
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(0, dot);
  }
  return name + resource.version + "." + resource.kind;
}

}  // namespace

Value OpenApiV3(Server& server, std::string_view group, std::string_view version) {
  std::string key = fmt::format("{}/{}", group, version);
  if (auto made = server.openapi.find(key); made != server.openapi.end()) return made->second;
  Components components;
  Members paths;
  std::string root =
      group.empty() ? fmt::format("/api/{}", version) : fmt::format("/apis/{}/{}", group, version);
  for (const ResourcePtr& resource : server.Resources()) {
    if (resource->group != group || resource->version != version) continue;
    Value kinds = Value::List({Value::Map(
        {{"group", resource->group}, {"version", resource->version}, {"kind", resource->kind}})});
    if (resource->is_custom()) {
      components.Add(CustomName(*resource), CustomDefinition(*resource, components, kinds));
    } else {
      components.Root(*resource->type, kinds);
    }
    AddPaths(*resource, root, paths);
  }
  if (paths.empty()) return {};
  return server.openapi[key] = Value::Map(
             {{"openapi", "3.0.0"},
              {"info", Value::Map({{"title", "Kubernetes"}, {"version", server.options.version}})},
              {"paths", Value::Map(paths)},
              {"components", Value::Map({{"schemas", components.Done()}})}});
}

Value OpenApiV2(const Server& server) {
  return Value::Map(
      {{"swagger", "2.0"},
       {"info", Value::Map({{"title", "Kubernetes"}, {"version", server.options.version}})},
       {"paths", Value::Map({})},
       {"definitions", Value::Map({})}});
}

}  // namespace flotilla::sim::api
