#include "sim/api_server/kinds/workloads.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/digest.h"
#include "value/json.h"

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

namespace {

using Outcome = WorkloadRule::Outcome;

const WorkloadRule kDefaultRule;

struct Workload {
  Server& server;
  ResourcePtr resource;
  StoredPtr live;
  const WorkloadRule& rule;

  Ref spec() const { return live->object["spec"]; }
  Ref status() const { return live->object["status"]; }
  int64_t generation() const { return live->metadata()["generation"].Int(); }
  std::string now() const { return FormatTime(server.WallNow()); }
};

Ref TemplateOf(Ref object, const ResourceType& resource) {
  return resource.kind == "Pod" ? object : object["spec"]["template"];
}

bool MatchesAnnotation(Ref annotations, const std::string& wanted) {
  size_t equals = wanted.find('=');
  Ref value = annotations[std::string_view(wanted).substr(0, equals)];
  if (!value) return false;
  return equals == std::string::npos ||
         value.String() == std::string_view(wanted).substr(equals + 1);
}

const WorkloadRule& RuleFor(const Server& server, const Stored& stored,
                            const ResourceType& resource) {
  Ref tmpl = TemplateOf(stored.object, resource);
  for (const WorkloadRule& rule : server.workload_rules) {
    bool image = rule.image.empty();
    for (Ref container : tmpl["spec"]["containers"].Items()) {
      image |= container["image"].String().find(rule.image) != std::string_view::npos;
    }
    if (!image || (!rule.name.empty() && rule.name != stored.name)) continue;
    if (!rule.annotation.empty() &&
        !MatchesAnnotation(tmpl["metadata"]["annotations"], rule.annotation)) {
      continue;
    }
    return rule;
  }
  return kDefaultRule;
}

Value Condition(const Workload& w, const char* type, bool holds, const char* reason,
                const std::string& message) {
  return Value::Map(
      {{"type", type},
       {"status", holds ? "True" : "False"},
       {"lastUpdateTime", w.resource->kind == "Deployment" ? Value(w.now()) : Value()},
       {"lastTransitionTime", w.now()},
       {"reason", reason},
       {"message", message}});
}

void SetStatus(const Workload& w, Value status) {
  WriteContext context = w.server.OwnContext(*w.resource, w.live->ns, w.live->name, "update");
  context.info.subresource = "status";
  (void)w.server.ReplaceObject(
      w.resource, w.live, value::Edited(w.live->object).Set({"status"}, std::move(status)).Done(),
      context);
}

Value Count(int64_t number) { return number == 0 ? Value() : Value(number); }

// A name for the template as it is now, as controllers derive from its hash.
std::string Revision(const Workload& w) {
  return w.live->name + "-" +
         DigestOf(value::ToCanonicalJson(w.spec()["template"])).Hex().substr(0, 10);
}

Value DeploymentStatus(const Workload& w, bool ready, bool deadline_passed) {
  int64_t wanted = w.spec()["replicas"].Int(1);
  int64_t were_ready = std::min(w.status()["readyReplicas"].Int(), wanted);
  int64_t ready_now = ready ? wanted : were_ready;
  bool available = ready || ready_now > 0 || wanted == 0;
  std::string name = fmt::format("ReplicaSet \"{}\"", Revision(w));
  const char* reason = deadline_passed ? "ProgressDeadlineExceeded"
                       : ready         ? "NewReplicaSetAvailable"
                                       : "ReplicaSetUpdated";
  std::string message = deadline_passed ? name + " has timed out progressing."
                        : ready         ? name + " has successfully progressed."
                                        : name + " is progressing.";
  int64_t updated = ready                               ? wanted
                    : w.rule.outcome == Outcome::kReady ? 0
                                                        : std::min<int64_t>(wanted, 1);
  return Value::Map(
      {{"observedGeneration", w.generation()},
       {"replicas", Count(wanted)},
       {"updatedReplicas", Count(updated)},
       {"readyReplicas", Count(ready_now)},
       {"availableReplicas", Count(ready_now)},
       {"unavailableReplicas", Count(wanted - ready_now)},
       {"conditions",
        Value::List(
            {Condition(w, "Available", available,
                       available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                       available ? "Deployment has minimum availability."
                                 : "Deployment does not have minimum availability."),
             Condition(w, "Progressing", !deadline_passed, reason, message)})}});
}

Value StatefulSetStatus(const Workload& w, bool ready) {
  int64_t wanted = w.spec()["replicas"].Int(1);
  int64_t were_ready = std::min(w.status()["readyReplicas"].Int(), wanted);
  std::string revision = Revision(w);
  std::string current = w.status()["currentRevision"].Text();
  if (ready || current.empty()) current = revision;
  int64_t ready_now = ready ? wanted : were_ready;
  int64_t updated = ready ? wanted : 0;
  return Value::Map({{"observedGeneration", w.generation()},
                     {"replicas", wanted},
                     {"readyReplicas", Count(ready_now)},
                     {"availableReplicas", ready_now},
                     {"currentReplicas", Count(ready ? wanted : were_ready)},
                     {"updatedReplicas", Count(updated)},
                     {"currentRevision", current},
                     {"updateRevision", revision},
                     {"collisionCount", 0}});
}

Value DaemonSetStatus(const Workload& w, bool ready) {
  constexpr int64_t nodes = 1;
  int64_t ready_now = ready ? nodes : w.status()["numberReady"].Int();
  return Value::Map({{"observedGeneration", w.generation()},
                     {"currentNumberScheduled", nodes},
                     {"desiredNumberScheduled", nodes},
                     {"numberMisscheduled", 0},
                     {"numberReady", ready_now},
                     {"updatedNumberScheduled", Count(ready ? nodes : 0)},
                     {"numberAvailable", Count(ready_now)},
                     {"numberUnavailable", Count(nodes - ready_now)}});
}

Value ReplicaSetStatus(const Workload& w, bool ready) {
  int64_t wanted = w.spec()["replicas"].Int(1);
  int64_t ready_now = ready ? wanted : std::min(w.status()["readyReplicas"].Int(), wanted);
  return Value::Map({{"observedGeneration", w.generation()},
                     {"replicas", wanted},
                     {"fullyLabeledReplicas", Count(wanted)},
                     {"readyReplicas", Count(ready_now)},
                     {"availableReplicas", Count(ready_now)}});
}

Value JobStatus(const Workload& w, bool ready) {
  std::string started = w.status()["startTime"].Text(w.now());
  int64_t wanted = w.spec()["completions"].Int(w.spec()["parallelism"].Int(1));
  auto condition = [&](const char* type, const char* reason, const char* message) {
    return Value::Map({{"type", type},
                       {"status", "True"},
                       {"lastProbeTime", w.now()},
                       {"lastTransitionTime", w.now()},
                       {"reason", reason},
                       {"message", message}});
  };
  if (ready && w.rule.outcome == Outcome::kFail) {
    const char* reason = "BackoffLimitExceeded";
    const char* message = "Job has reached the specified backoff limit";
    return Value::Map({{"startTime", started},
                       {"failed", w.spec()["backoffLimit"].Int(6) + 1},
                       {"conditions", Value::List({condition("FailureTarget", reason, message),
                                                   condition("Failed", reason, message)})}});
  }
  if (ready) {
    const char* reason = "CompletionsReached";
    const char* message = "Reached expected number of succeeded pods";
    return Value::Map({{"startTime", started},
                       {"completionTime", w.now()},
                       {"succeeded", wanted},
                       {"ready", 0},
                       {"terminating", 0},
                       {"uncountedTerminatedPods", Value::Map({})},
                       {"conditions", Value::List({condition("SuccessCriteriaMet", reason, message),
                                                   condition("Complete", reason, message)})}});
  }
  return Value::Map({{"startTime", started},
                     {"active", w.spec()["parallelism"].Int(1)},
                     {"ready", 0},
                     {"terminating", 0},
                     {"uncountedTerminatedPods", Value::Map({})}});
}

Value PodStatus(const Workload& w, bool ready) {
  std::vector<Value> statuses;
  bool crashing = w.rule.outcome == Outcome::kCrashLoop && ready;
  bool running = ready && !crashing;
  for (Ref container : w.spec()["containers"].Items()) {
    Value state =
        running
            ? Value::Map({{"running", Value::Map({{"startedAt", w.now()}})}})
            : Value::Map({{"waiting", Value::Map({{"reason", crashing ? "CrashLoopBackOff"
                                                                      : "ContainerCreating"}})}});
    statuses.push_back(Value::Map({{"name", w.live->object.Share(container["name"])},
                                   {"image", w.live->object.Share(container["image"])},
                                   {"imageID", ""},
                                   {"ready", running},
                                   {"restartCount", crashing ? 5 : 0},
                                   {"state", state}}));
  }
  std::vector<Value> conditions;
  for (const char* type : {"Initialized", "Ready", "ContainersReady", "PodScheduled"}) {
    std::string_view name = type;
    bool holds = running || name == "Initialized" || name == "PodScheduled";
    conditions.push_back(Value::Map({{"type", type},
                                     {"status", holds ? "True" : "False"},
                                     {"lastProbeTime", nullptr},
                                     {"lastTransitionTime", w.now()}}));
  }
  return Value::Map({{"phase", ready ? "Running" : "Pending"},
                     {"qosClass", w.live->object.Share(w.status()["qosClass"])},
                     {"startTime", w.now()},
                     {"conditions", Value::List(conditions)},
                     {"containerStatuses", Value::List(statuses)}});
}

Value ClaimStatus(const Workload& w) {
  return Value::Map({{"phase", "Bound"},
                     {"accessModes", w.live->object.Share(w.spec()["accessModes"])},
                     {"capacity", w.live->object.Share(w.spec()["resources"]["requests"])}});
}

Value BalancerStatus(const Workload& w) {
  Value ingress = Value::List(
      {Value::Map({{"ip", fmt::format("203.0.113.{}", w.live->rv % 254 + 1)}, {"ipMode", "VIP"}})});
  return Value::Map({{"loadBalancer", Value::Map({{"ingress", ingress}})}});
}

Value StatusOf(const Workload& w, bool ready, bool deadline_passed) {
  const std::string& kind = w.resource->kind;
  if (kind == "Deployment") return DeploymentStatus(w, ready, deadline_passed);
  if (kind == "StatefulSet") return StatefulSetStatus(w, ready);
  if (kind == "DaemonSet") return DaemonSetStatus(w, ready);
  if (kind == "ReplicaSet") return ReplicaSetStatus(w, ready);
  if (kind == "Job") return JobStatus(w, ready);
  if (kind == "Pod") return PodStatus(w, ready);
  if (kind == "PersistentVolumeClaim") return ClaimStatus(w);
  return BalancerStatus(w);
}

bool IsWorkload(const ResourceType& resource) {
  if (resource.group == "apps") return resource.kind != "ControllerRevision";
  if (resource.group == "batch") return resource.kind == "Job";
  return resource.group.empty() &&
         (resource.kind == "Pod" || resource.kind == "PersistentVolumeClaim" ||
          resource.kind == "Service");
}

// Does `act` later, unless the object has changed its spec by then.
void Later(Server& server, const ResourcePtr& resource, const Stored& stored, Duration delay,
           std::function<void(const Workload&)> act) {
  int64_t generation = stored.metadata()["generation"].Int();
  server.timers.At(server.Now() + delay, [&server, resource, ns = stored.ns, name = stored.name,
                                          uid = stored.uid, generation, act = std::move(act)] {
    StoredPtr live = resource->table->Find(ns, name);
    if (!live || live->uid != uid || live->metadata()["deletionTimestamp"] ||
        live->metadata()["generation"].Int() != generation) {
      return;
    }
    act(Workload{server, resource, live, RuleFor(server, *live, *resource)});
  });
}

}  // namespace

