#include "sim/api_server/kinds/crds.h"

#include <fmt/format.h>

namespace flotilla::sim::api {

using kube::schema::CustomSchema;
using kube::schema::Violation;
using value::Ref;
using value::Value;

namespace {

constexpr const char* kCleanup = "customresourcecleanup.apiextensions.k8s.io";

FieldError ToFieldError(const Violation& violation) {
  using K = Violation::Kind;
  switch (violation.kind) {
    case K::kRequired:
      return FieldError::Required(violation.path, "");
    case K::kType:
      return FieldError::TypeInvalid(violation.path, violation.value, violation.message);
    case K::kNotSupported:
      return FieldError::NotSupported(violation.path, violation.value, violation.supported);
    case K::kTooLong:
      return FieldError::TooLong(violation.path, static_cast<int>(violation.limit));
    case K::kTooMany:
      return FieldError::TooMany(violation.path, violation.value.ref().Uint(),
                                 static_cast<size_t>(violation.limit));
    case K::kDuplicate:
      return FieldError::Duplicate(violation.path, violation.value);
    case K::kInvalid:
      break;
  }
  return FieldError::Invalid(violation.path, violation.value, violation.message);
}

Value Condition(const char* type, const char* status, const char* reason, const char* message,
                const std::string& now) {
  return Value::Map({{"type", type},
                     {"status", status},
                     {"lastTransitionTime", now},
                     {"reason", reason},
                     {"message", message}});
}

std::vector<std::string> Texts(Ref list) {
  std::vector<std::string> texts;
  for (Ref item : list.Items()) texts.push_back(item.Text());
  return texts;
}

bool HasCondition(Ref object, std::string_view type) {
  for (Ref condition : object["status"]["conditions"].Items()) {
    if (condition["type"].String() == type && condition["status"].String() == "True") return true;
  }
  return false;
}

void ServeVersions(Server& server, const Stored& definition) {
  Ref spec = definition.object["spec"];
  server.StopServing(definition.name);
  for (Ref version : spec["versions"].Items()) {
    if (!version["served"].Bool()) continue;
    auto resource = std::make_shared<ResourceType>();
    Ref names = spec["names"];
    resource->group = spec["group"].Text();
    resource->version = version["name"].Text();
    resource->api_version = resource->group + "/" + resource->version;
    resource->kind = names["kind"].Text();
    resource->list_kind = names["listKind"].Text();
    resource->plural = names["plural"].Text();
    resource->singular = names["singular"].Text();
    resource->short_names = Texts(names["shortNames"]);
    resource->categories = Texts(names["categories"]);
    resource->verbs = {"delete", "deletecollection", "get",    "list",
                       "patch",  "create",           "update", "watch"};
    resource->namespaced = spec["scope"].String() == "Namespaced";
    resource->has_status = !version["subresources"]["status"].IsAbsent();
    resource->has_scale = !version["subresources"]["scale"].IsAbsent();
    resource->scale = Value::Copy(version["subresources"]["scale"]);
    resource->has_generation = true;
    resource->columns = Value::Copy(version["additionalPrinterColumns"]);
    resource->crd = definition.name;
    auto schema = CustomSchema::Compile(Value::Copy(version["schema"]["openAPIV3Schema"]));
    resource->custom = schema ? *schema : CustomSchema::KeepAll();
    resource->type = &resource->custom->type();
    server.Serve(std::move(resource));
  }
}

Value EstablishedStatus(Ref definition, const std::string& now) {
  Ref spec = definition["spec"];
  std::vector<Value> stored;
  for (Ref old : definition["status"]["storedVersions"].Items()) stored.push_back(Value::Copy(old));
  for (Ref version : spec["versions"].Items()) {
    if (!version["storage"].Bool()) continue;
    bool known = false;
    for (const Value& one : stored) known |= one.ref() == version["name"];
    if (!known) stored.push_back(Value::Copy(version["name"]));
  }
  Value conditions = Value::Copy(definition["status"]["conditions"]);
  if (!HasCondition(definition, "Established")) {
    conditions =
        Value::List({Condition("NamesAccepted", "True", "NoConflicts", "no conflicts found", now),
                     Condition("Established", "True", "InitialNamesAccepted",
                               "the initial names have been accepted", now)});
  }
  return Value::Map({{"conditions", conditions},
                     {"acceptedNames", Value::Copy(spec["names"])},
                     {"storedVersions", Value::List(stored)}});
}

void RemoveObjects(Server& server, const std::string& definition) {
  for (const ResourcePtr& resource : server.Resources()) {
    if (resource->crd != definition) continue;
    auto objects = resource->table->objects();
    for (const auto& [key, stored] : objects) {
      WriteContext context = server.OwnContext(*resource, stored->ns, stored->name, "delete");
      (void)server.DeleteObject(resource, stored, DeleteOptions(), context);
    }
    return;  // all versions share their objects
  }
}

void FinishRemoval(Server& server, const ResourcePtr& definitions, const std::string& name) {
  StoredPtr live = definitions->table->Find("", name);
  if (!live || !live->metadata()["deletionTimestamp"]) return;
  for (const ResourcePtr& resource : server.Resources()) {
    if (resource->crd == name && !resource->table->objects().empty()) return;
  }
  std::vector<Value> others;
  for (Ref finalizer : live->metadata()["finalizers"].Items()) {
    if (finalizer.String() != kCleanup) others.push_back(Value::Copy(finalizer));
  }
  if (others.size() == live->metadata()["finalizers"].size()) return;
  WriteContext context = server.OwnContext(*definitions, "", name, "delete");
  if (others.empty()) {
    server.EraseObject(definitions, live, context);
  } else {
    server.CommitOwn(
        definitions, live,
        value::Edited(live->object).Set({"metadata", "finalizers"}, Value::List(others)).Done(),
        "update");
  }
}

void EndWatches(Server& server, const std::string& definition) {
  for (const ResourcePtr& resource : server.Resources()) {
    if (resource->crd != definition) continue;
    for (const auto& watch : std::vector(resource->table->watches)) server.EndWatch(watch);
  }
}

}  // namespace

std::vector<FieldError> ValidateDefinition(Ref definition) {
  std::vector<FieldError> errors;
  Ref spec = definition["spec"];
  std::string wanted =
      fmt::format("{}.{}", spec["names"]["plural"].String(), spec["group"].String());
  if (definition["metadata"]["name"].String() != wanted) {
    errors.push_back(FieldError::Invalid("metadata.name", definition["metadata"]["name"],
                                         "must be spec.names.plural+\".\"+spec.group"));
  }
  for (const char* field : {"group", "scope"}) {
    if (spec[field].String().empty()) {
      errors.push_back(FieldError::Required(fmt::format("spec.{}", field), ""));
    }
  }
  for (const char* field : {"plural", "kind"}) {
    if (spec["names"][field].String().empty()) {
      errors.push_back(FieldError::Required(fmt::format("spec.names.{}", field), ""));
    }
  }
  int storages = 0;
  size_t index = 0;
  for (Ref version : spec["versions"].Items()) {
    std::string path = fmt::format("spec.versions[{}]", index++);
    storages += version["storage"].Bool();
    Ref schema = version["schema"]["openAPIV3Schema"];
    if (!schema) {
      errors.push_back(
          FieldError::Required(path + ".schema.openAPIV3Schema", "schemas are required"));
    } else if (auto compiled = CustomSchema::Compile(Value::Copy(schema)); !compiled) {
      errors.push_back(FieldError::Invalid(path + ".schema.openAPIV3Schema", Value(""),
                                           compiled.error().ToString()));
    }
  }
  if (spec["versions"].size() == 0) {
    errors.push_back(FieldError::Required(
        "spec.versions", "must have exactly one version marked as storage version"));
  } else if (storages != 1) {
    errors.push_back(
        FieldError::Invalid("spec.versions", Value(nullptr),
                            "must have exactly one version marked as storage version"));
  }
  return errors;
}

std::vector<FieldError> ValidateCustom(const CustomSchema& schema, Ref object) {
  std::vector<FieldError> errors;
  for (const Violation& violation : schema.Validate(object)) {
    errors.push_back(ToFieldError(violation));
  }
  return errors;
}

void SettleDefinition(Server& server, const ResourcePtr& definitions, const Change& change) {
  const Stored& now = *change.now;
  if (change.type == ChangeType::kDeleted) {
    EndWatches(server, now.name);
    server.StopServing(now.name);
    server.tables.erase(now.name);
    return;
  }
  StoredPtr live = definitions->table->Find("", now.name);
  if (live.get() != &now) return;  // a later change says more
  if (now.metadata()["deletionTimestamp"]) {
    RemoveObjects(server, now.name);
    FinishRemoval(server, definitions, now.name);
    return;
  }
  if (change.before == nullptr || change.before->object["spec"] != now.object["spec"]) {
    ServeVersions(server, now);
  }
  value::Edited edited(now.object);
  edited.Set({"status"}, EstablishedStatus(now.object, FormatTime(server.WallNow())));
  bool has_cleanup = false;
  for (Ref finalizer : now.metadata()["finalizers"].Items())
    has_cleanup |= finalizer.String() == kCleanup;
  if (!has_cleanup) {
    edited.Set({"metadata", "finalizers", now.metadata()["finalizers"].size()}, Value(kCleanup));
    if (now.metadata()["finalizers"].size() == 0) {
      edited.Set({"metadata", "finalizers"}, Value::List({Value(kCleanup)}));
    }
  }
  Value after = edited.Done();
  if (after != now.object) server.CommitOwn(definitions, live, std::move(after), "update");
}

void SettleCustomRemoval(Server& server, const ResourceType& resource) {
  FinishRemoval(server,
                server.FindResource("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
                resource.crd);
}

}  // namespace flotilla::sim::api
