#include "e2e/control_plane.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/encoding.h"
#include "catch.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::e2e {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAdminToken = "administrator";
constexpr Duration kReadyWithin = 180s;  // on a machine that does much else

// The bodies of writes of workloads and settings say which release they belong to; of everything
// else it is enough that it happened.
constexpr const char* kAuditPolicy = R"(apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  verbs: [create, update, patch]
  resources:
  - group: apps
    resources: [deployments, statefulsets, daemonsets]
  - group: ""
    resources: [configmaps, services]
- level: Metadata
)";

// Kubernetes' own rule for the names of resources, which all kinds of the tests follow.
std::string PluralOf(std::string kind) {
  for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (kind.ends_with("s")) return kind + "es";
  if (kind.ends_with("cy") || kind.ends_with("ry") || kind.ends_with("ty")) {
    kind.pop_back();
    return kind + "ies";
  }
  return kind + "s";
}

AuditEvent Parse(value::Ref line, const value::Value& owner) {
  AuditEvent event;
  event.user = line.At("user", "username").Text();
  event.verb = line["verb"].Text();
  event.uri = line["requestURI"].Text();
  const value::Ref target = line["objectRef"];
  event.resource = target["resource"].Text();
  if (target["subresource"]) event.resource += "/" + target["subresource"].Text();
  event.ns = target["namespace"].Text();
  event.name = target["name"].Text();
  event.code = static_cast<int>(line.At("responseStatus", "code").Int());
  event.dry_run = event.uri.find("dryRun=") != std::string::npos;
  event.done = ParseTime(line["stageTimestamp"].String()).value_or(WallTime{});
  if (line["requestObject"]) event.object = owner.Share(line["requestObject"]);
  return event;
}

}  // namespace

