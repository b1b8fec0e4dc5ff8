// Deleting: preconditions, propagation, finalizers, garbage collection, the end of namespaces.
#include <fmt/format.h>
#include <algorithm>

#include "kube/schema/builtin.h"
#include "sim/api_server/kinds/crds.h"
#include "sim/api_server/kinds/workloads.h"
#include "sim/api_server/server.h"

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

namespace {

bool HasFinalizer(const Stored& stored, std::string_view name) {
  for (Ref finalizer : stored.metadata()["finalizers"].Items()) {
    if (finalizer.String() == name) return true;
  }
  return false;
}

Value WithFinalizers(const Value& object, const std::vector<Value>& finalizers) {
  value::Edited edited(object);
  if (finalizers.empty()) return edited.Remove({"metadata", "finalizers"}).Done();
  return edited.Set({"metadata", "finalizers"}, Value::List(finalizers)).Done();
}

Value WithoutFinalizer(const Stored& stored, std::string_view name) {
  std::vector<Value> kept;
  for (Ref finalizer : stored.metadata()["finalizers"].Items()) {
    if (finalizer.String() != name) kept.push_back(stored.object.Share(finalizer));
  }
  return WithFinalizers(stored.object, kept);
}

// What a server deletes in the background when nobody says otherwise.
Propagation DefaultPropagation(const ResourceType& resource) {
  bool orphans = (resource.group == "batch" && resource.kind == "Job") ||
                 resource.kind == "ReplicationController";
  return orphans ? Propagation::kOrphan : Propagation::kBackground;
}

std::optional<ApiError> CheckPreconditions(const Stored& live, const ResourceType& resource,
                                           const DeleteOptions& options) {
  GroupResource by_kind{resource.group, resource.kind};
  if (!options.uid.empty() && options.uid != live.uid) {
    return Conflict(by_kind, live.name,
                    fmt::format("the UID in the precondition ({}) does not match the UID in record "
                                "({}). The object might have been deleted and then recreated",
                                options.uid, live.uid));
  }
  if (!options.resource_version.empty() && options.resource_version != std::to_string(live.rv)) {
    return Conflict(
        by_kind, live.name,
        fmt::format("the ResourceVersion in the precondition ({}) does not match the "
                    "ResourceVersion in record ({}). The object might have been modified",
                    options.resource_version, live.rv));
  }
  return std::nullopt;
}

// Whose deletion is answered with the object (registries with ReturnDeletedObject).
bool ReturnsDeleted(const ResourceType& resource) {
  if (resource.group == "storage.k8s.io") return resource.plural != "csistoragecapacities";
  for (std::string_view plural : {"services", "pods", "serviceaccounts", "persistentvolumeclaims",
                                  "persistentvolumes", "podtemplates", "resourcequotas"}) {
    if (resource.group.empty() && resource.plural == plural) return true;
  }
  return false;
}

Value DeletedStatus(const ResourceType& resource, const Stored& gone) {
  return Value::Map(
      {{"kind", "Status"},
       {"apiVersion", "v1"},
       {"metadata", Value::Map({})},
       {"status", "Success"},
       {"details", Value::Map({{"name", gone.name},
                               {"group", resource.group.empty() ? Value() : Value(resource.group)},
                               {"kind", resource.plural},
                               {"uid", gone.uid}})}});
}

struct Dependent {
  ResourcePtr resource;
  StoredPtr stored;
};

std::vector<Dependent> DependentsOf(const Server& server, std::string_view uid) {
  std::vector<Dependent> found;
  if (!server.dependents.count(std::string(uid))) return found;
  const Table* last = nullptr;
  for (const ResourcePtr& resource : server.Resources()) {
    if (resource->table.get() == last) continue;  // another version of the same objects
    last = resource->table.get();
    for (const auto& [key, stored] : resource->table->objects()) {
      for (Ref owner : stored->metadata()["ownerReferences"].Items()) {
        if (owner["uid"].String() == uid) {
          found.push_back({resource, stored});
          break;
        }
      }
    }
  }
  return found;
}

bool Exists(const Server& server, Ref owner, const std::string& ns) {
  auto [group, version] = kube::schema::SplitApiVersion(owner["apiVersion"].String());
  ResourcePtr resource = server.FindKind(group, owner["kind"].String());
  if (!resource) return true;  // unknown kinds are left alone
  StoredPtr stored = resource->table->Find(resource->namespaced ? ns : "", owner["name"].String());
  return stored && stored->uid == owner["uid"].String();
}

// An owner is gone: its dependents lose the reference, and those without another owner go too.
void CollectDependents(Server& server, std::string_view uid, bool orphan) {
  for (const Dependent& dependent : DependentsOf(server, uid)) {
    StoredPtr live = dependent.resource->table->Find(dependent.stored->ns, dependent.stored->name);
    if (live != dependent.stored) continue;
    std::vector<Value> others;
    bool owned = false;
    for (Ref owner : live->metadata()["ownerReferences"].Items()) {
      if (owner["uid"].String() == uid) continue;
      others.push_back(live->object.Share(owner));
      owned |= Exists(server, owner, live->ns);
    }
    if (!orphan && !owned) {
      WriteContext context = server.OwnContext(*dependent.resource, live->ns, live->name, "delete");
      (void)server.DeleteObject(dependent.resource, live, DeleteOptions(), context);
      continue;
    }
    value::Edited edited(live->object);
    if (others.empty()) {
      edited.Remove({"metadata", "ownerReferences"});
    } else {
      edited.Set({"metadata", "ownerReferences"}, Value::List(others));
    }
    server.CommitOwn(dependent.resource, live, edited.Done(), "patch");
  }
}

// Takes one finalizer off an object that is being deleted; the last one lets it go.
void Release(Server& server, const ResourcePtr& resource, const Stored& stored,
             const char* finalizer) {
  StoredPtr live = resource->table->Find(stored.ns, stored.name);
  if (!live || live->uid != stored.uid || !HasFinalizer(*live, finalizer)) return;
  Value rest = WithoutFinalizer(*live, finalizer);
  WriteContext context = server.OwnContext(*resource, live->ns, live->name, "delete");
  if (rest["metadata"]["finalizers"].size() == 0) {
    server.EraseObject(resource, live, context);
  } else {
    server.Commit(resource, live, std::move(rest), context);
  }
}

// Foreground deletion waits for the dependents that block it.
void DeleteDependentsFirst(Server& server, const ResourcePtr& resource, const StoredPtr& owner) {
  bool blocked = false;
  for (const Dependent& dependent : DependentsOf(server, owner->uid)) {
    DeleteOptions options;
    options.propagation = Propagation::kForeground;
    options.propagation_given = true;
    WriteContext context = server.OwnContext(*dependent.resource, dependent.stored->ns,
                                             dependent.stored->name, "delete");
    if (!dependent.stored->metadata()["deletionTimestamp"]) {
      (void)server.DeleteObject(dependent.resource, dependent.stored, options, context);
    }
    StoredPtr left = dependent.resource->table->Find(dependent.stored->ns, dependent.stored->name);
    blocked |= left && left->uid == dependent.stored->uid;
  }
  if (!blocked) Release(server, resource, *owner, "foregroundDeletion");
}

void CreateDefaultAccount(Server& server, const std::string& ns) {
  ResourcePtr accounts = server.FindResource("", "v1", "serviceaccounts");
  (void)server.CreateObject(accounts, ns,
                            Value::Map({{"metadata", Value::Map({{"name", "default"}})}}),
                            server.OwnContext(*accounts, ns, "default", "create"));
}

// Every namespaced object goes; then the namespace itself.
void EmptyNamespace(Server& server, const ResourcePtr& namespaces, const std::string& name) {
  bool empty = true;
  const Table* last = nullptr;
  for (const ResourcePtr& resource : server.Resources()) {
    if (!resource->namespaced || resource->table.get() == last) continue;
    last = resource->table.get();
    std::vector<StoredPtr> objects;
    for (auto [first, end] = resource->table->Range(name, ""); first != end; ++first) {
      objects.push_back(first->second);
    }
    for (const StoredPtr& stored : objects) {
      if (stored->metadata()["deletionTimestamp"]) continue;
      WriteContext context = server.OwnContext(*resource, stored->ns, stored->name, "delete");
      (void)server.DeleteObject(resource, stored, DeleteOptions(), context);
    }
    auto [first, end] = resource->table->Range(name, "");
    empty &= first == end;
  }
  StoredPtr live = namespaces->table->Find("", name);
  if (!empty || !live || !live->metadata()["deletionTimestamp"]) return;
  if (live->metadata()["finalizers"].size() != 0) return;
  server.EraseObject(namespaces, live, server.OwnContext(*namespaces, "", name, "delete"));
}

}  // namespace

