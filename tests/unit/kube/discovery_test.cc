#include "kube/discovery.h"

#include <map>
#include <string>
#include <vector>

#include "catch.h"
#include "world.h"

namespace flotilla::kube {
namespace {

using http::ServerRequest;
using http::ServerResponse;

// As a kube-apiserver answers, shortened.
constexpr const char* kCore =
    R"({"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[{"metadata":{"creationTimestamp":null},"versions":[{"version":"v1","freshness":"Current","resources":[{"resource":"configmaps","responseKind":{"group":"","version":"","kind":"ConfigMap"},"scope":"Namespaced","singularResource":"configmap","verbs":["watch","get","list"],"shortNames":["cm"]},{"resource":"namespaces","responseKind":{"group":"","version":"","kind":"Namespace"},"scope":"Cluster","singularResource":"namespace","verbs":["get"],"shortNames":["ns"],"subresources":[{"subresource":"status","responseKind":{"group":"","version":"","kind":"Namespace"},"verbs":["get"]},{"subresource":"finalize","responseKind":{"group":"","version":"","kind":"Namespace"},"verbs":["update"]}]}]}]}]})";
constexpr const char* kGroups =
    R"({"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[{"metadata":{"name":"apps"},"versions":[{"version":"v1","freshness":"Current","resources":[{"resource":"deployments","responseKind":{"group":"apps","version":"v1","kind":"Deployment"},"scope":"Namespaced","singularResource":"deployment","verbs":["get","list","patch"],"shortNames":["deploy"]}]}]},{"metadata":{"name":"example.com"},"versions":[{"version":"v2","resources":[{"resource":"widgets","responseKind":{"group":"example.com","version":"v2","kind":"Widget"},"scope":"Namespaced","singularResource":"widget","verbs":["get"]}]},{"version":"v1","resources":[{"resource":"widgets","responseKind":{"group":"example.com","version":"v1","kind":"Widget"},"scope":"Namespaced","singularResource":"widget","verbs":["get"]}]}]},{"metadata":{"name":"down.example.com"},"versions":[{"version":"v1","freshness":"Stale","resources":[]}]}]})";

ServerResponse Aggregated(std::string body) {
  ServerResponse response;
  response.body = std::move(body);
  response.headers = {
      {"Content-Type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}};
  return response;
}

struct Apis : World {
  Apis() : client(runtime, *http, Anonymous()), discovery(client) {
    handler = [this](const ServerRequest& request) {
      const std::string path = World::Path(request);
      if (aggregated && path == "/api") return Aggregated(kCore);
      if (aggregated && path == "/apis") return Aggregated(groups);
      const auto at = answers.find(path);
      if (at == answers.end()) return Answer(404, "404 page not found");
      return at->second.empty() ? Answer(503, "down") : Answer(200, at->second);
    };
  }
  bool aggregated = true;
  std::string groups = kGroups;
  std::map<std::string, std::string> answers;
  Client client;
  Discovery discovery;
};

TEST_CASE("aggregated discovery takes two requests") {
  Apis apis;
  const auto map = apis.discovery.Get({});
  REQUIRE(map);
  CHECK(apis.requests.size() == 2);
  const ApiResource* deployment = (*map)->Find(GroupVersionKind{"apps", "v1", "Deployment"});
  REQUIRE(deployment);
  CHECK(deployment->gvr == GroupVersionResource{"apps", "v1", "deployments"});
  CHECK(deployment->namespaced);
  CHECK(deployment->HasVerb("patch"));
  CHECK_FALSE(deployment->HasVerb("delete"));
  const ApiResource* ns = (*map)->Find(GroupKind{"", "Namespace"});
  REQUIRE(ns);
  CHECK_FALSE(ns->namespaced);
  CHECK(ns->HasSubresource("finalize"));
  CHECK((*map)->Find(GroupVersionResource{"", "v1", "configmaps"})->kind == "ConfigMap");
  REQUIRE(apis.discovery.Get({}));
  CHECK(apis.requests.size() == 2);
}

TEST_CASE("a kind without version is the one the server prefers") {
  Apis apis;
  const auto map = apis.discovery.Get({});
  REQUIRE(map);
  CHECK((*map)->Find(GroupKind{"example.com", "Widget"})->gvr.version == "v2");
  CHECK((*map)->Find(GroupVersionKind{"example.com", "v1", "Widget"})->gvr.version == "v1");
}

TEST_CASE("resources are found by the names people type") {
  Apis apis;
  const auto map = apis.discovery.Get({});
  REQUIRE(map);
  const auto named = [&](const char* name) {
    const ApiResource* found = (*map)->FindByName(name);
    return found ? found->gvr.ToString() : "";
  };
  for (const char* name : {"deployments", "deployment", "deploy", "Deployment", "deployments.apps",
                           "deployments.v1.apps"}) {
    INFO(name);
    CHECK(named(name) == "deployments.v1.apps");
  }
  CHECK(named("widgets.v1.example.com") == "widgets.v1.example.com");
  CHECK(named("cm") == "configmaps.v1");
  CHECK(named("deployments.example.com").empty());
  CHECK(named("nothing").empty());
}

TEST_CASE("an unknown kind is looked up anew, but not for every object") {
  Apis apis;
  REQUIRE(apis.discovery.Get({}));
  apis.runtime.RunFor(3s);
  const GroupVersionKind gadget{"example.com", "v2", "Gadget"};
  const auto unknown = apis.discovery.Resolve(gadget, {});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().cls == ErrorClass::kNotFound);
  CHECK(apis.requests.size() == 4);
  CHECK_FALSE(apis.discovery.Resolve(gadget, {}));
  CHECK(apis.requests.size() == 4);

  const std::string widget =
      R"({"resource":"widgets","responseKind":{"group":"example.com","version":"v2")";
  const std::string gadgets =
      R"({"resource":"gadgets","responseKind":{"group":"example.com","version":"v2","kind":"Gadget"},"scope":"Cluster","verbs":["get"]},)";
  apis.groups.insert(apis.groups.find(widget), gadgets);
  apis.runtime.RunFor(3s);
  const auto found = apis.discovery.Resolve(gadget, {});
  REQUIRE(found);
  CHECK(found->gvr.resource == "gadgets");
}

TEST_CASE("absence in an API group that does not answer proves nothing") {
  Apis apis;
  const auto unknown =
      apis.discovery.Resolve(GroupVersionKind{"down.example.com", "v1", "Thing"}, {});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().cls == ErrorClass::kUnavailable);
}