std::string Tool(const std::string& name, const std::string& scratch) {
  std::string variable = "FLOTILLA_TOOL_" + name;
  for (char& c : variable) {
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  if (const char* path = std::getenv(variable.c_str())) return path;
  const std::string output = Output({FLOTILLA_SOURCE_DIR "/scripts/tools", name}, scratch);
  const size_t begin = output.find(name + "=");
  if (begin == std::string::npos) Skip("scripts/tools does not say where " + name + " is");
  const size_t end = output.find('\n', begin);
  return output.substr(begin + name.size() + 1, end - begin - name.size() - 1);
}

bool AuditEvent::IsWrite() const {
  return !dry_run && code < 300 &&
         (verb == "create" || verb == "update" || verb == "patch" || verb == "delete");
}

KubeCluster::KubeCluster(Runtime& runtime, http::HttpClient& http, Setup setup)
    : runtime_(runtime),
      http_(http),
      setup_(std::move(setup)),
      port_(FreePort()),
      url_(fmt::format("https://127.0.0.1:{}", port_)) {
  fs::create_directories(setup_.directory);
  StartServer();
}

KubeCluster::~KubeCluster() {
  workloads_.clear();
  admin_.reset();
  server_.reset();
}

void KubeCluster::StartServer() {
  const std::string& d = setup_.directory;
  const std::string& s = setup_.shared;
  server_ = std::make_unique<Child>(ChildOptions{
      {Tool("kube-apiserver", d + "/tool"), "--etcd-servers=" + setup_.etcd,
       "--etcd-prefix=/" + setup_.name, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
       "--endpoint-reconciler-type=none", fmt::format("--secure-port={}", port_),
       "--cert-dir=" + d + "/certs", "--service-cluster-ip-range=10.0.0.0/24",
       "--authorization-mode=Node,RBAC", "--service-account-issuer=https://kubernetes.default.svc",
       "--service-account-key-file=" + s + "/sa.pub",
       "--service-account-signing-key-file=" + s + "/sa.key",
       "--token-auth-file=" + s + "/tokens.csv",
       "--disable-admission-plugins=TaintNodesByCondition",
       "--audit-policy-file=" + s + "/audit.yaml", "--audit-log-path=" + d + "/audit.log"},
      d + "/kube-apiserver.log",
      {}});
}

void KubeCluster::AwaitReady(TimePoint deadline) {
  while (true) {
    if (!server_->Running()) FAIL(name() << " ended: " << server_->LastOutput());
    if (runtime_.Now() > deadline) FAIL(name() << " is not ready: " << server_->LastOutput());
    if (fs::exists(setup_.directory + "/certs/apiserver.key")) {
      ca_pem_ = ReadFile(setup_.directory + "/certs/apiserver.crt");
      if (!admin_) admin_ = std::make_unique<kube::Client>(runtime_, http_, AccessOf(kAdminToken));
      kube::ApiRequest ready;
      ready.path = "/readyz";
      ready.timeout = 2s;
      if (auto answer = admin_->DoRaw(std::move(ready), {})) break;
    }
    runtime_.SleepFor(100ms, {});
  }
  if (workloads_.empty()) StartWorkloads();
}

std::unique_ptr<Child> KubeCluster::Component(const std::string& name,
                                              std::vector<std::string> arguments) {
  const std::string& d = setup_.directory;
  const std::string kubeconfig = d + "/" + name + ".kubeconfig";
  std::ofstream(kubeconfig) << KubeconfigOf(name);
  arguments.insert(arguments.begin(), {Tool(name, d + "/tool"), "--kubeconfig=" + kubeconfig});
  return std::make_unique<Child>(
      ChildOptions{std::move(arguments), d + "/" + name + ".log", {{"HOME", d}}});
}

void KubeCluster::StartWorkloads() {
  const std::string& s = setup_.shared;
  workloads_.push_back(Component(
      "kube-controller-manager",
      {"--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=true",
       "--service-account-private-key-file=" + s + "/sa.key",
       "--root-ca-file=" + setup_.directory + "/certs/apiserver.crt", "--kube-api-qps=500",
       "--kube-api-burst=1000",
       "--controllers=*,-nodelifecycle,-kube-apiserver-serving-clustertrustbundle-publisher-"
       "controller"}));
  if (!setup_.workloads) return;
  workloads_.push_back(Component("kube-scheduler", {"--leader-elect=false", "--secure-port=0"}));
  workloads_.push_back(
      Component("kwok", {"--manage-all-nodes", "--config",
                         FLOTILLA_SOURCE_DIR "/tests/tools/kwok-0.8.0/stages.yaml"}));
  Apply("{apiVersion: v1, kind: Node, metadata: {name: node}}");
}

kube::Access KubeCluster::AccessOf(const std::string& token) const {
  auto transport = std::make_shared<http::Transport>();
  transport->ca_pem = ca_pem_;
  kube::Access access;
  access.base_url = url_;
  access.credentials =
      kube::FixedCredentials({{{"Authorization", "Bearer " + token}}, std::move(transport)});
  access.default_namespace = "default";
  return access;
}

std::string KubeCluster::KubeconfigOf(const std::string& token) const {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Config","current-context":"c",)"
      R"("contexts":[{{"name":"c","context":{{"cluster":"c","user":"u"}}}}],)"
      R"("clusters":[{{"name":"c","cluster":{{"server":"{}","certificate-authority-data":"{}"}}}}],)"
      R"("users":[{{"name":"u","user":{{"token":"{}"}}}}]}})",
      url_, EncodeBase64(ca_pem_), token);
}

std::string KubeCluster::AdminKubeconfig() {
  std::string path = setup_.directory + "/admin.kubeconfig";
  std::ofstream(path) << KubeconfigOf(kAdminToken);
  return path;
}

std::string KubeCluster::TokenOf(const std::string& ns, const std::string& service_account) {
  kube::ApiRequest request;
  request.verb = kube::Verb::kCreate;
  request.path = fmt::format("/api/v1/namespaces/{}/serviceaccounts/{}/token", ns, service_account);
  request.body =
      R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":86400}})";
  auto answer = admin_->Do(std::move(request), {});
  if (!answer) FAIL(name() << ": " << answer.error().ToString());
  return answer->At("status", "token").Text();
}

void KubeCluster::Apply(const std::string& yaml) {
  auto documents = value::ParseYaml(yaml);
  if (!documents) FAIL(documents.error().ToString() << "\n" << yaml);
  for (const value::Document& document : *documents) {
    const kube::GroupVersionKind gvk = kube::GvkOf(document.value);
    kube::WriteOptions options;
    options.force = true;
    options.strict = true;
    options.field_manager = "kubectl";
    auto answer = admin_->Apply(
        kube::ApplyRequest({gvk.group, gvk.version, PluralOf(gvk.kind)},
                           kube::KeyOf(document.value), value::ToJson(document.value), options),
        {});
    if (!answer) FAIL(name() << ": " << answer.error().ToString() << "\n" << yaml);
  }
}

