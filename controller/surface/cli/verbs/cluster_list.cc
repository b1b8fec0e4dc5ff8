#include "api/cluster.h"
#include "surface/cli/verbs/verbs.h"

namespace flotilla::surface {

Result<int> ClusterList(Session& session) {
  auto objects = ListAll(session, api::kClusterKind);
  if (!objects) return Pass(objects);
  if (!session.console.for_people()) {
    session.console.PrintObjects(*objects, api::kClusterKind.plural);
    return kDone;
  }
  const WallTime now = session.runtime.WallNow();
  Table table({"NAME", "READY", "REGION", "TIER", "ROUND-TRIP", "LAST-SEEN", "MESSAGE"});
  for (const value::Value& object : *objects) {
    auto cluster = api::ParseCluster(object);
    if (!cluster) return Fail(cluster, "Cluster {}", kube::NameOf(object));
    const api::Condition* ready =
        api::FindCondition(cluster->status.conditions, api::condition::kReady);
    const bool good = ready && ready->status == api::ConditionStatus::kTrue;
    table.Add({cluster->meta.name,
               {ready ? api::ToString(ready->status) : "Unknown", good ? Tone::kGood : Tone::kBad},
               OrDash(cluster->spec.region),
               OrDash(cluster->spec.tier),
               cluster->status.round_trip ? FormatDuration(*cluster->status.round_trip) : "-",
               Age(now, cluster->status.last_seen),
               cluster->spec.suspended ? "suspended" : (good || !ready ? "" : ready->message)});
  }
  if (table.empty()) {
    session.console.Note("there is no Cluster: add one by `flotilla cluster add`");
  } else {
    session.console.Print(table);
  }
  return kDone;
}

}  // namespace flotilla::surface
