// What a client finds out about a server, and the tables of kubectl get.
#include "server_fixture.h"

using namespace flotilla;
using namespace flotilla::sim;
using flotilla::value::ToJson;

namespace {

value::Ref Named(value::Ref list, const char* key, std::string_view name) {
  for (value::Ref item : list.Items()) {
    if (item[key].String() == name) return item;
  }
  return {};
}

}  // namespace

TEST_CASE("probes and the version answer in their own way") {
  ServerFixture api;
  for (const char* path : {"/healthz", "/readyz", "/livez", "/readyz?verbose"}) {
    CHECK(api.Get(path).text == "ok");
  }
  Reply version = api.Get("/version");
  CHECK(version.body["gitVersion"].String() == "v1.37.1");
  CHECK(version.body["major"].String() == "1");
  CHECK(version.body["minor"].String() == "37");
}

TEST_CASE("groups, versions and resources are discovered step by step") {
  ServerFixture api;
  CHECK(ToJson(api.Get("/api").body["versions"]) == R"(["v1"])");
  Reply groups = api.Get("/apis");
  CHECK(groups.body["kind"].String() == "APIGroupList");
  value::Ref apps = Named(groups.body["groups"], "name", "apps");
  CHECK(apps["preferredVersion"]["groupVersion"].String() == "apps/v1");
  CHECK(api.Get("/apis/apps").body["kind"].String() == "APIGroup");
  Reply list = api.Get("/apis/apps/v1");
  CHECK(list.body["groupVersion"].String() == "apps/v1");
  value::Ref deployments = Named(list.body["resources"], "name", "deployments");
  CHECK(deployments["namespaced"].Bool());
  CHECK(ToJson(deployments["shortNames"]) == R"(["deploy"])");
  CHECK(Named(list.body["resources"], "name", "deployments/scale")["kind"].String() == "Scale");
  CHECK(api.Get("/apis/none").status == 404);
  CHECK(api.Get("/apis/apps/v9").status == 404);
}

TEST_CASE("aggregated discovery tells everything at once") {
  ServerFixture api;
  http::Headers accept = {
      {"Accept",
       "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}};
  Reply all = api.Get("/apis", accept);
  CHECK(all.header("Content-Type").find("as=APIGroupDiscoveryList") != std::string_view::npos);
  CHECK(all.body["kind"].String() == "APIGroupDiscoveryList");
  value::Ref versions;
  for (value::Ref group : all.body["items"].Items()) {
    if (group["metadata"]["name"].String() == "apps") versions = group["versions"];
  }
  REQUIRE(versions.size() == 1);
  value::Ref resource = Named(versions[size_t{0}]["resources"], "resource", "deployments");
  CHECK(resource["scope"].String() == "Namespaced");
  CHECK(resource["responseKind"]["kind"].String() == "Deployment");
  CHECK(api.Get("/api", accept).body["items"].size() == 1);
}

TEST_CASE("OpenAPI v3 has schemas, and the parameters that clients look for") {
  ServerFixture api;
  Reply index = api.Get("/openapi/v3");
  std::string url = index.body["paths"]["apis/apps/v1"]["serverRelativeURL"].Text();
  REQUIRE(url.find("/openapi/v3/apis/apps/v1?hash=") == 0);
  Reply document = api.Get(url);
  value::Ref deployment = document.body["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"];
  CHECK(deployment["x-kubernetes-group-version-kind"][size_t{0}]["kind"].String() == "Deployment");
  value::Ref containers =
      document
          .body["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
  CHECK(containers["x-kubernetes-patch-merge-key"].String() == "name");
  CHECK(ToJson(containers["x-kubernetes-list-map-keys"]) == R"(["name"])");
  value::Ref patch =
      document.body["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
  CHECK(Named(patch["parameters"], "name", "dryRun"));
  CHECK(Named(patch["parameters"], "name", "fieldValidation"));
  CHECK(api.Get("/openapi/v2").body["swagger"].String() == "2.0");
}

TEST_CASE("tables have the columns that people know") {
  ServerFixture api;
  api.Post("/api/v1/namespaces/default/services",
           R"({"metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}})");
  api.now += 125s;
  http::Headers table = {
      {"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}};
  Reply list = api.Get("/api/v1/namespaces/default/services", table);
  CHECK(list.body["kind"].String() == "Table");
  CHECK(list.body["metadata"]["resourceVersion"]);
  CHECK(ToJson(list.body["rows"][size_t{0}]["cells"]) ==
        R"(["web","ClusterIP","10.96.0.1","<none>","80/TCP","2m5s"])");
  CHECK(list.body["rows"][size_t{0}]["object"]["kind"].String() == "PartialObjectMetadata");
  CHECK(api.Get("/api/v1/namespaces/default/services/web", table).body["rows"].size() == 1);
  CHECK(api.Get("/api/v1/namespaces/default/services/none", table).status == 404);
}

TEST_CASE("media types that are not served are not acceptable") {
  ServerFixture api;
  Reply reply = api.Get(kConfigMaps, {{"Accept", "application/vnd.kubernetes.protobuf"}});
  CHECK(reply.status == 406);
  CHECK(api.Get(kConfigMaps, {{"Accept", "application/vnd.kubernetes.protobuf,application/json"}})
            .status == 200);
}
