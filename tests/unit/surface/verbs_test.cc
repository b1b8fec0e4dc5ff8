// The verbs of the command line, against the hub of a simulated fleet with the real controller.
#include <fmt/format.h>

#include "api/freeze.h"
#include "base/encoding.h"
#include "catch.h"
#include "sim/world.h"
#include "surface/cli/verbs/verbs.h"

namespace flotilla::surface {
namespace {

using sim::World;

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
  - {name: canary, clusterSelector: {matchLabels: {tier: canary}}, hot: 2s, bake: 60s}
  - {name: rest, clusterSelector: {}, hot: 2s, bake: 0s, requireApproval: true}
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
)";

sim::Files AppWith(const std::string& text) {
  return {{"deploy/settings.yaml",
           fmt::format("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{a: "
                       "\"{}\"}}\n",
                       text)}};
}

sim::WorldOptions Seeded(uint64_t seed) {
  sim::WorldOptions options;
  options.seed = seed;
  return options;
}

// One person at a terminal.
struct Terminal {
  explicit Terminal(World& world, OutputFormat format = OutputFormat::kTable)
      : http(world.network().NewClient("cli", nullptr)),
        hub(world.runtime(), *http,
            kube::Access{World::OriginOf("hub"), kube::FixedCredentials({}), {}, "team"}),
        console([this](std::string_view text) { out += text; },
                [this](std::string_view text) { err += text; }, format, false),
        session{world.runtime(), hub, "team", console, {}} {}

