// kubeconfig files and in-cluster credentials.
//
// Parsing keeps what the file says (Kubeconfig); ToAccess turns one context of it into an Access.
// Errors name file and field. Relative paths of files are relative to the kubeconfig. Credentials
// that come from a Secret (bytes, not a file) may not name files or run programs unless the
// caller says so: whoever writes the Secret would otherwise read our disk.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/runtime.h"
#include "kube/access.h"

namespace flotilla {
class Disk;
class ProcessRunner;
}  // namespace flotilla

namespace flotilla::kube {

struct ClusterConfig {
  std::string name{};
  std::string server{};
  std::string ca_data{};  // PEM, decoded
  std::string ca_file{};
  std::string tls_server_name{};
  std::string proxy_url{};
  bool insecure_skip_tls_verify = false;
};

// client.authentication.k8s.io/v1 (and v1beta1).
struct ExecConfig {
  std::string api_version{};
  std::string command{};
  std::vector<std::string> args{};
  std::vector<std::pair<std::string, std::string>> env{};
  std::string install_hint{};
  bool provide_cluster_info = false;
};

struct UserConfig {
  std::string name{};
  std::string client_cert_data{};  // PEM, decoded
  std::string client_cert_file{};
  std::string client_key_data{};
  std::string client_key_file{};
  std::string token{};
  std::string token_file{};
  std::string username{};  // basic authentication
  std::string password{};
  Impersonation impersonation{};
  std::optional<ExecConfig> exec{};
};

struct ContextConfig {
  std::string name{};
  std::string cluster{};
  std::string user{};
  std::string ns{};
};

struct Kubeconfig {
  std::string source{};  // how errors name it: a path, or "Secret flotilla-system/member-a"
  std::string current_context{};
  std::vector<ClusterConfig> clusters{};
  std::vector<UserConfig> users{};
  std::vector<ContextConfig> contexts{};
};

// YAML or JSON. Fields that we do not know are left alone, as client-go does; auth-provider, which
// Kubernetes removed, is Invalid.
Result<Kubeconfig> ParseKubeconfig(std::string_view text, std::string source);
// YAML that kubectl reads.
std::string WriteKubeconfig(const Kubeconfig& config);

// What turning a configuration into credentials may use.
struct AccessSources {
  Runtime* runtime = nullptr;
  Disk* disk = nullptr;                     // rooted at "/"; null: files are refused
  ProcessRunner* process = nullptr;         // null: exec plugins are refused
  std::vector<std::string> allowed_exec{};  // names or absolute paths; "*" allows any
  // All that a plugin sees besides what its configuration adds: PATH and HOME at least.
  std::vector<std::pair<std::string, std::string>> exec_environment{};
};

// `context`: empty for the current one. `directory`: of the kubeconfig, for relative paths.
Result<Access> ToAccess(const Kubeconfig& config, std::string_view context,
                        std::string_view directory, const AccessSources& sources);

// The service account of the pod we run in: token and CA of
// /var/run/secrets/kubernetes.io/serviceaccount, the token read again every minute, and the address
// in KUBERNETES_SERVICE_HOST and _PORT, which the caller reads from the environment.
Result<Access> InClusterAccess(std::string_view host, std::string_view port,
                               const AccessSources& sources);

}  // namespace flotilla::kube
