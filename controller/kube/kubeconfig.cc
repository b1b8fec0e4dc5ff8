// What a kubeconfig says, read and written.
#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "kube/config.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::kube {
namespace {

using value::Ref;
using value::Value;

// Reads the members of one map, and remembers the first thing that is wrong with them.
class Fields {
 public:
  Fields(Ref map, std::string where, std::optional<Error>& error)
      : map_(map), where_(std::move(where)), error_(error) {
    if (map_ && !map_.IsMap() && !map_.IsNull()) Complain("", "must be a map", map_);
  }

  std::string Text(const char* key) {
    const Ref field = map_[key];
    if (!field || field.IsNull()) return {};
    if (!field.IsString()) Complain(key, "must be a string", field);
    return field.Text();
  }

  bool Flag(const char* key) {
    const Ref field = map_[key];
    if (field && !field.IsNull() && !field.IsBool()) Complain(key, "must be a boolean", field);
    return field.Bool();
  }

  // base64 of PEM.
  std::string Data(const char* key) {
    const std::string text = Text(key);
    if (text.empty()) return {};
    std::optional<std::string> bytes = DecodeBase64(text, Newlines::kIgnore);
    if (!bytes) {
      Complain(key, "is not base64");
      return {};
    }
    if (bytes->find("-----BEGIN ") == std::string::npos) Complain(key, "does not hold PEM");
    return *std::move(bytes);
  }

  std::vector<std::string> Texts(const char* key) {
    std::vector<std::string> texts;
    const Ref list = map_[key];
    if (list && !list.IsNull() && !list.IsList()) Complain(key, "must be a list", list);
    for (Ref item : list.Items()) {
      if (!item.IsString()) Complain(key, "must be a list of strings", item);
      texts.push_back(item.Text());
    }
    return texts;
  }

  Ref operator[](const char* key) const { return map_[key]; }

  void Complain(std::string_view key, std::string_view what, Ref found = {}) {
    if (error_) return;
    error_.emplace();
    error_->cls = ErrorClass::kInvalid;
    error_->outcome = Outcome::kNotSent;
    error_->message = fmt::format("{}{}{} {}{}{}", where_, key.empty() ? "" : ".", key, what,
                                  found ? ", not a " : "", found ? ToString(found.kind()) : "");
  }