void SettleWorkload(Server& server, const ResourcePtr& resource, const Change& change) {
  if (!IsWorkload(*resource) || resource->is_custom()) return;
  const Stored& now = *change.now;
  if (now.metadata()["deletionTimestamp"]) return;
  const std::string& kind = resource->kind;
  if (kind == "Service" && now.object["spec"]["type"].String() != "LoadBalancer") return;
  bool first = change.before == nullptr;
  // Kinds without generation fare once; the others whenever their spec changes.
  if (!first &&
      now.metadata()["generation"].Int() == change.before->metadata()["generation"].Int()) {
    return;
  }
  if (!first &&
      (kind == "Pod" || kind == "Job" || kind == "Service" || kind == "PersistentVolumeClaim")) {
    return;
  }
  StoredPtr live = resource->table->Find(now.ns, now.name);
  if (!live || live->uid != now.uid) return;
  Workload workload{server, resource, live, RuleFor(server, *live, *resource)};
  if (kind != "PersistentVolumeClaim" && kind != "Service") {
    SetStatus(workload, StatusOf(workload, false, false));
  }
  const WorkloadRule& rule = workload.rule;
  bool finishes = rule.outcome == Outcome::kReady || kind == "Service" ||
                  kind == "PersistentVolumeClaim" ||
                  (kind == "Pod" && rule.outcome == Outcome::kCrashLoop) ||
                  (kind == "Job" && rule.outcome == Outcome::kFail);
  if (finishes) {
    Later(server, resource, now, rule.ready_after,
          [](const Workload& w) { SetStatus(w, StatusOf(w, true, false)); });
  } else if (kind == "Deployment") {
    Duration deadline =
        std::chrono::seconds(now.object["spec"]["progressDeadlineSeconds"].Int(600));
    Later(server, resource, now, deadline,
          [](const Workload& w) { SetStatus(w, StatusOf(w, false, true)); });
  }
}

}  // namespace flotilla::sim::api
