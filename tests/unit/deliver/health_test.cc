// kstatus, row by row: what of an object's status makes it healthy, in progress or failed.
#include "deliver/health.h"

#include "catch.h"
#include "value/yaml.h"

namespace flotilla::deliver {
namespace {

const WallTime kNow = *ParseTime("2026-01-01T00:01:00Z");

constexpr auto kHealthy = Health::kHealthy;
constexpr auto kInProgress = Health::kInProgress;
constexpr auto kFailed = Health::kFailed;

struct Row {
  const char* what;
  Health health;
  const char* yaml;  // flow style, without the outer braces
};

void Check(const std::string& kind, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    auto parsed = value::ParseYaml("{" + kind + ", " + row.yaml + "}");
    INFO(row.what);
    REQUIRE(parsed);
    const ObjectHealth health = HealthOf((*parsed)[0].value, kNow);
    INFO(health.message);
    CHECK(health.health == row.health);
    CHECK((health.health == kHealthy) == health.message.empty());
  }
}

TEST_CASE("what is asked first, of every kind") {
  Check("apiVersion: example.com/v1, kind: Widget",
        {{"no status", kHealthy, "metadata: {generation: 1}"},
         {"being deleted", kInProgress, "metadata: {deletionTimestamp: x}"},
         {"an older generation observed", kInProgress, "metadata: {generation: 2}, status: {observedGeneration: 1}"},
         {"reconciling", kInProgress, "status: {conditions: [{type: Reconciling, status: 'True'}]}"},
         {"stalled", kFailed, "status: {conditions: [{type: Stalled, status: 'True', message: m}]}"},
         {"stalled no more", kHealthy, "status: {conditions: [{type: Stalled, status: 'False'}]}"},
         {"Ready", kHealthy, "status: {conditions: [{type: Ready, status: 'True'}]}"},
         {"not Ready", kInProgress, "status: {conditions: [{type: Ready, status: 'False', message: m}]}"},
         {"Ready unknown", kInProgress, "status: {conditions: [{type: Ready, status: Unknown}]}"}});
}

TEST_CASE("Deployment") {
  const char* done = "conditions: [{type: Progressing, status: 'True', reason: NewReplicaSetAvailable}, "
                     "{type: Available, status: 'True'}]";
  auto status = [&](const std::string& counts, const char* conditions = nullptr) {
    return "spec: {replicas: 2}, status: {" + counts + (conditions ? conditions : done) + "}";
  };
  const std::string all = "replicas: 2, updatedReplicas: 2, availableReplicas: 2, readyReplicas: 2, ";
  const std::vector<std::string> kept = {
      status(all), status("replicas: 1, updatedReplicas: 1, availableReplicas: 1, readyReplicas: 1, "),
      status("replicas: 2, updatedReplicas: 1, availableReplicas: 2, readyReplicas: 2, "),
      status("replicas: 3, updatedReplicas: 2, availableReplicas: 2, readyReplicas: 2, "),
      status("replicas: 2, updatedReplicas: 2, availableReplicas: 1, readyReplicas: 2, "),
      status("replicas: 2, updatedReplicas: 2, availableReplicas: 2, readyReplicas: 1, "),
      status(all, "conditions: [{type: Progressing, status: 'True', reason: ReplicaSetUpdated}, {type: Available, status: 'True'}]"),
      status(all, "conditions: [{type: Progressing, status: 'True', reason: NewReplicaSetAvailable}, {type: Available, status: 'False'}]"),
      status(all, "conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: slow}]"),
      status(all, "conditions: [{type: Available, status: 'True'}]")};
  Check("apiVersion: apps/v1, kind: Deployment",
        {{"all there", kHealthy, kept[0].c_str()},
         {"too few", kInProgress, kept[1].c_str()},
         {"not all updated", kInProgress, kept[2].c_str()},
         {"old ones left", kInProgress, kept[3].c_str()},
         {"not all available", kInProgress, kept[4].c_str()},
         {"not all ready", kInProgress, kept[5].c_str()},
         {"the new ReplicaSet is not available", kInProgress, kept[6].c_str()},
         {"not available", kInProgress, kept[7].c_str()},
         {"deadline exceeded", kFailed, kept[8].c_str()},
         {"no progressDeadline", kHealthy, kept[9].c_str()},
         {"no status yet", kInProgress, "spec: {replicas: 2}"},
         {"one replica where none is named", kInProgress, "spec: {}, status: {}"}});
}

TEST_CASE("StatefulSet") {
  Check("apiVersion: apps/v1, kind: StatefulSet",
        {{"all current", kHealthy, "spec: {replicas: 1}, status: {replicas: 1, readyReplicas: 1, currentReplicas: 1, currentRevision: a, updateRevision: a}"},
         {"OnDelete", kHealthy, "spec: {replicas: 1, updateStrategy: {type: OnDelete}}"},
         {"too few", kInProgress, "spec: {replicas: 2}, status: {replicas: 1}"},
         {"not ready", kInProgress, "spec: {replicas: 1}, status: {replicas: 1, readyReplicas: 0}"},
         {"too many", kInProgress, "spec: {replicas: 1}, status: {replicas: 2, readyReplicas: 1}"},
         {"another revision", kInProgress, "spec: {replicas: 1}, status: {replicas: 1, readyReplicas: 1, currentReplicas: 1, currentRevision: a, updateRevision: b}"},
         {"partition reached", kHealthy, "spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}, status: {replicas: 3, readyReplicas: 3, updatedReplicas: 1}"},
         {"partition not reached", kInProgress, "spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}, status: {replicas: 3, readyReplicas: 3, updatedReplicas: 0}"}});
}

TEST_CASE("ReplicaSet and DaemonSet") {
  Check("apiVersion: apps/v1, kind: ReplicaSet",
        {{"all there", kHealthy, "spec: {replicas: 1}, status: {replicas: 1, fullyLabeledReplicas: 1, availableReplicas: 1, readyReplicas: 1}"},
         {"not available", kInProgress, "spec: {replicas: 1}, status: {replicas: 1, fullyLabeledReplicas: 1}"},
         {"too many", kInProgress, "spec: {replicas: 1}, status: {replicas: 2, fullyLabeledReplicas: 1, availableReplicas: 1, readyReplicas: 1}"},
         {"failure", kInProgress, "status: {conditions: [{type: ReplicaFailure, status: 'True', message: quota}]}"}});
  Check("apiVersion: apps/v1, kind: DaemonSet",
        {{"all there", kHealthy, "metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1, numberReady: 1}"},
         {"no node", kHealthy, "metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 0}"},
         {"not observed", kInProgress, "status: {desiredNumberScheduled: 0}"},
         {"not updated", kInProgress, "metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1}"}});
}

TEST_CASE("Job and CronJob: one that runs is current") {
  Check("apiVersion: batch/v1, kind: Job",
        {{"complete", kHealthy, "status: {conditions: [{type: Complete, status: 'True'}]}"},
         {"failed", kFailed, "status: {conditions: [{type: Failed, status: 'True', message: m}]}"},
         {"suspended", kHealthy, "spec: {suspend: true}, status: {conditions: [{type: Suspended, status: 'True'}]}"},
         {"running", kHealthy, "status: {startTime: x}"},
         {"not started", kInProgress, "status: {}"}});
  Check("apiVersion: batch/v1, kind: CronJob", {{"always", kHealthy, "spec: {}"}});
}

TEST_CASE("Pod") {
  Check("apiVersion: v1, kind: Pod",
        {{"succeeded", kHealthy, "status: {phase: Succeeded}"},
         {"failed: it is over", kHealthy, "status: {phase: Failed}"},
         {"ready", kHealthy, "status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}"},
         {"not ready", kInProgress, "status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}"},
         {"crashing", kFailed, "status: {phase: Running, containerStatuses: [{name: a, state: {waiting: {reason: CrashLoopBackOff}}}]}"},
         {"an init container crashing", kFailed, "status: {phase: Pending, initContainerStatuses: [{name: a, state: {waiting: {reason: CrashLoopBackOff}}}]}"},
         {"unschedulable for 10 s", kInProgress, "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, lastTransitionTime: '2026-01-01T00:00:50Z'}]}"},
         {"unschedulable for 20 s", kFailed, "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, lastTransitionTime: '2026-01-01T00:00:40Z'}]}"},
         {"pending", kInProgress, "status: {phase: Pending}"},
         {"not seen by anybody", kInProgress, "spec: {}"}});
}

TEST_CASE("what else has a rule of its own, and what has none") {
  Check("apiVersion: v1, kind: ConfigMap", {{"always", kHealthy, "data: {}"}});
  Check("apiVersion: v1, kind: Secret", {{"always", kHealthy, "data: {}"}});
  Check("apiVersion: policy/v1, kind: PodDisruptionBudget", {{"always", kHealthy, "spec: {}"}});
  Check("apiVersion: v1, kind: PersistentVolumeClaim",
        {{"bound", kHealthy, "status: {phase: Bound}"}, {"pending", kInProgress, "status: {phase: Pending}"},
         {"lost", kInProgress, "status: {phase: Lost}"}});
  Check("apiVersion: v1, kind: Service",
        {{"of a cluster", kHealthy, "spec: {type: ClusterIP}"},
         {"a load balancer needs its cluster IP, not its ingress", kHealthy, "spec: {type: LoadBalancer, clusterIP: 10.0.0.1}"},
         {"a load balancer without", kInProgress, "spec: {type: LoadBalancer}"}});
  Check("apiVersion: networking.k8s.io/v1, kind: Ingress", {{"no rule", kHealthy, "spec: {}"}});
}

TEST_CASE("CustomResourceDefinition") {
  Check("apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition",
        {{"established", kHealthy, "status: {conditions: [{type: Established, status: 'True'}]}"},
         {"names taken", kFailed, "status: {conditions: [{type: NamesAccepted, status: 'False', message: m}]}"},
         {"installing", kInProgress, "status: {conditions: [{type: Established, status: 'False', reason: Installing}]}"},
         {"refused", kFailed, "status: {conditions: [{type: Established, status: 'False', reason: NotAccepted, message: m}]}"},
         {"new", kInProgress, "spec: {}"}});
}

}  // namespace
}  // namespace flotilla::deliver
