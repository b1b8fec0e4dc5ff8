#include "sim/api_server/kinds/defaults.h"

#include <fmt/format.h>
#include <charconv>

#include "base/encoding.h"
#include "kube/schema/conform.h"
#include "sim/api_server/kinds/draft.h"
#include "sim/api_server/server.h"

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

namespace {

constexpr const char* kTemplateGeneration = "deprecated.daemonset.template.generation";

Value Map1(std::string_view key, Value value) { return Value::Map({{key, std::move(value)}}); }

// The tag of an image reference; "latest" where it has neither tag nor digest.
std::string_view TagOf(std::string_view image) {
  size_t at = image.find('@');
  bool digest = at != std::string_view::npos;
  image = image.substr(0, at);
  size_t slash = image.rfind('/');
  size_t colon = image.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    return image.substr(colon + 1);
  }
  return digest ? std::string_view() : std::string_view("latest");
}

void DefaultContainers(Draft* containers, bool host_network) {
  if (containers == nullptr) return;
  for (Draft& container : containers->Items()) {
    Draft* image = container.Find("image");
    bool latest = TagOf(image ? image->String() : "") == "latest";
    container.Default("imagePullPolicy", latest ? "Always" : "IfNotPresent");
    Draft* ports = host_network ? container.Find("ports") : nullptr;
    if (ports == nullptr) continue;
    for (Draft& port : ports->Items()) {
      if (Draft* number = port.Find("containerPort")) port.Default("hostPort", number->Done());
    }
  }
}

void DefaultVolumes(Draft* volumes) {
  if (volumes == nullptr) return;
  for (Draft& volume : volumes->Items()) {
    if (volume.size() == 1 && volume.Find("name")) volume["emptyDir"] = Value::Map({});
  }
}

void DefaultPodSpec(Draft& spec, bool is_pod) {
  if (!spec.IsMap()) return;
  bool host_network = is_pod && spec.Find("hostNetwork") && spec.Find("hostNetwork")->Bool();
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"}) {
    DefaultContainers(spec.Find(list), host_network);
  }
  DefaultVolumes(spec.Find("volumes"));
  Draft* account = spec.Find("serviceAccountName");
  Draft* old_name = spec.Find("serviceAccount");
  if (account && !account->String().empty()) {
    Value name = account->Done();
    spec["serviceAccount"] = name;
  } else if (old_name) {
    Value name = old_name->Done();
    spec["serviceAccountName"] = name;
  }
}

void DefaultTemplate(Draft& spec) {
  Draft* pod = spec.Find("template") ? spec["template"].Find("spec") : nullptr;
  if (pod) DefaultPodSpec(*pod, false);
}

// Requests follow limits, in pods but not in templates.
void DefaultRequests(Draft& spec) {
  for (const char* list : {"containers", "initContainers"}) {
    if (!spec.Find(list)) continue;
    for (Draft& container : spec[list].Items()) {
      Draft* resources = container.Find("resources");
      if (!resources || !resources->Find("limits")) continue;
      Value limits = resources->Find("limits")->Done();
      for (auto [key, value] : limits.ref().Members()) {
        (*resources)["requests"].Default(key, limits.Share(value));
      }
    }
  }
}

void DefaultDeployment(Draft& spec) {
  DefaultTemplate(spec);
  Draft& strategy = spec["strategy"];
  if (strategy["type"].String() == "RollingUpdate") {
    strategy.Default("rollingUpdate", Value::Map({{"maxUnavailable", "25%"}, {"maxSurge", "25%"}}));
  }
}

void DefaultDaemonSet(Draft& spec) {
  DefaultTemplate(spec);
  Draft& strategy = spec["updateStrategy"];
  if (strategy["type"].String() == "RollingUpdate") {
    strategy.Default("rollingUpdate", Value::Map({{"maxUnavailable", 1}, {"maxSurge", 0}}));
  }
}

void DefaultStatefulSet(Draft& spec) {
  DefaultTemplate(spec);
  Draft& strategy = spec["updateStrategy"];
  if (!strategy.Find("type")) {
    strategy["type"] = Value("RollingUpdate");
    strategy.Default("rollingUpdate", Map1("partition", 0));
  }
  if (Draft* rolling = strategy.Find("rollingUpdate")) rolling->Default("maxUnavailable", 1);
  if (Draft* claims = spec.Find("volumeClaimTemplates")) {
    for (Draft& claim : claims->Items()) {
      claim["apiVersion"] = Value("v1");
      claim["kind"] = Value("PersistentVolumeClaim");
      claim["status"].Default("phase", "Pending");
    }
  }
}