Answer<DeleteOptions> ReadDeleteOptions(const Request& request, Ref body) {
  DeleteOptions options;
  options.dry_run = request.info.dry_run;
  std::string_view policy = request.query.Get("propagationPolicy");
  if (policy.empty()) policy = body["propagationPolicy"].String();
  for (Ref one : body["dryRun"].Items()) options.dry_run |= one.String() == "All";
  if (policy == "Foreground") {
    options.propagation = Propagation::kForeground;
  } else if (policy == "Orphan") {
    options.propagation = Propagation::kOrphan;
  } else if (!policy.empty() && policy != "Background") {
    return Refuse(
        Invalid("meta.k8s.io", "DeleteOptions", "",
                {FieldError::NotSupported("propagationPolicy", Value(policy),
                                          {"Foreground", "Background", "Orphan", "nil"})}));
  }
  options.propagation_given = !policy.empty();
  if (body["orphanDependents"].Bool()) {
    options.propagation = Propagation::kOrphan;
    options.propagation_given = true;
  }
  options.uid = body["preconditions"]["uid"].Text();
  options.resource_version = body["preconditions"]["resourceVersion"].Text();
  if (Ref grace = body["gracePeriodSeconds"]) options.grace_seconds = grace.Int();
  return options;
}

Answer<StoredPtr> Server::DeleteObject(const ResourcePtr& resource, const StoredPtr& live,
                                       const DeleteOptions& given, const WriteContext& context) {
  if (auto refused = CheckPreconditions(*live, *resource, given))
    return Refuse(*std::move(refused));
  Propagation propagation =
      given.propagation_given ? given.propagation : DefaultPropagation(*resource);
  std::vector<Value> finalizers;
  for (Ref finalizer : live->metadata()["finalizers"].Items()) {
    bool of_policy = finalizer.String() == "orphan" || finalizer.String() == "foregroundDeletion";
    if (given.propagation_given && of_policy) continue;
    finalizers.push_back(live->object.Share(finalizer));
  }
  auto add = [&](const char* name) {
    if (!HasFinalizer(*live, name) || given.propagation_given) finalizers.emplace_back(name);
  };
  bool deleting = !live->metadata()["deletionTimestamp"].IsAbsent();
  if (propagation == Propagation::kForeground) add("foregroundDeletion");
  bool orphans = propagation == Propagation::kOrphan && !DependentsOf(*this, live->uid).empty();
  if (orphans && !context.dry_run) CollectDependents(*this, live->uid, true);
  bool is_namespace = resource->kind == "Namespace" && resource->group.empty();
  if (is_namespace &&
      (live->name == "default" || live->name == "kube-system" || live->name == "kube-public")) {
    return Refuse(Forbidden(resource->resource(), live->name, "this namespace may not be deleted"));
  }
  if (finalizers.empty() && !is_namespace) {
    EraseObject(resource, live, context);
    return StoredPtr();
  }
  if (deleting && finalizers.size() == live->metadata()["finalizers"].size()) return live;
  value::Edited edited(WithFinalizers(live->object, finalizers));
  if (!deleting) {
    edited.Set({"metadata", "deletionTimestamp"}, FormatTime(WallNow()));
    if (!is_namespace) edited.Set({"metadata", "deletionGracePeriodSeconds"}, 0);
    if (int64_t generation = live->metadata()["generation"].Int(); generation > 0) {
      edited.Set({"metadata", "generation"}, generation + 1);
    }
  }
  if (is_namespace) edited.Set({"status", "phase"}, "Terminating");
  return Commit(resource, live, edited.Done(), context);
}

