#include "target.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/process.h"
#include "base/thread_runtime.h"
#include "catch.h"
#include "http/client.h"
#include "value/json.h"

namespace flotilla::contract {
namespace {

namespace fs = std::filesystem;

http::Headers HeadersOf(const Call& call) {
  http::Headers headers{{"User-Agent", call.agent}};
  if (!call.type.empty()) headers.emplace_back("Content-Type", call.type);
  headers.emplace_back("Accept", call.accept.empty() ? "application/json" : call.accept);
  return headers;
}

Answer ToAnswer(int status, std::string text) {
  Answer answer;
  answer.status = status;
  answer.text = std::move(text);
  if (auto json = value::ParseJson(answer.text)) answer.body = *std::move(json);
  return answer;
}

class Embedded final : public Target {
 public:
  Embedded() : server_(Options()) {}
  Answer Send(const Call& call) override {
    http::ServerRequest request;
    request.method = call.method;
    request.target = call.path;
    request.headers = HeadersOf(call);
    request.body = call.body;
    http::ServerResponse response = server_.Handle(request);
    return ToAnswer(response.status, std::move(response.body));
  }

 private:
  static sim::ApiServerOptions Options() {
    sim::ApiServerOptions options;
    options.clock.now = [] { return TimePoint(); };
    options.clock.wall_now = [] { return WallTime(std::chrono::hours(24 * 20000)); };
    options.controllers = false;
    return options;
  }
  sim::ApiServer server_;
};

std::string Slurp(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

[[noreturn]] void Skip(const std::string& reason) {
  std::fprintf(stderr, "skipped: %s\n", reason.c_str());
  std::_Exit(77);
}

int FreePort() {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, size) != 0 || getsockname(fd, generic, &size) != 0) Skip("no free port");
  close(fd);
  return ntohs(address.sin_port);
}

class ControlPlane final : public Target {
 public:
  ControlPlane() : runner_(NewProcessRunner(runtime_)), client_(http::NewHttpClient(runtime_)) {
    transport_ = std::make_shared<http::Transport>();
    if (const char* url = std::getenv("FLOTILLA_CONTRACT_SERVER")) {
      url_ = url;
      token_ = std::getenv("FLOTILLA_CONTRACT_TOKEN");
      SetTrust(std::getenv("FLOTILLA_CONTRACT_CA"));
    } else {
      Start();
    }
  }
  ~ControlPlane() override {
    tasks_.clear();  // ends the processes
    std::error_code ignored;
    if (!directory_.empty()) fs::remove_all(directory_, ignored);
  }

  Answer Send(const Call& call) override {
    http::Request request;
    request.method = call.method;
    request.url = url_ + call.path;
    request.headers = HeadersOf(call);
    request.headers.emplace_back("Authorization", "Bearer " + token_);
    request.body = call.body;
    request.deadline = runtime_.Now() + 30s;
    request.transport = transport_;
    auto response = http::Do(runtime_, *client_, std::move(request), {});
    if (!response) return {0, {}, response.error().ToString()};
    return ToAnswer(response->status, std::move(response->body));
  }
  void Pause() override { runtime_.SleepFor(50ms, {}); }

 private:
  void SetTrust(const fs::path& ca) {
    auto transport = std::make_shared<http::Transport>();
    transport->ca_pem = Slurp(ca);
    transport_ = std::move(transport);
  }

  std::string Tool(const char* name) {
    Command command;
    command.argv = {FLOTILLA_SOURCE_DIR "/scripts/tools", name};
    for (const char* variable : {"PATH", "HOME", "FLOTILLA_CACHE", "XDG_CACHE_HOME",
                                 "KUBEBUILDER_ASSETS", "GOPROXY", "GOCACHE", "GOMODCACHE"}) {
      if (const char* value = std::getenv(variable))
        command.environment.emplace_back(variable, value);
    }
    auto exit = runner_->Run(command, {});
    if (!exit) Skip(exit.error().ToString());
    if (exit->status != 0) Skip(exit->error);
    std::string path = exit->output.substr(exit->output.find('=') + 1);
    return path.substr(0, path.find('\n'));
  }

  void RunOnce(std::vector<std::string> argv) {
    Command command;
    command.argv = std::move(argv);
    command.environment = {{"PATH", "/usr/bin:/bin"}};
    auto exit = runner_->Run(command, {});
    if (!exit || exit->status != 0) Skip(command.argv[0] + " failed");
  }

  void Keep(const char* name, std::vector<std::string> argv) {
    tasks_.push_back(runtime_.Spawn(name, [this, argv = std::move(argv)](std::stop_token stop) {
      Command command;
      command.argv = argv;
      command.output_limit = size_t{1} << 30;
      (void)runner_->Run(command, stop);
    }));
  }

  void Start() {
    directory_ = fs::temp_directory_path() / ("flotilla-contract-" + std::to_string(getpid()));
    fs::create_directories(directory_);
    std::string d = directory_.string();
    std::string etcd = "http://127.0.0.1:" + std::to_string(FreePort());
    std::string peer = "http://127.0.0.1:" + std::to_string(FreePort());
    std::string port = std::to_string(FreePort());
    token_ = "contract";
    std::ofstream(directory_ / "tokens.csv") << token_ << ",admin,1,\"system:masters\"\n";
    RunOnce({"openssl", "genrsa", "-out", d + "/sa.key", "2048"});
    RunOnce({"openssl", "rsa", "-in", d + "/sa.key", "-pubout", "-out", d + "/sa.pub"});
    std::string server = Tool("kube-apiserver");
    Keep("etcd", {Tool("etcd"), "--name", "e", "--data-dir", d + "/etcd", "--unsafe-no-fsync",
                  "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
                  "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                  "--initial-cluster", "e=" + peer, "--log-level", "error"});
    Keep("kube-apiserver", {server, "--etcd-servers=" + etcd, "--bind-address=127.0.0.1",
                            "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
                            "--secure-port=" + port, "--cert-dir=" + d + "/certs",
                            "--service-cluster-ip-range=10.0.0.0/16", "--authorization-mode=RBAC",
                            "--service-account-issuer=https://kubernetes.default.svc",
                            "--service-account-key-file=" + d + "/sa.pub",
                            "--service-account-signing-key-file=" + d + "/sa.key",
                            "--token-auth-file=" + d + "/tokens.csv",
                            "--disable-admission-plugins=TaintNodesByCondition,ServiceAccount"});
    url_ = "https://127.0.0.1:" + port;
    AwaitReady();
  }

  void AwaitReady() {
    TimePoint deadline = runtime_.Now() + 60s;
    while (runtime_.Now() < deadline) {
      fs::path ca = directory_ / "certs" / "apiserver.crt";
      if (fs::exists(ca)) {
        SetTrust(ca);
        Call ready;
        ready.path = "/readyz";
        if (Send(ready).status == 200) return;
      }
      runtime_.SleepFor(100ms, {});
    }
    Skip("the kube-apiserver did not become ready");
  }

  ThreadRuntime runtime_;
  std::unique_ptr<ProcessRunner> runner_;
  std::unique_ptr<http::HttpClient> client_;
  std::shared_ptr<const http::Transport> transport_;
  std::vector<std::unique_ptr<Task>> tasks_;
  fs::path directory_;
  std::string url_, token_;
};

}  // namespace

std::unique_ptr<Target> NewEmbedded() { return std::make_unique<Embedded>(); }

Target& Real() {
  static ControlPlane plane;
  return plane;
}

}  // namespace flotilla::contract
