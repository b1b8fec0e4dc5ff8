// The controller dies by SIGKILL in the middle of what it does: the next one goes on from what is
// recorded.
#include <fmt/format.h>

#include <cstdlib>

#include "catch.h"
#include "e2e/fleet.h"
#include "e2e/shop.h"

namespace flotilla::e2e {
namespace {

constexpr const char* kApp = "crashing";

// How long after the commit, or after the bad sample, the controller is killed.
std::vector<Duration> Moments() {
  if (!std::getenv("FLOTILLA_E2E_RUNS")) return {300ms, 4s};
  return {50ms, 150ms, 300ms, 600ms, 1s, 2s, 4s, 7s, 9s, 12s};
}

size_t Rollbacks(Fleet& fleet) {
  return fleet.hub()
      .List(fmt::format("/apis/flotilla.dev/v1alpha1/namespaces/{}/rollbacks", kApp))
      .size();
}

TEST_CASE("a controller that is killed at any point of a rollout or a rollback goes on after it") {
  Fleet& fleet = TheFleet();
  fleet.StartController();
  fleet.git().Commit(kApp, AppWithImage(kApp, "web:good-0"), "good");
  fleet.hub().Apply(SetUp(fleet, kFastCounters, kApp));
  std::string last = NameOf(AwaitRollout(fleet, kApp, "Succeeded", "", 3min));
  int number = 0;
  for (const Duration moment : Moments()) {
    CAPTURE(FormatDuration(moment));
    const std::string good = fmt::format("web:good-{}", ++number);
    fleet.git().Commit(kApp, AppWithImage(kApp, good), good);
    fleet.runtime().SleepFor(1s + moment, {});  // the repository is asked once a second
    fleet.KillController();
    TimePoint killed = fleet.runtime().Now();
    fleet.StartController();
    last = NameOf(AwaitRollout(fleet, kApp, "Succeeded", last, 3min));
    CHECK(WhoRuns(fleet, kApp, good) == kAll);
    fmt::print("killed {} after a good commit: everywhere after {:.1f} s\n", FormatDuration(moment),
               Seconds(fleet.runtime().Now() - killed));

    const size_t before = Rollbacks(fleet);
    const WallTime committed = fleet.runtime().WallNow();
    const std::string bad = fmt::format("web:bad-{}", ++number);
    Poller poller(fleet.runtime(), fleet.prometheus(), Ratio(kFastCounters, kApp, "canary"),
                  kBound);
    fleet.git().Commit(kApp, AppWithImage(kApp, bad), bad);
    REQUIRE(fleet.Await([&] { return poller.Breached().has_value(); }, 60s, 10ms));
    fleet.runtime().SleepFor(moment / 2, {});
    fleet.KillController();
    killed = fleet.runtime().Now();
    fleet.StartController();
    last = NameOf(AwaitRollout(fleet, kApp, "RolledBack", last, 3min));
    CHECK(WhoRuns(fleet, kApp, good) == kAll);
    CHECK(WhoAccepted(fleet, kApp, bad, committed) == std::set<std::string>{"canary"});
    CHECK(Rollbacks(fleet) == before + 1);
    const auto end = LastAccepted(fleet, "canary", kApp, good, committed);
    REQUIRE(end);
    fmt::print("killed {} after a bad sample: rolled back {:.3f} s after that sample\n",
               FormatDuration(moment / 2), Seconds(*end - *poller.Breached()));
  }
  CHECK(fleet.Forbidden() == std::vector<std::string>{});
  fleet.KillController();
}

}  // namespace
}  // namespace flotilla::e2e
