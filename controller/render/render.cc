#include "render/render.h"

#include <map>
#include <set>
#include <utility>

#include "base/limits.h"
#include "kube/schema/builtin.h"
#include "render/canonical.h"
#include "render/decode.h"
#include "render/problems.h"
#include "render/variants.h"
#include "render/walk.h"

namespace flotilla::render {
namespace {

constexpr std::string_view kCrdGroup = "apiextensions.k8s.io";

// Who knows the scope of a kind: the set's own CRDs, then the built-in table, then the caller.
class Scopes {
 public:
  Scopes(const std::vector<Decoded>& objects, const ScopeOf& ask) : ask_(ask) {
    for (const Decoded& object : objects) {
      const kube::GroupVersionKind gvk = kube::GvkOf(object.value);
      if (gvk.group != kCrdGroup || gvk.kind != "CustomResourceDefinition") continue;
      value::Ref spec = object.value["spec"];
      known_[{spec["group"].Text(), spec.At("names", "kind").Text()}] =
          spec["scope"].String() == "Cluster" ? Scope::kCluster : Scope::kNamespaced;
    }
  }

  std::optional<Scope> Of(const kube::GroupVersionKind& gvk) {
    const auto [found, fresh] = known_.try_emplace(gvk.ToGroupKind());
    if (!fresh) return found->second;
    if (const auto* facts = kube::schema::FindKindInAnyVersion(gvk.group, gvk.kind)) {
      found->second = facts->namespaced ? Scope::kNamespaced : Scope::kCluster;
    } else if (ask_) {
      found->second = ask_(gvk);
    }
    if (!found->second) unresolved_.insert(gvk);
    return found->second;
  }

  std::vector<kube::GroupVersionKind> TakeUnresolved() {
    return {unresolved_.begin(), unresolved_.end()};
  }