  std::string out, err;
  std::unique_ptr<http::HttpClient> http;
  kube::Client hub;
  Console console;
  Session session;
};

int CodeOf(const Result<int>& code) {
  INFO((code ? std::string() : code.error().ToString()));
  REQUIRE(code);
  return *code;
}

struct Fixture {
  explicit Fixture(const char* set_up = kSetUp) : world(Seeded(3)), terminal(world) {
    world.Commit(AppWith("1"));
    world.Create(set_up);
    world.StartController();
  }
  void Await(const std::string& phase) {
    Status done = world.RunUntil([&] { return world.RolloutPhase("shop") == phase; });
    INFO((done ? std::string() : done.error().ToString()));
    INFO(world.RolloutPhase("shop"));
    REQUIRE(done);
    world.RunFor(1s);
  }
  // Through both stages, by hand.
  void Deliver(const std::string& text) {
    world.Commit(AppWith(text));
    Status baking = world.RunUntil([&] {
      return world.RolloutPhase("shop") == "Baking" &&
             world.member("canary")
                     .Get("configmaps", "shop", "settings")
                     .At("data", "a")
                     .String() == text;
    });
    REQUIRE(baking);
    world.RunFor(1s);
    CHECK(CodeOf(Approve(terminal.session, {.application = "shop",
                                            .stage = {},
                                            .reason = "fine",
                                            .duration = {},
                                            .skip_bake = true})) == kDone);
    Await("AwaitingApproval");
    CHECK(CodeOf(Approve(terminal.session, {.application = "shop",
                                            .stage = {},
                                            .reason = {},
                                            .duration = {},
                                            .skip_bake = false})) == kDone);
    Await("Succeeded");
  }
  std::string On(const std::string& member) {
    return world.member(member).Get("configmaps", "shop", "settings").At("data", "a").Text();
  }
  World world;
  Terminal terminal;
};

TEST_CASE("promote ends a bake, approve begins a stage, and both are refused out of turn") {
  Fixture f;
  f.Await("Baking");
  CHECK(CodeOf(Approve(f.terminal.session, {.application = "shop",
                                            .stage = {},
                                            .reason = {},
                                            .duration = {},
                                            .skip_bake = false})) == kBlocked);
  f.Deliver("1");
  CHECK(f.On("region-b") == "1");
  CHECK(
      CodeOf(Approve(
          f.terminal.session,
          {.application = "shop", .stage = {}, .reason = {}, .duration = {}, .skip_bake = true})) ==
      kBlocked);
  CHECK_THAT(f.terminal.err, Catch::Contains("there is nothing to promote"));
}

TEST_CASE("a rollback by hand goes back everywhere, stays out, and is released") {
  Fixture f;
  f.Deliver("1");
  f.Deliver("2");
  REQUIRE(f.On("region-b") == "2");
  CHECK(CodeOf(RollBack(
            f.terminal.session,
            {.application = "shop", .to = {}, .reason = "slow", .force = false, .wait = 30s})) ==
        kDone);
  for (const std::string& name : f.world.member_names()) CHECK(f.On(name) == "1");
  CHECK_THAT(f.terminal.out, Catch::Contains("rollback/shop-rb-2"));

  const value::Value rollback = f.world.hub().Get("rollbacks.flotilla.dev", "team", "shop-rb-2");
  CHECK(rollback.At("spec", "requestedBy").String() == "admin");
  CHECK(rollback.At("spec", "reason").String() == "slow");
  CHECK(rollback.At("spec", "quarantine", "releaseDigest").String() ==
        rollback.At("spec", "from", "releaseDigest").String());

  f.world.RunFor(1min);
  CHECK(f.On("canary") == "1");
  CHECK(CodeOf(Release(f.terminal.session,
                       {.application = "shop", .rollback = {}, .all = false, .reason = "fixed"})) ==
        kDone);
  Status again = f.world.RunUntil([&] { return f.On("canary") == "2"; });
  CHECK(again);
}

TEST_CASE("a rollback that has nowhere to go creates nothing") {
  Fixture f;
  f.Deliver("1");
  CHECK(CodeOf(RollBack(
            f.terminal.session,
            {.application = "shop", .to = {}, .reason = {}, .force = false, .wait = {}})) ==
        kBlocked);
  CHECK_THAT(f.terminal.err, Catch::Contains("no earlier release of shop has succeeded"));
  auto nonsense =
      RollBack(f.terminal.session,
               {.application = "shop", .to = "nonsense", .reason = {}, .force = false, .wait = {}});
  REQUIRE_FALSE(nonsense);
  CHECK_THAT(nonsense.error().ToString(),
             Catch::Contains("\"nonsense\"") && Catch::Contains("flotilla history"));
  CHECK(f.world.hub().List("rollbacks.flotilla.dev").empty());
}

TEST_CASE("a rollback to a release that is named by its commit") {
  Fixture f;
  f.Deliver("1");
  const std::string first = f.world.NewestRollout("shop").At("spec", "release", "revision").Text();
  f.Deliver("2");
  f.Deliver("3");
  const std::string commit = first.substr(first.find(':') + 1, 9);
  CHECK(CodeOf(RollBack(
            f.terminal.session,
            {.application = "shop", .to = commit, .reason = {}, .force = false, .wait = 30s})) ==
        kDone);
  for (const std::string& name : f.world.member_names()) CHECK(f.On(name) == "1");
}

TEST_CASE("who asks for a rollback that somebody asked for already follows it") {
  Fixture f;
  f.Deliver("1");
  f.Deliver("2");
  CHECK(CodeOf(RollBack(
            f.terminal.session,
            {.application = "shop", .to = {}, .reason = "one", .force = false, .wait = {}})) ==
        kDone);
  CHECK(CodeOf(RollBack(
            f.terminal.session,
            {.application = "shop", .to = {}, .reason = "two", .force = false, .wait = 30s})) ==
        kDone);
  CHECK(f.world.hub().List("rollbacks.flotilla.dev").size() == 1);
  CHECK_THAT(f.terminal.err, Catch::Contains("asked for this rollback already"));
}

TEST_CASE("--wait ends after its time with the code of a time-out, and the rollback goes on") {
  Fixture f;
  f.Deliver("1");
  f.Deliver("2");
  f.world.CrashController();
  CHECK(CodeOf(RollBack(
            f.terminal.session,
            {.application = "shop", .to = {}, .reason = {}, .force = false, .wait = 3s})) ==
        kTimeOut);
  f.world.StartController("controller-1");
  CHECK(f.world.RunUntil([&] { return f.On("region-b") == "1"; }));
}

TEST_CASE("pause stops the next rollout, resume lets it go") {
  Fixture f;
  f.Deliver("1");
  CHECK(CodeOf(Pause(f.terminal.session,
                     {.application = "shop", .reason = "sale", .duration = 1h})) == kDone);
  CHECK_FALSE(Pause(f.terminal.session, {.application = "shop", .reason = {}, .duration = {}}));
  auto freeze = api::ParseFreeze(f.world.hub().Get("freezes.flotilla.dev", "team", "shop-pause"));
  REQUIRE(freeze);
  CHECK(freeze->spec.application == "shop");
  CHECK(freeze->spec.reason == "sale");
  CHECK(freeze->spec.expires);
  f.world.Commit(AppWith("2"));
  f.world.RunFor(1min);
  CHECK(f.On("canary") == "1");
  CHECK(CodeOf(Resume(f.terminal.session, "shop")) == kDone);
  CHECK(f.world.RunUntil([&] { return f.On("canary") == "2"; }));
}

TEST_CASE("status, history and why tell what runs, in tables and as objects") {
  Fixture f;
  f.Deliver("1");
  CHECK(CodeOf(ShowStatus(f.terminal.session,
                          {.application = "shop", .all_namespaces = false, .watch = false})) ==
        kDone);
  CHECK_THAT(f.terminal.out,
             Catch::Contains("Succeeded") && Catch::Contains("3/3") && Catch::Contains("canary"));
  f.terminal.out.clear();
  CHECK(CodeOf(ShowHistory(f.terminal.session, "shop")) == kDone);
  CHECK_THAT(
      f.terminal.out,
      Catch::Contains("rollout/" + std::string(kube::NameOf(f.world.NewestRollout("shop")))));
  f.terminal.out.clear();
  CHECK(CodeOf(ShowWhy(f.terminal.session, "shop")) == kDone);
  CHECK_THAT(f.terminal.out,
             Catch::Contains("the head of its source") && Catch::Contains("stage rest"));

  Terminal names(f.world, OutputFormat::kName);
  CHECK(CodeOf(ShowStatus(names.session, {})) == kDone);
  CHECK(names.out == "applications.flotilla.dev/shop\n");
  auto missing =
      ShowStatus(names.session, {.application = "nope", .all_namespaces = false, .watch = false});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().ToString() == "there is no Application nope in namespace team");
}

