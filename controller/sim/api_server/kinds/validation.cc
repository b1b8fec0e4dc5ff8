#include "sim/api_server/kinds/validation.h"

#include <fmt/format.h>
#include <algorithm>
#include <cctype>

#include "kube/schema/conform.h"
#include "sim/api_server/selectors.h"

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

namespace {

using Errors = std::vector<FieldError>;

constexpr std::string_view kSubdomain =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr std::string_view kDnsLabel =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must "
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
constexpr std::string_view kLabelValue =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
constexpr std::string_view kQualifiedName =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

bool LowerAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsDnsLabel(std::string_view text) {
  return !text.empty() && text.size() <= 63 && LowerAlnum(text.front()) &&
         LowerAlnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return LowerAlnum(c) || c == '-'; });
}

bool IsSubdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    size_t dot = text.find('.');
    std::string_view part = text.substr(0, dot);
    if (part.empty() || !LowerAlnum(part.front()) || !LowerAlnum(part.back()) ||
        !std::all_of(part.begin(), part.end(), [](char c) { return LowerAlnum(c) || c == '-'; })) {
      return false;
    }
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool IsNamePart(std::string_view text) {
  auto alnum = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return !text.empty() && text.size() <= 63 && alnum(text.front()) && alnum(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool IsQualifiedName(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return IsNamePart(text);
  return IsSubdomain(text.substr(0, slash)) && IsNamePart(text.substr(slash + 1));
}

// What is wrong with a name of this resource; "" where nothing is.
std::string_view NameProblem(const ResourceType& resource, std::string_view name) {
  if (resource.group == "rbac.authorization.k8s.io") {
    bool bad = name == "." || name == ".." || name.find('/') != std::string_view::npos ||
               name.find('%') != std::string_view::npos;
    return bad ? "may not be '.' or '..' or contain '/' or '%'" : "";
  }
  if (resource.group.empty() && (resource.kind == "Namespace" || resource.kind == "Service"))
    return IsDnsLabel(name) ? "" : kDnsLabel;
  return IsSubdomain(name) ? "" : kSubdomain;
}

void CheckLabels(Ref labels, const std::string& path, Errors& errors) {
  for (auto [key, value] : labels.Members()) {
    if (!IsQualifiedName(key))
      errors.push_back(FieldError::Invalid(path, Value(key), kQualifiedName));
    if (!value.String().empty() && !IsNamePart(value.String())) {
      errors.push_back(FieldError::Invalid(path, value, kLabelValue));
    }
  }
}

void CheckOwners(Ref owners, Errors& errors) {
  size_t index = 0;
  for (Ref owner : owners.Items()) {
    std::string path = fmt::format("metadata.ownerReferences[{}]", index++);
    for (const char* field : {"apiVersion", "kind", "name", "uid"}) {
      if (owner[field].String().empty()) {
        errors.push_back(FieldError::Required(path + "." + field, "must not be empty"));
      }
    }
  }
}

void CheckAnnotations(Ref annotations, Errors& errors) {
  constexpr size_t limit = 256 * 1024;
  size_t total = 0;
  for (auto [key, value] : annotations.Members()) {
    std::string lower(key);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!IsQualifiedName(lower)) {
      errors.push_back(FieldError::Invalid("metadata.annotations", Value(key), kQualifiedName));
    }
    total += key.size() + value.String().size();
  }
  if (total > limit) {
    errors.push_back(FieldError::TooLong("metadata.annotations", static_cast<int>(limit)));
  }
}

// --- kinds ---

void CheckContainers(Ref pod, const std::string& path, Errors& errors) {
  Ref containers = pod["containers"];
  if (containers.size() == 0) errors.push_back(FieldError::Required(path + ".containers", ""));
  std::vector<std::string_view> names;
  for (const char* list : {"initContainers", "containers"}) {
    size_t index = 0;
    for (Ref container : pod[list].Items()) {
      std::string here = fmt::format("{}.{}[{}]", path, list, index++);
      std::string_view name = container["name"].String();
      if (name.empty()) {
        errors.push_back(FieldError::Required(here + ".name", ""));
      } else if (!IsDnsLabel(name)) {
        errors.push_back(FieldError::Invalid(here + ".name", container["name"], kDnsLabel));
      } else if (std::find(names.begin(), names.end(), name) != names.end()) {
        errors.push_back(FieldError::Duplicate(here + ".name", container["name"]));
      }
      names.push_back(name);
      if (container["image"].String().empty()) {
        errors.push_back(FieldError::Required(here + ".image", ""));
      }
      size_t mount_index = 0;
      for (Ref mount : container["volumeMounts"].Items()) {
        std::string at = fmt::format("{}.volumeMounts[{}].name", here, mount_index++);
        bool found = false;
        for (Ref volume : pod["volumes"].Items()) found |= volume["name"] == mount["name"];
        if (!found) {
          errors.push_back(
              {"FieldValueNotFound", fmt::format("Not found: \"{}\"", mount["name"].String()), at});
        }
      }
      size_t port_index = 0;
      for (Ref port : container["ports"].Items()) {
        int64_t number = port["containerPort"].Int();
        if (number < 1 || number > 65535) {
          errors.push_back(
              FieldError::Invalid(fmt::format("{}.ports[{}].containerPort", here, port_index),
                                  port["containerPort"], "must be between 1 and 65535, inclusive"));
        }
        ++port_index;
      }
    }
  }
}

void CheckRestartPolicy(Ref pod, const std::string& path, std::vector<std::string> allowed,
                        Errors& errors) {
  std::string_view policy = pod["restartPolicy"].String();
  for (const std::string& one : allowed) {
    if (policy == one) return;
  }
  errors.push_back(
      FieldError::NotSupported(path + ".restartPolicy", pod["restartPolicy"], allowed));
}

void CheckWorkload(Ref spec, Errors& errors) {
  Ref selector = spec["selector"];
  Ref labels = spec["template"]["metadata"]["labels"];
  if (!selector) {
    errors.push_back(FieldError::Required("spec.selector", ""));
  } else if (selector["matchLabels"].size() == 0 && selector["matchExpressions"].size() == 0) {
    errors.push_back(
        FieldError::Invalid("spec.selector", selector, "empty selector is invalid for deployment"));
  }
  if (!selector || !LabelSelector::FromObject(selector).Matches(labels)) {
    errors.push_back(FieldError::Invalid("spec.template.metadata.labels",
                                         labels ? labels : Value(nullptr).ref(),
                                         "`selector` does not match template `labels`"));
  }
  CheckLabels(labels, "spec.template.labels", errors);
  Ref pod = spec["template"]["spec"];
  CheckContainers(pod, "spec.template.spec", errors);
  CheckRestartPolicy(pod, "spec.template.spec", {"Always"}, errors);
  if (Ref replicas = spec["replicas"]; replicas.Int() < 0) {
    errors.push_back(
        FieldError::Invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
  }
}

void CheckJob(Ref spec, Errors& errors) {
  Ref pod = spec["template"]["spec"];
  CheckContainers(pod, "spec.template.spec", errors);
  if (pod["restartPolicy"].String() == "Always") {
    errors.push_back(FieldError::Required("spec.template.spec.restartPolicy",
                                          "valid values: \"OnFailure\", \"Never\""));
  } else {
    CheckRestartPolicy(pod, "spec.template.spec", {"OnFailure", "Never"}, errors);
  }
}

void CheckService(Ref spec, Errors& errors) {
  if (spec["type"].String() == "ExternalName") {
    if (spec["externalName"].String().empty()) {
      errors.push_back(FieldError::Required("spec.externalName", ""));
    }
    return;
  }
  if (spec["ports"].size() == 0 && spec["clusterIP"].String() != "None") {
    errors.push_back(FieldError::Required("spec.ports", ""));
  }
  size_t index = 0;
  bool many = spec["ports"].size() > 1;
  for (Ref port : spec["ports"].Items()) {
    std::string path = fmt::format("spec.ports[{}]", index++);
    if (many && port["name"].String().empty()) {
      errors.push_back(FieldError::Required(path + ".name", ""));
    }
    int64_t number = port["port"].Int();
    if (number < 1 || number > 65535) {
      errors.push_back(FieldError::Invalid(path + ".port", port["port"],
                                           "must be between 1 and 65535, inclusive"));
    }
  }
}

void CheckRules(Ref rules, Errors& errors) {
  size_t index = 0;
  for (Ref rule : rules.Items()) {
    std::string path = fmt::format("rules[{}]", index++);
    if (rule["verbs"].size() == 0) {
      errors.push_back(
          FieldError::Required(path + ".verbs", "verbs must contain at least one value"));
    }
    if (rule["nonResourceURLs"].size() != 0) continue;
    if (rule["apiGroups"].size() == 0) {
      errors.push_back(FieldError::Required(path + ".apiGroups",
                                            "resource rules must supply at least one api group"));
    }
    if (rule["resources"].size() == 0) {
      errors.push_back(FieldError::Required(path + ".resources",
                                            "resource rules must supply at least one resource"));
    }
  }
}

void CheckBinding(Ref object, bool cluster, Errors& errors) {
  Ref role = object["roleRef"];
  std::string_view kind = role["kind"].String();
  if (kind != "ClusterRole" && (cluster || kind != "Role")) {
    errors.push_back(
        FieldError::NotSupported("roleRef.kind", role["kind"],
                                 cluster ? std::vector<std::string>{"ClusterRole"}
                                         : std::vector<std::string>{"Role", "ClusterRole"}));
  }
  if (role["name"].String().empty()) errors.push_back(FieldError::Required("roleRef.name", ""));
  size_t index = 0;
  for (Ref subject : object["subjects"].Items()) {
    std::string path = fmt::format("subjects[{}]", index++);
    if (subject["name"].String().empty())
      errors.push_back(FieldError::Required(path + ".name", ""));
    std::string_view type = subject["kind"].String();
    if (type == "ServiceAccount") {
      if (subject["namespace"].String().empty()) {
        errors.push_back(FieldError::Required(path + ".namespace", ""));
      }
    } else if (type != "User" && type != "Group") {
      errors.push_back(FieldError::NotSupported(path + ".kind", subject["kind"],
                                                {"ServiceAccount", "User", "Group"}));
    }
  }
}

void CheckClaim(Ref spec, Errors& errors) {
  if (spec["accessModes"].size() == 0) {
    errors.push_back(
        FieldError::Required("spec.accessModes", "at least 1 access mode is required"));
  }
  if (!spec["resources"]["requests"]["storage"]) {
    errors.push_back(FieldError::Required("spec.resources[storage]", ""));
  }
}

void CheckScaler(Ref spec, Errors& errors) {
  if (spec["maxReplicas"].Int() < 1) {
    errors.push_back(
        FieldError::Invalid("spec.maxReplicas", spec["maxReplicas"], "must be greater than 0"));
  } else if (spec["maxReplicas"].Int() < spec["minReplicas"].Int(1)) {
    errors.push_back(FieldError::Invalid("spec.maxReplicas", spec["maxReplicas"],
                                         "must be greater than or equal to `minReplicas`"));
  }
  Ref target = spec["scaleTargetRef"];
  for (const char* field : {"kind", "name"}) {
    if (target[field].String().empty()) {
      errors.push_back(FieldError::Required(fmt::format("spec.scaleTargetRef.{}", field), ""));
    }
  }
}

void Immutable(Ref now, Ref before, std::string path, Errors& errors) {
  // Absent and empty are the same to a server.
  if (now == before || (kube::schema::IsZero(now) && kube::schema::IsZero(before))) return;
  errors.push_back(FieldError::Invalid(std::move(path), now, "field is immutable"));
}

bool EqualBut(Ref a, Ref b, std::initializer_list<std::string_view> fields) {
  value::Edited left(Value::Copy(a)), right(Value::Copy(b));
  for (std::string_view field : fields) {
    left.Remove({field});
    right.Remove({field});
  }
  return left.Done() == right.Done();
}

void CheckStatefulSetUpdate(Ref spec, Ref live, Errors& errors) {
  if (EqualBut(spec, live,
               {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy", "minReadySeconds"})) {
    return;
  }
  errors.push_back(FieldError::Forbidden(
      "spec",
      "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
      "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
      "'minReadySeconds' are forbidden"));
}

void CheckPodUpdate(Ref spec, Ref live, Errors& errors) {
  auto without_images = [](Ref pod) {
    value::Edited edited(Value::Copy(pod));
    edited.Remove({"activeDeadlineSeconds"})
        .Remove({"tolerations"})
        .Remove({"terminationGracePeriodSeconds"});
    for (const char* list : {"containers", "initContainers"}) {
      for (size_t i = 0; i < pod[list].size(); ++i) edited.Remove({list, i, "image"});
    }
    return edited.Done();
  };
  if (without_images(spec) == without_images(live)) return;
  errors.push_back(FieldError::Forbidden(
      "spec",
      "pod updates may not change fields other than `spec.containers[*].image`,"
      "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
      "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
      "to 1 if it was previously negative)"));
}

void CheckImmutableData(Ref object, Ref live, std::initializer_list<const char*> fields,
                        Errors& errors) {
  if (!live["immutable"].Bool()) return;
  if (!object["immutable"].Bool()) {
    errors.push_back(
        FieldError::Forbidden("immutable", "field is immutable when `immutable` is set"));
  }
  for (const char* field : fields) {
    if (object[field] != live[field]) {
      errors.push_back(FieldError::Forbidden(field, "field is immutable when `immutable` is set"));
    }
  }
}

}  // namespace

Errors ValidateMetadata(Ref object, const ResourceType& resource) {
  Errors errors;
  Ref metadata = object["metadata"];
  std::string_view name = metadata["name"].String();
  if (name.empty()) {
    errors.push_back(FieldError::Required("metadata.name", "name or generateName is required"));
  } else if (std::string_view problem = NameProblem(resource, name); !problem.empty()) {
    errors.push_back(FieldError::Invalid("metadata.name", metadata["name"], problem));
  }
  CheckLabels(metadata["labels"], "metadata.labels", errors);
  CheckAnnotations(metadata["annotations"], errors);
  CheckOwners(metadata["ownerReferences"], errors);
  for (Ref finalizer : metadata["finalizers"].Items()) {
    if (!IsQualifiedName(finalizer.String())) {
      errors.push_back(FieldError::Invalid("metadata.finalizers", finalizer, kQualifiedName));
    } else if (resource.is_custom() == false &&
               finalizer.String().find('/') == std::string_view::npos &&
               finalizer.String() != "orphan" && finalizer.String() != "foregroundDeletion" &&
               finalizer.String() != "kubernetes" &&
               finalizer.String() != "customresourcecleanup.apiextensions.k8s.io") {
      errors.push_back(FieldError::Invalid(
          "metadata.finalizers", finalizer,
          "name is neither a standard finalizer name nor is it fully qualified"));
    }
  }
  return errors;
}

Errors ValidateMetadataUpdate(Ref object, Ref live) {
  Errors errors;
  Ref now = object["metadata"], before = live["metadata"];
  if (before["deletionTimestamp"]) {
    for (Ref finalizer : now["finalizers"].Items()) {
      bool known = false;
      for (Ref old : before["finalizers"].Items()) known |= old == finalizer;
      if (!known) {
        errors.push_back(FieldError::Forbidden(
            "metadata.finalizers",
            fmt::format("no new finalizers can be added if the object is being deleted, found new "
                        "finalizers []string{{\"{}\"}}",
                        finalizer.String())));
      }
    }
  }
  Immutable(now["name"], before["name"], "metadata.name", errors);
  Immutable(now["namespace"], before["namespace"], "metadata.namespace", errors);
  Immutable(now["uid"], before["uid"], "metadata.uid", errors);
  return errors;
}

Errors ValidateSpec(Ref object, const ResourceType& resource) {
  Errors errors;
  Ref spec = object["spec"];
  const std::string& kind = resource.kind;
  if (resource.group == "apps" && kind != "ControllerRevision") {
    CheckWorkload(spec, errors);
  } else if (resource.group == "batch") {
    CheckJob(kind == "CronJob" ? spec["jobTemplate"]["spec"] : spec, errors);
    if (kind == "CronJob" && spec["schedule"].String().empty()) {
      errors.push_back(FieldError::Required("spec.schedule", ""));
    }
  } else if (resource.group == "rbac.authorization.k8s.io") {
    if (kind == "Role" || kind == "ClusterRole") CheckRules(object["rules"], errors);
    if (kind == "RoleBinding" || kind == "ClusterRoleBinding") {
      CheckBinding(object, kind == "ClusterRoleBinding", errors);
    }
  } else if (resource.group == "autoscaling") {
    CheckScaler(spec, errors);
  } else if (resource.group.empty()) {
    if (kind == "Service") CheckService(spec, errors);
    if (kind == "Pod") CheckContainers(spec, "spec", errors);
    if (kind == "PersistentVolumeClaim") CheckClaim(spec, errors);
    if (kind == "ConfigMap") {
      for (auto [key, value] : object["binaryData"].Members()) {
        if (object["data"][key]) {
          errors.push_back(FieldError::Invalid(fmt::format("data[{}]", key), Value(key),
                                               "duplicate of key present in binaryData"));
        }
      }
    }
  }
  return errors;
}

Errors ValidateSpecUpdate(Ref object, Ref live, const ResourceType& resource) {
  Errors errors;
  Ref spec = object["spec"], old = live["spec"];
  const std::string& kind = resource.kind;
  if (resource.group == "apps") {
    if (kind == "Deployment" || kind == "DaemonSet" || kind == "ReplicaSet") {
      Immutable(spec["selector"], old["selector"], "spec.selector", errors);
    }
    if (kind == "StatefulSet") CheckStatefulSetUpdate(spec, old, errors);
  } else if (resource.group == "batch" && kind == "Job") {
    for (const char* field : {"completions", "selector", "template", "completionMode"}) {
      Immutable(spec[field], old[field], fmt::format("spec.{}", field), errors);
    }
  } else if (resource.group == "rbac.authorization.k8s.io") {
    if (object["roleRef"] != live["roleRef"]) {
      errors.push_back(FieldError::Invalid("roleRef", object["roleRef"], "cannot change roleRef"));
    }
  } else if (resource.group.empty()) {
    if (kind == "ConfigMap") CheckImmutableData(object, live, {"data", "binaryData"}, errors);
    if (kind == "Secret") {
      Immutable(object["type"], live["type"], "type", errors);
      CheckImmutableData(object, live, {"data"}, errors);
    }
    if (kind == "Pod") CheckPodUpdate(spec, old, errors);
    if (kind == "Service" && spec["type"].String() != "ExternalName" &&
        old["type"].String() != "ExternalName") {
      if (spec["clusterIP"] != old["clusterIP"]) {
        errors.push_back(
            FieldError::Invalid("spec.clusterIP", spec["clusterIP"], "field is immutable"));
      }
    }
    if (kind == "PersistentVolumeClaim" &&
        !EqualBut(spec, old, {"resources", "volumeName", "volumeAttributesClassName"})) {
      errors.push_back(
          FieldError::Forbidden("spec",
                                "spec is immutable after creation except resources.requests and "
                                "volumeAttributesClassName for bound claims"));
    }
  } else if (resource.group == "storage.k8s.io" && kind == "StorageClass") {
    for (const char* field : {"parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"}) {
      if (object[field] != live[field]) {
        errors.push_back(
            FieldError::Forbidden(field, "updates to " + std::string(field) + " are forbidden."));
      }
    }
  }
  return errors;
}

}  // namespace flotilla::sim::api
