#include "deliver/health.h"

#include <fmt/format.h>

#include <string_view>

#include "base/time.h"
#include "kube/resource.h"

namespace flotilla::deliver {
namespace {

using value::Ref;

ObjectHealth Healthy() { return {Health::kHealthy, {}}; }
template <typename... Args>
ObjectHealth InProgress(fmt::format_string<Args...> format, Args&&... args) {
  return {Health::kInProgress, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
ObjectHealth Failed(fmt::format_string<Args...> format, Args&&... args) {
  return {Health::kFailed, fmt::format(format, std::forward<Args>(args)...)};
}

Ref ConditionOf(Ref object, std::string_view type) {
  for (Ref condition : object.At("status", "conditions").Items()) {
    if (condition["type"].String() == type) return condition;
  }
  return {};
}
bool Is(Ref condition, std::string_view status) { return condition["status"].String() == status; }

ObjectHealth Deployment(Ref object) {
  const Ref status = object["status"];
  const int64_t wanted = object.At("spec", "replicas").Int(1);
  const Ref progressing = ConditionOf(object, "Progressing");
  if (progressing["reason"].String() == "ProgressDeadlineExceeded") {
    return Failed("{}", progressing["message"].String("progress deadline exceeded"));
  }
  const int64_t replicas = status["replicas"].Int();
  const int64_t updated = status["updatedReplicas"].Int();
  const int64_t available = status["availableReplicas"].Int();
  const int64_t ready = status["readyReplicas"].Int();
  if (replicas < wanted) return InProgress("{} of {} replicas exist", replicas, wanted);
  if (updated < wanted) return InProgress("{} of {} replicas are updated", updated, wanted);
  if (replicas > wanted) return InProgress("{} old replicas end", replicas - wanted);
  if (available < updated) return InProgress("{} of {} replicas are available", available, updated);
  if (ready < wanted) return InProgress("{} of {} replicas are ready", ready, wanted);
  if (progressing && !(Is(progressing, "True") &&
                       progressing["reason"].String() == "NewReplicaSetAvailable")) {
    return InProgress("the new ReplicaSet is not available yet");
  }
  const Ref availability = ConditionOf(object, "Available");
  if (wanted > 0 && !Is(availability, "True")) return InProgress("not available yet");
  return Healthy();
}

ObjectHealth StatefulSet(Ref object) {
  const Ref status = object["status"];
  if (object.At("spec", "updateStrategy", "type").String() == "OnDelete") return Healthy();
  const int64_t wanted = object.At("spec", "replicas").Int(1);
  const int64_t replicas = status["replicas"].Int();
  const int64_t ready = status["readyReplicas"].Int();
  if (replicas < wanted) return InProgress("{} of {} replicas exist", replicas, wanted);
  if (ready < wanted) return InProgress("{} of {} replicas are ready", ready, wanted);
  if (replicas > wanted) return InProgress("{} replicas end", replicas - wanted);
  const int64_t partition = object.At("spec", "updateStrategy", "rollingUpdate", "partition").Int(0);
  if (partition > 0) {
    const int64_t updated = status["updatedReplicas"].Int();
    if (updated < wanted - partition) {
      return InProgress("{} of {} replicas are updated", updated, wanted - partition);
    }
    return Healthy();
  }
  if (status["currentReplicas"].Int() < wanted) {
    return InProgress("{} of {} replicas are current", status["currentReplicas"].Int(), wanted);
  }
  if (status["currentRevision"].String() != status["updateRevision"].String()) {
    return InProgress("waiting for revision {}", status["updateRevision"].String());
  }
  return Healthy();
}

ObjectHealth ReplicaSet(Ref object) {
  const Ref status = object["status"];
  if (Is(ConditionOf(object, "ReplicaFailure"), "True")) {
    return InProgress("{}", ConditionOf(object, "ReplicaFailure")["message"].String("replica failure"));
  }
  const int64_t wanted = object.At("spec", "replicas").Int(1);
  for (const char* field : {"fullyLabeledReplicas", "availableReplicas", "readyReplicas"}) {
    if (status[field].Int() < wanted) return InProgress("{} of {}: {}", status[field].Int(), wanted, field);
  }
  if (status["replicas"].Int() > wanted) return InProgress("replicas end");
  return Healthy();
}

ObjectHealth DaemonSet(Ref object) {
  const Ref status = object["status"];
  if (!status["observedGeneration"] || !status["desiredNumberScheduled"]) {
    return InProgress("not observed by its controller yet");
  }
  const int64_t wanted = status["desiredNumberScheduled"].Int();
  for (const char* field :
       {"currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady"}) {
    if (status[field].Int() < wanted) return InProgress("{} of {}: {}", status[field].Int(), wanted, field);
  }
  return Healthy();
}

ObjectHealth Job(Ref object) {
  if (const Ref failed = ConditionOf(object, "Failed"); Is(failed, "True")) {
    return Failed("{}", failed["message"].String("the job failed"));
  }
  if (Is(ConditionOf(object, "Complete"), "True")) return Healthy();
  if (Is(ConditionOf(object, "Suspended"), "True") && object.At("spec", "suspend").Bool()) return Healthy();
  if (!object.At("status", "startTime")) return InProgress("not started yet");
  return Healthy();
}

ObjectHealth Pod(Ref object, WallTime now) {
  const std::string_view phase = object.At("status", "phase").String();
  if (phase == "Succeeded" || phase == "Failed") return Healthy();
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    for (Ref status : object.At("status", list).Items()) {
      if (status.At("state", "waiting", "reason").String() == "CrashLoopBackOff") {
        return Failed("container {} crashes: {}", status["name"].String(),
                      status.At("state", "waiting", "message").String());
      }
    }
  }
  if (phase == "Running") {
    return Is(ConditionOf(object, "Ready"), "True") ? Healthy() : InProgress("not ready yet");
  }
  const Ref scheduled = ConditionOf(object, "PodScheduled");
  if (Is(scheduled, "False") && scheduled["reason"].String() == "Unschedulable") {
    const auto since = ParseTime(scheduled["lastTransitionTime"].String());
    if (since && now - *since > 15s) return Failed("{}", scheduled["message"].String("unschedulable"));
  }
  return InProgress("{}", phase.empty() ? "Pending" : phase);
}

ObjectHealth CustomResourceDefinition(Ref object) {
  const Ref names = ConditionOf(object, "NamesAccepted");
  if (Is(names, "False")) return Failed("{}", names["message"].String("names are taken"));
  const Ref established = ConditionOf(object, "Established");
  if (Is(established, "True")) return Healthy();
  if (Is(established, "False") && established["reason"].String() != "Installing") {
    return Failed("{}", established["message"].String("not established"));
  }
  return InProgress("not established yet");
}

// Rules by kind; nullopt leaves the object to its Ready condition.
std::optional<ObjectHealth> ByKind(const kube::GroupKind& kind, Ref object, WallTime now) {
  if (kind.group == "apps") {
    if (kind.kind == "Deployment") return Deployment(object);
    if (kind.kind == "StatefulSet") return StatefulSet(object);
    if (kind.kind == "ReplicaSet") return ReplicaSet(object);
    if (kind.kind == "DaemonSet") return DaemonSet(object);
  } else if (kind.group == "batch") {
    if (kind.kind == "Job") return Job(object);
    if (kind.kind == "CronJob") return Healthy();
  } else if (kind.group.empty()) {
    if (kind.kind == "Pod") return Pod(object, now);
    if (kind.kind == "ConfigMap" || kind.kind == "Secret") return Healthy();
    if (kind.kind == "PersistentVolumeClaim") {
      const std::string_view phase = object.At("status", "phase").String();
      return phase == "Bound" ? Healthy() : InProgress("{}", phase.empty() ? "Pending" : phase);
    }
    if (kind.kind == "Service") {
      const bool waits = object.At("spec", "type").String() == "LoadBalancer" &&
                         object.At("spec", "clusterIP").String().empty();
      return waits ? InProgress("no cluster IP yet") : Healthy();
    }
  } else if (kind.group == "apiextensions.k8s.io" && kind.kind == "CustomResourceDefinition") {
    return CustomResourceDefinition(object);
  } else if (kind.group == "policy" && kind.kind == "PodDisruptionBudget") {
    return Healthy();
  }
  return std::nullopt;
}

}  // namespace

ObjectHealth HealthOf(Ref object, WallTime now) {
  if (object.At("metadata", "deletionTimestamp")) return InProgress("it is being deleted");
  const Ref observed = object.At("status", "observedGeneration");
  if (observed && observed.Int() != kube::GenerationOf(object)) {
    return InProgress("generation {} is not observed yet", kube::GenerationOf(object));
  }
  if (Is(ConditionOf(object, "Reconciling"), "True")) {
    return InProgress("{}", ConditionOf(object, "Reconciling")["message"].String("reconciling"));
  }
  if (Is(ConditionOf(object, "Stalled"), "True")) {
    return Failed("{}", ConditionOf(object, "Stalled")["message"].String("stalled"));
  }
  if (auto health = ByKind(kube::GvkOf(object).ToGroupKind(), object, now)) return *health;
  const Ref ready = ConditionOf(object, "Ready");
  if (ready && !Is(ready, "True")) return InProgress("{}", ready["message"].String("not ready yet"));
  return Healthy();
}

}  // namespace flotilla::deliver