TEST_CASE("cluster add registers a cluster with an account of its own; again it changes nothing") {
  World world(Seeded(1));
  Terminal terminal(world);
  auto member_http = world.network().NewClient("admin", nullptr);
  kube::Client member(world.runtime(), *member_http,
                      kube::Access{World::OriginOf("canary"), kube::FixedCredentials({}), {}, ""});
  kube::ClusterConfig reach;
  reach.server = World::OriginOf("canary");
  ClusterAddFlags flags;
  flags.name = "canary";
  flags.labels = {{"env", "production"}};
  flags.region = "eu";
  CHECK(CodeOf(ClusterAdd(terminal.session, member, *terminal.http, reach, flags)) == kDone);
  const value::Value binding = world.member("canary").Get(
      "clusterrolebindings.rbac.authorization.k8s.io", "", "flotilla-admin");
  CHECK(binding.At("roleRef", "name").String() == "cluster-admin");
  CHECK(binding.ref()["subjects"][0]["name"].String() == "flotilla");
  const value::Value cluster = world.hub().Get("clusters.flotilla.dev", "", "canary");
  CHECK(cluster.At("metadata", "labels", "env").String() == "production");
  CHECK(cluster.At("spec", "region").String() == "eu");
  const value::Value secret = world.hub().Get("secrets", "flotilla-system", "canary");
  auto config =
      kube::ParseKubeconfig(*DecodeBase64(secret.At("data", "kubeconfig").String()), "it");
  REQUIRE(config);
  CHECK(config->users.at(0).token != "");
  CHECK(terminal.out.find(config->users[0].token) == std::string::npos);
  CHECK(terminal.err.find(config->users[0].token) == std::string::npos);

  CHECK(CodeOf(ClusterAdd(terminal.session, member, *terminal.http, reach, flags)) == kDone);
  CHECK(world.hub().Get("secrets", "flotilla-system", "canary").At("data", "kubeconfig") ==
        secret.At("data", "kubeconfig"));
}

TEST_CASE("a cluster is not registered under two names") {
  World world(Seeded(1));
  world.StartController();
  REQUIRE(world.RunUntil([&] {
    return !world.hub()
                .Get("clusters.flotilla.dev", "", "canary")
                .At("status", "uid")
                .String()
                .empty();
  }));
  Terminal terminal(world);
  auto member_http = world.network().NewClient("admin", nullptr);
  kube::Client member(world.runtime(), *member_http,
                      kube::Access{World::OriginOf("canary"), kube::FixedCredentials({}), {}, ""});
  kube::ClusterConfig reach;
  reach.server = World::OriginOf("canary");
  ClusterAddFlags flags;
  flags.name = "other";
  auto added = ClusterAdd(terminal.session, member, *terminal.http, reach, flags);
  REQUIRE_FALSE(added);
  CHECK_THAT(added.error().ToString(), Catch::Contains("registered already, as Cluster canary"));
  CHECK(world.hub().Get("clusters.flotilla.dev", "", "other").IsAbsent());
  CHECK(world.hub().Get("secrets", "flotilla-system", "other").IsAbsent());
}

