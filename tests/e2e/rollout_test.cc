// The main job on real parts: Git → several clusters → a broken SLO → back to last known good,
// within 15 s of the first bad sample. What is asserted is seen from outside: by a poller of our
// own and in the audit logs of the API servers.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "catch.h"
#include "e2e/fleet.h"
#include "value/json.h"

namespace flotilla::e2e {
namespace {

constexpr double kBound = 0.05;

// How the error ratio is measured.
struct Mode {
  const char* name;
  const char* job;       // of the Prometheus: how often it scrapes
  const char* interval;  // the same, for the SLO
  const char* window;    // over which errors are counted
  const char* hot;       // long enough for a breach to show
};
constexpr Mode kFastCounters{"1 s scrape, counters", "fast", "1s", "3s", "8s"};
constexpr Mode kFastRate{"1 s scrape, 1 m rate", "fast", "1s", "1m", "15s"};
constexpr Mode kSlowCounters{"5 s scrape, counters", "slow", "5s", "11s", "20s"};
constexpr Mode kSlowRate{"5 s scrape, 1 m rate", "slow", "5s", "1m", "25s"};

std::string Ratio(const Mode& mode, const std::string& app, const std::string& cluster) {
  const std::string series =
      fmt::format(R"(job="{}",app="{}",cluster="{}")", mode.job, app, cluster);
  return fmt::format(
      R"((sum(rate(http_requests_total{{{0},code=~"5.."}}[{1}])) or vector(0)) / sum(rate(http_requests_total{{{0}}}[{1}])))",
      series, mode.window);
}

// One application in a namespace of its own name, with everything that it needs on the hub.
std::string SetUp(Fleet& fleet, const Mode& mode, const std::string& app) {
  return fmt::format(R"(
apiVersion: v1
kind: Namespace
metadata: {{name: {0}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: flotilla, namespace: {0}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: flotilla-namespace}}
subjects: [{{kind: ServiceAccount, name: flotilla, namespace: flotilla-system}}]
---
apiVersion: flotilla.dev/v1alpha1
kind: DeliveryPolicy
metadata: {{name: {0}}}
spec:
  applicationNamespaces: [{0}]
  repositories: ["*"]
  clusterSelector: {{}}
  namespaces: [{0}]
  clusterKinds: [{{group: "", kind: Namespace}}]
  controllerIdentity: true
---
apiVersion: flotilla.dev/v1alpha1
kind: Repository
metadata: {{name: source, namespace: {0}}}
spec: {{url: "{1}", ref: {{branch: main}}, interval: 1s}}
---
apiVersion: flotilla.dev/v1alpha1
kind: RolloutPlan
metadata: {{name: staged, namespace: {0}}}
spec:
  stages:
  - {{name: canary, clusterSelector: {{matchLabels: {{tier: canary}}}}, hot: {2}, bake: 1s}}
  - {{name: region-a, clusterSelector: {{matchLabels: {{region: a}}}}, hot: 2s, bake: 0s}}
  - {{name: rest, clusterSelector: {{}}, hot: 2s, bake: 0s}}
---
apiVersion: flotilla.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {{name: errors, namespace: {0}}}
spec:
  scrapeInterval: {3}
  objectives:
  - name: error-ratio
    query: '{4}'
    op: "<"
    value: {5}
    freshBy: 'http_requests_total{{job="{6}",app="{{{{app}}}}",cluster="{{{{cluster}}}}"}}'
---
apiVersion: flotilla.dev/v1alpha1
kind: Application
metadata: {{name: {0}, namespace: {0}}}
spec:
  sources: [{{repositoryRef: {{name: source}}, path: deploy}}]
  targetNamespace: {0}
  createNamespace: true
  placement: {{clusterSelector: {{}}}}
  planRef: {{name: staged}}
  sloRefs: [{{name: errors}}]
)",
                     app, fleet.git().UrlOf(app), mode.hot, mode.interval,
                     Ratio(mode, "{{app}}", "{{cluster}}"), kBound, mode.job);
}

Files AppWithImage(const std::string& app, const std::string& image) {
  Files files;
  files["deploy/settings.yaml"] = fmt::format(
      "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: settings}}, data: {{image: "
      "\"{}\"}}}}\n",
      image);
  files["deploy/service.yaml"] =
      "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
      "spec: {selector: {app: web}, ports: [{port: 80}]}\n";
  for (const char* name : {"web", "worker"}) {
    files[fmt::format("deploy/{}.yaml", name)] = fmt::format(R"(
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {0}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: "{1}", part: {0}}}}}
  template:
    metadata: {{labels: {{app: "{1}", part: {0}}}}}
    spec:
      containers: [{{name: main, image: "{2}"}}]
)",
                                                             name, app, image);
  }
  return files;
}

bool Mentions(value::Ref object, const std::string& image) {
  return value::ToJson(object).find(image) != std::string::npos;
}

