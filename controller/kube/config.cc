// From a configuration to credentials: what is fixed, what is read from files again and again, and
// what plugins answer.
#include "kube/config.h"

#include <algorithm>
#include <utility>

#include "base/disk.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "base/process.h"
#include "http/url.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

using ProofPtr = std::shared_ptr<const Proof>;

constexpr Duration kFilePeriod = 60s;  // how often files are read again
constexpr Duration kExecTimeout = 15s;
constexpr Duration kExecMargin = 30s;  // a token is renewed that long before it expires
constexpr Duration kExecPause = 5s;    // between runs that a 401 asks for
constexpr const char* kServiceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount/";

tl::unexpected<Error> Invalid(std::string message) {
  Error error;
  error.cls = ErrorClass::kInvalid;
  error.outcome = Outcome::kNotSent;
  error.message = std::move(message);
  return tl::unexpected<Error>(std::move(error));
}

std::string_view Trim(std::string_view text) {
  constexpr const char* kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// `file` relative to `directory`, as a path from the root without "." and "..".
std::string Resolve(std::string_view file, std::string_view directory) {
  std::string whole =
      file.starts_with('/') ? std::string(file) : std::string(directory) + '/' + std::string(file);
  std::vector<std::string_view> parts;
  for (std::string_view rest = whole; !rest.empty();) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  std::string path;
  for (std::string_view part : parts) path.append("/").append(part);
  return path;
}

Result<std::string> ReadFile(Disk& disk, const std::string& path, std::string_view field) {
  Result<std::string> text = disk.Read(std::string_view(path).substr(1));
  if (!text) return Fail(text, "{}: {}", field, path);
  if (text->size() > limits::kCredentialFileBytes) {
    return Invalid(fmt::format("{}: {} is larger than {} bytes (kCredentialFileBytes)", field, path,
                               limits::kCredentialFileBytes));
  }
  return text;
}

bool IsHeaderSafe(std::string_view token) {
  return !token.empty() &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// What makes up a proof: each part is fixed, or the path of a file.
struct Parts {
  http::Transport transport;  // with the fixed parts
  http::Headers headers;      // fixed Authorization
  std::string ca_file, cert_file, key_file, token_file;
  std::string source;  // "kubeconfig ~/.kube/config: users \"x\""
  bool HasFiles() const {
    return !ca_file.empty() || !cert_file.empty() || !key_file.empty() || !token_file.empty();
  }
};

// Reads the files of `parts`. Keeps the transport of `before` where nothing of it changed, so that
// its connections stay.
Result<ProofPtr> ReadParts(const Parts& parts, Disk* disk, const ProofPtr& before) {
  Proof proof;
  proof.headers = parts.headers;
  http::Transport transport = parts.transport;
  struct {
    const std::string& path;
    const char* field;
    std::string* into;
  } const files[] = {
      {parts.ca_file, "certificate-authority", &transport.ca_pem},
      {parts.cert_file, "client-certificate", &transport.client_cert_pem},
      {parts.key_file, "client-key", &transport.client_key_pem},
  };
  for (const auto& file : files) {
    if (file.path.empty()) continue;
    Result<std::string> text = ReadFile(*disk, file.path, parts.source + ": " + file.field);
    if (!text) return Pass(text);
    if (text->find("-----BEGIN ") == std::string::npos) {
      return Invalid(
          fmt::format("{}: {}: {} does not hold PEM", parts.source, file.field, file.path));
    }
    *file.into = *std::move(text);
  }
  if (!parts.token_file.empty()) {
    const Result<std::string> text =
        ReadFile(*disk, parts.token_file, parts.source + ": tokenFile");
    if (!text) return Pass(text);
    const std::string_view token = Trim(*text);
    if (!IsHeaderSafe(token)) {
      return Invalid(
          fmt::format("{}: tokenFile: {} does not hold a token", parts.source, parts.token_file));
    }
    proof.headers.emplace_back("Authorization", "Bearer " + std::string(token));
  }
  const auto same = [&](const http::Transport& other) {
    return other.ca_pem == transport.ca_pem && other.client_cert_pem == transport.client_cert_pem &&
           other.client_key_pem == transport.client_key_pem;
  };
  proof.transport = before && same(*before->transport)
                        ? before->transport
                        : std::make_shared<const http::Transport>(std::move(transport));
  return std::make_shared<const Proof>(std::move(proof));
}

class FileCredentials final : public Credentials {
 public:
  FileCredentials(Runtime& runtime, Disk& disk, Parts parts, ProofPtr first)
      : runtime_(runtime),
        disk_(disk),
        parts_(std::move(parts)),
        proof_(std::move(first)),
        until_(runtime.Now() + kFilePeriod) {}

  ProofPtr Current() override {
    MutexLock lock(mutex_);
    return runtime_.Now() < until_ ? proof_ : nullptr;
  }

  Result<ProofPtr> Refresh(std::stop_token) override {
    ProofPtr before;
    {
      MutexLock lock(mutex_);
      before = proof_;
    }
    Result<ProofPtr> read = ReadParts(parts_, &disk_, before);
    MutexLock lock(mutex_);
    // A file that is being replaced: what we had may still be good.
    if (read) proof_ = *std::move(read);
    until_ = runtime_.Now() + kFilePeriod;
    return proof_;
  }

  bool Refused(const ProofPtr& proof) override {
    MutexLock lock(mutex_);
    if (proof == proof_) until_ = TimePoint::min();
    return true;
  }

 private:
  Runtime& runtime_;
  Disk& disk_;
  const Parts parts_;
  Mutex mutex_;  // guards what follows
  ProofPtr proof_;
  TimePoint until_;
};

// client.authentication.k8s.io ExecCredential.
class ExecCredentials final : public Credentials {
 public:
  ExecCredentials(const AccessSources& sources, Parts parts, ExecConfig exec, value::Value cluster)
      : runtime_(*sources.runtime),
        disk_(sources.disk),
        process_(*sources.process),
        environment_(sources.exec_environment),
        parts_(std::move(parts)),
        exec_(std::move(exec)),
        cluster_(std::move(cluster)) {}

  ProofPtr Current() override {
    MutexLock lock(mutex_);
    return runtime_.WallNow() < expires_ ? proof_ : nullptr;
  }

  Result<ProofPtr> Refresh(std::stop_token stop) override {
    const Result<ProcessExit> exit = process_.Run(ToCommand(), std::move(stop));
    if (!exit) {
      return Fail(exit, "{}: exec: run {}{}", parts_.source, exec_.command, Hint());
    }
    if (exit->status != 0) {
      // Its output is not repeated: it may hold a credential.
      return Fail(ErrorClass::kUnauthenticated, "{}: exec: {} failed with status {}: {}{}",
                  parts_.source, exec_.command, exit->status,
                  Trim(std::string_view(exit->error).substr(0, 500)), Hint());
    }
    ProofPtr before;
    {
      MutexLock lock(mutex_);
      before = proof_;
      ran_at_ = runtime_.Now();
    }
    WallTime expires = WallTime::max();
    Result<ProofPtr> proof = Read(exit->output, before, expires);
    if (!proof) return Fail(proof, "{}: exec: {}", parts_.source, exec_.command);
    MutexLock lock(mutex_);
    proof_ = *proof;
    expires_ = expires;
    return proof;
  }

  bool Refused(const ProofPtr& proof) override {
    MutexLock lock(mutex_);
    if (proof != proof_) return true;  // there is a newer one already
    if (runtime_.Now() < ran_at_ + kExecPause) return false;
    proof_ = nullptr;
    return true;
  }

 private:
  std::string Hint() const {
    return exec_.install_hint.empty() ? "" : " (" + exec_.install_hint + ")";
  }

  Command ToCommand() const {
    using value::Value;
    Command command;
    command.argv.push_back(exec_.command);
    command.argv.insert(command.argv.end(), exec_.args.begin(), exec_.args.end());
    command.environment = environment_;
    const auto set = [&](const std::string& name, std::string text) {
      std::erase_if(command.environment, [&](const auto& pair) { return pair.first == name; });
      command.environment.emplace_back(name, std::move(text));
    };
    for (const auto& [name, text] : exec_.env) set(name, text);
    set("KUBERNETES_EXEC_INFO",
        value::ToJson(Value::Map(
            {{"apiVersion", Value(exec_.api_version)},
             {"kind", Value("ExecCredential")},
             {"spec", Value::Map({{"cluster", exec_.provide_cluster_info ? cluster_ : Value()},
                                  {"interactive", Value(false)}})}})));
    command.deadline = runtime_.Now() + kExecTimeout;
    command.output_limit = limits::kExecOutputBytes;
    return command;
  }

  Result<ProofPtr> Read(std::string_view output, const ProofPtr& before, WallTime& expires) const {
    const Result<value::Value> answer = value::ParseJson(output);
    if (!answer) return Pass(answer);
    if ((*answer)["kind"].String() != "ExecCredential" ||
        (*answer)["apiVersion"].String() != exec_.api_version) {
      return Invalid(fmt::format("answered {} {}, not {} ExecCredential",
                                 (*answer)["apiVersion"].String("nothing"),
                                 (*answer)["kind"].String(), exec_.api_version));
    }
    const value::Ref status = (*answer)["status"];
    Parts parts = parts_;
    if (const value::Ref expiry = status["expirationTimestamp"]; expiry && !expiry.IsNull()) {
      const std::optional<WallTime> time = ParseTime(expiry.String());
      if (!time) return Invalid("status.expirationTimestamp is not a time");
      // Also of a token that lives shorter than the margin, something must remain.
      const WallTime now = runtime_.WallNow();
      expires = std::max(*time - kExecMargin, now + (*time - now) / 2);
    }
    const std::string_view token = status["token"].String();
    if (!token.empty()) {
      if (!IsHeaderSafe(token)) return Invalid("status.token holds characters no token has");
      parts.headers.emplace_back("Authorization", "Bearer " + std::string(token));
    }
    const std::string_view cert = status["clientCertificateData"].String();
    const std::string_view key = status["clientKeyData"].String();
    if (cert.empty() != key.empty()) {
      return Invalid("status.clientCertificateData and status.clientKeyData belong together");
    }
    if (token.empty() && cert.empty()) {
      return Invalid("status holds neither a token nor a certificate");
    }
    if (!cert.empty()) {
      parts.transport.client_cert_pem = cert;
      parts.transport.client_key_pem = key;
      parts.cert_file.clear();
      parts.key_file.clear();
    }
    return ReadParts(parts, disk_, before);
  }

  Runtime& runtime_;
  Disk* const disk_;
  ProcessRunner& process_;
  const std::vector<std::pair<std::string, std::string>> environment_;
  const Parts parts_;
  const ExecConfig exec_;
  const value::Value cluster_;
  Mutex mutex_;  // guards what follows
  ProofPtr proof_;
  WallTime expires_ = WallTime::min();
  TimePoint ran_at_ = TimePoint::min();
};

template <typename Named>
const Named* FindNamed(const std::vector<Named>& list, std::string_view name) {
  const auto at = std::find_if(list.begin(), list.end(),
                               [&](const Named& entry) { return entry.name == name; });
  return at == list.end() ? nullptr : &*at;
}

Result<std::string> CheckServer(const std::string& server, const std::string& where) {
  std::string url = server;
  while (url.ends_with('/')) url.pop_back();
  if (url.empty()) return Invalid(where + ".server is missing");
  const Result<http::Url> parsed = http::ParseUrl(url);
  if (!parsed) return Fail(parsed, "{}.server", where);
  if (!parsed->query.empty()) return Invalid(where + ".server has a query");
  return url;
}

bool IsAllowed(const std::vector<std::string>& allowed, const std::string& command) {
  return std::any_of(allowed.begin(), allowed.end(),
                     [&](const std::string& entry) { return entry == "*" || entry == command; });
}

Result<ExecConfig> CheckExec(ExecConfig exec, std::string_view directory,
                             const AccessSources& sources, const std::string& where) {
  // A name is looked up in PATH; a relative path is relative to the kubeconfig, as in client-go.
  if (exec.command.find('/') != std::string::npos) exec.command = Resolve(exec.command, directory);
  if (!sources.process || !IsAllowed(sources.allowed_exec, exec.command)) {
    return Fail(ErrorClass::kDenied, "{}.exec.command: {} is not one of the allowed plugins", where,
                exec.command);
  }
  return exec;
}

value::Value ClusterInfo(const ClusterConfig& cluster, const std::string& server) {
  using value::Value;
  const auto given = [](const std::string& text) { return text.empty() ? Value() : Value(text); };
  return Value::Map(
      {{"server", Value(server)},
       {"tls-server-name", given(cluster.tls_server_name)},
       {"insecure-skip-tls-verify", cluster.insecure_skip_tls_verify ? Value(true) : Value()},
       {"certificate-authority-data",
        cluster.ca_data.empty() ? Value() : Value(EncodeBase64(cluster.ca_data))},
       {"proxy-url", given(cluster.proxy_url)}});
}

Result<std::shared_ptr<Credentials>> ToCredentials(const AccessSources& sources, Parts parts) {
  if (parts.HasFiles() && !sources.disk) {
    return Fail(ErrorClass::kDenied,
                "{}: it names files, which credentials from a Secret may not: use the -data fields",
                parts.source);
  }
  // The first read happens here, so that what is missing is said at once.
  Result<ProofPtr> first = ReadParts(parts, sources.disk, nullptr);
  if (!first) return Pass(first);
  if (!parts.HasFiles()) return FixedCredentials(**first);
  return std::make_shared<FileCredentials>(*sources.runtime, *sources.disk, std::move(parts),
                                           *std::move(first));
}

}  // namespace

Result<Access> ToAccess(const Kubeconfig& config, std::string_view context,
                        std::string_view directory, const AccessSources& sources) {
  const std::string wanted(context.empty() ? std::string_view(config.current_context) : context);
  if (wanted.empty()) return Invalid(config.source + ": current-context is not set");
  const ContextConfig* found = FindNamed(config.contexts, wanted);
  if (!found) {
    std::string names;
    for (const auto& one : config.contexts)
      names.append(names.empty() ? "" : ", ").append(one.name);
    return Invalid(fmt::format("{}: no context is named \"{}\" (there {}: {})", config.source,
                               wanted, config.contexts.size() == 1 ? "is" : "are",
                               names.empty() ? "none" : names));
  }
  const ClusterConfig* cluster = FindNamed(config.clusters, found->cluster);
  if (!cluster) {
    return Invalid(fmt::format("{}: context \"{}\": no cluster is named \"{}\"", config.source,
                               wanted, found->cluster));
  }
  const UserConfig* user = FindNamed(config.users, found->user);
  if (!user && !found->user.empty()) {
    return Invalid(fmt::format("{}: context \"{}\": no user is named \"{}\"", config.source, wanted,
                               found->user));
  }
  const UserConfig nobody;
  if (!user) user = &nobody;
  const std::string at_cluster = fmt::format("{}: clusters \"{}\"", config.source, cluster->name);
  const std::string at_user = fmt::format("{}: users \"{}\"", config.source, user->name);

  Result<std::string> server = CheckServer(cluster->server, at_cluster);
  if (!server) return Pass(server);
  if (cluster->insecure_skip_tls_verify &&
      (!cluster->ca_data.empty() || !cluster->ca_file.empty())) {
    return Invalid(at_cluster + ": insecure-skip-tls-verify makes a certificate-authority useless");
  }

  Parts parts;
  parts.source = at_user;
  parts.transport.ca_pem = cluster->ca_data;
  parts.transport.server_name = cluster->tls_server_name;
  parts.transport.proxy_url = cluster->proxy_url;
  parts.transport.insecure_skip_verify = cluster->insecure_skip_tls_verify;
  parts.transport.client_cert_pem = user->client_cert_data;
  parts.transport.client_key_pem = user->client_key_data;
  // Data wins over a file of the same thing, as in client-go.
  const auto file = [&](const std::string& data, const std::string& path) {
    return data.empty() && !path.empty() ? Resolve(path, directory) : std::string();
  };
  parts.ca_file = file(cluster->ca_data, cluster->ca_file);
  parts.cert_file = file(user->client_cert_data, user->client_cert_file);
  parts.key_file = file(user->client_key_data, user->client_key_file);
  const bool has_cert = !user->client_cert_data.empty() || !parts.cert_file.empty();
  const bool has_key = !user->client_key_data.empty() || !parts.key_file.empty();
  if (has_cert != has_key) {
    return Invalid(at_user + ": client-certificate and client-key belong together");
  }

  Access access;
  access.base_url = *server;
  access.impersonation = user->impersonation;
  access.default_namespace = found->ns.empty() ? "default" : found->ns;

  if (user->exec) {
    Result<ExecConfig> exec = CheckExec(*user->exec, directory, sources, at_user);
    if (!exec) return Pass(exec);
    if (parts.HasFiles() && !sources.disk) {
      return Fail(ErrorClass::kDenied, "{}: it names files, which it may not here", at_user);
    }
    access.credentials = std::make_shared<ExecCredentials>(
        sources, std::move(parts), *std::move(exec), ClusterInfo(*cluster, *server));
    return access;
  }
  if (!user->token_file.empty()) {
    parts.token_file = Resolve(user->token_file, directory);
  } else if (!user->token.empty()) {
    if (!IsHeaderSafe(user->token)) {
      return Invalid(at_user + ".token holds characters that no token has");
    }
    parts.headers.emplace_back("Authorization", "Bearer " + user->token);
  } else if (!user->username.empty()) {
    parts.headers.emplace_back("Authorization",
                               "Basic " + EncodeBase64(user->username + ':' + user->password));
  }
  Result<std::shared_ptr<Credentials>> credentials = ToCredentials(sources, std::move(parts));
  if (!credentials) return Pass(credentials);
  access.credentials = *std::move(credentials);
  return access;
}

Result<Access> InClusterAccess(std::string_view host, std::string_view port,
                               const AccessSources& sources) {
  if (host.empty() || port.empty()) {
    return Fail(
        ErrorClass::kNotFound,
        "not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  const bool ipv6 = host.find(':') != std::string_view::npos;
  Access access;
  access.base_url = fmt::format("https://{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
  if (const Result<http::Url> url = http::ParseUrl(access.base_url); !url) {
    return Fail(url, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT");
  }
  Parts parts;
  parts.source = "in-cluster credentials";
  const std::string directory = kServiceAccountDirectory;
  parts.ca_file = directory + "ca.crt";
  parts.token_file = directory + "token";
  Result<std::shared_ptr<Credentials>> credentials = ToCredentials(sources, std::move(parts));
  if (!credentials) return Pass(credentials);
  access.credentials = *std::move(credentials);
  const Result<std::string> ns = sources.disk->Read((directory + "namespace").substr(1));
  access.default_namespace = ns ? std::string(Trim(*ns)) : "default";
  return access;
}

}  // namespace flotilla::kube