Answer<Reply> Server::Delete(const Request& request, const ResourcePtr& resource, Ref body) {
  auto options_read = ReadDeleteOptions(request, body);
  if (!options_read) return Refuse(options_read);
  StoredPtr live = resource->table->Find(resource->namespaced ? request.info.namespace_name : "",
                                         request.info.name);
  if (!live) return Refuse(NotFound(resource->resource(), request.info.name));
  Reply reply;
  WriteContext context = ContextOf(request, &reply.warnings);
  context.dry_run = options_read->dry_run;
  auto left = DeleteObject(resource, live, *options_read, context);
  if (!left) return Refuse(left);
  if (*left) {
    reply.resource = resource;
    reply.object = *std::move(left);
  } else {
    reply.body = DeletedStatus(*resource, *live);
  }
  if (!reply.object && ReturnsDeleted(*resource)) {
    reply.resource = resource;
    reply.object = live;
  }
  return reply;
}

Answer<Reply> Server::DeleteCollection(const Request& request, const ResourcePtr& resource,
                                       Ref body) {
  auto options_read = ReadDeleteOptions(request, body);
  if (!options_read) return Refuse(options_read);
  auto listed = List(request, resource);
  if (!listed) return listed;
  WriteContext context = ContextOf(request, nullptr);
  for (const StoredPtr& item : listed->items) {
    auto deleted = DeleteObject(resource, item, *options_read, context);
    if (!deleted) return Refuse(deleted);
  }
  return listed;
}

