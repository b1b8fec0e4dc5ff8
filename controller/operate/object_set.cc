#include "operate/object_set.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "api/names.h"
#include "value/diff.h"
#include "value/json.h"
#include "value/json_patch.h"

namespace flotilla::operate {
namespace {

bool Matches(const api::ObjectPattern& pattern, const kube::ObjectId& id) {
  const std::string_view group = id.group.empty() ? std::string_view("core") : id.group;
  auto fits = [](std::string_view wanted, std::string_view actual) {
    return wanted.empty() || wanted == actual;
  };
  return fits(pattern.group, group) && fits(pattern.kind, id.kind) && fits(pattern.ns, id.ns) &&
         fits(pattern.name, id.name);
}

// Workloads whose replicas belong to an autoscaler of the same set.
std::set<kube::ObjectId> Autoscaled(const render::Variant& variant) {
  std::set<kube::ObjectId> targets;
  for (const render::Object& object : variant.objects) {
    if (object.gvk.group != "autoscaling" || object.gvk.kind != "HorizontalPodAutoscaler") continue;
    const value::Ref target = object.value.At("spec", "scaleTargetRef");
    auto version = kube::ParseApiVersion(target["apiVersion"].String());
    if (!version) continue;
    targets.insert({version->group, target["kind"].Text(), object.key.ns, target["name"].Text()});
  }
  return targets;
}

std::set<kube::GroupKind> OwnKinds(const render::Variant& variant) {
  std::set<kube::GroupKind> kinds;
  for (const render::Object& object : variant.objects) {
    if (object.gvk.kind != "CustomResourceDefinition") continue;
    kinds.insert({object.value.At("spec", "group").Text(),
                  object.value.At("spec", "names", "kind").Text()});
  }
  return kinds;
}

// Fields that somebody else owns have the value that they have: owning them changes nothing.
value::Value WithOthersFields(const value::Value& object, const std::vector<std::string>& pointers,
                              value::Ref live) {
  std::vector<value::PatchOp> patch;
  for (const std::string& pointer : pointers) {
    const value::Ref theirs = value::FindPointer(live, pointer);
    const bool ours = !value::FindPointer(object, pointer).IsAbsent();
    if (theirs) {
      patch.push_back({ours ? value::PatchVerb::kReplace : value::PatchVerb::kAdd, pointer, {},
                       value::Value::Copy(theirs)});
    } else if (ours) {
      patch.push_back({value::PatchVerb::kRemove, pointer, {}, {}});
    }
  }
  auto patched = value::ApplyJsonPatch(object, patch);
  return patched ? std::move(*patched) : object;
}

}  // namespace

Result<std::vector<SetObject>> ResolveObjects(Member& member, const Delivery& delivery,
                                              const render::Variant& variant,
                                              std::stop_token stop) {
  const std::set<kube::GroupKind> own = OwnKinds(variant);
  const std::set<kube::ObjectId> autoscaled = Autoscaled(variant);
  std::map<kube::GroupVersionKind, kube::ApiResource> resolved;
  std::vector<SetObject> objects;
  objects.reserve(variant.objects.size());
  for (const render::Object& object : variant.objects) {
    SetObject item;
    item.object = &object;
    item.key = object.key;
    item.digest = object.digest.Hex();
    auto known = resolved.find(object.gvk);
    if (known == resolved.end()) {
      auto resource = member.discovery().Resolve(object.gvk, stop);
      if (!resource) {
        const bool deferred = resource.error().cls == ErrorClass::kNotFound &&
                              own.count(object.gvk.ToGroupKind()) > 0;
        if (!deferred) {
          Error error = resource.error();
          if (error.cls == ErrorClass::kNotFound) error.cls = ErrorClass::kInvalid;
          return Fail(std::move(error), "{} ({}): {} does not serve {}", item.Describe(),
                      object.Source(), member.name(), object.gvk.ToString());
        }
        known = resolved.emplace(object.gvk, kube::ApiResource{}).first;
      } else {
        known = resolved.emplace(object.gvk, std::move(*resource)).first;
      }
    }
    item.resource = known->second;
    if (!item.deferred() && !item.resource.namespaced) item.key.ns.clear();
    if (!item.deferred() && item.resource.namespaced && item.key.ns.empty()) {
      return Fail(ErrorClass::kInvalid,
                  "{} ({}) has no namespace: name one in it, or set targetNamespace",
                  item.Describe(), object.Source());
    }
    for (const api::IgnoreFields& rule : delivery.spec->ignore_fields) {
      if (!Matches(rule.target, item.Id())) continue;
      item.ignored.insert(item.ignored.end(), rule.fields.begin(), rule.fields.end());
    }
    if (autoscaled.count(item.Id())) item.ignored.push_back("/spec/replicas");
    objects.push_back(std::move(item));
  }
  return objects;
}

Status ResolveDeferred(Member& member, std::vector<SetObject>& objects, std::stop_token stop) {
  for (SetObject& object : objects) {
    if (!object.deferred()) continue;
    auto resource = member.discovery().Resolve(object.object->gvk, stop);
    if (!resource) {
      Error error = resource.error();
      // Its CRD is established, so the API server serves it in a moment.
      if (error.cls == ErrorClass::kNotFound) error.cls = ErrorClass::kUnavailable;
      return Fail(std::move(error), "{} on {}", object.Describe(), member.name());
    }
    object.resource = std::move(*resource);
    if (!object.resource.namespaced) object.key.ns.clear();
  }
  return {};
}

std::vector<KindScope> ScopesOf(const std::vector<SetObject>& objects) {
  std::map<kube::GroupVersionResource, KindScope> scopes;
  for (const SetObject& object : objects) {
    if (object.deferred()) continue;
    auto [it, added] =
        scopes.try_emplace(object.resource.gvr, KindScope{object.resource, object.key.ns});
    if (!added && it->second.ns != object.key.ns) it->second.ns.clear();
  }
  std::vector<KindScope> list;
  for (auto& [gvr, scope] : scopes) list.push_back(std::move(scope));
  return list;
}

std::string BodyOf(const SetObject& object, const Delivery& delivery, const std::string& parent_id,
                   const LiveObject* live, value::Ref live_object) {
  value::Edited body(object.object->value);
  body.Set({"metadata", "labels", kube::kApplySetPartOf}, parent_id);
  body.Set({"metadata", "annotations", kube::kFenceAnnotation}, fmt::format("{}", delivery.fence));
  if (object.resource.namespaced) {
    body.Set({"metadata", "namespace"}, object.key.ns);
  } else {
    body.Remove({"metadata", "namespace"});
  }
  if (live) {
    body.Set({"metadata", "uid"}, live->uid);
    body.Set({"metadata", "resourceVersion"}, live->resource_version);
  }
  value::Value whole = body.Done();
  if (live && !object.ignored.empty()) whole = WithOthersFields(whole, object.ignored, live_object);
  return value::ToJson(whole);
}

std::optional<std::string> FirstDifference(value::Ref live, value::Ref applied) {
  for (const value::Change& difference : value::Diff(live, applied)) {
    const value::Path& path = difference.path;
    if (path.empty()) continue;
    if (path[0].key == "status") continue;
    if (path[0].key == "metadata" && path.size() > 1) {
      const std::string& field = path[1].key;
      if (field != "labels" && field != "annotations") continue;
      if (path.size() > 2 && (path[2].key == kube::kApplySetPartOf || path[2].key == kube::kFenceAnnotation)) {
        continue;
      }
      if (path.size() == 2 && difference.before.IsAbsent()) {
        bool only_ours = true;
        for (const auto& [key, mark] : difference.after.Members()) {
          only_ours &= key == kube::kApplySetPartOf || key == kube::kFenceAnnotation;
        }
        if (only_ours) continue;
      }
    }
    return value::ToString(path);
  }
  return std::nullopt;
}

}  // namespace flotilla::operate
