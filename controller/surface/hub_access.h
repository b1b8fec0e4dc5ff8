// Which cluster a command talks to, decided as kubectl does.
#pragma once

#include <string>

#include "base/result.h"
#include "kube/access.h"
#include "kube/config.h"
#include "surface/platform.h"

namespace flotilla::surface {

struct HubFlags {
  std::string kubeconfig;  // --kubeconfig; "": $KUBECONFIG, then ~/.kube/config
  std::string context;     // --context; "": the current one
  std::string ns;          // -n; "": that of the context, then "default"
};

// From a kubeconfig. Of several files in $KUBECONFIG the first that has the context is used alone.
// Exec plugins run as the user's own kubeconfig says.
Result<kube::Access> AccessByKubeconfig(const Platform& platform, const HubFlags& flags);

// For the controller: --kubeconfig where given, else the pod that it runs in, else as above.
Result<kube::Access> AccessForController(const Platform& platform, const HubFlags& flags);

// A file, with what of this machine it refers to. `path` as the user wrote it.
Result<kube::Access> AccessByFile(const Platform& platform, const std::string& path,
                                  const std::string& context);
// How that context reaches its cluster, with the authority's certificate itself instead of a file.
Result<kube::ClusterConfig> ReachByFile(const Platform& platform, const std::string& path,
                                        const std::string& context);

}  // namespace flotilla::surface
