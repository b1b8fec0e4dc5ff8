// Real Kubernetes control planes on this machine: one etcd, and one kube-apiserver per cluster; the
// members also have kube-controller-manager, kube-scheduler, and kwok for one node and its pods.
//
// Binaries come from FLOTILLA_TOOL_<NAME> (as `scripts/tools --env` prints them) or are found, and
// built once, by scripts/tools. Where there are none the test ends as skipped.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "e2e/child.h"
#include "http/http.h"
#include "kube/client.h"
#include "value/value.h"

namespace flotilla::e2e {

// The path of a tool of tests/tools.
std::string Tool(const std::string& name, const std::string& scratch);

// One request that an API server has answered, from its audit log.
struct AuditEvent {
  std::string user;
  std::string verb;
  std::string uri;
  std::string resource;  // "deployments", "rollouts/status"
  std::string ns;
  std::string name;
  int code = 0;
  bool dry_run = false;
  WallTime done{};      // stageTimestamp
  value::Value object;  // as sent; only of writes
  bool IsWrite() const;
};

// One cluster, and its administrator.
class KubeCluster {
 public:
  struct Setup {
    std::string name;
    std::string directory;  // its own
    std::string shared;     // keys and tokens of all clusters
    std::string etcd;       // URL
    bool workloads = false;
  };
  KubeCluster(Runtime& runtime, http::HttpClient& http, Setup setup);
  ~KubeCluster();

  const std::string& name() const { return setup_.name; }
  const std::string& url() const { return url_; }
  const std::string& ca_pem() const { return ca_pem_; }
  kube::Client& admin() { return *admin_; }
  // A kubeconfig file of the administrator, for kubectl.
  std::string AdminKubeconfig();

  // Of somebody with a bearer token.
  kube::Access AccessOf(const std::string& token) const;
  std::string KubeconfigOf(const std::string& token) const;
  std::string TokenOf(const std::string& ns, const std::string& service_account);

  // Applies every document of a YAML text as the administrator; a failure fails the test.
  void Apply(const std::string& yaml);
  void Delete(const std::string& path);
  // By API path; absent where there is none.
  value::Value Get(const std::string& path);
  std::vector<value::Value> List(const std::string& path);

  // Everything that was answered since `since`, in order of the end.
  std::vector<AuditEvent> Audit(WallTime since);

  // Waits until it answers, then makes its node.
  void AwaitReady(TimePoint deadline);
  Child& server() { return *server_; }
  void StopServer() { server_->Kill(); }
  void StartServer();

 private:
  void StartWorkloads();
  std::unique_ptr<Child> Component(const std::string& name, std::vector<std::string> arguments);

  Runtime& runtime_;
  http::HttpClient& http_;
  const Setup setup_;
  const int port_;
  std::string url_;
  std::string ca_pem_;
  std::unique_ptr<kube::Client> admin_;
  std::unique_ptr<Child> server_;
  std::vector<std::unique_ptr<Child>> workloads_;  // end before the server
  size_t audit_read_ = 0;
  std::string audit_rest_;
  std::vector<AuditEvent> audit_;
};

class ControlPlane {
 public:
  // A hub, and members of these names, all ready.
  ControlPlane(Runtime& runtime, http::HttpClient& http, const std::vector<std::string>& members);
  ~ControlPlane();  // kills every process, servers before etcd, and removes the files

  KubeCluster& hub() { return *hub_; }
  KubeCluster& member(const std::string& name) { return *members_.at(name); }
  std::vector<std::string> member_names() const;
  const std::string& directory() const { return directory_; }
  Duration started_in() const { return started_in_; }

 private:
  std::string directory_;
  std::unique_ptr<Child> etcd_;
  std::unique_ptr<KubeCluster> hub_;
  std::map<std::string, std::unique_ptr<KubeCluster>> members_;
  Duration started_in_{0};
};

}  // namespace flotilla::e2e