// When the API server of `member` had accepted every object of the release with this image that it
// was sent, counted from `since`; nullopt where it was sent none.
std::optional<WallTime> LastAccepted(Fleet& fleet, const std::string& member,
                                     const std::string& app, const std::string& image,
                                     WallTime since) {
  std::map<std::string, WallTime> first;
  for (const AuditEvent& event : fleet.member(member).Audit(since)) {
    if (!event.IsWrite() || event.user != kControllerUser || event.ns != app) continue;
    if (Mentions(event.object, image))
      first.try_emplace(event.resource + "/" + event.name, event.done);
  }
  std::optional<WallTime> last;
  for (const auto& [object, done] : first) last = std::max(last.value_or(done), done);
  return last;
}

// Members whose API server accepted an object with this image since `since`.
std::set<std::string> WhoAccepted(Fleet& fleet, const std::string& app, const std::string& image,
                                  WallTime since) {
  std::set<std::string> members;
  for (const std::string& name : fleet.member_names()) {
    if (LastAccepted(fleet, name, app, image, since)) members.insert(name);
  }
  return members;
}

std::set<std::string> WhoRuns(Fleet& fleet, const std::string& app, const std::string& image) {
  std::set<std::string> members;
  for (const std::string& name : fleet.member_names()) {
    if (fleet.ImageOn(name, app, "web") == image && fleet.ImageOn(name, app, "worker") == image) {
      members.insert(name);
    }
  }
  return members;
}

const std::set<std::string> kAll = {"canary", "region-a", "region-b"};

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Waits until the newest Rollout is another one than `before` and over, which must be in this
// phase.
value::Value AwaitRollout(Fleet& fleet, const std::string& app, const std::string& phase,
                          const std::string& before, Duration limit) {
  const std::set<std::string> over = {"Succeeded", "RolledBack", "Rejected", "Superseded"};
  value::Value rollout;
  fleet.Await(
      [&] {
        rollout = fleet.NewestRollout(app, app);
        return rollout && rollout.At("metadata", "name").String() != before &&
               over.contains(rollout.At("status", "phase").Text());
      },
      limit);
  INFO("rollout:\n" << value::ToPrettyJson(rollout) << "\ncontroller:\n" << fleet.ControllerLog());
  REQUIRE(rollout.At("metadata", "name").String() != before);
  REQUIRE(rollout.At("status", "phase").String() == phase);
  return rollout;
}

std::string NameOf(const value::Value& rollout) { return rollout.At("metadata", "name").Text(); }

std::optional<WallTime> TimeOf(const value::Value& rollout, const char* field) {
  return ParseTime(rollout.At("status", "timeline", field).String());
}

// Good, bad, good: what promise P2 says, measured from outside.
void BreachAndRecover(Fleet& fleet, const Mode& mode, const std::string& app) {
  Runtime& runtime = fleet.runtime();
  TimePoint begun = runtime.Now();
  fleet.git().Commit(app, AppWithImage(app, "web:good-1"), "good");
  fleet.hub().Apply(SetUp(fleet, mode, app));
  const value::Value first = AwaitRollout(fleet, app, "Succeeded", "", 3min);
  CHECK(WhoRuns(fleet, app, "web:good-1") == kAll);
  fmt::print("{} ({}): first commit everywhere after {:.1f} s\n", app, mode.name,
             Seconds(runtime.Now() - begun));

  const WallTime committed = runtime.WallNow();
  Poller poller(runtime, fleet.prometheus(), Ratio(mode, app, "canary"), kBound);
  fleet.git().Commit(app, AppWithImage(app, "web:bad-2"), "bad");
  const value::Value bad = AwaitRollout(fleet, app, "RolledBack", NameOf(first), 3min);
  REQUIRE(poller.Breached());
  const WallTime t0 = *poller.Breached();
  CHECK(WhoAccepted(fleet, app, "web:bad-2", committed) == std::set<std::string>{"canary"});
  CHECK(WhoRuns(fleet, app, "web:good-1") == kAll);
  const auto end = LastAccepted(fleet, "canary", app, "web:good-1", t0);
  REQUIRE(end);
  const auto visible = TimeOf(bad, "breachVisibleAt"), detected = TimeOf(bad, "detectedAt"),
             decided = TimeOf(bad, "decidedAt"), applied = TimeOf(bad, "firstApplyAt"),
             accepted = TimeOf(bad, "acceptedAt");
  INFO(value::ToPrettyJson(bad["status"]));
  REQUIRE((visible && detected && decided && applied && accepted));
  fmt::print(
      "{} ({}): after the bad commit {:.2f} s to T0 (seen by our poller); from T0: visible "
      "{:+.3f}, "
      "detected {:+.3f}, decided {:+.3f}, first apply {:+.3f}, accepted {:+.3f} s; accepted by the "
      "audit log {:+.3f} s\n",
      app, mode.name, Seconds(t0 - committed), Seconds(*visible - t0), Seconds(*detected - t0),
      Seconds(*decided - t0), Seconds(*applied - t0), Seconds(*accepted - t0), Seconds(*end - t0));
  CHECK(*end - t0 <= 15s);
  CHECK(std::chrono::abs(*accepted - *end) <= 250ms);
  CHECK(std::chrono::abs(*visible - t0) <= 1250ms);

  // The loop stays on, and does not bring it back.
  runtime.SleepFor(10s, {});
  CHECK(WhoAccepted(fleet, app, "web:bad-2", *end).empty());
  CHECK(NameOf(fleet.NewestRollout(app, app)) == NameOf(bad));

  // A fix starts at the first stage.
  const WallTime fixed = runtime.WallNow();
  begun = runtime.Now();
  fleet.git().Commit(app, AppWithImage(app, "web:good-3"), "fix");
  const value::Value fix = AwaitRollout(fleet, app, "Succeeded", NameOf(bad), 3min);
  fmt::print("{} ({}): the fix is everywhere after {:.1f} s\n", app, mode.name,
             Seconds(runtime.Now() - begun));
  CHECK(WhoRuns(fleet, app, "web:good-3") == kAll);
  const auto canary = LastAccepted(fleet, "canary", app, "web:good-3", fixed),
             region_a = LastAccepted(fleet, "region-a", app, "web:good-3", fixed),
             region_b = LastAccepted(fleet, "region-b", app, "web:good-3", fixed);
  REQUIRE((canary && region_a && region_b));
  CHECK(*canary < *region_a);
  CHECK(*region_a < *region_b);
}

