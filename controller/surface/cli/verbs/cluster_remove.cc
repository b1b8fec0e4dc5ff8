#include <fmt/format.h>

#include "api/cluster.h"
#include "kube/errors.h"
#include "surface/cli/verbs/verbs.h"

namespace flotilla::surface {

Result<int> ClusterRemove(Session& session, const std::string& name) {
  const kube::GroupVersionResource gvr = ResourceOf(api::kClusterKind);
  auto object = session.hub.Find(gvr, {"", name}, session.stop);
  if (!object) return Fail(object, "read Cluster {}", name);
  if (!*object) return Fail(ErrorClass::kNotFound, "there is no Cluster {}", name);
  auto cluster = api::ParseCluster(**object);
  if (!cluster) return Fail(cluster, "Cluster {}", name);

  // The Cluster first: without it nobody misses the credential.
  auto gone = session.hub.Do(kube::DeleteRequest(gvr, {"", name}, {.uid = cluster->meta.uid}),
                             session.stop);
  if (!gone && gone.error().cls != ErrorClass::kNotFound)
    return Fail(gone, "remove Cluster {}", name);
  if (cluster->spec.kubeconfig && cluster->spec.kubeconfig->ns == api::kSystemNamespace) {
    gone = session.hub.Do(
        kube::DeleteRequest({"", "v1", "secrets"},
                            {cluster->spec.kubeconfig->ns, cluster->spec.kubeconfig->name}),
        session.stop);
    if (!gone && gone.error().cls != ErrorClass::kNotFound) {
      return Fail(gone, "remove the credential of {}", name);
    }
  }
  session.console.OutLine(
      fmt::format("cluster {} is removed; what was deployed there stays", name));
  session.console.Note(
      "its account remains on the cluster: kubectl delete clusterrolebinding flotilla-admin && "
      "kubectl -n flotilla-system delete serviceaccount flotilla");
  return kDone;
}

}  // namespace flotilla::surface
