// The main job on real parts: Git → several clusters → a broken SLO → back to last known good,
// within 15 s of the first bad sample. What is asserted is seen from outside: by a poller of our
// own and in the audit logs of the API servers.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "catch.h"
#include "e2e/fleet.h"
#include "e2e/shop.h"
#include "value/json.h"

namespace flotilla::e2e {
namespace {

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
  const auto end = LastAccepted(fleet, "canary", app, "web:good-1", committed);
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

// A finished rollout is taken back on every cluster, by somebody who may do that and little else.
void RollBackByHand(Fleet& fleet, const std::string& app) {
  const std::string person = fleet.Person(app, "flotilla-operator");
  const WallTime asked = fleet.runtime().WallNow();
  fleet.Flotilla({"rollback", app, "-n", app, "--kubeconfig", person, "--reason",
                  "a person says so", "--wait", "60s"});
  INFO("controller:\n" << fleet.ControllerLog());
  CHECK(WhoRuns(fleet, app, "web:good-1") == kAll);
  Duration last{0};
  for (const std::string& name : fleet.member_names()) {
    const auto end = LastAccepted(fleet, name, app, "web:good-1", asked);
    REQUIRE(end);
    last = std::max(last, std::chrono::duration_cast<Duration>(*end - asked));
  }
  fmt::print("{}: rolled back by hand on every cluster after {:.3f} s\n", app, Seconds(last));
  CHECK(last <= 15s);
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