void DefaultJob(Draft& spec) {
  DefaultTemplate(spec);
  if (!spec.Find("parallelism")) spec.Default("completions", 1);
  spec.Default("parallelism", 1);
  bool per_index = spec.Find("backoffLimitPerIndex") != nullptr;
  spec.Default("backoffLimit", per_index ? 2147483647 : 6);
  spec.Default("completionMode", "NonIndexed");
  spec.Default("suspend", false);
  spec.Default("manualSelector", false);
  spec.Default("podReplacementPolicy",
               spec.Find("podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
}

void DefaultService(Draft& spec) {
  if (Draft* ports = spec.Find("ports"); ports && ports->IsList()) {
    for (Draft& port : ports->Items()) {
      Draft* target = port.Find("targetPort");
      bool unset = !target || (target->Int(1) == 0) ||
                   (target->Done().ref().IsString() && target->String().empty());
      if (unset && port.Find("port")) port["targetPort"] = port["port"].Done();
    }
  }
  std::string_view type = spec["type"].String();
  if (type != "ExternalName") spec.Default("internalTrafficPolicy", "Cluster");
  if (type == "NodePort" || type == "LoadBalancer") {
    spec.Default("externalTrafficPolicy", "Cluster");
  }
  if (type == "LoadBalancer") spec.Default("allocateLoadBalancerNodePorts", true);
  if (spec["sessionAffinity"].String() == "ClientIP") {
    spec.Default("sessionAffinityConfig", Map1("clientIP", Map1("timeoutSeconds", 10800)));
  }
}

void DefaultSubjects(Draft& object) {
  Draft* subjects = object.Find("subjects");
  if (!subjects || !subjects->IsList()) return;
  for (Draft& subject : subjects->Items()) {
    std::string_view kind = subject["kind"].String();
    if (kind == "User" || kind == "Group") {
      if (!subject.Find("apiGroup") || subject["apiGroup"].String().empty()) {
        subject["apiGroup"] = Value("rbac.authorization.k8s.io");
      }
    }
  }
}

void DefaultScaler(Draft& spec) {
  Draft* behavior = spec.Find("behavior");
  if (!behavior || !behavior->IsMap()) return;
  auto policy = [](const char* type, int value, int period) {
    return Value::Map({{"type", type}, {"value", value}, {"periodSeconds", period}});
  };
  Draft& up = (*behavior)["scaleUp"];
  up.Default("stabilizationWindowSeconds", 0);
  up.Default("selectPolicy", "Max");
  up.Default("policies", Value::List({policy("Pods", 4, 15), policy("Percent", 100, 15)}));
  Draft& down = (*behavior)["scaleDown"];
  down.Default("selectPolicy", "Max");
  down.Default("policies", Value::List({policy("Percent", 100, 15)}));
}

// Of containers: default follows max, defaultRequest follows default, then min.
void DefaultLimits(Draft& spec) {
  Draft* limits = spec.Find("limits");
  if (!limits || !limits->IsList()) return;
  for (Draft& limit : limits->Items()) {
    if (limit["type"].String() != "Container") continue;
    auto copy = [&](const char* from, const char* to) {
      Value source = limit.Find(from) ? limit[from].Done() : Value();
      for (auto [key, value] : source.ref().Members()) limit[to].Default(key, source.Share(value));
    };
    copy("max", "default");
    copy("default", "defaultRequest");
    copy("min", "defaultRequest");
  }
}

void DefaultDefinition(Draft& object) {
  Draft& spec = object["spec"];
  Draft& names = spec["names"];
  if (Draft* kind = names.Find("kind")) {
    std::string text(kind->String());
    names.Default("listKind", text + "List");
    std::string lower;
    for (char c : text) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    names.Default("singular", lower);
  }
}

void DefaultSecret(Draft& object) {
  Draft* text = object.Find("stringData");
  if (!text || !text->IsMap()) return;
  Value given = text->Done();
  for (auto [key, value] : given.ref().Members()) {
    object["data"][key] = Value(EncodeBase64(value.String()));
  }
  object.Remove("stringData");
}

}  // namespace

Value FillDefaults(Value object, std::string_view group, std::string_view kind) {
  Draft draft(std::move(object));
  Draft* spec = draft.Find("spec");
  bool has_spec = spec && spec->IsMap();
  if (group == "apps" && has_spec) {
    if (kind == "Deployment") DefaultDeployment(*spec);
    if (kind == "DaemonSet") {
      DefaultDaemonSet(*spec);
      draft["metadata"]["annotations"].Default(kTemplateGeneration, "1");
    }
    if (kind == "StatefulSet") DefaultStatefulSet(*spec);
    if (kind == "ReplicaSet") DefaultTemplate(*spec);
  } else if (group == "batch" && has_spec) {
    if (kind == "Job") {
      DefaultJob(*spec);
      Draft* labels =
          spec->Find("template") ? (*spec)["template"]["metadata"].Find("labels") : nullptr;
      if (labels) draft["metadata"].Default("labels", labels->Done());
    }
    if (kind == "CronJob" && spec->Find("jobTemplate") && (*spec)["jobTemplate"].Find("spec")) {
      DefaultTemplate((*spec)["jobTemplate"]["spec"]);
    }
  } else if (group == "autoscaling" && has_spec) {
    DefaultScaler(*spec);
  } else if (group == "networking.k8s.io" && kind == "NetworkPolicy" && has_spec) {
    if (!spec->Find("policyTypes") || (*spec)["policyTypes"].size() == 0) {
      std::vector<Value> types{"Ingress"};
      if (spec->Find("egress")) types.emplace_back("Egress");
      (*spec)["policyTypes"] = Value::List(types);
    }
  } else if (group == "rbac.authorization.k8s.io") {
    DefaultSubjects(draft);
  } else if (group == "apiextensions.k8s.io" && has_spec) {
    DefaultDefinition(draft);
  } else if (group.empty()) {
    if (kind == "Service" && has_spec) DefaultService(*spec);
    if (kind == "LimitRange" && has_spec) DefaultLimits(*spec);
    if (kind == "Pod" && has_spec) {
      DefaultPodSpec(*spec, true);
      DefaultRequests(*spec);
      spec->Default("enableServiceLinks", true);
    }
    if ((kind == "ReplicationController" || kind == "PodTemplate") && has_spec)
      DefaultTemplate(*spec);
    if (kind == "Secret") DefaultSecret(draft);
    if (kind == "Namespace" && draft["metadata"].Find("name")) {
      Value name = draft["metadata"]["name"].Done();
      draft["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    }
    if (kind == "PersistentVolume" || kind == "PersistentVolumeClaim") {
      draft["status"].Default("phase", "Pending");
    }
  }
  return draft.Done();
}

namespace {

void AllocateClusterIp(Server& server, Draft& spec) {
  std::string_view type = spec["type"].String();
  if (type == "ExternalName") return;
  Draft* given = spec.Find("clusterIP");
  if (!given || given->String().empty()) {
    uint64_t n = ++server.next_cluster_ip;
    spec["clusterIP"] = Value(fmt::format("10.96.{}.{}", (n >> 8) % 256, n % 256));
  }
  spec["clusterIPs"] = Value::List({spec["clusterIP"].Done()});
  spec.Default("ipFamilies", Value::List({Value("IPv4")}));
  spec.Default("ipFamilyPolicy", "SingleStack");
  if (type != "NodePort" && type != "LoadBalancer") return;
  if (!spec.Find("ports")) return;
  for (Draft& port : spec["ports"].Items()) {
    if (!port.Find("nodePort")) {
      port["nodePort"] = Value(static_cast<int64_t>(30000 + server.ids.Next() % 2768));
    }
  }
}

void PrepareJob(Draft& object) {
  Draft& spec = object["spec"];
  if (spec.Find("manualSelector") && spec["manualSelector"].Bool()) return;
  std::string uid(object["metadata"]["uid"].String());
  std::string name(object["metadata"]["name"].String());
  Draft& labels = spec["template"]["metadata"]["labels"];
  labels["controller-uid"] = Value(uid);
  labels["batch.kubernetes.io/controller-uid"] = Value(uid);
  labels["job-name"] = Value(name);
  labels["batch.kubernetes.io/job-name"] = Value(name);
  spec["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = Value(uid);
  object["metadata"].Default("labels", labels.Done());
}

// What the admission plugins Priority and DefaultTolerationSeconds add.
void AdmitPod(Draft& spec) {
  spec.Default("priority", 0);
  spec.Default("preemptionPolicy", "PreemptLowerPriority");
  std::vector<Value> tolerations;
  Value given = spec.Find("tolerations") ? spec["tolerations"].Done() : Value();
  for (Ref one : given.ref().Items()) tolerations.push_back(given.Share(one));
  for (const char* key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
    bool tolerated = false;
    for (Ref one : given.ref().Items()) {
      std::string_view effect = one["effect"].String();
      tolerated |= (one["key"].String() == key || one["key"].String().empty()) &&
                   (effect == "NoExecute" || effect.empty());
    }
    if (tolerated) continue;
    tolerations.push_back(Value::Map({{"key", key},
                                      {"operator", "Exists"},
                                      {"effect", "NoExecute"},
                                      {"tolerationSeconds", 300}}));
  }
  if (!tolerations.empty()) spec["tolerations"] = Value::List(tolerations);
}

void AddFinalizer(Draft& object, const char* name) {
  Draft& finalizers = object["metadata"]["finalizers"];
  for (Draft& one : finalizers.Items()) {
    if (one.String() == name) return;
  }
  finalizers.Items().emplace_back(Value(name));
}

std::string_view QualityOfService(Draft& spec) {
  bool any = false, all = true;
  for (Draft& container : spec["containers"].Items()) {
    Value resources = container.Find("resources") ? container["resources"].Done() : Value();
    for (const char* name : {"cpu", "memory"}) {
      Ref limit = resources["limits"][name], wanted = resources["requests"][name];
      any |= limit || wanted;
      all &= limit && wanted == limit;
    }
  }
  return !any ? "BestEffort" : all ? "Guaranteed" : "Burstable";
}

}  // namespace

Value PrepareForCreate(Server& server, Value object, const ResourceType& resource) {
  if (resource.is_custom()) return object;
  Draft draft(std::move(object));
  const std::string& kind = resource.kind;
  if (resource.group.empty() && kind == "Service") {
    AllocateClusterIp(server, draft["spec"]);
  } else if (resource.group.empty() && kind == "Namespace") {
    draft["spec"]["finalizers"] = Value::List({Value("kubernetes")});
    draft["status"] = Map1("phase", "Active");
  } else if (resource.group.empty() && kind == "Pod") {
    AdmitPod(draft["spec"]);
    draft["status"] =
        Value::Map({{"phase", "Pending"}, {"qosClass", QualityOfService(draft["spec"])}});
  } else if (resource.group.empty() && kind == "PersistentVolumeClaim") {
    draft["status"] = Map1("phase", "Pending");
    AddFinalizer(draft, "kubernetes.io/pvc-protection");
  } else if (resource.group.empty() && kind == "PersistentVolume") {
    AddFinalizer(draft, "kubernetes.io/pv-protection");
  } else if (resource.group == "batch" && kind == "Job") {
    PrepareJob(draft);
  } else if (kind == "CustomResourceDefinition") {
    for (Draft& version : draft["spec"]["versions"].Items()) {
      if (!version["storage"].Bool()) continue;
      draft["status"]["storedVersions"] = Value::List({version["name"].Done()});
      break;
    }
  }
  return draft.Done();
}

Value PrepareForUpdate(Value object, Ref live, const ResourceType& resource) {
  if (resource.group.empty() && resource.kind == "Service") {
    // Addresses stay unless they are given anew.
    Draft draft(std::move(object));
    Draft& spec = draft["spec"];
    if (spec["type"].String() != "ExternalName") {
      for (const char* field :
           {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"}) {
        if (Ref kept = live["spec"][field]) spec.Default(field, Value::Copy(kept));
      }
    }
    return draft.Done();
  }
  if (resource.group == "batch" && resource.kind == "Job") {
    Draft draft(std::move(object));
    if (!draft["spec"].Find("selector")) {
      draft["spec"]["selector"] = Value::Copy(live["spec"]["selector"]);
    }
    return draft.Done();
  }
  if (resource.group == "apps" && resource.kind == "DaemonSet") {
    int64_t count = 0;
    std::string_view text = live["metadata"]["annotations"][kTemplateGeneration].String();
    std::from_chars(text.data(), text.data() + text.size(), count);
    if (object["spec"]["template"] != live["spec"]["template"]) ++count;
    return value::Edited(std::move(object))
        .Set({"metadata", "annotations", kTemplateGeneration}, std::to_string(count))
        .Done();
  }
  return object;
}

}  // namespace flotilla::sim::api