 private:
  const ScopeOf& ask_;
  std::map<kube::GroupKind, std::optional<Scope>> known_;
  std::set<kube::GroupVersionKind> unresolved_;
};

value::Value NamespaceObject(const std::string& name) {
  return value::Value::Map({{"apiVersion", "v1"},
                            {"kind", "Namespace"},
                            {"metadata", value::Value::Map({{"name", name}})}});
}

bool HasNamespace(const std::vector<Decoded>& objects, const std::string& name) {
  for (const Decoded& object : objects) {
    if (kube::IdOf(object.value) == kube::ObjectId{"", "Namespace", "", name}) return true;
  }
  return false;
}

// Gives `object` the namespace, labels and fields that it will have on a cluster.
void Settle(const RenderRequest& request, std::optional<Scope> scope, Decoded& object,
            Problems& problems) {
  value::Ref metadata = object.value["metadata"];
  const bool named = !metadata["namespace"].String().empty();
  value::Edited edited(WithoutServerFields(object.value));
  if (scope == Scope::kCluster || (!named && request.target_namespace.empty())) {
    edited.Remove({"metadata", "namespace"});
  }
  if (scope == Scope::kNamespaced && !named) {
    if (request.target_namespace.empty()) {
      problems.Add(object.file, {object.line, 0},
                   fmt::format("{} has no metadata.namespace: name one in it, or set "
                               "spec.targetNamespace of the Application",
                               kube::IdOf(object.value).ToString()));
    } else {
      edited.Set({"metadata", "namespace"}, request.target_namespace);
    }
  }
  for (const auto& [key, text] : request.common_labels) {
    edited.Set({"metadata", "labels", key}, text);
  }
  object.value = edited.Done();
}

void FindRepeated(const std::vector<Decoded>& objects, Problems& problems) {
  std::map<kube::ObjectId, const Decoded*> seen;
  for (const Decoded& object : objects) {
    const auto [first, fresh] = seen.emplace(kube::IdOf(object.value), &object);
    if (fresh) continue;
    problems.Add(object.file, {object.line, 0},
                 fmt::format("{} is also defined in {}:{}: keep one of them",
                             first->first.ToString(), first->second->file, first->second->line));
  }
}

std::shared_ptr<const Variant> MakeVariant(const std::vector<Decoded>& objects) {
  auto variant = std::make_shared<Variant>();
  variant->objects.reserve(objects.size());
  for (const Decoded& object : objects) {
    variant->objects.push_back(MakeObject(object.value, object.file, object.line));
  }
  SortObjects(variant->objects);
  variant->digest = VariantDigest(variant->objects);
  return variant;
}

Digest InputDigest(const RenderRequest& request, const std::string& path, const ReadSet& read) {
  Sha256 digest;
  digest.UpdateField(std::string(kCanonicalForm) + "/inputs").UpdateField(path);
  for (const auto* globs : {&request.selection.include, &request.selection.exclude}) {
    digest.UpdateField(std::to_string(globs->size()));
    for (const std::string& glob : *globs) digest.UpdateField(glob);
  }
  digest.UpdateField(request.selection.recurse ? "recurse" : "")
      .UpdateField(request.target_namespace)
      .UpdateField(request.create_namespace ? "createNamespace" : "")
      .UpdateField(std::to_string(request.common_labels.size()));
  for (const auto& [key, text] : request.common_labels) digest.UpdateField(key).UpdateField(text);
  digest.UpdateField(CanonicalText(request.overrides)).UpdateField(read.InputDigest().View());
  return digest.Finish();
}

Result<std::vector<Decoded>> ReadObjects(Tree& tree, const std::string& path,
                                         const RenderRequest& request, ReadSet& read,
                                         Problems& problems) {
  auto files = FindManifests(tree, path, request.selection, read, problems);
  if (!files) return Pass(files);
  std::vector<Decoded> objects;
  size_t bytes = 0;
  for (const std::string& file : *files) {
    auto text = tree.Read(file);
    if (!text) return Fail(text, "{}", file);
    bytes += text->size();
    if (bytes > limits::kSourceBytes) {
      return Fail(ErrorClass::kInvalid, "{}: the manifests have more than {} bytes in total", file,
                  limits::kSourceBytes);
    }
    DecodeFile(file, *text, objects, problems);
    if (objects.size() > limits::kObjectsPerApplication) {
      return Fail(ErrorClass::kInvalid, "{}: more than {} objects in one application", file,
                  limits::kObjectsPerApplication);
    }
  }
  if (!problems.empty()) return problems.ToError();
  if (objects.empty()) {
    auto error = Fail(ErrorClass::kInvalid,
                      "{} holds no Kubernetes object ({} files read): an application without "
                      "objects is not delivered, and nothing is deleted because of it",
                      path.empty() ? "the repository" : path, files->size());
    error.value().detail = std::make_shared<EmptyRender>();
    return error;
  }
  return objects;
}

}  // namespace

Result<RenderOutput> Render(Tree& tree, const RenderRequest& request) {
  auto path = NormalizePath(request.path);
  if (!path) return Fail(path, "path");
  if (Status ok = CheckSelection(request.selection); !ok) return Pass(ok);

  RenderOutput output;
  output.read_set = ReadSet(*path, request.selection);
  Problems problems;
  auto objects = ReadObjects(tree, *path, request, output.read_set, problems);
  if (!objects) return Pass(objects);
  if (request.create_namespace && !request.target_namespace.empty() &&
      !HasNamespace(*objects, request.target_namespace)) {
    objects->push_back({NamespaceObject(request.target_namespace), "(createNamespace)", 0});
  }

  Scopes scopes(*objects, request.scope);
  for (Decoded& object : *objects) {
    Settle(request, scopes.Of(kube::GvkOf(object.value)), object, problems);
  }
  output.unresolved = scopes.TakeUnresolved();
  FindRepeated(*objects, problems);
  if (!problems.empty()) return problems.ToError();

  std::map<Digest, std::shared_ptr<const Variant>> made;
  for (const VariantInputs& inputs : request.variants) {
    std::vector<Decoded> patched = *objects;
    ApplyPatches(inputs.patches, patched, problems);
    if (!problems.empty()) return problems.ToError();
    auto variant = MakeVariant(patched);
    output.variants.push_back(made.emplace(variant->digest, variant).first->second);
  }
  output.input_digest = InputDigest(request, *path, output.read_set);
  return output;
}

}  // namespace flotilla::render
