// What the generated table of built-in types tells.
#include "catch.h"
#include "kube/schema/builtin.h"

using namespace flotilla::kube::schema;

namespace {

std::string Describe(const Type* type) {
  if (type == nullptr) return "nothing";
  std::string text = type->atomic ? "atomic " : "";
  if (type->shape == Shape::kList) {
    if (type->list_kind == ListKind::kSet) return text + "set of " + Describe(type->element);
    if (type->list_kind == ListKind::kMap) {
      for (std::string_view key : type->keys) text += std::string(key) + ",";
      text.back() = ' ';
      return text + "list of " + Describe(type->element);
    }
    return text + "atomic list of " + Describe(type->element);
  }
  if (type->shape == Shape::kMap) return text + "map of " + Describe(type->element);
  return text + (type->name.empty() ? ToString(type->shape) : std::string(type->name));
}

std::string FieldOf(std::string_view type, std::string_view field) {
  const Type* owner = FindType(type);
  const Field* found = owner ? owner->Find(field) : nullptr;
  return found ? Describe(found->type) : "nothing";
}

}  // namespace

TEST_CASE("a built-in kind is found by kind and by resource") {
  struct Row {
    const char *group, *version, *kind, *plural, *singular;
    bool namespaced;
  };
  auto row = GENERATE(values<Row>({
      {"", "v1", "ConfigMap", "configmaps", "configmap", true},
      {"", "v1", "Namespace", "namespaces", "namespace", false},
      {"apps", "v1", "Deployment", "deployments", "deployment", true},
      {"batch", "v1", "CronJob", "cronjobs", "cronjob", true},
      {"rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "clusterrole", false},
      {"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "networkpolicy", true},
      {"autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers",
       "horizontalpodautoscaler", true},
      {"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget", true},
      {"coordination.k8s.io", "v1", "Lease", "leases", "lease", true},
      {"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
       "customresourcedefinition", false},
      {"admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration",
       "validatingwebhookconfigurations", "validatingwebhookconfiguration", false},
      {"authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews",
       "selfsubjectaccessreview", false},
      {"scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "priorityclass", false},
      {"storage.k8s.io", "v1", "StorageClass", "storageclasses", "storageclass", false},
  }));
  CAPTURE(row.kind);
  const TypeFacts* facts = FindKind(row.group, row.version, row.kind);
  REQUIRE(facts != nullptr);
  CHECK(facts->plural == row.plural);
  CHECK(facts->singular == row.singular);
  CHECK(facts->namespaced == row.namespaced);
  CHECK(facts->type != nullptr);
  CHECK(FindResource(row.group, row.version, row.plural) == facts);
  CHECK(FindKindInAnyVersion(row.group, row.kind) != nullptr);
}

TEST_CASE("an unknown kind is not found") {
  CHECK(FindKind("apps", "v1beta1", "Deployment") == nullptr);
  CHECK(FindKind("", "v1", "Deployment") == nullptr);
  CHECK(FindResource("apps", "v1", "deployment") == nullptr);
  CHECK(FindKindInAnyVersion("example.com", "Deployment") == nullptr);
  CHECK(FindType("core.v1.Nothing") == nullptr);
}

TEST_CASE("resources tell their subresources, names and verbs") {
  const TypeFacts* deployment = FindKind("apps", "v1", "Deployment");
  CHECK(deployment->has_status);
  CHECK(deployment->has_scale);
  CHECK(deployment->short_names == std::vector<std::string_view>{"deploy"});
  CHECK(deployment->categories == std::vector<std::string_view>{"all"});
  CHECK(deployment->ApiVersion() == "apps/v1");
  const TypeFacts* config_map = FindKind("", "v1", "ConfigMap");
  CHECK_FALSE(config_map->has_status);
  CHECK(config_map->short_names == std::vector<std::string_view>{"cm"});
  CHECK(config_map->verbs.size() == 8);
  CHECK(config_map->ApiVersion() == "v1");
}

TEST_CASE("lists, sets and maps are told apart as server-side apply needs it") {
  struct Row {
    const char *type, *field, *expected;
  };
  auto row = GENERATE(values<Row>({
      {"core.v1.PodSpec", "containers", "name list of core.v1.Container"},
      {"core.v1.PodSpec", "volumes", "name list of core.v1.Volume"},
      {"core.v1.PodSpec", "tolerations", "atomic list of core.v1.Toleration"},
      {"core.v1.PodSpec", "nodeSelector", "atomic map of string"},
      {"core.v1.PodSpec", "imagePullSecrets", "name list of atomic core.v1.LocalObjectReference"},
      {"core.v1.Container", "env", "name list of core.v1.EnvVar"},
      {"core.v1.Container", "args", "atomic list of string"},
      {"core.v1.Container", "ports", "containerPort,protocol list of core.v1.ContainerPort"},
      {"core.v1.ServiceSpec", "ports", "port,protocol list of core.v1.ServicePort"},
      {"core.v1.ServicePort", "targetPort", "int-or-string"},
      {"core.v1.ResourceRequirements", "limits", "map of quantity"},
      {"core.v1.ConfigMap", "data", "map of string"},
      {"core.v1.Secret", "data", "map of bytes"},
      {"meta.v1.ObjectMeta", "finalizers", "set of string"},
      {"meta.v1.ObjectMeta", "ownerReferences", "uid list of atomic meta.v1.OwnerReference"},
      {"meta.v1.ObjectMeta", "labels", "map of string"},
      {"apps.v1.DeploymentSpec", "selector", "atomic meta.v1.LabelSelector"},
      {"apps.v1.DeploymentStatus", "conditions", "type list of apps.v1.DeploymentCondition"},
      {"rbac.v1.Role", "rules", "atomic list of rbac.v1.PolicyRule"},
      {"rbac.v1.RoleBinding", "roleRef", "atomic rbac.v1.RoleRef"},
  }));
  CAPTURE(row.type, row.field);
  CHECK(FieldOf(row.type, row.field) == row.expected);
}

TEST_CASE("fields know whether zero values are written") {
  const Type* pod = FindType("core.v1.PodSpec");
  CHECK(pod->Find("hostNetwork")->omit_zero);
  CHECK_FALSE(pod->Find("automountServiceAccountToken")->omit_zero);
  CHECK(FindType("core.v1.Container")->Find("resources")->always);
  CHECK(FindType("core.v1.Container")->Find("name")->required);
}

TEST_CASE("an element that leaves a key out is found by the key's default") {
  const Type* ports = FindType("core.v1.Container")->Find("ports")->type;
  using flotilla::value::Value;
  Value port = Value::Map({{"containerPort", 80}});
  CHECK(KeyOf(*ports, port, "containerPort").Int() == 80);
  CHECK(KeyOf(*ports, port, "protocol").String() == "TCP");
  CHECK(KeyOf(*ports, Value::Map({{"protocol", "UDP"}}), "containerPort").IsAbsent());
}

TEST_CASE("every field of every type leads somewhere") {
  for (const Type* type : NamedTypes()) {
    for (const Field& field : type->fields) {
      CAPTURE(type->name, field.name);
      REQUIRE(field.type != nullptr);
      if (field.type->shape == Shape::kList || field.type->shape == Shape::kMap) {
        REQUIRE(field.type->element != nullptr);
      }
      REQUIRE(type->Find(field.name) == &field);
    }
  }
}

TEST_CASE("an apiVersion splits into group and version") {
  CHECK(SplitApiVersion("v1") == std::pair<std::string_view, std::string_view>("", "v1"));
  CHECK(SplitApiVersion("apps/v1") == std::pair<std::string_view, std::string_view>("apps", "v1"));
}