TEST_CASE("cluster rm forgets the cluster and its credential, and leaves the member alone") {
  World world(Seeded(1));
  Terminal terminal(world);
  world.network().SetLink("", World::OriginOf("canary"), {.refuse = true});  // a dead one
  CHECK(CodeOf(ClusterRemove(terminal.session, "canary")) == kDone);
  CHECK(world.hub().Get("clusters.flotilla.dev", "", "canary").IsAbsent());
  CHECK(world.hub().Get("secrets", "flotilla-system", "canary").IsAbsent());
  CHECK_FALSE(ClusterRemove(terminal.session, "canary"));
  CHECK(CodeOf(ClusterList(terminal.session)) == kDone);
  CHECK_THAT(terminal.out, Catch::Contains("region-a") && !Catch::Contains("canary  "));
}

// ---- offline

struct Offline {
  explicit Offline(OutputFormat format = OutputFormat::kTable)
      : console([this](std::string_view text) { out += text; }, [](std::string_view) {}, format,
                false) {}
  std::string out;
  Console console;
};

TEST_CASE("render prints what a cluster gets, with its overrides") {
  auto tree = sim::TreeOf(AppWith("1"));
  RenderFlags flags;
  flags.path = "deploy";
  flags.ns = "web";
  Offline plain;
  CHECK(CodeOf(Render(plain.console, *tree, flags)) == kDone);
  CHECK(plain.out ==
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  namespace: "
        "web\ndata:\n  a: \"1\"\n");

  api::Application application;
  application.spec.sources = {
      {.repository = "r", .path = "deploy", .include = {}, .exclude = {}, .recurse = true}};
  application.spec.target_namespace = "shop";
  api::Override override;
  override.cluster_selector = *api::ParseSelector("region=eu");
  api::Patch patch;
  patch.target.kind = "ConfigMap";
  patch.operations.push_back({api::PatchVerb::kReplace, "/data/a", "", value::Value("eu")});
  override.patches.push_back(patch);
  application.spec.overrides.push_back(override);
  flags.application = application;
  for (const auto& [region, text] :
       std::map<std::string, std::string>{{"eu", "a: eu"}, {"us", "a: \"1\""}}) {
    Offline one;
    flags.cluster = "one";
    flags.labels = {{"region", region}};
    CHECK(CodeOf(Render(one.console, *tree, flags)) == kDone);
    CHECK_THAT(one.out, Catch::Contains(text) && Catch::Contains("namespace: shop"));
  }
}

TEST_CASE("check names file, object and field of what a server would refuse") {
  struct Case {
    const char* what;
    const char* yaml;
    const char* said;
  };
  const Case cases[] = {
      {"an unknown field", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatas: {}\n",
       "web.yaml:1: ConfigMap default/a: unknown field datas"},
      {"a type", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: 1}\n", "data"},
      {"a version that is gone",
       "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: a}\n",
       "web.yaml:1: Deployment.apps default/a: Kubernetes has no apps/v1beta1 Deployment"},
      {"one of our kinds",
       "apiVersion: flotilla.dev/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec: {}\n",
       "web.yaml:1: Application.flotilla.dev"},
  };
  for (const Case& one : cases) {
    INFO(one.what);
    auto tree = sim::TreeOf({{"web.yaml", one.yaml}});
    Offline offline;
    CHECK(CodeOf(Check(offline.console, *tree, {})) == kError);
    CHECK_THAT(offline.out, Catch::Contains(one.said));
  }
}

TEST_CASE("check says what it could not judge, and passes what is right") {
  auto tree = sim::TreeOf(
      {{"a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"},
       {"b.yaml", "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: b, namespace: c}\n"}});
  Offline offline;
  CHECK(CodeOf(Check(offline.console, *tree, {})) == kDone);
  CHECK_THAT(offline.out, Catch::Contains("not evaluated: b.yaml:1: example.com/v1 Thing") &&
                              Catch::Contains("2 objects, 0 problems, 1 not evaluated"));
  Offline json(OutputFormat::kJson);
  CHECK(CodeOf(Check(json.console, *tree, {})) == kDone);
  CHECK_THAT(json.out, Catch::Contains("\"problems\": []"));
}

}  // namespace
}  // namespace flotilla::surface