void Server::SettleOne(const Noted& noted) {
  const Change& change = noted.change;
  const ResourceType& resource = *noted.resource;
  bool gone = change.type == ChangeType::kDeleted;
  if (resource.plural == "customresourcedefinitions") {
    SettleDefinition(*this, noted.resource, change);
  }
  if (!options.controllers) {
    if (gone && resource.is_custom()) SettleCustomRemoval(*this, resource);
    return;
  }
  if (gone) {
    if (resource.is_custom()) SettleCustomRemoval(*this, resource);
    CollectDependents(*this, change.now->uid, false);
    // Somebody may be waiting for this one to be gone.
    for (Ref owner : change.now->metadata()["ownerReferences"].Items()) {
      auto [group, version] = kube::schema::SplitApiVersion(owner["apiVersion"].String());
      ResourcePtr owners = FindKind(group, owner["kind"].String());
      if (!owners) continue;
      StoredPtr live =
          owners->table->Find(owners->namespaced ? change.now->ns : "", owner["name"].String());
      if (live && live->metadata()["deletionTimestamp"] &&
          HasFinalizer(*live, "foregroundDeletion")) {
        DeleteDependentsFirst(*this, owners, live);
      }
    }
    if (!change.now->ns.empty()) {
      ResourcePtr namespaces = FindResource("", "v1", "namespaces");
      StoredPtr ns = namespaces->table->Find("", change.now->ns);
      if (ns && ns->metadata()["deletionTimestamp"]) EmptyNamespace(*this, namespaces, ns->name);
    }
  } else if (change.now->metadata()["deletionTimestamp"]) {
    if (HasFinalizer(*change.now, "foregroundDeletion")) {
      DeleteDependentsFirst(*this, noted.resource, change.now);
    }
    for (const char* guard : {"kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"}) {
      if (resource.group.empty() && HasFinalizer(*change.now, guard)) {
        Release(*this, noted.resource, *change.now, guard);
      }
    }
    if (resource.group.empty() && resource.kind == "Namespace") {
      EmptyNamespace(*this, noted.resource, change.now->name);
    }
  }
  if (change.type == ChangeType::kAdded && resource.group.empty() && resource.kind == "Namespace") {
    CreateDefaultAccount(*this, change.now->name);
  }
  if (!gone) SettleWorkload(*this, noted.resource, change);
}

}  // namespace flotilla::sim::api
