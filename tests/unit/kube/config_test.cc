#include "kube/config.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "base/encoding.h"
#include "base/process.h"
#include "catch.h"
#include "sim/fiber_runtime.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

constexpr const char* kPem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
// base64 of "-----BEGIN X-----"
const std::string kData = EncodeBase64("-----BEGIN X-----");

// Files by path from the root, without the first slash.
struct Files final : Disk {
  Result<std::string> Read(std::string_view path) override {
    const auto at = files.find(std::string(path));
    if (at == files.end()) return Fail(ErrorClass::kNotFound, "no such file");
    return at->second;
  }
  Status WriteDurable(std::string_view, std::string_view) override { return {}; }
  Status Remove(std::string_view) override { return {}; }
  Result<std::vector<std::string>> List(std::string_view) override {
    return std::vector<std::string>();
  }
  Status MakeDirectories(std::string_view) override { return {}; }
  std::map<std::string, std::string> files;
};

struct Plugin final : ProcessRunner {
  Result<ProcessExit> Run(const Command& command, std::stop_token) override {
    commands.push_back(command);
    return exit;
  }
  std::vector<Command> commands;
  ProcessExit exit;
};

struct World {
  AccessSources Sources() {
    return {.runtime = &runtime,
            .disk = &disk,
            .process = &plugin,
            .allowed_exec = {"aws", "/opt/bin/plugin"},
            .exec_environment = {{"PATH", "/usr/bin"}, {"HOME", "/root"}}};
  }
  // A kubeconfig with this user and cluster, both in YAML's flow style.
  static std::string Config(std::string_view user,
                            std::string_view cluster = "{server: \"https://k:6443/\"}") {
    return fmt::format(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts:\n- name: c\n  context: {{cluster: k, user: u, namespace: web}}\n"
        "clusters:\n- name: k\n  cluster: {}\nusers:\n- name: u\n  user: {}\n",
        cluster, user);
  }
  Result<Access> Open(const std::string& text) {
    const auto config = ParseKubeconfig(text, "kubeconfig x");
    if (!config) return Pass(config);
    return ToAccess(*config, "", "/home/me/.kube", Sources());
  }
  static std::string Authorization(const Access& access) {
    auto proof = access.credentials->Current();
    if (!proof) {
      const auto renewed = access.credentials->Refresh({});
      if (!renewed) return renewed.error().ToString();
      proof = *renewed;
    }
    return std::string(http::Find(proof->headers, "Authorization"));
  }

  sim::FiberRuntime runtime;
  Files disk;
  Plugin plugin;
};

TEST_CASE("a context names a cluster, a user and a namespace") {
  World world;
  const auto access = world.Open(World::Config(
      "{token: secret, as: alice, as-groups: [dev]}",
      "{server: \"https://k:6443/\", tls-server-name: kube, proxy-url: \"http://p:1\","
      " certificate-authority-data: " +
          kData + "}"));
  REQUIRE(access);
  CHECK(access->base_url == "https://k:6443");
  CHECK(access->default_namespace == "web");
  CHECK(access->impersonation.user == "alice");
  CHECK(access->impersonation.groups == std::vector<std::string>{"dev"});
  CHECK(World::Authorization(*access) == "Bearer secret");
  const auto transport = access->credentials->Current()->transport;
  CHECK(transport->ca_pem == "-----BEGIN X-----");
  CHECK(transport->server_name == "kube");
  CHECK(transport->proxy_url == "http://p:1");
  CHECK_FALSE(transport->insecure_skip_verify);
}

TEST_CASE("a user is who it says: nobody, a certificate, a password") {
  World world;
  CHECK(World::Authorization(*world.Open(World::Config("{}"))) == "");
  CHECK(World::Authorization(*world.Open(World::Config("{username: me, password: pw}"))) ==
        "Basic " + EncodeBase64("me:pw"));
  const auto cert = world.Open(
      World::Config("{client-certificate-data: " + kData + ", client-key-data: " + kData + "}"));
  REQUIRE(cert);
  CHECK(cert->credentials->Current()->transport->client_key_pem == "-----BEGIN X-----");
}

