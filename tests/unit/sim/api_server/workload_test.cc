// Workloads that become ready, or not, as a test tells.
#include "server_fixture.h"

using namespace flotilla;
using namespace flotilla::sim;

namespace {

std::string Workload(const char* kind, const std::string& image, const char* extra = "") {
  return std::string(R"({"kind":")") + kind + R"(","metadata":{"name":"w"},"spec":{)" + extra +
         R"("selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":")" +
         image + R"("}]}}}})";
}

std::string Condition(value::Ref object, const char* type) {
  for (value::Ref one : object["status"]["conditions"].Items()) {
    if (one["type"].String() == type) return one["status"].Text() + " " + one["reason"].Text();
  }
  return "none";
}

constexpr const char* kDeployments = "/apis/apps/v1/namespaces/default/deployments";

}  // namespace

TEST_CASE("a Deployment becomes ready after a second, and again after a change") {
  ServerFixture api;
  REQUIRE(api.Post(kDeployments, Workload("Deployment", "i:1", R"("replicas":2,)")).status == 201);
  std::string path = std::string(kDeployments) + "/w";
  Reply before = api.Get(path);
  CHECK(before.body["status"]["observedGeneration"].Int() == 1);
  CHECK(before.body["status"]["readyReplicas"].IsAbsent());
  CHECK(before.body["status"]["unavailableReplicas"].Int() == 2);
  CHECK(api.server.NextDue() == TimePoint(1s));
  api.Pass(1s);
  Reply ready = api.Get(path);
  CHECK(ready.body["status"]["readyReplicas"].Int() == 2);
  CHECK(ready.body["status"]["updatedReplicas"].Int() == 2);
  CHECK(Condition(ready.body, "Available") == "True MinimumReplicasAvailable");
  CHECK(Condition(ready.body, "Progressing") == "True NewReplicaSetAvailable");
  api.Patch(path, "merge-patch+json", R"({"spec":{"replicas":3}})");
  Reply changing = api.Get(path);
  CHECK(changing.body["status"]["observedGeneration"].Int() == 2);
  CHECK(changing.body["status"]["readyReplicas"].Int() == 2);
  CHECK(changing.body["status"]["updatedReplicas"].IsAbsent());
  api.Pass(1s);
  CHECK(api.Get(path).body["status"]["readyReplicas"].Int() == 3);
}

TEST_CASE("rules decide by image, annotation and name how a workload fares") {
  ServerFixture api;
  std::vector<WorkloadRule> rules(2);
  rules[0].image = ":bad";
  rules[0].outcome = WorkloadRule::Outcome::kNever;
  rules[1].annotation = "speed=slow";
  rules[1].ready_after = 30s;
  api.server.SetWorkloadRules(rules);
  std::string path = std::string(kDeployments) + "/w";
  SECTION("never ready, until the deadline says so") {
    api.Post(kDeployments, Workload("Deployment", "i:bad", R"("progressDeadlineSeconds":60,)"));
    api.Pass(59s);
    CHECK(Condition(api.Get(path).body, "Progressing") == "True ReplicaSetUpdated");
    api.Pass(1s);
    CHECK(Condition(api.Get(path).body, "Progressing") == "False ProgressDeadlineExceeded");
    CHECK(Condition(api.Get(path).body, "Available") == "False MinimumReplicasUnavailable");
  }
  SECTION("slowly") {
    api.Post(kDeployments, Workload("Deployment", "i:1"));
    api.Patch(path, "merge-patch+json",
              R"({"spec":{"template":{"metadata":{"annotations":{"speed":"slow"}}}}})");
    api.Pass(29s);
    CHECK(api.Get(path).body["status"]["readyReplicas"].IsAbsent());
    api.Pass(1s);
    CHECK(api.Get(path).body["status"]["readyReplicas"].Int() == 1);
  }
}

