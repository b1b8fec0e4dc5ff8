#include <fmt/format.h>

#include "api/cluster.h"
#include "base/encoding.h"
#include "base/secret.h"
#include "kube/errors.h"
#include "surface/cli/verbs/verbs.h"
#include "value/json.h"

namespace flotilla::surface {
namespace {

constexpr const char* kAccount = "flotilla";
constexpr const char* kTokenSecret = "flotilla-token";
constexpr const char* kManager = "flotilla-cli";
constexpr Duration kTokenWait = 10s;           // for the controller manager to fill the Secret
constexpr int64_t kTokenSeconds = 31'536'000;  // where it does not: a year

const kube::GroupVersionResource kNamespaces{"", "v1", "namespaces"};
const kube::GroupVersionResource kAccounts{"", "v1", "serviceaccounts"};
const kube::GroupVersionResource kSecrets{"", "v1", "secrets"};
const kube::GroupVersionResource kBindings{"rbac.authorization.k8s.io", "v1",
                                           "clusterrolebindings"};

kube::ObjectKey InSystem(std::string name) {
  return {std::string(api::kSystemNamespace), std::move(name)};
}

value::Value MetaOf(const kube::ObjectKey& key, value::Value annotations = {},
                    value::Value labels = {}) {
  return value::Value::Map(
      {{"name", key.name},
       {"namespace", key.ns.empty() ? value::Value() : value::Value(key.ns)},
       {"labels", labels ? std::move(labels)
                         : value::Value::Map({{api::kManagedByLabel, api::kManagedByValue}})},
       {"annotations", std::move(annotations)}});
}

// Makes it so, whatever was there.
Result<value::Value> Ensure(kube::Client& client, const kube::GroupVersionResource& gvr,
                            const kube::ObjectKey& key, const value::Value& object,
                            const std::stop_token& stop) {
  auto done = client.Apply(kube::ApplyRequest(gvr, key, value::ToJson(object),
                                              {.force = true, .field_manager = kManager}),
                           stop);
  if (!done) return Fail(done, "write {} {}", object["kind"].String(), key.ToString());
  return done;
}

Status EnsureAccount(Session& session, kube::Client& member) {
  const std::string ns(api::kSystemNamespace);
  auto done =
      Ensure(member, kNamespaces, {"", ns},
             value::Value::Map(
                 {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", MetaOf({"", ns})}}),
             session.stop);
  if (!done) return Pass(done);
  done = Ensure(member, kAccounts, InSystem(kAccount),
                value::Value::Map({{"apiVersion", "v1"},
                                   {"kind", "ServiceAccount"},
                                   {"metadata", MetaOf(InSystem(kAccount))}}),
                session.stop);
  if (!done) return Pass(done);
  done = Ensure(member, kBindings, {"", "flotilla-admin"},
                value::Value::Map(
                    {{"apiVersion", "rbac.authorization.k8s.io/v1"},
                     {"kind", "ClusterRoleBinding"},
                     {"metadata", MetaOf({"", "flotilla-admin"})},
                     {"roleRef", value::Value::Map({{"apiGroup", "rbac.authorization.k8s.io"},
                                                    {"kind", "ClusterRole"},
                                                    {"name", "cluster-admin"}})},
                     {"subjects",
                      value::Value::List({value::Value::Map(
                          {{"kind", "ServiceAccount"}, {"name", kAccount}, {"namespace", ns}})})}}),
                session.stop);
  if (!done) return Pass(done);
  return {};
}

Result<Secret> RequestToken(Session& session, kube::Client& member) {
  kube::ApiRequest request;
  request.verb = kube::Verb::kReview;
  request.path = kube::ObjectPath(kAccounts, InSystem(kAccount), "token");
  request.body = fmt::format(
      R"({{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{{"expirationSeconds":{}}}}})",
      kTokenSeconds);
  auto answer = member.Do(std::move(request), session.stop);
  if (!answer) return Fail(answer, "ask for a token of ServiceAccount {}", kAccount);
  session.console.Note(fmt::format("the credential expires at {}: renew it by --rotate before",
                                   answer->At("status", "expirationTimestamp").String()));
  return Secret(answer->At("status", "token").Text());
}

// A token that stays: nobody would renew one that expires on the hub.
Result<Secret> EnsureToken(Session& session, kube::Client& member, bool rotate) {
  const kube::ObjectKey key = InSystem(kTokenSecret);
  if (rotate) {
    auto gone = member.Do(kube::DeleteRequest(kSecrets, key), session.stop);
    if (!gone && gone.error().cls != ErrorClass::kNotFound) return Fail(gone, "rotate the token");
  }
  auto made = Ensure(
      member, kSecrets, key,
      value::Value::Map(
          {{"apiVersion", "v1"},
           {"kind", "Secret"},
           {"metadata",
            MetaOf(key, value::Value::Map({{"kubernetes.io/service-account.name", kAccount}}))},
           {"type", "kubernetes.io/service-account-token"}}),
      session.stop);
  if (!made) return Pass(made);
  const TimePoint give_up = session.runtime.Now() + kTokenWait;
  for (;;) {
    auto secret = member.Get(kSecrets, key, session.stop);
    if (!secret) return Fail(secret, "read the token");
    const std::string_view encoded = secret->At("data", "token").String();
    if (!encoded.empty()) {
      auto token = DecodeBase64(encoded);
      if (!token)
        return Fail(ErrorClass::kInvalid, "Secret {}: token is no base64", key.ToString());
      return Secret(std::move(*token));
    }
    if (session.runtime.Now() >= give_up) break;
    if (!session.runtime.SleepFor(200ms, session.stop)) {
      return Fail(ErrorClass::kCancelled, "stopped");
    }
  }
  return RequestToken(session, member);
}

kube::Kubeconfig ConfigOf(const std::string& name, kube::ClusterConfig reach, const Secret& token) {
  kube::Kubeconfig config;
  config.source = "the kubeconfig for the hub";
  config.current_context = name;
  reach.name = name;
  config.clusters.push_back(std::move(reach));
  kube::UserConfig user;
  user.name = kAccount;
  user.token = std::string(token.Reveal());
  config.users.push_back(std::move(user));
  config.contexts.push_back({name, name, kAccount, ""});
  return config;
}

// The credential works, and the cluster is none that we have under another name.
Result<std::string> Verify(Session& session, http::HttpClient& http, const std::string& name,
                           const kube::Kubeconfig& config) {
  kube::AccessSources sources;
  sources.runtime = &session.runtime;
  auto access = kube::ToAccess(config, "", "", sources);
  if (!access) return Pass(access);
  kube::Client client(session.runtime, http, *access);
  auto system = client.Get(kNamespaces, {"", "kube-system"}, session.stop);
  if (!system) return Fail(system, "use the new credential");
  const std::string uid(kube::UidOf(*system));
  auto clusters = ListAll(session, api::kClusterKind);
  if (!clusters) return Pass(clusters);
  for (const value::Value& other : *clusters) {
    if (!uid.empty() && kube::NameOf(other) != name && other.At("status", "uid").String() == uid) {
      return Fail(ErrorClass::kConflict, "this cluster is registered already, as Cluster {}",
                  kube::NameOf(other));
    }
  }
  return uid;
}

// That of the hub's Secret, where it leads there and works.
std::optional<kube::Kubeconfig> StoredConfig(Session& session, http::HttpClient& http,
                                             const std::string& name,
                                             const kube::ClusterConfig& reach) {
  auto secret = session.hub.Find(kSecrets, InSystem(name), session.stop);
  if (!secret || !*secret) return std::nullopt;
  const auto text = DecodeBase64((*secret)->At("data", "kubeconfig").String());
  if (!text) return std::nullopt;
  auto config = kube::ParseKubeconfig(*text, "Secret " + name);
  if (!config || config->clusters.size() != 1) return std::nullopt;
  const kube::ClusterConfig& stored = config->clusters[0];
  if (stored.server != reach.server || stored.ca_data != reach.ca_data) return std::nullopt;
  if (!Verify(session, http, name, *config)) return std::nullopt;
  return std::move(*config);
}

value::Value ClusterObject(const ClusterAddFlags& flags) {
  std::vector<std::pair<std::string, value::Value>> labels;
  for (const auto& [key, text] : flags.labels) labels.emplace_back(key, text);
  auto text = [](const std::string& field) {
    return field.empty() ? value::Value() : value::Value(field);
  };
  return value::Value::Map(
      {{"apiVersion", api::kApiVersion},
       {"kind", "Cluster"},
       {"metadata", MetaOf({"", flags.name}, {}, value::Value::Map(labels))},
       {"spec",
        value::Value::Map(
            {{"kubeconfigSecretRef",
              value::Value::Map({{"namespace", api::kSystemNamespace}, {"name", flags.name}})},
             {"region", text(flags.region)},
             {"zone", text(flags.zone)},
             {"tier", text(flags.tier)},
             {"prometheus", flags.prometheus.empty()
                                ? value::Value()
                                : value::Value::Map({{"url", flags.prometheus}})}})}});
}

}  // namespace

Result<int> ClusterAdd(Session& session, kube::Client& member, http::HttpClient& http,
                       kube::ClusterConfig reach, const ClusterAddFlags& flags) {
  if (flags.profile != "admin") {
    return Fail(ErrorClass::kInvalid, "--profile {}: there is only admin", flags.profile);
  }
  session.console.Note(fmt::format("making the account {} on {}", kAccount, reach.server));
  if (Status made = EnsureAccount(session, member); !made) return tl::unexpected(made.error());
  std::optional<kube::Kubeconfig> config;
  if (!flags.rotate) config = StoredConfig(session, http, flags.name, reach);
  if (!config) {
    auto token = EnsureToken(session, member, flags.rotate);
    if (!token) return Pass(token);
    config = ConfigOf(flags.name, std::move(reach), *token);
  }
  auto uid = Verify(session, http, flags.name, *config);
  if (!uid) return Pass(uid);

  const kube::ObjectKey key = InSystem(flags.name);
  auto secret = Ensure(
      session.hub, kSecrets, key,
      value::Value::Map(
          {{"apiVersion", "v1"},
           {"kind", "Secret"},
           {"metadata", MetaOf(key)},
           {"type", "Opaque"},
           {"data", value::Value::Map({{"kubeconfig", EncodeBase64(WriteKubeconfig(*config))}})}}),
      session.stop);
  if (!secret) return Pass(secret);
  auto cluster = Ensure(session.hub, ResourceOf(api::kClusterKind), {"", flags.name},
                        ClusterObject(flags), session.stop);
  if (!cluster) return Pass(cluster);
  if (session.console.for_people()) {
    session.console.OutLine(fmt::format("cluster {} is registered (uid {})", flags.name, *uid));
  } else {
    session.console.PrintObject(*cluster, api::kClusterKind.plural);
  }
  return kDone;
}

}  // namespace flotilla::surface
