// Every field of every kind is read and written, and what is absent gets its documented default.
#include <map>
#include <set>

#include "api/application.h"
#include "api/approval.h"
#include "api/cluster.h"
#include "api/crd.h"
#include "api/delivery_policy.h"
#include "api/freeze.h"
#include "api/repository.h"
#include "api/rollback.h"
#include "api/rollout.h"
#include "api/rollout_plan.h"
#include "api/slo.h"
#include "catch.h"
#include "samples.h"
#include "value/json.h"

namespace flotilla::api {
namespace {

using value::Ref;
using value::Value;

// Prints again what it parsed; tests compare trees.
template <typename T>
Value Reprint(Ref object, Result<T> (*parse)(Ref)) {
  Result<T> first = parse(object);
  if (!first) FAIL(first.error().ToString());
  Value printed = ToValue(*first);
  Result<T> second = parse(printed);
  if (!second) FAIL(second.error().ToString());
  CHECK(*first == *second);
  return printed;
}

Value Reprint(Ref object) {
  const std::string_view kind = object["kind"].String();
  if (kind == "Application") return Reprint(object, ParseApplication);
  if (kind == "Approval") return Reprint(object, ParseApproval);
  if (kind == "Cluster") return Reprint(object, ParseCluster);
  if (kind == "ClusterFreeze") return Reprint(object, ParseClusterFreeze);
  if (kind == "DeliveryPolicy") return Reprint(object, ParseDeliveryPolicy);
  if (kind == "Freeze") return Reprint(object, ParseFreeze);
  if (kind == "Repository") return Reprint(object, ParseRepository);
  if (kind == "Rollback") return Reprint(object, ParseRollback);
  if (kind == "Rollout") return Reprint(object, ParseRollout);
  if (kind == "RolloutPlan") return Reprint(object, ParseRolloutPlan);
  if (kind == "ServiceLevelObjective") return Reprint(object, ParseServiceLevelObjective);
  FAIL("no such kind: " << kind);
  return {};
}

// The paths of all properties of `schema` / of all members of `object`, list items merged.
void PathsOfSchema(Ref schema, const std::string& path, std::set<std::string>& paths) {
  for (auto [name, property] : schema["properties"].Members()) {
    paths.insert(path + '.' + std::string(name));
    PathsOfSchema(property, path + '.' + std::string(name), paths);
  }
  if (schema["items"]) PathsOfSchema(schema["items"], path, paths);
}
void PathsOfObject(Ref object, const std::string& path, std::set<std::string>& paths) {
  for (auto [name, member] : object.Members()) {
    paths.insert(path + '.' + std::string(name));
    PathsOfObject(member, path + '.' + std::string(name), paths);
  }
  for (Ref item : object.Items()) PathsOfObject(item, path, paths);
}

const char* const kSamples[] = {"application",
                                "approval",
                                "cluster",
                                "cluster-proxy",
                                "clusterfreeze",
                                "deliverypolicy",
                                "freeze",
                                "repository",
                                "rollback",
                                "rollback-stage",
                                "rollout",
                                "rolloutplan",
                                "servicelevelobjective"};

TEST_CASE("an object of our kinds is printed as it was read") {
  for (const char* name : kSamples) {
    INFO(name);
    const Value sample = Sample(name);
    const Value printed = Reprint(sample);
    INFO(value::ToCanonicalJson(sample) << "\n" << value::ToCanonicalJson(printed));
    CHECK(printed == sample);
  }
}

TEST_CASE("the samples have every field that the schemas know") {
  std::map<std::string, std::set<std::string>> used;
  for (const char* name : kSamples) {
    const Value sample = Sample(name);
    auto& paths = used[sample["kind"].Text()];
    PathsOfObject(sample["spec"], "spec", paths);
    PathsOfObject(sample["status"], "status", paths);
  }
  // One of several fields that exclude each other is enough; the others are covered elsewhere.
  used["Repository"].insert({"spec.ref.tag", "spec.ref.semver", "spec.ref.commit"});
  for (const Crd& crd : AllCrds()) {
    const Ref schema =
        crd.object["spec"]["versions"][size_t{0}].At("schema", "openAPIV3Schema", "properties");
    std::set<std::string> known;
    PathsOfSchema(schema["spec"], "spec", known);
    PathsOfSchema(schema["status"], "status", known);
    for (const std::string& path : known) {
      // Selectors are the same everywhere; that of a placement stands for all.
      if (path.find(".clusterSelector.") != path.npos && !path.starts_with("spec.placement."))
        continue;
      INFO(crd.name << " " << path);
      CHECK(used[crd.object.At("spec", "names", "kind").Text()].contains(path));
    }
  }
}

TEST_CASE("an application needs a source and a placement, all else has defaults") {
  const auto app = ParseApplication(Yaml(R"(
apiVersion: flotilla.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: demo}
spec:
  sources: [{repositoryRef: {name: shop}}]
  placement: {clusterSelector: {}}
)"));
  REQUIRE(app);
  Application expected;
  expected.meta.name = "web";
  expected.meta.ns = "demo";
  expected.spec.sources = {{.repository = "shop", .path = "", .include = {}, .exclude = {}}};
  CHECK(*app == expected);
  CHECK(app->spec.sources[0].recurse);
  CHECK(app->spec.prune.enabled);
  CHECK(app->spec.prune.when == PruneTime::kAfterBake);
  CHECK(app->spec.prune.max_objects == 5);
  CHECK(app->spec.prune.max_percent == 10);
  CHECK(app->spec.drift.mode == DriftMode::kEnforce);
  CHECK(app->spec.adopt == AdoptPolicy::kIfNoDiff);
  CHECK(app->spec.deletion_policy == DeletionPolicy::kOrphan);
  CHECK(app->spec.rollback.automatic);
  CHECK(app->spec.rollback.scope == RollbackScope::kRevision);
  CHECK(app->spec.history_limit == 10);
}

TEST_CASE("null means absent, as in Kubernetes") {
  const auto repository = ParseRepository(Yaml(R"(
apiVersion: flotilla.dev/v1alpha1
kind: Repository
metadata: {name: shop, creationTimestamp: null}
spec: {url: "https://git.example.com/shop", ref: null, interval: null}
status: null
)"));
  REQUIRE(repository);
  CHECK(repository->spec.interval == 1min);
  CHECK_FALSE(repository->meta.created);
}

TEST_CASE("a null value in a JSON patch is a value") {
  const auto app = ParseApplication(Sample("application"));
  REQUIRE(app);
  const auto& operations = app->spec.overrides[0].patches[0].operations;
  CHECK(operations[2].value.ref().IsNull());
  CHECK(operations[3].value.IsAbsent());
}

TEST_CASE("times keep their microseconds, and a condition's time has none") {
  const auto rollout = ParseRollout(Sample("rollout"));
  REQUIRE(rollout);
  CHECK(rollout->status.timeline->breach_visible->time_since_epoch() % 1s == 1us);
  CHECK(ToValue(*rollout).At("status", "timeline", "breachVisibleAt").String() ==
        "2026-11-20T08:15:30.000001Z");
}

TEST_CASE("without a plan, releases go to one cluster, then half of them, then all") {
  const RolloutPlanSpec& plan = DefaultPlan();
  REQUIRE(plan.stages.size() == 3);
  CHECK(plan.stages[0].max_clusters == Count(1));
  CHECK(plan.stages[1].max_clusters == Percent(50));
  CHECK_FALSE(plan.stages[2].max_clusters);
  for (const Stage& stage : plan.stages) CHECK(stage.cluster_selector.IsEmpty());
}

TEST_CASE("a stage skips offline clusters that are intermittent and waits for the others") {
  Stage stage;
  CHECK(stage.OfflinePolicyFor(Connectivity::kIntermittent) == OfflinePolicy::kSkip);
  CHECK(stage.OfflinePolicyFor(Connectivity::kAlways) == OfflinePolicy::kWait);
  stage.offline_policy = OfflinePolicy::kFail;
  CHECK(stage.OfflinePolicyFor(Connectivity::kIntermittent) == OfflinePolicy::kFail);
}

TEST_CASE("selectors see a cluster's labels, and its region, zone, tier and name above them") {
  Cluster cluster;
  cluster.meta.name = "a1";
  cluster.meta.labels = {{"env", "prod"}, {"region", "wrong"}, {"zone", "from-label"}};
  cluster.spec.region = "a";
  cluster.spec.tier = "canary";
  CHECK(cluster.SelectableLabels() == Labels{{"env", "prod"},
                                             {"name", "a1"},
                                             {"region", "a"},
                                             {"tier", "canary"},
                                             {"zone", "from-label"}});
}

TEST_CASE("percentages of clusters round up for concurrency and down for failures") {
  struct Row {
    IntOrPercent number;
    int total, up, down;
  };
  for (const Row& row :
       {Row{Percent(50), 3, 2, 1}, Row{Percent(25), 1, 1, 0}, Row{Percent(0), 10, 0, 0},
        Row{Percent(100), 7, 7, 7}, Row{Count(4), 3, 4, 4}, Row{Percent(1), 1000, 10, 10},
        Row{Percent(1), 1, 1, 0}}) {
    INFO(row.number.ToString() << " of " << row.total);
    CHECK(row.number.RoundUp(row.total) == row.up);
    CHECK(row.number.RoundDown(row.total) == row.down);
  }
}

TEST_CASE("an objective's comparison says what must hold") {
  struct Row {
    double value;
    Comparison op;
    bool holds;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Row& row :
       {Row{1, Comparison::kLess, false}, Row{0.5, Comparison::kLess, true},
        Row{1, Comparison::kLessOrEqual, true}, Row{2, Comparison::kGreater, true},
        Row{1, Comparison::kGreater, false}, Row{1, Comparison::kGreaterOrEqual, true},
        Row{1, Comparison::kEqual, true}, Row{1, Comparison::kNotEqual, false},
        Row{2, Comparison::kNotEqual, true}, Row{nan, Comparison::kLess, false},
        Row{nan, Comparison::kNotEqual, false}}) {
    INFO(row.value << ToString(row.op) << 1);
    CHECK(Holds(row.value, row.op, 1) == row.holds);
  }
}

TEST_CASE("names of rollouts and rollbacks fit Kubernetes") {
  CHECK(RolloutName("web", "0123456789abcdef", 3) == "web-01234567-3");
  CHECK(RolloutName("web", "v1:sha256:0123456789abcdef", 12) == "web-01234567-12");
  CHECK(RolloutName(std::string(80, 'a'), "0123456789", 1) == std::string(52, 'a') + "-01234567-1");
  CHECK(RolloutName(std::string(51, 'a') + "-bbbbbbbbbbbb", "0123456789", 1) ==
        std::string(51, 'a') + "-01234567-1");
  CHECK(RollbackName("web", 7) == "web-rb-7");
  CHECK(RollbackName(std::string(253, 'a'), 10).size() == 253);
}

Meta Named(const char* name, const char* ns) {
  Meta meta;
  meta.name = name;
  meta.ns = ns;
  return meta;
}

TEST_CASE("a freeze stops the applications that it names until it expires or is deleted") {
  const WallTime now = WallTime(1000s);
  const Meta web = Named("web", "demo");
  const Meta other = Named("other", "demo");
  const Meta elsewhere = Named("web", "prod");
  Freeze freeze;
  freeze.meta.ns = "demo";
  CHECK(freeze.AppliesTo(web, now));
  CHECK(freeze.AppliesTo(other, now));
  CHECK_FALSE(freeze.AppliesTo(elsewhere, now));
  freeze.spec.application = "web";
  CHECK(freeze.AppliesTo(web, now));
  CHECK_FALSE(freeze.AppliesTo(other, now));
  freeze.spec.expires = now;
  CHECK_FALSE(freeze.AppliesTo(web, now));
  freeze.spec.expires = now + 1us;
  CHECK(freeze.AppliesTo(web, now));
  freeze.meta.deleted = now;
  CHECK_FALSE(freeze.AppliesTo(web, now));
}

TEST_CASE("a cluster freeze stops all namespaces, or those that it names") {
  const WallTime now = WallTime(1000s);
  const Meta web = Named("web", "demo");
  const Meta elsewhere = Named("web", "prod");
  ClusterFreeze freeze;
  CHECK(freeze.AppliesTo(web, now));
  freeze.spec.namespaces = {"prod"};
  CHECK_FALSE(freeze.AppliesTo(web, now));
  CHECK(freeze.AppliesTo(elsewhere, now));
}

}  // namespace
}  // namespace flotilla::api
