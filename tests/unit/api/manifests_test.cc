// manifests/ holds what the kinds say.
#include <algorithm>
#include <set>

#include "api/application.h"
#include "api/cluster.h"
#include "api/crd.h"
#include "api/delivery_policy.h"
#include "api/repository.h"
#include "api/rollout_plan.h"
#include "api/slo.h"
#include "catch.h"
#include "samples.h"

namespace flotilla::api {
namespace {

using value::Ref;
using value::Value;

const std::filesystem::path kManifests = std::filesystem::path(FLOTILLA_SOURCE_DIR) / "manifests";

std::vector<Value> ObjectsOf(const std::filesystem::path& folder) {
  std::vector<Value> objects;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename() == "kustomization.yaml") continue;
    for (Value& object : Documents(ReadFile(entry.path()))) objects.push_back(std::move(object));
  }
  return objects;
}

template <typename T>
void CheckParses(const Value& object, Result<T> (*parse)(Ref)) {
  const Result<T> parsed = parse(object);
  if (!parsed) FAIL_CHECK(parsed.error().ToString());
}

std::set<std::string> Texts(Ref list) {
  std::set<std::string> texts;
  for (Ref item : list.Items()) texts.insert(item.Text());
  return texts;
}

TEST_CASE("every example is accepted, and every kind that users write has one") {
  std::set<std::string> kinds;
  for (const Value& object : ObjectsOf(kManifests / "examples")) {
    if (object["apiVersion"].String() != kApiVersion) continue;
    const std::string kind = object["kind"].Text();
    INFO(kind);
    kinds.insert(kind);
    if (kind == "Application") {
      CheckParses(object, ParseApplication);
    } else if (kind == "Cluster") {
      CheckParses(object, ParseCluster);
    } else if (kind == "DeliveryPolicy") {
      CheckParses(object, ParseDeliveryPolicy);
    } else if (kind == "Repository") {
      CheckParses(object, ParseRepository);
    } else if (kind == "RolloutPlan") {
      CheckParses(object, ParseRolloutPlan);
    } else if (kind == "ServiceLevelObjective") {
      CheckParses(object, ParseServiceLevelObjective);
    } else {
      FAIL_CHECK("no such kind");
    }
  }
  CHECK(kinds == std::set<std::string>{"Application", "Cluster", "DeliveryPolicy", "Repository",
                                       "RolloutPlan", "ServiceLevelObjective"});
}

TEST_CASE("the example refers only to what it holds") {
  std::set<std::string> names;
  Value app;
  for (Value& object : ObjectsOf(kManifests / "examples")) {
    names.insert(object["kind"].Text() + '/' + object.At("metadata", "name").Text());
    if (object["kind"].String() == "Application") app = std::move(object);
  }
  const auto parsed = ParseApplication(app);
  REQUIRE(parsed);
  CHECK(names.contains("Namespace/" + parsed->meta.ns));
  CHECK(names.contains("Repository/" + parsed->spec.sources[0].repository));
  CHECK(names.contains("RolloutPlan/" + parsed->spec.plan));
  for (const std::string& slo : parsed->spec.slos) {
    CHECK(names.contains("ServiceLevelObjective/" + slo));
  }
}

TEST_CASE(
    "the controller may read every kind of ours and write the status of those that have one") {
  std::set<std::string> readable, reported, all, with_status;
  for (const Crd& crd : AllCrds()) {
    const std::string plural = crd.object.At("spec", "names", "plural").Text();
    all.insert(plural);
    if (crd.object["spec"]["versions"][size_t{0}]["subresources"]) {
      with_status.insert(plural + "/status");
    }
  }
  for (const Value& object : ObjectsOf(kManifests / "install")) {
    if (object["kind"].String() != "ClusterRole" ||
        object.At("metadata", "name").String() != "flotilla-controller") {
      continue;
    }
    for (Ref rule : object["rules"].Items()) {
      if (!Texts(rule["apiGroups"]).contains(std::string(kGroup))) continue;
      const auto verbs = Texts(rule["verbs"]);
      const auto resources = Texts(rule["resources"]);
      CHECK_FALSE(verbs.contains("*"));
      if (verbs.contains("watch")) readable.insert(resources.begin(), resources.end());
      if (verbs.contains("update")) reported.insert(resources.begin(), resources.end());
    }
  }
  CHECK(readable == all);
  CHECK(reported == with_status);
}

TEST_CASE("no role grants a wildcard, and none that is bound everywhere reads Secrets") {
  for (const Value& object : ObjectsOf(kManifests / "install")) {
    const std::string_view kind = object["kind"].String();
    if (kind != "ClusterRole" && kind != "Role") continue;
    INFO(object.At("metadata", "name").String());
    for (Ref rule : object["rules"].Items()) {
      for (const char* part : {"apiGroups", "resources", "verbs"}) {
        CHECK_FALSE(Texts(rule[part]).contains("*"));
      }
      if (object.At("metadata", "name").String() == "flotilla-controller" &&
          kind == "ClusterRole") {
        CHECK_FALSE(Texts(rule["resources"]).contains("secrets"));
      }
    }
  }
}

TEST_CASE("everything that is installed and namespaced lives in the system namespace") {
  const std::set<std::string> cluster_scoped{"Namespace", "ClusterRole", "ClusterRoleBinding",
                                             "ValidatingAdmissionPolicy",
                                             "ValidatingAdmissionPolicyBinding"};
  for (const Value& object : ObjectsOf(kManifests / "install")) {
    INFO(object["kind"].String() << " " << object.At("metadata", "name").String());
    const bool namespaced = !cluster_scoped.contains(object["kind"].Text());
    CHECK(object.At("metadata", "namespace").String() == (namespaced ? kSystemNamespace : ""));
  }
}

TEST_CASE("the controller runs without privileges, on a read-only root") {
  for (const Value& object : ObjectsOf(kManifests / "install")) {
    if (object["kind"].String() != "Deployment") continue;
    const Ref pod = object.At("spec", "template", "spec");
    CHECK(object.At("spec", "replicas").Int() == 2);
    CHECK(pod.At("securityContext", "runAsNonRoot").Bool());
    CHECK(pod.At("securityContext", "runAsUser").Int() == 65532);
    const Ref container = pod["containers"][size_t{0}];
    CHECK(container["securityContext"]["readOnlyRootFilesystem"].Bool());
    CHECK_FALSE(container["securityContext"]["allowPrivilegeEscalation"].Bool(true));
    CHECK(container.At("livenessProbe", "httpGet", "path").String() == "/healthz");
    CHECK(container.At("readinessProbe", "httpGet", "path").String() == "/readyz");
  }
}

}  // namespace
}  // namespace flotilla::api