TEST_CASE("a bad change leaves the old pods ready") {
  ServerFixture api;
  WorkloadRule bad;
  bad.image = ":bad";
  bad.outcome = WorkloadRule::Outcome::kCrashLoop;
  api.server.SetWorkloadRules({bad});
  std::string path = std::string(kDeployments) + "/w";
  api.Post(kDeployments, Workload("Deployment", "i:1", R"("replicas":3,)"));
  api.Pass(1s);
  api.Patch(path, "strategic-merge-patch+json",
            R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"i:bad"}]}}}})");
  api.Pass(60s);
  Reply stuck = api.Get(path);
  CHECK(stuck.body["status"]["readyReplicas"].Int() == 3);
  CHECK(stuck.body["status"]["updatedReplicas"].Int() == 1);
  CHECK(stuck.body["status"]["observedGeneration"].Int() == 2);
}

TEST_CASE("stateful sets, daemon sets and replica sets become ready too") {
  struct Row {
    const char *kind, *plural, *field;
    int64_t ready;
  };
  auto row = GENERATE(values<Row>({{"StatefulSet", "statefulsets", "readyReplicas", 1},
                                   {"DaemonSet", "daemonsets", "numberReady", 1},
                                   {"ReplicaSet", "replicasets", "readyReplicas", 1}}));
  ServerFixture api;
  std::string all = std::string("/apis/apps/v1/namespaces/default/") + row.plural;
  REQUIRE(api.Post(all, Workload(row.kind, "i:1")).status == 201);
  CHECK(api.Get(all + "/w").body["status"][row.field].Int() == 0);
  api.Pass(1s);
  CHECK(api.Get(all + "/w").body["status"][row.field].Int() == row.ready);
  CHECK(api.Get(all + "/w").body["status"]["observedGeneration"].Int() == 1);
}

TEST_CASE("jobs complete or fail") {
  ServerFixture api;
  WorkloadRule bad;
  bad.image = ":bad";
  bad.outcome = WorkloadRule::Outcome::kFail;
  api.server.SetWorkloadRules({bad});
  auto job = [&](const char* image) {
    std::string all = "/apis/batch/v1/namespaces/default/jobs";
    REQUIRE(
        api.Post(
               all,
               std::string(
                   R"({"metadata":{"name":"j"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":")") +
                   image + R"("}]}}}})")
            .status == 201);
    api.Pass(1s);
    return api.Get(all + "/j");
  };
  SECTION("complete") {
    Reply done = job("i:1");
    CHECK(Condition(done.body, "Complete") == "True CompletionsReached");
    CHECK(done.body["status"]["succeeded"].Int() == 1);
  }
  SECTION("failed") {
    CHECK(Condition(job("i:bad").body, "Failed") == "True BackoffLimitExceeded");
  }
}

TEST_CASE("claims are bound, and load balancers get an address") {
  ServerFixture api;
  api.Post(
      "/api/v1/namespaces/default/persistentvolumeclaims",
      R"({"metadata":{"name":"p"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}})");
  api.Post("/api/v1/namespaces/default/services",
           R"({"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","ports":[{"port":80}]}})");
  api.Pass(1s);
  CHECK(api.Get("/api/v1/namespaces/default/persistentvolumeclaims/p")
            .body["status"]["phase"]
            .String() == "Bound");
  CHECK(api.Get("/api/v1/namespaces/default/services/s")
            .body["status"]["loadBalancer"]["ingress"]
            .size() == 1);
  api.Delete("/api/v1/namespaces/default/persistentvolumeclaims/p");
  CHECK(api.Get("/api/v1/namespaces/default/persistentvolumeclaims/p").status == 404);
}

TEST_CASE("a new due time is announced") {
  ServerFixture api;
  int announced = 0;
  api.server.OnDueChanged([&] { ++announced; });
  api.Post(kConfigMaps, ConfigMap("a"));
  CHECK(announced == 0);
  api.Post(kDeployments, Workload("Deployment", "i:1"));
  CHECK(announced == 1);
}
