// Names that Flotilla and its users agree on: the API group, labels, annotations, namespaces.
// Docs list each of them; a name that is written into a cluster never changes its meaning.
#pragma once

#include <string_view>

namespace flotilla::api {

inline constexpr std::string_view kGroup = "flotilla.dev";
inline constexpr std::string_view kVersion = "v1alpha1";
inline constexpr std::string_view kApiVersion = "flotilla.dev/v1alpha1";

// Where the controller lives on the hub and where it keeps ApplySet parents on members.
inline constexpr std::string_view kSystemNamespace = "flotilla-system";
inline constexpr std::string_view kFieldManager = "flotilla";
inline constexpr std::string_view kLeaseName = "flotilla-leader";
inline constexpr std::string_view kArtifactKeySecret = "flotilla-artifact-key";

// On objects that Flotilla writes to members.
inline constexpr std::string_view kFenceAnnotation = "flotilla.dev/fence";
inline constexpr std::string_view kApplicationAnnotation =
    "flotilla.dev/application";  // namespace/name
inline constexpr std::string_view kManagedByLabel = "app.kubernetes.io/managed-by";
inline constexpr std::string_view kManagedByValue = "flotilla";

// On objects that users write into Git; they change how one object is delivered.
inline constexpr std::string_view kPruneAnnotation =
    "flotilla.dev/prune";  // BeforeApply | Disabled
inline constexpr std::string_view kReplaceAnnotation = "flotilla.dev/replace";     // "true"
inline constexpr std::string_view kSyncWaveAnnotation = "flotilla.dev/sync-wave";  // an integer
inline constexpr std::string_view kDriftAnnotation =
    "flotilla.dev/drift";  // Enforce | Report | Ignore

// On objects of our kinds.
inline constexpr std::string_view kApplicationLabel = "flotilla.dev/application";
inline constexpr std::string_view kRolloutLabel = "flotilla.dev/rollout";
inline constexpr std::string_view kClusterLabel = "flotilla.dev/cluster";
inline constexpr std::string_view kFinalizer = "flotilla.dev/deployed";
// Asks for a new fetch, render or rollout attempt; its value is any text that has not been seen.
inline constexpr std::string_view kReconcileAnnotation = "flotilla.dev/reconcile-requested-at";
// Permits what a guard refuses, for one release only: its value is that release's digest.
inline constexpr std::string_view kAllowDestructiveAnnotation = "flotilla.dev/allow-destructive";

}  // namespace flotilla::api
