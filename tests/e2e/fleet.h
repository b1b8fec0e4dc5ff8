// A whole fleet of real parts: a hub with Flotilla installed as manifests/install says, members
// that are registered at it, a Git server, a Prometheus, and the real binary with the credentials
// of its ServiceAccount.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/thread_runtime.h"
#include "e2e/child.h"
#include "e2e/control_plane.h"
#include "e2e/git_server.h"
#include "e2e/prometheus.h"
#include "http/http.h"

namespace flotilla::e2e {

// Members of every fleet, with the label of their Cluster objects.
inline const std::map<std::string, std::string> kMembers = {
    {"canary", "tier=canary"}, {"region-a", "region=a"}, {"region-b", "region=b"}};
inline constexpr const char* kControllerUser = "system:serviceaccount:flotilla-system:flotilla";

class Fleet {
 public:
  Fleet();
  ~Fleet();

  Runtime& runtime() { return runtime_; }
  KubeCluster& hub() { return planes_->hub(); }
  KubeCluster& member(const std::string& name) { return planes_->member(name); }
  std::vector<std::string> member_names() const { return planes_->member_names(); }
  GitServer& git() { return *git_; }
  Prometheus& prometheus() { return *prometheus_; }
  const std::string& directory() const { return planes_->directory(); }

  // `flotilla controller`; its log goes to a file, or to ours where FLOTILLA_TEST_LOG is set.
  void StartController();
  void KillController();  // SIGKILL
  bool ControllerRuns() { return controller_ && controller_->Running(); }
  // The end of its log: why a test failed.
  std::string ControllerLog() const { return controller_ ? controller_->LastOutput() : ""; }

  // Runs the CLI; another exit code fails the test. Returns what it printed.
  std::string Flotilla(std::vector<std::string> arguments, int expected = 0);
  // A kubeconfig of the hub for somebody who has this ClusterRole, and may look, in one namespace.
  std::string Person(const std::string& ns, const std::string& role);

  // False where `limit` passed first, or the controller ended.
  bool Await(const std::function<bool()>& done, Duration limit, Duration poll = 100ms);

  // The Rollout of the highest fence; absent where there is none.
  value::Value NewestRollout(const std::string& ns, const std::string& application);
  // "Deployment shop/web" → the image of its first container; "" where there is none.
  std::string ImageOn(const std::string& member, const std::string& ns, const std::string& name);
  // Requests of the controller that were refused with 403, hub and members.
  std::vector<std::string> Forbidden();

 private:
  void Install();
  void Register(const std::string& member, const std::string& label);

  ThreadRuntime runtime_;
  std::unique_ptr<http::HttpClient> http_;
  std::unique_ptr<ControlPlane> planes_;
  std::unique_ptr<GitServer> git_;
  std::vector<std::unique_ptr<Exporter>> exporters_;
  std::unique_ptr<Prometheus> prometheus_;
  std::unique_ptr<Child> controller_;
};

// One for the whole process: it takes many seconds to start.
Fleet& TheFleet();

}  // namespace flotilla::e2e
