// Who may do what: tokens, RBAC, reviews, impersonation.
#include "server_fixture.h"

using namespace flotilla;
using namespace flotilla::sim;

namespace {

struct SecureFixture : ServerFixture {
  SecureFixture() : ServerFixture(Secure()) {
    server.AddToken("root", {"root", "", {"system:masters"}, {}});
    server.AddToken("ann", {"ann", "", {"devs"}, {}});
  }
  static ApiServerOptions Secure() {
    ApiServerOptions options;
    options.authorization = true;
    return options;
  }
  void As(const char* who) { token = who; }
  void Grant(const std::string& rules, const std::string& subject, bool cluster = false) {
    As("root");
    std::string base = "/apis/rbac.authorization.k8s.io/v1/";
    std::string role = cluster ? "clusterroles" : "namespaces/default/roles";
    REQUIRE(
        Post(base + role, R"({"metadata":{"generateName":"r-"},"rules":)" + rules + "}").status ==
        201);
    std::string name =
        Get(base + role)
            .body["items"][Get(base + role).body["items"].size() - 1]["metadata"]["name"]
            .Text();
    std::string binding = cluster ? "clusterrolebindings" : "namespaces/default/rolebindings";
    REQUIRE(Post(base + binding, R"({"metadata":{"generateName":"b-"},"roleRef":{"kind":")" +
                                     std::string(cluster ? "ClusterRole" : "Role") +
                                     R"(","name":")" + name + R"("},"subjects":[)" + subject + "]}")
                .status == 201);
  }
};

const char* kAnn = R"({"kind":"User","name":"ann"})";
const char* kReadMaps = R"([{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","list"]}])";

}  // namespace

TEST_CASE("an unknown token is 401, no credentials are anonymous") {
  SecureFixture api;
  api.As("nobody");
  CHECK(
      api.Get(kConfigMaps).text ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401})");
  api.As("");
  CHECK(
      api.Get(kConfigMaps).text ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps is forbidden: User \"system:anonymous\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"","reason":"Forbidden","details":{"kind":"configmaps"},"code":403})");
  CHECK(api.Get("/version").status == 200);
}

TEST_CASE("RBAC allows what a role lists, and no more") {
  SecureFixture api;
  api.Grant(kReadMaps, kAnn);
  api.Post(kConfigMaps, ConfigMap("a"));
  api.As("ann");
  CHECK(api.Get(kConfigMaps).status == 200);
  CHECK(api.Get(std::string(kConfigMaps) + "/a").status == 200);
  CHECK(api.Get(std::string(kConfigMaps) + "?watch=1").status == 403);
  CHECK(api.Delete(std::string(kConfigMaps) + "/a").status == 403);
  CHECK(api.Get("/api/v1/configmaps").status == 403);
  CHECK(api.Get("/api/v1/namespaces/kube-system/configmaps").status == 403);
}

TEST_CASE("cluster roles, groups, names and subresources") {
  SecureFixture api;
  api.Grant(R"([{"apiGroups":["apps"],"resources":["deployments/scale"],"verbs":["*"]},
               {"apiGroups":[""],"resources":["secrets"],"resourceNames":["known"],"verbs":["get"]},
               {"nonResourceURLs":["/metrics*"],"verbs":["get"]}])",
            R"({"kind":"Group","name":"devs"})", true);
  api.As("ann");
  CHECK(api.Get("/apis/apps/v1/namespaces/default/deployments/x/scale").status == 404);
  CHECK(api.Get("/apis/apps/v1/namespaces/default/deployments/x").status == 403);
  CHECK(api.Get("/api/v1/namespaces/default/secrets/known").status == 404);
  CHECK(api.Get("/api/v1/namespaces/default/secrets/other").status == 403);
  CHECK(api.Get("/api/v1/namespaces/default/secrets").status == 403);
}

TEST_CASE("access reviews answer as the authorizer would") {
  SecureFixture api;
  api.Grant(kReadMaps, kAnn);
  api.As("ann");
  auto allowed = [&](const std::string& verb) {
    Reply review = api.Post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                            R"({"spec":{"resourceAttributes":{"verb":")" + verb +
                                R"(","resource":"configmaps","namespace":"default"}}})");
    REQUIRE(review.status == 201);
    return review.body["status"]["allowed"].Bool();
  };
  CHECK(allowed("get"));
  CHECK_FALSE(allowed("delete"));
  Reply rules = api.Post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
                         R"({"spec":{"namespace":"default"}})");
  CHECK(rules.body["status"]["resourceRules"].size() == 1);
  CHECK_FALSE(rules.body["status"]["incomplete"].Bool(true));
  CHECK(
      api.Post(
             "/apis/authorization.k8s.io/v1/subjectaccessreviews",
             R"({"spec":{"user":"ann","resourceAttributes":{"verb":"get","resource":"configmaps"}}})")
          .status == 403);
  api.As("root");
  Reply other = api.Post(
      "/apis/authorization.k8s.io/v1/subjectaccessreviews",
      R"({"spec":{"user":"ann","resourceAttributes":{"verb":"get","resource":"configmaps","namespace":"default"}}})");
  CHECK(other.body["status"]["allowed"].Bool());
}

TEST_CASE("impersonation needs permission and takes effect") {
  SecureFixture api;
  api.Grant(kReadMaps, kAnn);
  http::Headers as_ann = {{"Impersonate-User", "ann"}};
  api.As("root");
  CHECK(api.Get(kConfigMaps, as_ann).status == 200);
  CHECK(api.Get("/api/v1/namespaces/default/secrets", as_ann).status == 403);
  api.As("ann");
  CHECK(api.Get(kConfigMaps, {{"Impersonate-User", "root"}}).status == 403);
  CHECK(api.Get(kConfigMaps, {{"Impersonate-User", "ann"}, {"Impersonate-Group", "system:masters"}})
            .status == 403);
}

TEST_CASE("a service account gets tokens that work until they expire") {
  SecureFixture api;
  api.Grant(kReadMaps, R"({"kind":"ServiceAccount","name":"bot","namespace":"default"})");
  REQUIRE(api.Post("/api/v1/namespaces/default/serviceaccounts", R"({"metadata":{"name":"bot"}})")
              .status == 201);
  Reply issued = api.Post("/api/v1/namespaces/default/serviceaccounts/bot/token",
                          R"({"spec":{"expirationSeconds":600}})");
  REQUIRE(issued.status == 201);
  std::string secret = issued.body["status"]["token"].Text();
  api.As(secret.c_str());
  CHECK(api.Get(kConfigMaps).status == 200);
  Reply me = api.Post("/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}");
  CHECK(me.body["status"]["userInfo"]["username"].String() == "system:serviceaccount:default:bot");
  api.Pass(601s);
  CHECK(api.Get(kConfigMaps).status == 401);
}

TEST_CASE("authorization is off unless it is switched on") {
  ServerFixture api;
  CHECK(api.Post(kConfigMaps, ConfigMap("a")).status == 201);
}