TEST_CASE("what is wrong is named with its place") {
  const struct {
    std::string text;
    const char* complaint;
  } cases[] = {
      {"[]", "a kubeconfig is one map"},
      {"a: {", "kubeconfig x"},
      {"kind: Pod", "kind must be Config, not Pod"},
      {"clusters: 3", "clusters must be a list"},
      {World::Config("{token: [1]}"), "users[0] \"u\".token must be a string"},
      {World::Config("{client-key-data: \"!\"}"), "client-key-data is not base64"},
      {World::Config("{client-key-data: aGFsbG8=}"), "client-key-data does not hold PEM"},
      {World::Config("{client-key-data: " + kData + "}"),
       "client-certificate and client-key belong together"},
      {World::Config("{as-groups: [dev]}"), "as is missing"},
      {World::Config("{auth-provider: {name: gcp}}"), "auth-provider was removed"},
      {World::Config("{exec: {apiVersion: v9, command: aws}}"), "exec.apiVersion must be"},
      {World::Config("{exec: {apiVersion: client.authentication.k8s.io/v1}}"),
       "exec.command is missing"},
      {World::Config("{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, "
                     "interactiveMode: Always}}"),
       "must not be Always"},
      {World::Config("{token: \"a\\nb\"}"), "token holds characters"},
      {World::Config("{tokenFile: /nowhere}"), "tokenFile: /nowhere"},
      {World::Config("{}", "{}"), "server is missing"},
      {World::Config("{}", "{server: \"ftp://k\"}"), "clusters \"k\".server"},
      {World::Config("{}",
                     "{server: \"https://k\", insecure-skip-tls-verify: yes, "
                     "certificate-authority: /ca}"),
       "insecure-skip-tls-verify"},
      {World::Config("{}", "{server: \"https://k\", insecure-skip-tls-verify: \"yes\"}"),
       "must be a boolean"},
      {"current-context: c", "no context is named \"c\" (there are: none)"},
      {"contexts: []", "current-context is not set"},
      {"current-context: c\ncontexts:\n- name: c\n  context: {cluster: k}",
       "no cluster is named \"k\""},
  };
  for (const auto& one : cases) {
    INFO(one.text);
    World world;
    const auto access = world.Open(one.text);
    REQUIRE_FALSE(access);
    const std::string message = access.error().ToString();
    INFO(message);
    CHECK(message.find(one.complaint) != std::string::npos);
    CHECK(message.find("kubeconfig x") != std::string::npos);
    CHECK(access.error().cls != ErrorClass::kInternal);
  }
}

TEST_CASE("another context than the current one can be asked for") {
  World world;
  const auto config = ParseKubeconfig(World::Config("{}"), "x");
  REQUIRE(config);
  CHECK(ToAccess(*config, "c", "/", world.Sources()));
  const auto wrong = ToAccess(*config, "d", "/", world.Sources());
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("there is: c") != std::string::npos);
}

TEST_CASE("files are relative to the kubeconfig, and read again as time goes by") {
  World world;
  world.disk.files = {{"home/me/token", "one\n"}, {"home/me/.kube/ca.crt", kPem}};
  const auto access = world.Open(World::Config(
      "{tokenFile: ../token}", "{server: \"https://k\", certificate-authority: ca.crt}"));
  REQUIRE(access);
  CHECK(World::Authorization(*access) == "Bearer one");
  const auto transport = access->credentials->Current()->transport;
  CHECK(transport->ca_pem == kPem);

  world.disk.files["home/me/token"] = "two\n";
  CHECK(World::Authorization(*access) == "Bearer one");
  world.runtime.RunFor(61s);
  CHECK(access->credentials->Current() == nullptr);
  CHECK(World::Authorization(*access) == "Bearer two");
  // The connections of an unchanged transport are kept.
  CHECK(access->credentials->Current()->transport == transport);

  SECTION("a rotated CA is a new transport") {
    world.disk.files["home/me/.kube/ca.crt"] = std::string(kPem) + kPem;
    world.runtime.RunFor(61s);
    World::Authorization(*access);
    CHECK(access->credentials->Current()->transport != transport);
  }
  SECTION("a refused token is read again at once") {
    world.disk.files["home/me/token"] = "three";
    CHECK(access->credentials->Refused(access->credentials->Current()));
    CHECK(World::Authorization(*access) == "Bearer three");
  }
  SECTION("a file that is being replaced does not take away what works") {
    world.disk.files.erase("home/me/token");
    world.runtime.RunFor(61s);
    CHECK(World::Authorization(*access) == "Bearer two");
  }
}