 private:
  Ref map_;
  std::string where_;
  std::optional<Error>& error_;
};

ExecConfig ReadExec(Ref map, const std::string& where, std::optional<Error>& error) {
  Fields fields(map, where, error);
  ExecConfig exec;
  exec.api_version = fields.Text("apiVersion");
  exec.command = fields.Text("command");
  exec.args = fields.Texts("args");
  exec.install_hint = fields.Text("installHint");
  exec.provide_cluster_info = fields.Flag("provideClusterInfo");
  for (Ref item : map["env"].Items()) {
    Fields variable(item, where + ".env", error);
    exec.env.emplace_back(variable.Text("name"), variable.Text("value"));
  }
  if (exec.command.empty()) fields.Complain("command", "is missing");
  if (exec.api_version != "client.authentication.k8s.io/v1" &&
      exec.api_version != "client.authentication.k8s.io/v1beta1") {
    fields.Complain("apiVersion", "must be client.authentication.k8s.io/v1 or v1beta1");
  }
  if (fields.Text("interactiveMode") == "Always") {
    fields.Complain("interactiveMode", "must not be Always: nobody is there to answer");
  }
  return exec;
}

UserConfig ReadUser(std::string name, Ref map, const std::string& where,
                    std::optional<Error>& error) {
  Fields fields(map, where, error);
  UserConfig user;
  user.name = std::move(name);
  user.client_cert_data = fields.Data("client-certificate-data");
  user.client_cert_file = fields.Text("client-certificate");
  user.client_key_data = fields.Data("client-key-data");
  user.client_key_file = fields.Text("client-key");
  user.token = fields.Text("token");
  user.token_file = fields.Text("tokenFile");
  user.username = fields.Text("username");
  user.password = fields.Text("password");
  user.impersonation.user = fields.Text("as");
  user.impersonation.uid = fields.Text("as-uid");
  user.impersonation.groups = fields.Texts("as-groups");
  for (auto [key, values] : map["as-user-extra"].Members()) {
    std::vector<std::string>& extra = user.impersonation.extra[std::string(key)];
    for (Ref value : values.Items()) extra.push_back(value.Text());
  }
  if (user.impersonation.empty() &&
      (!user.impersonation.groups.empty() || !user.impersonation.uid.empty() ||
       !user.impersonation.extra.empty())) {
    fields.Complain("as", "is missing: groups, uid and extra are impersonated with a user");
  }
  if (const Ref exec = fields["exec"]; exec && !exec.IsNull()) {
    user.exec = ReadExec(exec, where + ".exec", error);
  }
  if (const Ref provider = fields["auth-provider"]; provider && !provider.IsNull()) {
    fields.Complain("auth-provider", "was removed from Kubernetes: use exec");
  }
  return user;
}

ClusterConfig ReadCluster(std::string name, Ref map, const std::string& where,
                          std::optional<Error>& error) {
  Fields fields(map, where, error);
  ClusterConfig cluster;
  cluster.name = std::move(name);
  cluster.server = fields.Text("server");
  cluster.ca_data = fields.Data("certificate-authority-data");
  cluster.ca_file = fields.Text("certificate-authority");
  cluster.tls_server_name = fields.Text("tls-server-name");
  cluster.proxy_url = fields.Text("proxy-url");
  cluster.insecure_skip_tls_verify = fields.Flag("insecure-skip-tls-verify");
  return cluster;
}

// The entries of "clusters", "users" or "contexts": a name, and a map under `key`.
template <typename Read>
void ReadNamed(Ref config, const char* list, const char* key, const std::string& source,
               std::optional<Error>& error, const Read& read) {
  Fields top(config, source + ":", error);
  const Ref items = config[list];
  if (items && !items.IsList() && !items.IsNull()) top.Complain(list, "must be a list", items);
  size_t index = 0;
  for (Ref item : items.Items()) {
    const std::string at = fmt::format("{}: {}[{}]", source, list, index++);
    Fields fields(item, at, error);
    const std::string name = fields.Text("name");
    if (name.empty()) fields.Complain("name", "is missing");
    read(name, item[key], fmt::format("{} \"{}\"", at, name));
  }
}

Value Given(const std::string& text) { return text.empty() ? Value() : Value(text); }
Value Encoded(const std::string& pem) { return pem.empty() ? Value() : Value(EncodeBase64(pem)); }

Value Texts(const std::vector<std::string>& texts) {
  if (texts.empty()) return {};
  std::vector<Value> items(texts.begin(), texts.end());
  return Value::List(items);
}

Value Named(const std::string& name, const char* key, Value map) {
  return Value::Map({{"name", Value(name)}, {key, std::move(map)}});
}

Value ToValue(const ExecConfig& exec) {
  std::vector<Value> env;
  for (const auto& [name, text] : exec.env) {
    env.push_back(Value::Map({{"name", Value(name)}, {"value", Value(text)}}));
  }
  return Value::Map({{"apiVersion", Value(exec.api_version)},
                     {"command", Value(exec.command)},
                     {"args", Texts(exec.args)},
                     {"env", env.empty() ? Value() : Value::List(env)},
                     {"installHint", Given(exec.install_hint)},
                     {"interactiveMode", Value("Never")},
                     {"provideClusterInfo", exec.provide_cluster_info ? Value(true) : Value()}});
}

Value ToValue(const UserConfig& user) {
  std::vector<std::pair<std::string, Value>> extra;
  for (const auto& [key, values] : user.impersonation.extra) extra.emplace_back(key, Texts(values));
  return Value::Map({{"client-certificate-data", Encoded(user.client_cert_data)},
                     {"client-certificate", Given(user.client_cert_file)},
                     {"client-key-data", Encoded(user.client_key_data)},
                     {"client-key", Given(user.client_key_file)},
                     {"token", Given(user.token)},
                     {"tokenFile", Given(user.token_file)},
                     {"username", Given(user.username)},
                     {"password", Given(user.password)},
                     {"as", Given(user.impersonation.user)},
                     {"as-uid", Given(user.impersonation.uid)},
                     {"as-groups", Texts(user.impersonation.groups)},
                     {"as-user-extra", extra.empty() ? Value() : Value::Map(extra)},
                     {"exec", user.exec ? ToValue(*user.exec) : Value()}});
}

Value ToValue(const ClusterConfig& cluster) {
  return Value::Map(
      {{"server", Value(cluster.server)},
       {"certificate-authority-data", Encoded(cluster.ca_data)},
       {"certificate-authority", Given(cluster.ca_file)},
       {"tls-server-name", Given(cluster.tls_server_name)},
       {"proxy-url", Given(cluster.proxy_url)},
       {"insecure-skip-tls-verify", cluster.insecure_skip_tls_verify ? Value(true) : Value()}});
}

}  // namespace

