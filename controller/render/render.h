// From a tree of files to the objects to deliver.
//
// Plain directories of YAML and JSON: every document is an object, or a List of objects. Render
// reads the files once, then makes each variant: objects with a scope-right namespace, common labels
// and the variant's patches, without fields that only a server may write, sorted by identity.
//
// Pure but for the tree: the same tree and request give the same bytes. Errors are Invalid, name
// "file:line:column" and the field, say what to do, and list every problem found, not only the
// first. A render without objects is an error with an EmptyRender detail: nobody may conclude
// "delete everything" from it. Not safe for concurrent use of one Tree.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/application.h"
#include "base/digest.h"
#include "base/result.h"
#include "base/tree.h"
#include "kube/resource.h"
#include "render/object.h"
#include "render/read_set.h"
#include "render/selection.h"

namespace flotilla::render {

// Names what decides the output besides the inputs; grows when the same inputs render differently.
inline constexpr std::string_view kRendererVersion = "plain/1";

enum class Scope : unsigned char { kNamespaced, kCluster };

// Asked for kinds that neither the set's own CRDs nor the built-in table know; nullopt where
// nobody knows.
using ScopeOf = std::function<std::optional<Scope>(const kube::GroupVersionKind&)>;

// What makes the objects of one group of clusters differ from those of another.
struct VariantInputs {
  std::vector<api::Patch> patches;  // in order
  bool operator==(const VariantInputs&) const = default;
};

struct RenderRequest {
  std::string path;  // a directory or one file of the tree; "" is the root
  Selection selection;
  std::string target_namespace;   // for namespaced objects that name none
  bool create_namespace = false;  // adds the Namespace `target_namespace` if the set lacks it
  api::Labels common_labels;      // on every object, winning over its own
  std::vector<VariantInputs> variants{VariantInputs{}};
  ScopeOf scope;  // may be empty
  // For the input digest only, which must not depend on the clusters that happen to exist.
  std::vector<api::Override> overrides;
};

// Immutable once rendered; shared by everything that holds it.
struct Variant {
  std::vector<Object> objects;  // sorted by Id()
  Digest digest;
};

struct RenderOutput {
  std::vector<std::shared_ptr<const Variant>> variants;  // as many as in the request, in its order;
                                                         // equal ones are one object
  ReadSet read_set;
  Digest input_digest;  // of everything read and the options of the application
  // Kinds whose scope nobody knows: their objects keep the namespace they name. The caller must
  // resolve them per cluster before it writes.
  std::vector<kube::GroupVersionKind> unresolved;
};

Result<RenderOutput> Render(Tree& tree, const RenderRequest& request);

// The detail of the error of a render that found no object.
struct EmptyRender : ErrorDetail {};

// The options that `application` itself gives; variants and scope are left to the caller.
RenderRequest RequestFor(const api::ApplicationSpec& application);

// Clusters that render alike share a variant.
struct VariantPlan {
  std::vector<VariantInputs> variants;                  // unequal, in order of first use
  std::map<std::string, size_t, std::less<>> clusters;  // cluster name → index into variants
};
VariantPlan PlanVariants(const std::vector<api::Override>& overrides,
                         const std::map<std::string, api::Labels>& clusters);

}  // namespace flotilla::render
