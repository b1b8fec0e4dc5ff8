#include "sim/api_server/kinds/discovery.h"

#include <fmt/format.h>
#include <algorithm>
#include <map>

#include "base/digest.h"
#include "value/json.h"

namespace flotilla::sim::api {

using value::Value;

namespace {

Value Texts(const std::vector<std::string>& texts) {
  if (texts.empty()) return {};
  return Value::List(std::vector<Value>(texts.begin(), texts.end()));
}

// Versions of a group, the preferred one first.
std::map<std::string, std::vector<std::string>> Groups(const Server& server) {
  std::map<std::string, std::vector<std::string>> groups;
  for (const ResourcePtr& resource : server.Resources()) {
    std::vector<std::string>& versions = groups[resource->group];
    if (std::find(versions.begin(), versions.end(), resource->version) == versions.end()) {
      versions.push_back(resource->version);
    }
  }
  // v2 before v1 before v1beta1: by stability, then by number.
  auto rank = [](const std::string& version) {
    bool stable = version.find_first_not_of("0123456789", 1) == std::string::npos;
    return std::pair(!stable, version);
  };
  for (auto& [group, versions] : groups) {
    std::sort(versions.begin(), versions.end(), [&](const std::string& a, const std::string& b) {
      auto [a_unstable, a_name] = rank(a);
      auto [b_unstable, b_name] = rank(b);
      return a_unstable != b_unstable ? !a_unstable : a_name > b_name;
    });
  }
  return groups;
}

std::string GroupVersion(const std::string& group, const std::string& version) {
  return group.empty() ? version : group + "/" + version;
}

Value GroupObject(const std::string& group, const std::vector<std::string>& versions) {
  auto entry = [&](const std::string& version) {
    return Value::Map({{"groupVersion", GroupVersion(group, version)}, {"version", version}});
  };
  std::vector<Value> entries;
  for (const std::string& version : versions) entries.push_back(entry(version));
  return Value::Map({{"name", group},
                     {"versions", Value::List(entries)},
                     {"preferredVersion", entry(versions.front())}});
}

Value GroupList(const Server& server) {
  std::vector<Value> groups;
  for (const auto& [group, versions] : Groups(server)) {
    if (!group.empty()) groups.push_back(GroupObject(group, versions));
  }
  return Value::Map(
      {{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", Value::List(groups)}});
}

Value Kind(const char* group, const char* version, const char* kind) {
  return Value::Map({{"group", group}, {"version", version}, {"kind", kind}});
}

std::vector<std::string> SubVerbs() { return {"get", "patch", "update"}; }

// The entries of one resource and its subresources in an APIResourceList.
void AppendResource(const ResourceType& resource, std::vector<Value>& entries) {
  entries.push_back(Value::Map({{"name", resource.plural},
                                {"singularName", resource.singular},
                                {"namespaced", resource.namespaced},
                                {"kind", resource.kind},
                                {"verbs", Texts(resource.verbs)},
                                {"shortNames", Texts(resource.short_names)},
                                {"categories", Texts(resource.categories)}}));
  auto sub = [&](const char* name, const Value& group, const Value& version, const Value& kind,
                 const std::vector<std::string>& verbs) {
    entries.push_back(Value::Map({{"name", resource.plural + "/" + name},
                                  {"singularName", ""},
                                  {"namespaced", resource.namespaced},
                                  {"group", group},
                                  {"version", version},
                                  {"kind", kind},
                                  {"verbs", Texts(verbs)}}));
  };
  if (resource.has_scale) sub("scale", "autoscaling", "v1", "Scale", SubVerbs());
  if (resource.has_status) sub("status", {}, {}, resource.kind, SubVerbs());
  if (resource.plural == "namespaces") sub("finalize", {}, {}, "Namespace", {"update"});
  if (resource.plural == "serviceaccounts") {
    sub("token", "authentication.k8s.io", "v1", "TokenRequest", {"create"});
  }
}

Answer<Value> ResourceList(const Server& server, const std::string& group,
                           const std::string& version) {
  std::vector<Value> entries;
  for (const ResourcePtr& resource : server.Resources()) {
    if (resource->group == group && resource->version == version)
      AppendResource(*resource, entries);
  }
  if (entries.empty()) return Refuse(NoSuchResource());
  return Value::Map({{"kind", "APIResourceList"},
                     {"apiVersion", "v1"},
                     {"groupVersion", GroupVersion(group, version)},
                     {"resources", Value::List(entries)}});
}

// --- aggregated discovery (apidiscovery.k8s.io/v2) ---

Value AggregatedResource(const ResourceType& resource) {
  std::vector<Value> subs;
  auto sub = [&](const char* name, Value kind, const std::vector<std::string>& verbs) {
    subs.push_back(Value::Map(
        {{"subresource", name}, {"responseKind", std::move(kind)}, {"verbs", Texts(verbs)}}));
  };
  Value own = Value::Map(
      {{"group", resource.group}, {"version", resource.version}, {"kind", resource.kind}});
  if (resource.has_scale) sub("scale", Kind("autoscaling", "v1", "Scale"), SubVerbs());
  if (resource.has_status) sub("status", own, SubVerbs());
  if (resource.plural == "serviceaccounts") {
    sub("token", Kind("authentication.k8s.io", "v1", "TokenRequest"), {"create"});
  }
  return Value::Map({{"resource", resource.plural},
                     {"responseKind", own},
                     {"scope", resource.namespaced ? "Namespaced" : "Cluster"},
                     {"singularResource", resource.singular},
                     {"verbs", Texts(resource.verbs)},
                     {"shortNames", Texts(resource.short_names)},
                     {"categories", Texts(resource.categories)},
                     {"subresources", subs.empty() ? Value() : Value::List(subs)}});
}

Value Aggregated(const Server& server, bool core) {
  std::vector<Value> items;
  for (const auto& [group, versions] : Groups(server)) {
    if (group.empty() != core) continue;
    std::vector<Value> listed;
    for (const std::string& version : versions) {
      std::vector<Value> entries;
      for (const ResourcePtr& resource : server.Resources()) {
        if (resource->group == group && resource->version == version) {
          entries.push_back(AggregatedResource(*resource));
        }
      }
      listed.push_back(Value::Map(
          {{"version", version}, {"resources", Value::List(entries)}, {"freshness", "Current"}}));
    }
    items.push_back(
        Value::Map({{"metadata",
                     group.empty() ? Value::Map({{"creationTimestamp", nullptr}})
                                   : Value::Map({{"name", group}, {"creationTimestamp", nullptr}})},
                    {"versions", Value::List(listed)}}));
  }
  return Value::Map({{"kind", "APIGroupDiscoveryList"},
                     {"apiVersion", "apidiscovery.k8s.io/v2"},
                     {"metadata", Value::Map({})},
                     {"items", Value::List(items)}});
}

Value Version(const std::string& git_version) {
  std::string major, minor;
  size_t dot = git_version.find('.');
  if (git_version.size() > 1 && dot != std::string::npos) {
    major = git_version.substr(1, dot - 1);
    minor = git_version.substr(dot + 1, git_version.find('.', dot + 1) - dot - 1);
  }
  return Value::Map({{"major", major},
                     {"minor", minor},
                     {"gitVersion", git_version},
                     {"gitCommit", "embedded"},
                     {"gitTreeState", "clean"},
                     {"buildDate", "1970-01-01T00:00:00Z"},
                     {"goVersion", "none"},
                     {"compiler", "none"},
                     {"platform", "linux/amd64"}});
}

Value OpenApiV3Index(Server& server) {
  if (auto made = server.openapi.find(""); made != server.openapi.end()) return made->second;
  std::vector<std::pair<std::string, Value>> paths;
  for (const auto& [group, versions] : Groups(server)) {
    for (const std::string& version : versions) {
      std::string path = group.empty() ? "api/" + version : "apis/" + group + "/" + version;
      Value document = OpenApiV3(server, group, version);
      std::string hash = DigestOf(value::ToJson(document)).Hex();
      paths.emplace_back(
          path,
          Value::Map({{"serverRelativeURL", fmt::format("/openapi/v3/{}?hash={}", path, hash)}}));
    }
  }
  return server.openapi[""] = Value::Map({{"paths", Value::Map(paths)}});
}

Reply Json(Value body) {
  Reply reply;
  reply.body = std::move(body);
  return reply;
}

Reply Text(std::string text) {
  Reply reply;
  reply.text = std::move(text);
  reply.content_type = "text/plain; charset=utf-8";
  return reply;
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

Answer<Reply> ServeGroups(const Server& server, const Request& request, const std::string& path) {
  bool aggregated =
      Accepts(http::Find(request.http->headers, "Accept"), "as=APIGroupDiscoveryList");
  bool core = path == "/api" || path == "/api/";
  if (core || path == "/apis" || path == "/apis/") {
    if (aggregated) {
      Reply reply = Json(Aggregated(server, core));
      reply.content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
      return reply;
    }
    if (!core) return Json(GroupList(server));
    return Json(Value::Map({{"kind", "APIVersions"},
                            {"versions", Value::List({Value("v1")})},
                            {"serverAddressByClientCIDRs", Value::List({})}}));
  }
  if (StartsWith(path, "/apis/")) {
    std::string group = path.substr(6);
    while (!group.empty() && group.back() == '/') group.pop_back();
    auto groups = Groups(server);
    auto found = groups.find(group);
    if (found != groups.end()) {
      return Json(value::Edited(GroupObject(group, found->second))
                      .Set({"kind"}, "APIGroup")
                      .Set({"apiVersion"}, "v1")
                      .Done());
    }
  }
  return Refuse(NoSuchResource());
}

Answer<Reply> ServeOpenApi(Server& server, const std::string& path) {
  if (path == "/openapi/v2") return Json(OpenApiV2(server));
  if (path == "/openapi/v3" || path == "/openapi/v3/") return Json(OpenApiV3Index(server));
  std::string_view rest = std::string_view(path).substr(12);
  std::string_view group;
  if (StartsWith(rest, "apis/")) {
    rest.remove_prefix(5);
    size_t slash = rest.find('/');
    group = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  } else if (StartsWith(rest, "api/")) {
    rest.remove_prefix(4);
  }
  Value document = OpenApiV3(server, group, rest);
  if (!document) return Refuse(NoSuchResource());
  return Json(std::move(document));
}

}  // namespace

Answer<Reply> ServeDiscovery(Server& server, const Request& request) {
  const std::string& path = request.info.path;
  if (request.http->method != http::Method::kGet && request.http->method != http::Method::kHead) {
    return Refuse(MethodNotAllowed({}, ""));
  }
  if (request.is_resource) {  // /api/v1, /apis/apps/v1
    auto list = ResourceList(server, request.info.group, request.info.version);
    if (!list) return Refuse(list);
    return Json(*std::move(list));
  }
  if (path == "/version" || path == "/version/") return Json(Version(server.options.version));
  for (const char* probe : {"/healthz", "/readyz", "/livez"}) {
    if (StartsWith(path, probe)) return Text("ok");
  }
  if (StartsWith(path, "/openapi/v2") || StartsWith(path, "/openapi/v3")) {
    return ServeOpenApi(server, path);
  }
  // Paths of two parts: the request parser leaves /api/v1 and /apis/GROUP/VERSION to here.
  if (StartsWith(path, "/api/") && path.find('/', 5) == std::string::npos) {
    auto list = ResourceList(server, "", path.substr(5));
    if (!list) return Refuse(list);
    return Json(*std::move(list));
  }
  if (StartsWith(path, "/apis/")) {
    size_t slash = path.find('/', 6);
    if (slash != std::string::npos && slash + 1 < path.size()) {
      auto list = ResourceList(server, path.substr(6, slash - 6), path.substr(slash + 1));
      if (!list) return Refuse(list);
      return Json(*std::move(list));
    }
  }
  if (StartsWith(path, "/api")) return ServeGroups(server, request, path);
  return Refuse(NoSuchResource());
}

}  // namespace flotilla::sim::api