Result<Kubeconfig> ParseKubeconfig(std::string_view text, std::string source) {
  const Result<std::vector<value::Document>> documents = value::ParseYaml(text);
  if (!documents) return Fail(documents, "{}", source);
  if (documents->size() != 1 || !documents->front().value.ref().IsMap()) {
    return Fail(ErrorClass::kInvalid, "{}: a kubeconfig is one map", source);
  }
  const Ref config = documents->front().value;
  std::optional<Error> error;
  Fields top(config, source + ":", error);
  if (const std::string kind = top.Text("kind"); !kind.empty() && kind != "Config") {
    top.Complain("kind", "must be Config, not " + kind);
  }
  Kubeconfig parsed;
  parsed.current_context = top.Text("current-context");
  ReadNamed(config, "clusters", "cluster", source, error,
            [&](const std::string& name, Ref map, const std::string& where) {
              parsed.clusters.push_back(ReadCluster(name, map, where, error));
            });
  ReadNamed(config, "users", "user", source, error,
            [&](const std::string& name, Ref map, const std::string& where) {
              parsed.users.push_back(ReadUser(name, map, where, error));
            });
  ReadNamed(config, "contexts", "context", source, error,
            [&](const std::string& name, Ref map, const std::string& where) {
              Fields fields(map, where, error);
              parsed.contexts.push_back(
                  {name, fields.Text("cluster"), fields.Text("user"), fields.Text("namespace")});
            });
  if (error) return tl::unexpected<Error>(*std::move(error));
  parsed.source = std::move(source);
  return parsed;
}

std::string WriteKubeconfig(const Kubeconfig& config) {
  std::vector<Value> clusters;
  std::vector<Value> users;
  std::vector<Value> contexts;
  for (const auto& cluster : config.clusters) {
    clusters.push_back(Named(cluster.name, "cluster", ToValue(cluster)));
  }
  for (const auto& user : config.users) users.push_back(Named(user.name, "user", ToValue(user)));
  for (const auto& context : config.contexts) {
    contexts.push_back(Named(context.name, "context",
                             Value::Map({{"cluster", Value(context.cluster)},
                                         {"user", Value(context.user)},
                                         {"namespace", Given(context.ns)}})));
  }
  return value::ToYaml(Value::Map({{"apiVersion", Value("v1")},
                                   {"kind", Value("Config")},
                                   {"clusters", Value::List(clusters)},
                                   {"users", Value::List(users)},
                                   {"contexts", Value::List(contexts)},
                                   {"current-context", Value(config.current_context)}}));
}

}  // namespace flotilla::kube
