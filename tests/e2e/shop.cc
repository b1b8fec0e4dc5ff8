#include "e2e/shop.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "catch.h"
#include "value/json.h"

namespace flotilla::e2e {
namespace {

bool Mentions(value::Ref object, const std::string& image) {
  return value::ToJson(object).find(image) != std::string::npos;
}

}  // namespace

std::string Ratio(const Mode& mode, const std::string& app, const std::string& cluster) {
  const std::string series =
      fmt::format(R"(job="{}",app="{}",cluster="{}")", mode.job, app, cluster);
  return fmt::format(
      R"((sum(rate(http_requests_total{{{0},code=~"5.."}}[{1}])) or vector(0)) / sum(rate(http_requests_total{{{0}}}[{1}])))",
      series, mode.window);
}

std::string SetUp(Fleet& fleet, const Mode& mode, const std::string& app) {
  return fmt::format(R"(
apiVersion: v1
kind: Namespace
metadata: {{name: {0}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: flotilla, namespace: {0}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: flotilla-namespace}}
subjects: [{{kind: ServiceAccount, name: flotilla, namespace: flotilla-system}}]
---
apiVersion: flotilla.dev/v1alpha1
kind: DeliveryPolicy
metadata: {{name: {0}}}
spec:
  applicationNamespaces: [{0}]
  repositories: ["*"]
  clusterSelector: {{}}
  namespaces: [{0}]
  clusterKinds: [{{group: "", kind: Namespace}}]
  controllerIdentity: true
---
apiVersion: flotilla.dev/v1alpha1
kind: Repository
metadata: {{name: source, namespace: {0}}}
spec: {{url: "{1}", ref: {{branch: main}}, interval: 1s}}
---
apiVersion: flotilla.dev/v1alpha1
kind: RolloutPlan
metadata: {{name: staged, namespace: {0}}}
spec:
  stages:
  - {{name: canary, clusterSelector: {{matchLabels: {{tier: canary}}}}, hot: {2}, bake: 1s}}
  - {{name: region-a, clusterSelector: {{matchLabels: {{region: a}}}}, hot: 2s, bake: 0s}}
  - {{name: rest, clusterSelector: {{}}, hot: 2s, bake: 0s}}
---
apiVersion: flotilla.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {{name: errors, namespace: {0}}}
spec:
  scrapeInterval: {3}
  objectives:
  - name: error-ratio
    query: '{4}'
    op: "<"
    value: {5}
    freshBy: 'http_requests_total{{job="{6}",app="{{{{app}}}}",cluster="{{{{cluster}}}}"}}'
---
apiVersion: flotilla.dev/v1alpha1
kind: Application
metadata: {{name: {0}, namespace: {0}}}
spec:
  sources: [{{repositoryRef: {{name: source}}, path: deploy}}]
  targetNamespace: {0}
  createNamespace: true
  placement: {{clusterSelector: {{}}}}
  planRef: {{name: staged}}
  sloRefs: [{{name: errors}}]
  rollback: {{maxPerDay: 100}}
)",
                     app, fleet.git().UrlOf(app), mode.hot, mode.interval,
                     Ratio(mode, "{{app}}", "{{cluster}}"), kBound, mode.job);
}

Files AppWithImage(const std::string& app, const std::string& image) {
  Files files;
  files["deploy/settings.yaml"] = fmt::format(
      "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: settings}}, data: {{image: "
      "\"{}\"}}}}\n",
      image);
  files["deploy/service.yaml"] =
      "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
      "spec: {selector: {app: web}, ports: [{port: 80}]}\n";
  for (const char* name : {"web", "worker"}) {
    files[fmt::format("deploy/{}.yaml", name)] = fmt::format(R"(
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {0}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: "{1}", part: {0}}}}}
  template:
    metadata: {{labels: {{app: "{1}", part: {0}}}}}
    spec:
      containers: [{{name: main, image: "{2}"}}]
)",
                                                             name, app, image);
  }
  return files;
}

std::optional<WallTime> LastAccepted(Fleet& fleet, const std::string& member,
                                     const std::string& app, const std::string& image,
                                     WallTime since) {
  std::map<std::string, WallTime> first;
  for (const AuditEvent& event : fleet.member(member).Audit(since)) {
    if (!event.IsWrite() || event.user != kControllerUser || event.ns != app) continue;
    if (Mentions(event.object, image))
      first.try_emplace(event.resource + "/" + event.name, event.done);
  }
  std::optional<WallTime> last;
  for (const auto& [object, done] : first) last = std::max(last.value_or(done), done);
  return last;
}

std::set<std::string> WhoAccepted(Fleet& fleet, const std::string& app, const std::string& image,
                                  WallTime since) {
  std::set<std::string> members;
  for (const std::string& name : fleet.member_names()) {
    if (LastAccepted(fleet, name, app, image, since)) members.insert(name);
  }
  return members;
}

std::set<std::string> WhoRuns(Fleet& fleet, const std::string& app, const std::string& image) {
  std::set<std::string> members;
  for (const std::string& name : fleet.member_names()) {
    if (fleet.ImageOn(name, app, "web") == image && fleet.ImageOn(name, app, "worker") == image) {
      members.insert(name);
    }
  }
  return members;
}

value::Value AwaitRollout(Fleet& fleet, const std::string& app, const std::string& phase,
                          const std::string& before, Duration limit) {
  const std::set<std::string> over = {"Succeeded", "RolledBack", "Rejected", "Superseded"};
  value::Value rollout;
  fleet.Await(
      [&] {
        rollout = fleet.NewestRollout(app, app);
        return rollout && rollout.At("metadata", "name").String() != before &&
               over.contains(rollout.At("status", "phase").Text());
      },
      limit);
  INFO("rollout:\n" << value::ToPrettyJson(rollout) << "\ncontroller:\n" << fleet.ControllerLog());
  REQUIRE(rollout.At("metadata", "name").String() != before);
  REQUIRE(rollout.At("status", "phase").String() == phase);
  return rollout;
}

std::string NameOf(const value::Value& rollout) { return rollout.At("metadata", "name").Text(); }

}  // namespace flotilla::e2e