TEST_CASE("credentials from a Secret may neither name files nor run programs") {
  World world;
  AccessSources none{.runtime = &world.runtime};
  for (const char* user : {"{tokenFile: /etc/shadow}", "{client-certificate: /a, client-key: /b}",
                           "{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}}"}) {
    INFO(user);
    const auto config = ParseKubeconfig(World::Config(user), "Secret flotilla-system/a");
    REQUIRE(config);
    const auto access = ToAccess(*config, "", "/", none);
    REQUIRE_FALSE(access);
    CHECK(access.error().cls == ErrorClass::kDenied);
  }
}

// --- plugins ---

std::string ExecUser(std::string_view command, std::string_view more = "") {
  return World::Config(fmt::format(
      "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: \"{}\", args: [token, -x],"
      " env: [{{name: A, value: b}}]{}}}}}",
      command, more));
}
std::string Credential(std::string_view status) {
  return fmt::format(
      R"({{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{}}})",
      status);
}

TEST_CASE("a plugin runs with its arguments, its environment and nothing else") {
  World world;
  world.plugin.exit.output = Credential(R"({"token":"t1"})");
  const auto access = world.Open(ExecUser("aws", ", provideClusterInfo: true"));
  REQUIRE(access);
  CHECK(world.plugin.commands.empty());
  CHECK(World::Authorization(*access) == "Bearer t1");
  REQUIRE(world.plugin.commands.size() == 1);
  const Command& command = world.plugin.commands[0];
  CHECK(command.argv == std::vector<std::string>{"aws", "token", "-x"});
  REQUIRE(command.environment.size() == 4);
  CHECK(command.environment[2] == std::pair<std::string, std::string>("A", "b"));
  CHECK(command.environment[3].first == "KUBERNETES_EXEC_INFO");
  const auto info = value::ParseJson(command.environment[3].second);
  REQUIRE(info);
  CHECK((*info)["apiVersion"].String() == "client.authentication.k8s.io/v1");
  CHECK_FALSE(info->At("spec", "interactive").Bool(true));
  CHECK(info->At("spec", "cluster", "server").String() == "https://k:6443");
  CHECK(command.deadline != kForever);
}

TEST_CASE("only plugins of the allow-list run") {
  World world;
  CHECK(world.Open(ExecUser("aws")));
  CHECK(world.Open(ExecUser("/opt/bin/plugin")));
  CHECK(world.Open(ExecUser("../../../opt/bin/plugin")));
  for (const char* command : {"sh", "/tmp/aws", "./aws", "/opt/bin/../../tmp/plugin"}) {
    INFO(command);
    const auto access = world.Open(ExecUser(command));
    REQUIRE_FALSE(access);
    CHECK(access.error().cls == ErrorClass::kDenied);
  }
}

TEST_CASE("a plugin's credential is kept until shortly before it expires") {
  World world;
  world.plugin.exit.output =
      Credential(fmt::format(R"({{"token":"t1","expirationTimestamp":"{}"}})",
                             FormatTime(world.runtime.WallNow() + 10min)));
  const auto access = world.Open(ExecUser("aws"));
  REQUIRE(access);
  CHECK(access->credentials->Current() == nullptr);
  World::Authorization(*access);
  world.runtime.RunFor(9min);
  CHECK(access->credentials->Current() != nullptr);
  world.runtime.RunFor(31s);
  CHECK(access->credentials->Current() == nullptr);
}

TEST_CASE("a refused credential is asked for anew, but not at every request") {
  World world;
  world.plugin.exit.output = Credential(R"({"token":"t1"})");
  const auto access = world.Open(ExecUser("aws"));
  REQUIRE(access);
  World::Authorization(*access);
  CHECK_FALSE(access->credentials->Refused(access->credentials->Current()));
  world.runtime.RunFor(6s);
  CHECK(access->credentials->Refused(access->credentials->Current()));
  CHECK(access->credentials->Current() == nullptr);
}

TEST_CASE("a plugin can answer with a client certificate") {
  World world;
  world.plugin.exit.output =
      Credential(R"({"clientCertificateData":"CERT","clientKeyData":"KEY"})");
  const auto access = world.Open(ExecUser("aws"));
  REQUIRE(access);
  CHECK(World::Authorization(*access) == "");
  CHECK(access->credentials->Current()->transport->client_cert_pem == "CERT");
}

