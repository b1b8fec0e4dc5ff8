#include "sim/api_server/kinds/access.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fmt/format.h>
#include <algorithm>
#include <cctype>

#include "base/encoding.h"
#include "value/json.h"

namespace flotilla::sim::api {

using value::Ref;
using value::Value;

namespace {

constexpr std::string_view kRbac = "rbac.authorization.k8s.io";

std::vector<std::string> Names(X509_NAME* subject, int nid) {
  std::vector<std::string> found;
  for (int at = X509_NAME_get_index_by_NID(subject, nid, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(subject, nid, at)) {
    ASN1_STRING* data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    unsigned char* text = nullptr;
    int size = ASN1_STRING_to_UTF8(&text, data);
    if (size < 0) continue;
    found.emplace_back(text, text + size);
    OPENSSL_free(text);
  }
  return found;
}

// Common name and organisations, as kube-apiserver reads them.
std::optional<User> FromCertificate(const std::string& pem) {
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  if (!certificate) return std::nullopt;
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  User user;
  for (std::string& name : Names(subject, NID_commonName)) user.name = std::move(name);
  user.groups = Names(subject, NID_organizationName);
  user.groups.push_back("system:authenticated");
  return user;
}

std::optional<User> ServiceAccountUser(std::string_view name) {
  constexpr std::string_view prefix = "system:serviceaccount:";
  if (name.substr(0, prefix.size()) != prefix) return std::nullopt;
  std::string_view rest = name.substr(prefix.size());
  size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  User user;
  user.name = name;
  user.groups = {"system:serviceaccounts",
                 fmt::format("system:serviceaccounts:{}", rest.substr(0, colon)),
                 "system:authenticated"};
  return user;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// The user that the Impersonate-* headers name, if any.
std::optional<User> Impersonated(const http::Headers& headers) {
  User user;
  bool any = false;
  for (const auto& [name, value] : headers) {
    std::string lower = Lower(name);
    constexpr std::string_view extra = "impersonate-extra-";
    if (lower == "impersonate-user") {
      user.name = value;
      any = true;
    } else if (lower == "impersonate-uid") {
      user.uid = value;
    } else if (lower == "impersonate-group") {
      user.groups.push_back(value);
    } else if (lower.compare(0, extra.size(), extra) == 0) {
      user.extra[DecodePercent(lower.substr(extra.size()), false)].push_back(value);
    }
  }
  if (!any) return std::nullopt;
  if (user.groups.empty()) {
    if (auto account = ServiceAccountUser(user.name)) user.groups = account->groups;
  }
  auto has = [&](std::string_view group) {
    return std::find(user.groups.begin(), user.groups.end(), group) != user.groups.end();
  };
  if (user.name != "system:anonymous" && !has("system:authenticated")) {
    user.groups.push_back("system:authenticated");
  }
  return user;
}

bool Listed(Ref list, std::string_view text) {
  for (Ref item : list.Items()) {
    if (item.String() == text || item.String() == "*") return true;
  }
  return false;
}

bool ListsResource(Ref list, std::string_view resource) {
  size_t slash = resource.find('/');
  for (Ref item : list.Items()) {
    std::string_view rule = item.String();
    if (rule == "*" || rule == resource) return true;
    if (slash != std::string_view::npos && rule.substr(0, 2) == "*/" &&
        rule.substr(2) == resource.substr(slash + 1)) {
      return true;
    }
  }
  return false;
}

bool RuleCovers(Ref rule, const Attributes& wanted) {
  if (!Listed(rule["verbs"], wanted.verb)) return false;
  if (!wanted.path.empty()) {
    for (Ref url : rule["nonResourceURLs"].Items()) {
      std::string_view text = url.String();
      if (text == "*" || text == wanted.path) return true;
      if (!text.empty() && text.back() == '*' &&
          wanted.path.compare(0, text.size() - 1, text.substr(0, text.size() - 1)) == 0) {
        return true;
      }
    }
    return false;
  }
  if (!Listed(rule["apiGroups"], wanted.group) ||
      !ListsResource(rule["resources"], wanted.resource)) {
    return false;
  }
  Ref names = rule["resourceNames"];
  if (names.size() == 0) return true;
  return !wanted.name.empty() && Listed(names, wanted.name);
}

bool IsSubject(Ref subject, const User& user, std::string_view binding_ns) {
  std::string_view kind = subject["kind"].String();
  std::string_view name = subject["name"].String();
  if (kind == "User") return name == "*" || name == user.name;
  if (kind == "Group") {
    return std::find(user.groups.begin(), user.groups.end(), name) != user.groups.end();
  }
  if (kind != "ServiceAccount") return false;
  std::string_view ns = subject["namespace"].String(binding_ns);
  return user.name == fmt::format("system:serviceaccount:{}:{}", ns, name);
}

// Calls `visit` with each rule that applies to the user; stops when it answers true.
template <typename Visit>
bool AnyRule(const Server& server, const User& user, std::string_view ns, Visit visit) {
  auto table = [&](std::string_view plural) -> const Table* {
    auto at = server.tables.find(fmt::format("{}.{}", plural, kRbac));
    return at == server.tables.end() ? nullptr : at->second.get();
  };
  const Table* roles = table("roles");
  const Table* cluster_roles = table("clusterroles");
  auto rules_of = [&](Ref binding, std::string_view binding_ns) -> Ref {
    std::string_view name = binding["roleRef"]["name"].String();
    StoredPtr role = binding["roleRef"]["kind"].String() == "Role" ? roles->Find(binding_ns, name)
                                                                   : cluster_roles->Find("", name);
    return role ? role->object["rules"] : Ref();
  };
  auto visit_bindings = [&](const Table* bindings, std::string_view binding_ns) {
    auto [first, end] = bindings->Range(binding_ns, "");
    for (; first != end; ++first) {
      Ref binding = first->second->object;
      bool bound = false;
      for (Ref subject : binding["subjects"].Items()) bound |= IsSubject(subject, user, binding_ns);
      if (!bound) continue;
      for (Ref rule : rules_of(binding, binding_ns).Items()) {
        if (visit(rule)) return true;
      }
    }
    return false;
  };
  if (visit_bindings(table("clusterrolebindings"), "")) return true;
  return !ns.empty() && visit_bindings(table("rolebindings"), ns);
}

bool IsMaster(const User& user) {
  return std::find(user.groups.begin(), user.groups.end(), "system:masters") != user.groups.end();
}

bool IsAlwaysAllowed(std::string_view path) {
  for (std::string_view open : {"/healthz", "/readyz", "/livez", "/version"}) {
    if (path.substr(0, open.size()) == open) return true;
  }
  return false;
}

Attributes AttributesOf(const Request& request) {
  const RequestInfo& info = request.info;
  Attributes attributes;
  if (!request.is_resource || info.resource.empty()) {
    attributes.verb = "get";
    attributes.path = info.path;
    return attributes;
  }
  attributes.verb = info.verb;
  attributes.group = info.group;
  attributes.resource = info.resource;
  if (!info.subresource.empty()) attributes.resource += "/" + info.subresource;
  attributes.ns = info.namespace_name;
  attributes.name = info.name;
  return attributes;
}

// `User "x" cannot get resource "pods" in API group "" in the namespace "y"`
std::string Denial(const User& user, const Attributes& a) {
  if (!a.path.empty()) {
    return fmt::format("User \"{}\" cannot {} path \"{}\"", user.name, a.verb, a.path);
  }
  return fmt::format("User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {}", user.name,
                     a.verb, a.resource, a.group,
                     a.ns.empty() ? std::string("at the cluster scope")
                                  : fmt::format("in the namespace \"{}\"", a.ns));
}

Attributes FromSpec(Ref spec) {
  Attributes attributes;
  Ref resource = spec["resourceAttributes"];
  if (Ref other = spec["nonResourceAttributes"]) {
    attributes.verb = other["verb"].Text();
    attributes.path = other["path"].Text();
    return attributes;
  }
  attributes.verb = resource["verb"].Text();
  attributes.group = resource["group"].Text();
  attributes.resource = resource["resource"].Text();
  if (Ref sub = resource["subresource"]; !sub.String().empty()) {
    attributes.resource += "/" + sub.Text();
  }
  attributes.ns = resource["namespace"].Text();
  attributes.name = resource["name"].Text();
  return attributes;
}

Value UserInfo(const User& user) {
  std::vector<Value> groups(user.groups.begin(), user.groups.end());
  std::vector<std::pair<std::string, Value>> extra;
  for (const auto& [key, values] : user.extra) {
    extra.emplace_back(key, Value::List(std::vector<Value>(values.begin(), values.end())));
  }
  return Value::Map({{"username", user.name},
                     {"uid", user.uid.empty() ? Value() : Value(user.uid)},
                     {"groups", groups.empty() ? Value() : Value::List(groups)},
                     {"extra", extra.empty() ? Value() : Value::Map(extra)}});
}

// status.resourceRules and status.nonResourceRules of a SelfSubjectRulesReview.
Value RulesStatus(const Server& server, const User& user, std::string_view ns) {
  std::vector<Value> resource_rules, other_rules;
  auto all = Value::List({Value("*")});
  if (!server.options.authorization || IsMaster(user)) {
    resource_rules.push_back(Value::Map({{"verbs", all}, {"apiGroups", all}, {"resources", all}}));
    other_rules.push_back(Value::Map({{"verbs", all}, {"nonResourceURLs", all}}));
  }
  AnyRule(server, user, ns, [&](Ref rule) {
    (rule["nonResourceURLs"] ? other_rules : resource_rules).push_back(Value::Copy(rule));
    return false;
  });
  return Value::Map({{"resourceRules", Value::List(resource_rules)},
                     {"nonResourceRules", Value::List(other_rules)},
                     {"incomplete", false}});
}

Reply Created(Value body) {
  Reply reply;
  reply.code = 201;
  reply.body = std::move(body);
  return reply;
}

}  // namespace

Answer<User> Authenticate(Server& server, const http::ServerRequest& request) {
  User user = server.options.anonymous;
  std::string_view authorization = http::Find(request.headers, "Authorization");
  constexpr std::string_view bearer = "Bearer ";
  if (authorization.substr(0, bearer.size()) == bearer) {
    auto known = server.tokens.find(std::string(authorization.substr(bearer.size())));
    if (known == server.tokens.end()) return Refuse(Unauthorized());
    user = known->second;
  } else if (!request.client_certificate_pem.empty()) {
    auto named = FromCertificate(request.client_certificate_pem);
    if (!named) return Refuse(Unauthorized());
    user = *std::move(named);
  }
  auto other = Impersonated(request.headers);
  if (!other) return user;
  if (server.options.authorization) {
    Attributes wanted;
    wanted.verb = "impersonate";
    wanted.resource = "users";
    wanted.name = other->name;
    if (ServiceAccountUser(other->name)) {
      std::string_view rest = std::string_view(other->name).substr(22);
      wanted.resource = "serviceaccounts";
      wanted.ns = rest.substr(0, rest.find(':'));
      wanted.name = rest.substr(rest.find(':') + 1);
    }
    if (!IsAllowed(server, user, wanted)) {
      return Refuse(Forbidden({wanted.group, wanted.resource}, wanted.name, Denial(user, wanted)));
    }
    for (const auto& [header, value] : request.headers) {
      if (Lower(header) != "impersonate-group") continue;
      wanted = {"impersonate", "", "groups", "", value, ""};
      if (!IsAllowed(server, user, wanted)) {
        return Refuse(Forbidden({"", "groups"}, value, Denial(user, wanted)));
      }
    }
  }
  return *std::move(other);
}

bool IsAllowed(const Server& server, const User& user, const Attributes& attributes) {
  if (!server.options.authorization || IsMaster(user)) return true;
  return AnyRule(server, user, attributes.ns,
                 [&](Ref rule) { return RuleCovers(rule, attributes); });
}

std::optional<ApiError> Authorize(const Server& server, const Request& request) {
  Attributes attributes = AttributesOf(request);
  if (IsAlwaysAllowed(attributes.path)) return std::nullopt;
  bool authenticated = request.user.name != "system:anonymous";
  // What system:discovery and system:basic-user grant on every cluster.
  if (authenticated && !attributes.path.empty()) {
    for (std::string_view open : {"/api", "/openapi"}) {
      if (attributes.path.compare(0, open.size(), open) == 0) return std::nullopt;
    }
  }
  if (authenticated && attributes.verb == "create" &&
      attributes.resource.substr(0, 11) == "selfsubject") {
    return std::nullopt;
  }
  if (IsAllowed(server, request.user, attributes)) return std::nullopt;
  return Forbidden({attributes.group,
                    std::string_view(attributes.resource).substr(0, attributes.resource.find('/'))},
                   attributes.name, Denial(request.user, attributes));
}

bool IsReview(const ResourceType& resource) {
  return resource.group == "authorization.k8s.io" || resource.group == "authentication.k8s.io";
}

Answer<Reply> AnswerReview(Server& server, const Request& request, const ResourceType& resource,
                           const Value& body) {
  Ref spec = body["spec"];
  value::Edited answer(body);
  answer.Set({"kind"}, resource.kind).Set({"apiVersion"}, resource.api_version);
  FieldContext fields;
  fields.type = resource.type;
  fields.api_version = resource.api_version;
  fields.manager = ContextOf(request, nullptr).field_manager;
  fields.now = FormatTime(server.WallNow());
  ManagedFields managed = TrackUpdate(resource.zero, body, {}, fields);
  answer.Set({"metadata"}, Value::Map({{"managedFields", managed.ToValue()}}));
  if (resource.kind == "SelfSubjectReview") {
    answer.Set({"status"}, Value::Map({{"userInfo", UserInfo(request.user)}}));
  } else if (resource.kind == "SelfSubjectRulesReview") {
    answer.Set({"status"}, RulesStatus(server, request.user, spec["namespace"].String()));
  } else if (resource.kind == "TokenReview") {
    auto known = server.tokens.find(spec["token"].Text());
    bool valid = known != server.tokens.end();
    answer.Set({"status"},
               valid ? Value::Map({{"authenticated", true}, {"user", UserInfo(known->second)}})
                     : Value::Map({{"user", Value::Map({})}, {"error", "invalid bearer token"}}));
  } else {
    User user = request.user;
    if (resource.kind != "SelfSubjectAccessReview") {
      user = User();
      user.name = spec["user"].Text();
      for (Ref group : spec["groups"].Items()) user.groups.push_back(group.Text());
    }
    if (!spec["resourceAttributes"] && !spec["nonResourceAttributes"]) {
      return Refuse(Invalid(resource.group, resource.kind, "",
                            {FieldError::Invalid("spec.resourceAttributes", Value(nullptr),
                                                 "exactly one of nonResourceAttributes or "
                                                 "resourceAttributes must be specified")}));
    }
    bool allowed = IsAllowed(server, user, FromSpec(spec));
    answer.Set({"status"}, Value::Map({{"allowed", allowed}}));
  }
  return Created(answer.Done());
}

Answer<Reply> IssueToken(Server& server, const Request& request, const ResourceType& resource,
                         const Value& body) {
  if (request.info.verb != "create") {
    return Refuse(MethodNotAllowed(resource.resource(), request.info.verb));
  }
  StoredPtr account = resource.table->Find(request.info.namespace_name, request.info.name);
  if (!account) return Refuse(NotFound(resource.resource(), request.info.name));
  int64_t seconds = body["spec"]["expirationSeconds"].Int(3600);
  User user =
      *ServiceAccountUser(fmt::format("system:serviceaccount:{}:{}", account->ns, account->name));
  user.uid = account->uid;
  WallTime expiry = server.WallNow() + std::chrono::seconds(seconds);
  int64_t unix_expiry =
      std::chrono::duration_cast<std::chrono::seconds>(expiry.time_since_epoch()).count();
  // Looks like a JWT, as clients read its expiry; the signature is only a random number.
  Value claims = Value::Map({{"exp", unix_expiry}, {"sub", user.name}});
  std::string token = EncodeBase64Url(R"({"alg":"RS256","kid":"embedded"})") + "." +
                      EncodeBase64Url(value::ToJson(claims)) + "." +
                      EncodeBase64Url(server.ids.Uid());
  server.tokens[token] = user;
  server.timers.At(server.Now() + std::chrono::seconds(seconds),
                   [&server, token] { server.tokens.erase(token); });
  return Created(value::Edited(body)
                     .Set({"kind"}, "TokenRequest")
                     .Set({"apiVersion"}, "authentication.k8s.io/v1")
                     .Set({"metadata", "name"}, account->name)
                     .Set({"metadata", "namespace"}, account->ns)
                     .Set({"metadata", "creationTimestamp"}, FormatTime(server.WallNow()))
                     .Set({"spec", "expirationSeconds"}, seconds)
                     .Set({"status"}, Value::Map({{"token", token},
                                                  {"expirationTimestamp", FormatTime(expiry)}}))
                     .Done());
}

}  // namespace flotilla::sim::api