TEST_CASE("servers without aggregated discovery are read group by group") {
  Apis apis;
  apis.aggregated = false;
  apis.answers = {
      {"/api", R"({"kind":"APIVersions","versions":["v1"]})"},
      {"/apis",
       R"({"kind":"APIGroupList","groups":[{"name":"example.com","versions":[{"groupVersion":"example.com/v1","version":"v1"},{"groupVersion":"example.com/v2","version":"v2"}],"preferredVersion":{"groupVersion":"example.com/v2","version":"v2"}},{"name":"down.io","versions":[{"groupVersion":"down.io/v1","version":"v1"}]}]})"},
      {"/api/v1",
       R"({"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get"],"shortNames":["po"]},{"name":"pods/status","singularName":"","namespaced":true,"kind":"Pod","verbs":["get"]},{"name":"pods/log","singularName":"","namespaced":true,"kind":"Pod","verbs":["get"]}]})"},
      {"/apis/example.com/v1",
       R"({"kind":"APIResourceList","groupVersion":"example.com/v1","resources":[{"name":"widgets","namespaced":false,"kind":"Widget","verbs":["get"]}]})"},
      {"/apis/example.com/v2",
       R"({"kind":"APIResourceList","groupVersion":"example.com/v2","resources":[{"name":"widgets","namespaced":false,"kind":"Widget","verbs":["get"]}]})"},
      {"/apis/down.io/v1", ""}};
  const auto map = apis.discovery.Get({});
  REQUIRE(map);
  const ApiResource* pod = (*map)->Find(GroupKind{"", "Pod"});
  REQUIRE(pod);
  CHECK(pod->subresources == std::vector<std::string>{"log", "status"});
  CHECK((*map)->Find(GroupKind{"example.com", "Widget"})->gvr.version == "v2");
  CHECK((*map)->stale() == std::set<std::string>{"down.io/v1"});
}

TEST_CASE("what is no discovery is an error") {
  Apis apis;
  apis.aggregated = false;
  CHECK_FALSE(apis.discovery.Get({}));
  apis.answers = {{"/api", "oops"}};
  CHECK_FALSE(apis.discovery.Get({}));
}

TEST_CASE("dry-run exists where OpenAPI says so") {
  Apis apis;
  apis.answers = {
      {"/openapi/v3",
       R"({"paths":{"apis/example.com/v2":{"serverRelativeURL":"/openapi/v3/apis/example.com/v2?hash=AB12"}}})"},
      {"/openapi/v3/apis/example.com/v2",
       R"({"paths":{"/apis/example.com/v2/widgets/{name}":{"patch":{"x-kubernetes-group-version-kind":{"group":"example.com","version":"v2","kind":"Widget"},"parameters":[{"name":"dryRun","in":"query"}]}},"/apis/example.com/v2/relics/{name}":{"patch":{"x-kubernetes-group-version-kind":{"group":"example.com","version":"v2","kind":"Relic"},"parameters":[{"name":"force","in":"query"}]}}}})"}};
  const auto supports = [&](const char* group, const char* kind) {
    const auto answer = apis.discovery.SupportsDryRun({group, "v2", kind}, {});
    REQUIRE(answer);
    return *answer;
  };
  CHECK(supports("apps", "Deployment"));
  CHECK(supports("networking.k8s.io", "Ingress"));
  CHECK(apis.requests.empty());
  CHECK(supports("example.com", "Widget"));
  CHECK(World::Query(apis.requests.back(), "hash") == "AB12");
  CHECK_FALSE(supports("example.com", "Relic"));
  const size_t asked = apis.requests.size();
  CHECK(supports("example.com", "Widget"));
  CHECK(apis.requests.size() == asked);
  // Not published: a server that ignores dryRun would write.
  CHECK_FALSE(supports("example.com", "Unknown"));
  CHECK_FALSE(supports("metrics.k8s.io", "PodMetrics"));
}

}  // namespace
}  // namespace flotilla::kube