// One commit point for people too: the object.
void RollBackByHand(Fleet& fleet, const std::string& app) {
  Runtime& runtime = fleet.runtime();
  const value::Value rollout = fleet.NewestRollout(app, app);
  const int64_t fence = rollout.At("spec", "fence").Int();
  const WallTime asked = runtime.WallNow();
  fleet.hub().Apply(fmt::format(R"(
apiVersion: flotilla.dev/v1alpha1
kind: Rollback
metadata: {{name: {0}-rb-{1}, namespace: {0}}}
spec: {{application: {0}, fence: {1}, reason: a person says so, requestedBy: administrator}}
)",
                                app, fence));
  const bool done = fleet.Await([&] { return WhoRuns(fleet, app, "web:good-1") == kAll; }, 60s);
  const value::Value rollback = fleet.hub().Get(
      fmt::format("/apis/flotilla.dev/v1alpha1/namespaces/{0}/rollbacks/{0}-rb-{1}", app, fence));
  INFO(value::ToPrettyJson(rollback) << "\ncontroller:\n" << fleet.ControllerLog());
  REQUIRE(done);
  Duration last{0};
  for (const std::string& name : fleet.member_names()) {
    const auto end = LastAccepted(fleet, name, app, "web:good-1", asked);
    REQUIRE(end);
    last = std::max(last, std::chrono::duration_cast<Duration>(*end - asked));
  }
  fmt::print("{}: rolled back by hand on every cluster after {:.3f} s\n", app, Seconds(last));
  CHECK(last <= 15s);
  const std::string path =
      fmt::format("/apis/flotilla.dev/v1alpha1/namespaces/{0}/rollbacks/{0}-rb-{1}", app, fence);
  CHECK(fleet.Await(
      [&] { return fleet.hub().Get(path).At("status", "phase").String() == "Succeeded"; }, 60s));
}

// FLOTILLA_E2E_RUNS=N: every mode N times, for the record. Else the quickest and the slowest once.
std::vector<Mode> Runs() {
  const char* runs = std::getenv("FLOTILLA_E2E_RUNS");
  if (!runs) return {kFastCounters, kSlowRate};
  std::vector<Mode> modes;
  for (long i = 0; i < std::strtol(runs, nullptr, 10); ++i) {
    modes.insert(modes.end(), {kFastCounters, kFastRate, kSlowCounters, kSlowRate});
  }
  return modes;
}

TEST_CASE("a release that breaks its SLO in the canary is rolled back within 15 s, and stays out") {
  Fleet& fleet = TheFleet();
  fleet.StartController();
  int run = 0;
  for (const Mode& mode : Runs()) {
    const std::string app = fmt::format("shop-{}", ++run);
    BreachAndRecover(fleet, mode, app);
    RollBackByHand(fleet, app);
    fleet.hub().Delete(
        fmt::format("/apis/flotilla.dev/v1alpha1/namespaces/{0}/applications/{0}", app));
  }
  CHECK(fleet.Forbidden() == std::vector<std::string>{});
  fleet.KillController();
}

}  // namespace
}  // namespace flotilla::e2e