void KubeCluster::Delete(const std::string& path) {
  kube::ApiRequest request;
  request.verb = kube::Verb::kDelete;
  request.path = path;
  auto answer = admin_->Do(std::move(request), {});
  if (!answer) FAIL(name() << ": " << answer.error().ToString());
}

value::Value KubeCluster::Get(const std::string& path) {
  kube::ApiRequest request;
  request.path = path;
  auto answer = admin_->Do(std::move(request), {});
  if (answer) return *std::move(answer);
  if (answer.error().cls != ErrorClass::kNotFound)
    FAIL(name() << ": " << answer.error().ToString());
  return {};
}

std::vector<value::Value> KubeCluster::List(const std::string& path) {
  value::Value list = Get(path);
  std::vector<value::Value> items;
  for (value::Ref item : list["items"].Items()) items.push_back(list.Share(item));
  return items;
}

std::vector<AuditEvent> KubeCluster::Audit(WallTime since) {
  std::ifstream file(setup_.directory + "/audit.log", std::ios::binary);
  file.seekg(static_cast<std::streamoff>(audit_read_));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  audit_read_ += text.size();
  text = audit_rest_ + text;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    auto line = value::ParseJson(std::string_view(text).substr(begin, end - begin));
    if (!line) FAIL("audit log of " << name() << ": " << line.error().ToString());
    audit_.push_back(Parse(*line, *line));
  }
  audit_rest_ = text.substr(begin);
  std::vector<AuditEvent> events;
  for (const AuditEvent& event : audit_) {
    if (event.done >= since) events.push_back(event);
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const AuditEvent& a, const AuditEvent& b) { return a.done < b.done; });
  return events;
}

ControlPlane::ControlPlane(Runtime& runtime, http::HttpClient& http,
                           const std::vector<std::string>& members) {
  const TimePoint begun = runtime.Now();
  directory_ = fs::temp_directory_path() / fmt::format("flotilla-e2e-{}", getpid());
  fs::remove_all(directory_);
  fs::create_directories(directory_);
  const std::string& d = directory_;
  const std::string etcd = fmt::format("http://127.0.0.1:{}", FreePort());
  const std::string peer = fmt::format("http://127.0.0.1:{}", FreePort());
  etcd_ = std::make_unique<Child>(
      ChildOptions{{Tool("etcd", d + "/tool"), "--name", "e", "--data-dir", d + "/etcd",
                    "--unsafe-no-fsync", "--log-level", "warn", "--listen-client-urls", etcd,
                    "--advertise-client-urls", etcd, "--listen-peer-urls", peer,
                    "--initial-advertise-peer-urls", peer, "--initial-cluster", "e=" + peer},
                   d + "/etcd.log",
                   {}});
  Output({"/usr/bin/openssl", "genrsa", "-out", d + "/sa.key", "2048"}, d + "/openssl.log");
  Output({"/usr/bin/openssl", "rsa", "-in", d + "/sa.key", "-pubout", "-out", d + "/sa.pub"},
         d + "/openssl.log");
  std::ofstream(d + "/tokens.csv") << kAdminToken << ",administrator,1,\"system:masters\"\n"
                                   << "kube-controller-manager,system:kube-controller-manager,2\n"
                                   << "kube-scheduler,system:kube-scheduler,3\n"
                                   << "kwok,kwok,4,\"system:masters\"\n";
  std::ofstream(d + "/audit.yaml") << kAuditPolicy;

  auto make = [&](const std::string& name, bool workloads) {
    return std::make_unique<KubeCluster>(
        runtime, http, KubeCluster::Setup{name, d + "/" + name, d, etcd, workloads});
  };
  hub_ = make("hub", false);
  for (const std::string& name : members) members_[name] = make(name, true);
  hub_->AwaitReady(begun + kReadyWithin);
  for (const auto& [name, member] : members_) member->AwaitReady(begun + kReadyWithin);
  started_in_ = runtime.Now() - begun;
}

ControlPlane::~ControlPlane() {
  members_.clear();
  hub_.reset();
  etcd_.reset();
  std::error_code ignored;
  if (!std::getenv("FLOTILLA_TEST_KEEP")) fs::remove_all(directory_, ignored);
}

std::vector<std::string> ControlPlane::member_names() const {
  std::vector<std::string> names;
  for (const auto& [name, member] : members_) names.push_back(name);
  return names;
}

}  // namespace flotilla::e2e