TEST_CASE("a plugin that answers wrongly is named, its output is not repeated") {
  const struct {
    int status;
    std::string output;
    const char* complaint;
  } cases[] = {
      {0, "hunter2", "exec: aws"},
      {0, R"({"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential"})",
       "answered client.authentication.k8s.io/v1beta1"},
      {0, Credential("{}"), "neither a token nor a certificate"},
      {0, Credential(R"({"clientCertificateData":"CERT"})"), "belong together"},
      {0, Credential(R"({"token":"hunter2","expirationTimestamp":"soon"})"), "is not a time"},
      {0, Credential("{\"token\":\"hunter2\\u0000\"}"), "characters no token has"},
      {3, "hunter2", "failed with status 3"},
  };
  for (const auto& one : cases) {
    INFO(one.output);
    World world;
    world.plugin.exit.status = one.status;
    world.plugin.exit.output = one.output;
    const auto access = world.Open(ExecUser("aws"));
    REQUIRE(access);
    const auto renewed = access->credentials->Refresh({});
    REQUIRE_FALSE(renewed);
    const std::string message = renewed.error().ToString();
    INFO(message);
    CHECK(message.find(one.complaint) != std::string::npos);
    CHECK(message.find("hunter2") == std::string::npos);
  }
}

// --- in the cluster, and written ---

TEST_CASE("in a cluster the service account's files are the credentials") {
  World world;
  const std::string directory = "var/run/secrets/kubernetes.io/serviceaccount/";
  world.disk.files = {{directory + "token", "t1"},
                      {directory + "ca.crt", kPem},
                      {directory + "namespace", "ops\n"}};
  const auto access = InClusterAccess("10.0.0.1", "443", world.Sources());
  REQUIRE(access);
  CHECK(access->base_url == "https://10.0.0.1:443");
  CHECK(access->default_namespace == "ops");
  CHECK(World::Authorization(*access) == "Bearer t1");
  CHECK(access->credentials->Current()->transport->ca_pem == kPem);
  world.disk.files[directory + "token"] = "t2";
  world.runtime.RunFor(61s);
  CHECK(World::Authorization(*access) == "Bearer t2");

  CHECK(InClusterAccess("fd00::1", "443", world.Sources())->base_url == "https://[fd00::1]:443");
  CHECK_FALSE(InClusterAccess("", "443", world.Sources()));
  world.disk.files.erase(directory + "ca.crt");
  CHECK_FALSE(InClusterAccess("10.0.0.1", "443", world.Sources()));
}

TEST_CASE("a written kubeconfig says the same when it is read") {
  Kubeconfig config;
  config.current_context = "c";
  config.clusters = {{.name = "k",
                      .server = "https://k:6443",
                      .ca_data = kPem,
                      .tls_server_name = "kube",
                      .insecure_skip_tls_verify = false}};
  config.users = {{.name = "u",
                   .client_cert_data = kPem,
                   .client_key_data = kPem,
                   .token = "yes",  // a boolean in YAML 1.1, where it is not quoted
                   .impersonation = {.user = "alice", .groups = {"dev"}, .extra = {{"k", {"v"}}}},
                   .exec = ExecConfig{.api_version = "client.authentication.k8s.io/v1",
                                      .command = "aws",
                                      .args = {"1", "-x"},
                                      .env = {{"A", "b"}}}}};
  config.contexts = {{"c", "k", "u", "web"}};
  const auto read = ParseKubeconfig(WriteKubeconfig(config), "");
  REQUIRE(read);
  CHECK(read->current_context == "c");
  CHECK(read->clusters[0].ca_data == kPem);
  CHECK(read->clusters[0].tls_server_name == "kube");
  CHECK(read->users[0].token == "yes");
  CHECK(read->users[0].client_key_data == kPem);
  CHECK(read->users[0].impersonation == config.users[0].impersonation);
  REQUIRE(read->users[0].exec);
  CHECK(read->users[0].exec->args == config.users[0].exec->args);
  CHECK(read->users[0].exec->env == config.users[0].exec->env);
  CHECK(read->contexts[0].ns == "web");
}

}  // namespace
}  // namespace flotilla::kube
