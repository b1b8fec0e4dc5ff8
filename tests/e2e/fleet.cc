#include "e2e/fleet.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catch.h"
#include "http/client.h"

namespace flotilla::e2e {
namespace {

constexpr int kThreads = 256;

std::vector<std::string> MemberNames() {
  std::vector<std::string> names;
  for (const auto& [name, labels] : kMembers) names.push_back(name);
  return names;
}

}  // namespace

Fleet::Fleet() : runtime_(kThreads), http_(http::NewHttpClient(runtime_)) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // figures appear as they are measured
  planes_ = std::make_unique<ControlPlane>(runtime_, *http_, MemberNames());
  fmt::print("{} control planes are ready after {}\n", kMembers.size() + 1,
             FormatDuration(planes_->started_in()));
  git_ = std::make_unique<GitServer>(runtime_, directory() + "/git");
  for (const std::string& name : member_names()) {
    exporters_.push_back(std::make_unique<Exporter>(runtime_, member(name)));
  }
  prometheus_ =
      std::make_unique<Prometheus>(runtime_, *http_, directory() + "/prometheus", exporters_);
  Install();
  for (const auto& [name, labels] : kMembers) Register(name, labels);
}

Fleet::~Fleet() {
  controller_.reset();
  prometheus_.reset();
  exporters_.clear();
  git_.reset();
  planes_.reset();
}

void Fleet::Install() {
  Output({Tool("kubectl", directory() + "/tool"), "--kubeconfig", hub().AdminKubeconfig(), "apply",
          "-k", FLOTILLA_SOURCE_DIR "/manifests/install"},
         directory() + "/install.log");
  // The kinds are served a moment after they were accepted.
  REQUIRE(Await(
      [&] {
        for (const value::Value& crd :
             hub().List("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")) {
          bool established = false;
          for (value::Ref condition : crd.At("status", "conditions").Items()) {
            established |= condition["type"].String() == "Established" &&
                           condition["status"].String() == "True";
          }
          if (!established) return false;
        }
        return true;
      },
      30s));
}

void Fleet::Register(const std::string& name, const std::string& label) {
  Flotilla({"cluster", "add", name, "--kubeconfig", member(name).AdminKubeconfig(),
            "--hub-kubeconfig", hub().AdminKubeconfig(), "--label", label, "--prometheus",
            prometheus_->url()});
}

std::string Fleet::Flotilla(std::vector<std::string> arguments, int expected) {
  arguments.insert(arguments.begin(), FLOTILLA_BINARY_DIR "/flotilla");
  const Finished finished = Run(arguments, directory() + "/flotilla.out");
  INFO(fmt::format("{}\n", fmt::join(arguments, " ")) << finished.output);
  REQUIRE(finished.status == expected);
  return finished.output;
}

std::string Fleet::Person(const std::string& ns, const std::string& role) {
  hub().Apply(fmt::format(R"(
{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {1}, namespace: {0}}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {1}, namespace: {0}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {1}}}
subjects: [{{kind: ServiceAccount, name: {1}, namespace: {0}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {1}-view, namespace: {0}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: flotilla-view}}
subjects: [{{kind: ServiceAccount, name: {1}, namespace: {0}}}]
)",
                          ns, role));
  const std::string path = fmt::format("{}/{}-{}.kubeconfig", directory(), ns, role);
  std::ofstream(path) << hub().KubeconfigOf(hub().TokenOf(ns, role));
  return path;
}

void Fleet::StartController() {
  const std::string kubeconfig = directory() + "/controller.kubeconfig";
  std::ofstream(kubeconfig) << hub().KubeconfigOf(hub().TokenOf("flotilla-system", "flotilla"));
  const bool log = std::getenv("FLOTILLA_TEST_LOG") != nullptr;
  controller_ = std::make_unique<Child>(ChildOptions{
      {FLOTILLA_BINARY_DIR "/flotilla", "controller", "--kubeconfig", kubeconfig, "--data",
       directory() + "/data", "--listen", fmt::format("127.0.0.1:{}", FreePort()), "--debug"},
      log ? "/dev/stderr" : directory() + "/controller.log",
      {{"POD_NAME", "controller-0"}}});
}

void Fleet::KillController() { controller_.reset(); }

bool Fleet::Await(const std::function<bool()>& done, Duration limit, Duration poll) {
  const TimePoint deadline = runtime_.Now() + limit;
  while (!done()) {
    if (runtime_.Now() > deadline || (controller_ && !controller_->Running())) return false;
    runtime_.SleepFor(poll, {});
  }
  return true;
}

value::Value Fleet::NewestRollout(const std::string& ns, const std::string& application) {
  value::Value newest;
  for (const value::Value& rollout :
       hub().List(fmt::format("/apis/flotilla.dev/v1alpha1/namespaces/{}/rollouts", ns))) {
    if (rollout.At("spec", "application").String() != application) continue;
    if (newest.IsAbsent() || rollout.At("spec", "fence").Int() > newest.At("spec", "fence").Int()) {
      newest = rollout;
    }
  }
  return newest;
}

std::string Fleet::ImageOn(const std::string& name, const std::string& ns,
                           const std::string& deployment) {
  const value::Value object =
      member(name).Get(fmt::format("/apis/apps/v1/namespaces/{}/deployments/{}", ns, deployment));
  return object.At("spec", "template", "spec", "containers")[0]["image"].Text();
}

std::vector<std::string> Fleet::Forbidden() {
  std::vector<std::string> refused;
  auto look = [&](KubeCluster& cluster) {
    for (const AuditEvent& event : cluster.Audit({})) {
      if (event.code == 403 && event.user == kControllerUser) {
        refused.push_back(fmt::format("{}: {} {}", cluster.name(), event.verb, event.uri));
      }
    }
  };
  look(hub());
  for (const std::string& name : member_names()) look(member(name));
  return refused;
}

Fleet& TheFleet() {
  static Fleet fleet;
  return fleet;
}

}  // namespace flotilla::e2e
