// One application over three clusters: it arrives stage by stage, a release that breaks its SLO is
// gone again by itself, and stays out.
#include <fmt/format.h>

#include <cstdlib>

#include "catch.h"
#include "sim/world.h"

namespace flotilla::sim {
namespace {

constexpr const char* kSetUp = R"(
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: flotilla.dev/v1alpha1
kind: Repository
metadata: {name: shop, namespace: team}
spec: {url: "https://git.example/team/shop.git", ref: {branch: main}, interval: 5s}
---
apiVersion: flotilla.dev/v1alpha1
kind: RolloutPlan
metadata: {name: staged, namespace: team}
spec:
  stages:
  - {name: canary, clusterSelector: {matchLabels: {tier: canary}}, hot: 10s, bake: 5s}
  - {name: region-a, clusterSelector: {matchLabels: {region: a}}, hot: 5s, bake: 0s}
  - {name: rest, clusterSelector: {}, hot: 5s, bake: 0s}
---
apiVersion: flotilla.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: errors, namespace: team}
spec:
  scrapeInterval: 1s
  objectives:
  - {name: error-ratio, query: error_ratio, op: "<", value: 0.05}
---
apiVersion: flotilla.dev/v1alpha1
kind: Application
metadata: {name: shop, namespace: team}
spec:
  sources: [{repositoryRef: {name: shop}, path: deploy}]
  targetNamespace: shop
  createNamespace: true
  placement: {clusterSelector: {}}
  planRef: {name: staged}
  sloRefs: [{name: errors}]
)";

Files AppWithImage(const std::string& image) {
  return {{"deploy/web.yaml", fmt::format(R"(
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: web, image: "{}"}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{image: "{}"}}
)", image, image)}};
}

std::string ImageOn(World& world, const std::string& member) {
  return world.member(member)
      .Get("deployments.apps", "shop", "web")
      .At("spec", "template", "spec", "containers")[size_t{0}]["image"]
      .Text();
}

LogSink LogIfAsked() {
  if (!std::getenv("FLOTILLA_TEST_LOG")) return nullptr;
  return LogToDescriptor(2);
}

uint64_t Seeds() {
  const char* count = std::getenv("FLOTILLA_SEEDS");
  return count ? std::strtoull(count, nullptr, 10) : 20;
}

uint64_t FirstSeed() {
  const char* first = std::getenv("FLOTILLA_SEED");
  return first ? std::strtoull(first, nullptr, 10) : 1;
}

TEST_CASE("a commit reaches every cluster, stage by stage") {
  World world({.seed = 1, .log = LogIfAsked()});
  world.Commit(AppWithImage("web:good-1"));
  world.Create(kSetUp);
  world.StartController();
  Status done = world.RunUntil([&] { return world.RolloutPhase("shop") == "Succeeded"; });
  INFO(world.runtime().Trace());
  INFO((done ? std::string() : done.error().ToString()));
  REQUIRE(done);
  for (const std::string& name : world.member_names()) CHECK(ImageOn(world, name) == "web:good-1");
}

TEST_CASE("a release that breaks its SLO in the canary is rolled back, and no later stage sees it") {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + Seeds(); ++seed) {
    World world({.seed = seed, .log = LogIfAsked()});
    world.Commit(AppWithImage("web:good-1"));
    world.Create(kSetUp);
    world.StartController();
    Status done = world.RunUntil([&] { return world.RolloutPhase("shop") == "Succeeded"; });
    INFO("seed " << seed << " " << (done ? std::string() : done.error().ToString()));
    REQUIRE(done);

    std::set<std::string> saw_bad;
    for (const std::string& name : world.member_names()) {
      world.member(name).OnAudit([&, name](const AuditRecord& record) {
        if (record.request.resource == "deployments" &&
            value::Ref(record.after).At("spec", "template", "spec", "containers")[size_t{0}]["image"].String() == "web:bad-2") {
          saw_bad.insert(name);
        }
      });
    }
    world.Commit(AppWithImage("web:bad-2"));
    done = world.RunUntil([&] { return world.RolloutPhase("shop") == "RolledBack"; });
    INFO((done ? std::string() : done.error().ToString()));
    REQUIRE(done);
    CHECK(saw_bad == std::set<std::string>{"canary"});
    for (const std::string& name : world.member_names()) CHECK(ImageOn(world, name) == "web:good-1");

    // The loop goes on, and does not bring it back.
    world.RunFor(2min);
    for (const std::string& name : world.member_names()) CHECK(ImageOn(world, name) == "web:good-1");

    // A fix starts at the first stage again.
    world.Commit(AppWithImage("web:good-3"));
    done = world.RunUntil([&] {
      return world.RolloutPhase("shop") == "Succeeded" && ImageOn(world, "region-b") == "web:good-3";
    });
    INFO((done ? std::string() : done.error().ToString()));
    REQUIRE(done);
  }
}

// While the rollback itself is still being verified.
TEST_CASE("a commit right after a rollback is judged at once, whether it is a fix or not") {
  World world({.seed = 3, .log = LogIfAsked()});
  auto within = [&](Duration limit, const std::string& phase, const std::string& revision) {
    Status done = world.RunUntil(
        [&] {
          const value::Value rollout = world.NewestRollout("shop");
          return rollout.At("status", "phase").String() == phase &&
                 rollout.At("spec", "release", "revision").String().ends_with(revision);
        },
        limit);
    INFO(revision << " " << phase << " " << (done ? std::string() : done.error().ToString()));
    REQUIRE(done);
  };
  const std::string good = world.Commit(AppWithImage("web:good-1"));
  world.Create(kSetUp);
  world.StartController();
  within(2min, "Succeeded", good);
  within(1min, "RolledBack", world.Commit(AppWithImage("web:bad-2")));
  world.RunFor(5s);
  within(30s, "RolledBack", world.Commit(AppWithImage("web:bad-3")));
  CHECK(ImageOn(world, "canary") == "web:good-1");
  CHECK(ImageOn(world, "region-a") == "web:good-1");
  world.RunFor(5s);
  within(1min, "Succeeded", world.Commit(AppWithImage("web:good-4")));
}

}  // namespace
}  // namespace flotilla::sim
