// The delivery machine, as a specification: what was there, what happened, what follows.
#include "deliver/machine.h"

#include "catch.h"
#include "stage.h"

namespace flotilla::deliver {
namespace {

using Names = std::set<std::string>;

// --- before anything is written ---

TEST_CASE("a revision is prepared once, and answers of older preparations are dropped") {
  Stage stage;
  stage.Tell(RevisionSeen{"main@1"});
  REQUIRE(stage.Said<Prepare>().size() == 1);
  const uint64_t first = stage.Said<Prepare>()[0].id;
  stage.Tell(RevisionSeen{"main@1"});
  CHECK(stage.commands.empty());
  stage.Tell(RevisionSeen{"main@2"});
  REQUIRE(stage.Said<Prepare>().size() == 1);
  stage.Tell(Prepared{first, {Rev("old"), stage.plan, {}}});
  CHECK_FALSE(stage.state.run);
}

TEST_CASE("every reachable cluster accepts a dry run before the first write anywhere") {
  Stage stage;
  stage.Prepare("v1");
  CHECK(stage.Said<CreateRollout>().size() == 1);
  CHECK(stage.Said<DryRun>().size() == 3);
  CHECK(stage.Said<Apply>().empty());
  stage.Tell(DryRunDone{"canary", 1, DryRunAnswer::kAccepted, {}});
  stage.Tell(DryRunDone{"a", 1, DryRunAnswer::kAccepted, {}});
  CHECK(stage.Ever<Apply>().empty());
  stage.Tell(DryRunDone{"b", 1, DryRunAnswer::kAccepted, {}});
  CHECK(stage.Applies("v1") == Names{"canary"});
}

TEST_CASE("one cluster's refusal rejects the release, and nothing is written") {
  Stage stage;
  stage.dry_run_answers["b"] = {"", 0, DryRunAnswer::kInvalid, "port 99999"};
  stage.Deliver("v1");
  CHECK(stage.Phase() == RunPhase::kRejected);
  CHECK(stage.Ever<Apply>().empty());
  CHECK(stage.state.quarantine.empty());
  CHECK(stage.state.stalled_reason == "Rejected");

  SECTION("it is not tried again while nothing has changed") {
    stage.Forget();
    stage.Prepare(Rev("v1"));
    stage.Tell(InputsChanged{});
    stage.Tell(Prepared{stage.state.prepare_id, {Rev("v1"), stage.plan, {}}});
    CHECK(stage.Ever<DryRun>().empty());
  }
  SECTION("it is tried again when what its verdict depended on has changed") {
    stage.dry_run_answers.clear();
    stage.Tell(InputsChanged{});
    stage.Tell(Prepared{stage.state.prepare_id, {Rev("v1"), stage.plan, "new schema"}});
    stage.Play();
    CHECK(stage.Phase() == RunPhase::kSucceeded);
  }
}

TEST_CASE("a cluster that cannot be asked is written only after it has accepted a dry run") {
  Stage stage;
  stage.dry_run_answers["canary"] = {"", 0, DryRunAnswer::kUnavailable, "503"};
  stage.Prepare("v1");
  stage.Play(1s);
  CHECK(stage.Applies("v1").empty());
  SECTION("it accepts") {
    stage.dry_run_answers.clear();
    stage.Play();
    CHECK(stage.Phase() == RunPhase::kSucceeded);
  }
  SECTION("it refuses: nothing was written, so the release is rejected") {
    stage.dry_run_answers["canary"] = {"", 0, DryRunAnswer::kInvalid, "no"};
    stage.Play();
    CHECK(stage.Phase() == RunPhase::kRejected);
    CHECK(stage.Ever<Apply>().empty());
  }
}

TEST_CASE("a late refusal after others were written pauses, and never quarantines") {
  Stage stage;
  stage.Away("b");
  stage.plan[1].stage.offline_policy = api::OfflinePolicy::kWait;
  stage.Prepare("v1");
  stage.Play(1min);
  CHECK(stage.Applies("v1") == Names{"a", "canary"});
  stage.dry_run_answers["b"] = {"", 0, DryRunAnswer::kInvalid, "no"};
  stage.Away("b", false);
  stage.Play();
  CHECK(stage.Phase() == RunPhase::kPaused);
  CHECK(stage.state.run->pause_reason == "DryRunRefused");
  CHECK(stage.state.quarantine.empty());
  CHECK(stage.Applies("v1") == Names{"a", "canary"});
}

TEST_CASE("a fence starts above what any member has seen") {
  Stage stage;
  stage.dry_run_answers["a"].held_fence = 41;
  stage.Deliver("v1");
  CHECK(stage.Phase() == RunPhase::kSucceeded);
  for (const Apply& apply : stage.Ever<Apply>()) CHECK(apply.fence == 42);
}

TEST_CASE("where no cluster matches nothing is delivered, and nothing removed") {
  Stage stage;
  stage.Deliver("v1");
  stage.Forget();
  stage.plan = {StageOf("canary", {}), StageOf("rest", {})};
  stage.Deliver("v2");
  CHECK(stage.state.stalled_reason == "NoClusters");
  CHECK(stage.Ever<Apply>().empty());
  CHECK(stage.Ever<Prune>().empty());
}

TEST_CASE("a source or a render that fails leaves everything as it is") {
  Stage stage;
  stage.Deliver("v1");
  stage.Forget();
  Error error;
  error.message = "no such path";
  stage.Tell(RevisionSeen{"main@2"});
  stage.Tell(PrepareFailed{stage.state.prepare_id, error});
  stage.Play();
  CHECK(stage.state.stalled_reason == "PrepareFailed");
  CHECK(stage.Ever<Apply>().empty());
  CHECK(stage.Ever<Prune>().empty());
}

// --- stage by stage ---

TEST_CASE("the next stage begins when every cluster of this one has passed") {
  Stage stage;
  stage.state.settings.judged = true;
  stage.Prepare("v1");
  stage.Play(9s);
  CHECK(stage.At("canary") == ClusterPhase::kHot);
  CHECK(stage.Applies("v1") == Names{"canary"});
  stage.Play(5s);
  CHECK(stage.At("canary") == ClusterPhase::kPassed);
  CHECK(stage.Applies("v1") == Names{"a", "b", "canary"});
  stage.Play();
  CHECK(stage.Phase() == RunPhase::kSucceeded);
  CHECK(stage.state.target == Rev("v1"));
  CHECK(stage.state.target_clusters == Names{"a", "b", "canary"});
}

TEST_CASE("no data and errors of the metrics hold: they neither pass nor roll back") {
  const Verdict verdict = GENERATE(Verdict::kNoData, Verdict::kError);
  Stage stage;
  stage.state.settings.judged = true;
  stage.Deliver("v1");
  stage.verdict = verdict;
  stage.Prepare("v2");
  stage.Play(1h);
  CHECK(stage.At("canary") == ClusterPhase::kHot);
  CHECK(stage.Ever<CreateRollback>().empty());
  stage.verdict = Verdict::kPass;
  stage.Tell(VerdictSeen{"canary", stage.state.run->fence, Verdict::kPass, {}});
  stage.Play();
  CHECK(stage.Phase() == RunPhase::kSucceeded);
}

TEST_CASE("a bake lasts from the last cluster that passed, and does not end without data") {
  Stage stage;
  stage.state.settings.judged = true;
  stage.plan[0].stage.bake = 60s;
  stage.Prepare("v1");
  stage.Play(11s);
  CHECK(stage.Phase() == RunPhase::kBaking);
  stage.Tell(VerdictSeen{"canary", 1, Verdict::kNoData, {}});
  stage.Play(5min);
  CHECK(stage.Phase() == RunPhase::kBaking);
  CHECK(stage.Applies("v1") == Names{"canary"});
  stage.Tell(VerdictSeen{"canary", 1, Verdict::kPass, {}});
  CHECK(stage.Applies("v1") == Names{"a", "b", "canary"});
}

TEST_CASE("an approval that names rollout, stage and release lets a stage begin") {
  Stage stage;
  stage.plan[1].stage.require_approval = true;
  stage.Deliver("v1");
  CHECK(stage.Phase() == RunPhase::kAwaitingApproval);
  const std::string run = stage.state.run->name;
  for (const ApprovalSeen& wrong : {ApprovalSeen{"other", "rest", "sha256:v1"}, ApprovalSeen{run, "canary", "sha256:v1"},
                                    ApprovalSeen{run, "rest", "sha256:v2"}}) {
    stage.Tell(wrong);
    CHECK(stage.Phase() == RunPhase::kAwaitingApproval);
  }
  stage.Tell(ApprovalSeen{run, "rest", "sha256:v1"});
  stage.Play();
  CHECK(stage.Phase() == RunPhase::kSucceeded);
}

TEST_CASE("a bake may be skipped by a person") {
  Stage stage;
  stage.plan[0].stage.bake = 1h;
  stage.Prepare("v1");
  stage.Play(1min);
  REQUIRE(stage.Phase() == RunPhase::kBaking);
  stage.Tell(ApprovalSeen{stage.state.run->name, "canary", "sha256:v1", true});
  stage.Play(1min);
  CHECK(stage.Phase() == RunPhase::kSucceeded);
}

TEST_CASE("a freeze stops forward progress, and ends") {
  Stage stage;
  stage.Prepare("v1");
  stage.Play(5s);
  stage.fleet.frozen = "Freeze holiday";
  stage.Tell(FleetChanged{});
  stage.Play();
  CHECK(stage.Applies("v1") == Names{"canary"});
  stage.fleet.frozen.reset();
  stage.Tell(FleetChanged{});
  stage.Play();
  CHECK(stage.Phase() == RunPhase::kSucceeded);
}

TEST_CASE("maxConcurrency bounds how many clusters change at once") {
  Stage stage;
  stage.plan[1].stage.max_concurrency = api::Count(1);
  stage.Prepare("v1");
  stage.Play(12s);
  CHECK(stage.Applies("v1") == Names{"a", "canary"});
  stage.Play(15s);
  CHECK(stage.Applies("v1") == Names{"a", "b", "canary"});
}

TEST_CASE("what left the set is pruned after the last bake, before success") {
  Stage stage;
  stage.prune_answers = false;
  stage.Deliver("v1");
  CHECK(stage.Phase() == RunPhase::kPruning);
  CHECK(stage.Ever<Prune>().size() == 3);
  for (const char* name : {"canary", "a", "b"}) stage.Tell(Pruned{name, 1, 0, {}});
  CHECK(stage.Phase() == RunPhase::kSucceeded);

  SECTION("not where it is off") {
    Stage other;
    other.state.settings.prune = false;
    other.Deliver("v1");
    CHECK(other.Phase() == RunPhase::kSucceeded);
    CHECK(other.Ever<Prune>().empty());
  }
}

TEST_CASE("results of another fence are dropped") {
  Stage stage;
  stage.mute_apply = {"canary"};
  stage.Deliver("v1");
  REQUIRE(stage.At("canary") == ClusterPhase::kApplying);
  stage.Tell(Applied{"canary", 7, 1, stage.now.wall});
  CHECK(stage.At("canary") == ClusterPhase::kApplying);
  stage.Tell(Applied{"canary", 1, 1, stage.now.wall});
  CHECK(stage.At("canary") == ClusterPhase::kVerifying);
}

// --- clusters that fail or are away ---

TEST_CASE("an apply that fails for a passing reason is repeated, later and later") {
  Stage stage;
  stage.mute_apply = {"canary"};
  stage.Prepare("v1");
  stage.Play(0s);
  Error error;
  error.cls = ErrorClass::kUnavailable;
  Duration last = 0s;
  for (int i = 0; i < 4; ++i) {
    stage.Tell(ApplyFailed{"canary", 1, error});
    const Duration wait = stage.state.wake_at - stage.now.mono;
    CHECK(wait > last);
    last = wait;
    stage.Forget();
    stage.Pass(wait);
    CHECK(stage.Said<Apply>().size() == 1);
  }
}

TEST_CASE("a cluster that goes away in the middle of its apply is applied to again when it returns") {
  Stage stage;
  stage.mute_apply = {"canary"};
  stage.Prepare("v1");
  stage.Play(0s);
  stage.Away("canary");
  Error error;
  error.cls = ErrorClass::kTimeout;
  stage.Tell(ApplyFailed{"canary", 1, error});
  stage.Forget();
  stage.Play(1min);
  CHECK(stage.Ever<Apply>().empty());
  stage.Away("canary", false);
  CHECK(stage.Said<Apply>().size() == 1);
}

TEST_CASE("what a stage does about a cluster that is away") {
  Stage stage;
  stage.Away("a");
  SECTION("Skip: it goes on; the cluster comes to the release when it returns") {
    stage.plan[1].stage.offline_policy = api::OfflinePolicy::kSkip;
    stage.Deliver("v1");
    CHECK(stage.Phase() == RunPhase::kSucceeded);
    CHECK(stage.Applies("v1") == Names{"b", "canary"});
    stage.Away("a", false);
    stage.Tell(HeldSeen{"a", 0, {}, false});
    CHECK(stage.Applies("v1") == Names{"a", "b", "canary"});
  }
  SECTION("Wait: it holds") {
    stage.plan[1].stage.offline_policy = api::OfflinePolicy::kWait;
    stage.Prepare("v1");
    stage.Play(1h);
    CHECK(stage.Phase() == RunPhase::kProgressing);
    stage.Away("a", false);
    stage.Play();
    CHECK(stage.Phase() == RunPhase::kSucceeded);
  }
  SECTION("Fail: beyond maxFailures the rollout pauses, and rolls nobody back") {
    stage.plan[1].stage.offline_policy = api::OfflinePolicy::kFail;
    stage.Deliver("v1");
    CHECK(stage.Phase() == RunPhase::kPaused);
    CHECK(stage.state.run->pause_reason == "ClustersOffline");
    CHECK(stage.Ever<CreateRollback>().empty());
    stage.Away("a", false);
    stage.Play();
    CHECK(stage.Phase() == RunPhase::kSucceeded);
  }
  SECTION("Fail within maxFailures: the others go on") {
    stage.plan[1].stage.offline_policy = api::OfflinePolicy::kFail;
    stage.plan[1].stage.max_failures = api::Count(1);
    stage.Deliver("v1");
    CHECK(stage.Phase() == RunPhase::kSucceeded);
  }
}

TEST_CASE("a workload that does not become healthy within the deadline rolls back") {
  Stage stage;
  stage.Deliver("v1");
  stage.healths["canary"] = Health::kInProgress;
  stage.plan[0].stage.deadline = 5min;
  stage.Prepare("v2");
  stage.Play(299s);
  CHECK(stage.At("canary") == ClusterPhase::kVerifying);
  stage.healths.clear();
  stage.Play(2min);
  CHECK(stage.Phase() == RunPhase::kRolledBack);
  CHECK(stage.state.rollback->cause == "Failure");
}

TEST_CASE("a refused write rolls back") {
  Stage stage;
  stage.Deliver("v1");
  stage.mute_apply = {"canary"};
  stage.Prepare("v2");
  stage.Play(0s);
  Error error;
  error.cls = ErrorClass::kInvalid;
  stage.mute_apply.clear();
  stage.Tell(ApplyFailed{"canary", 2, error});
  stage.Play();
  CHECK(stage.Phase() == RunPhase::kRolledBack);
}

// --- newer releases ---

TEST_CASE("a newer release waits for a write in progress, and only the newest of several is kept") {
  Stage stage;
  stage.mute_apply = {"canary"};
  stage.Deliver("v1");
  stage.Prepare("v2");
  stage.Prepare("v3");
  CHECK(stage.state.run->release == Rev("v1"));
  stage.mute_apply.clear();
  stage.Tell(Applied{"canary", 1, 1, stage.now.wall});
  stage.Tell(HealthSeen{"canary", 1, Health::kHealthy, {}});
  stage.Play();
  CHECK(stage.state.target == Rev("v3"));
  CHECK(stage.Applies("v2").empty());
}

TEST_CASE("how a run ended is recorded before the queued one takes its place") {
  Stage stage;
  stage.state.settings.prune = false;
  stage.plan = {StageOf("all", {"canary"})};
  stage.Prepare("v1");
  stage.Play(5s);
  stage.Prepare("v2");
  stage.Pass(10s);
  CHECK(stage.Phase() == RunPhase::kSucceeded);
  CHECK_FALSE(stage.Said<SaveRollout>().empty());
  CHECK(stage.Said<CreateRollout>().empty());
  CHECK(stage.state.run->release == Rev("v1"));
  CHECK(stage.state.wake_at == stage.now.mono);  // the next step comes at once
  stage.Tell(TimeCame{});
  CHECK(stage.Said<CreateRollout>().size() == 1);
}

TEST_CASE("a newer release pre-empts waiting, and inherits what was written") {
  Stage stage;
  stage.Deliver("v1");
  stage.plan[1].stage.require_approval = true;
  stage.Deliver("v2");
  REQUIRE(stage.Phase() == RunPhase::kAwaitingApproval);
  stage.Forget();

  SECTION("it takes the place of the one before, from the first stage on") {
    stage.plan[1].stage.require_approval = false;
    stage.Deliver("v3");
    REQUIRE(stage.Ever<CloseRollout>().size() == 1);
    CHECK(stage.Ever<CloseRollout>()[0].phase == RunPhase::kSuperseded);
    CHECK(stage.state.target == Rev("v3"));
  }
  SECTION("a rollback before it reached them takes back what was superseded, too") {
    stage.plan = {StageOf("first", {"a"}), StageOf("rest", {"b", "canary"})};
    stage.mute_apply = {"a"};
    stage.Prepare("v3");
    stage.Play(0s);
    stage.mute_apply.clear();
    Error error;
    error.cls = ErrorClass::kInvalid;
    stage.Tell(ApplyFailed{"a", stage.state.run->fence, error});
    stage.Play();
    CHECK(stage.Phase() == RunPhase::kRolledBack);
    CHECK(stage.Applies("v1") == Names{"a", "canary"});
  }
  SECTION("when it is rejected, they go back to what runs everywhere") {
    stage.dry_run_answers["a"] = {"", 0, DryRunAnswer::kInvalid, "no"};
    stage.Deliver("v3");
    CHECK(stage.Phase() == RunPhase::kRejected);
    CHECK(stage.Applies("v1") == Names{"canary"});
  }
}

TEST_CASE("the same inputs that render otherwise start nothing by themselves") {
  Stage stage;
  stage.Deliver("v1");
  stage.Forget();
  ReleaseId moved = Rev("v1");
  moved.release_digest = "sha256:moved-tag";
  stage.Prepare(moved);
  stage.Tell(InputsChanged{});
  stage.Tell(Prepared{stage.state.prepare_id, {moved, stage.plan, {}}});
  stage.Play();
  CHECK(stage.Ever<Apply>().empty());
  CHECK_FALSE(stage.state.outdated_message.empty());
}

// --- back ---

struct Breached : Stage {
  Breached() {
    state.settings.judged = true;
    Deliver("v1");
    Pass(11min);  // beyond the watch of v1
    Forget();
  }
  void BreachV2() {
    verdict = Verdict::kBreach;
    mute_apply = {"canary"};
    Prepare("v2");
    Play(0s);
    mute_apply.clear();
    Tell(Applied{"canary", state.run->fence, 1, now.wall});
    Breach("canary");
  }
};

TEST_CASE("a breach creates one Rollback, named by the fence that it replaces") {
  Breached stage;
  stage.BreachV2();
  REQUIRE(stage.Said<CreateRollback>().size() == 1);
  CHECK(stage.Said<CreateRollback>()[0].name == "shop-rb-2");
  CHECK(stage.Said<CreateRollback>()[0].cause == "Breach");
  stage.Breach("canary");
  CHECK(stage.Said<CreateRollback>().empty());
  CHECK(stage.Ever<Apply>().size() == 1);  // nothing goes back before the Rollback exists
}

TEST_CASE("when the Rollback exists: record, cancel what is under way, apply with a higher fence, then say so") {
  Breached stage;
  stage.BreachV2();
  stage.Tell(RollbackSeen{"shop-rb-2", "Breach", "0.5", "flotilla", {}, false});
  std::vector<std::string> order;
  for (const Command& command : stage.commands) order.emplace_back(NameOf(command));
  REQUIRE(order.size() >= 3);
  CHECK(order[0] == "SaveRollback");
  CHECK(order[1] == "CancelBelow");
  CHECK(order[2] == "Apply");
  REQUIRE(stage.Said<Apply>().size() == 1);
  const Apply apply = stage.Said<Apply>()[0];
  CHECK(apply.cluster == "canary");
  CHECK(apply.release == Rev("v1"));
  CHECK(apply.fence == 3);
  CHECK(apply.lane == Lane::kRollback);
  CHECK(stage.state.rollback->timeline.breach_visible_at);
  CHECK(stage.state.rollback->timeline.decided_at);
}

TEST_CASE("later stages never see a release that breached, and what only it had goes with it") {
  Breached stage;
  stage.BreachV2();
  stage.verdict = Verdict::kPass;
  stage.Play();
  CHECK(stage.Phase() == RunPhase::kRolledBack);
  CHECK(stage.Applies("v2") == Names{"canary"});
  REQUIRE(stage.Ever<Prune>().size() == 1);
  CHECK(stage.Ever<Prune>()[0].release == Rev("v1"));
  CHECK(stage.state.pinned);
  CHECK(stage.Heard("SLORecovered"));
}

TEST_CASE("quarantine holds by either digest, until a person releases it") {
  Breached stage;
  stage.BreachV2();
  stage.verdict = Verdict::kPass;
  stage.Play();
  stage.Forget();

  ReleaseId same_release = Rev("v3");
  same_release.release_digest = Rev("v2").release_digest;
  ReleaseId same_inputs = Rev("v3");
  same_inputs.input_digest = Rev("v2").input_digest;
  for (const ReleaseId& release : {Rev("v2"), same_release, same_inputs}) {
    stage.Tell(InputsChanged{});
    stage.Tell(Prepared{stage.state.prepare_id, {release, stage.plan, {}}});
    stage.Play();
    CHECK(stage.Ever<Apply>().empty());
    CHECK(stage.state.stalled_reason == "Quarantined");
  }

  SECTION("a change of both is free, and starts at the first stage") {
    stage.Deliver("v3");
    CHECK(stage.state.target == Rev("v3"));
    CHECK_FALSE(stage.state.pinned);
  }
  SECTION("released") {
    stage.Tell(RollbackReleased{"shop-rb-2"});
    CHECK(stage.Said<Prepare>().size() == 1);
    stage.Tell(Prepared{stage.state.prepare_id, {Rev("v2"), stage.plan, {}}});
    stage.Play();
    CHECK(stage.state.target == Rev("v2"));
  }
  SECTION("Git that asks for the last known good dissolves the pin") {
    stage.Prepare(Rev("v1"));
    stage.Play();
    CHECK_FALSE(stage.state.pinned);
    CHECK(stage.Ever<Apply>().empty());
  }
}

TEST_CASE("the first release ever has nothing to go back to: it pauses, and a fix replaces it") {
  Stage stage;
  stage.state.settings.judged = true;
  stage.verdict = Verdict::kBreach;
  stage.Deliver("v1");
  CHECK(stage.Phase() == RunPhase::kPaused);
  CHECK(stage.state.run->pause_reason == "NoRollbackTarget");
  CHECK(stage.Ever<CreateRollback>().empty());
  stage.verdict = Verdict::kPass;
  stage.Deliver("v2");
  CHECK(stage.state.target == Rev("v2"));
}

TEST_CASE("where automatic rollback is off a breach pauses") {
  Breached stage;
  stage.state.settings.automatic_rollback = false;
  stage.BreachV2();
  CHECK(stage.Phase() == RunPhase::kPaused);
  CHECK(stage.Ever<CreateRollback>().empty());
}

TEST_CASE("so many rollbacks a day, then the application is frozen") {
  Breached stage;
  stage.state.settings.max_rollbacks_per_day = 1;
  stage.state.rollbacks.push_back(stage.now.wall - 1h);
  SECTION("within the day") {
    stage.BreachV2();
    CHECK(stage.Ever<CreateRollback>().empty());
    CHECK(stage.Ever<FreezeApplication>().size() == 1);
    CHECK(stage.state.run->pause_reason == "RollbackLimit");
  }
  SECTION("a day later") {
    stage.now.wall += 24h;
    stage.BreachV2();
    CHECK(stage.Ever<CreateRollback>().size() == 1);
  }
}

TEST_CASE("a rollback that does not help is not followed by another: the application is frozen") {
  Breached stage;
  stage.BreachV2();
  stage.Play();  // every verdict says breach
  CHECK(stage.Phase() == RunPhase::kRolledBack);
  CHECK(stage.Ever<CreateRollback>().size() == 1);
  CHECK(stage.Heard("RollbackIneffective"));
  CHECK(stage.Ever<FreezeApplication>().size() == 1);
}

TEST_CASE("a breach within the watch after success goes back on every cluster") {
  Stage stage;
  stage.state.settings.judged = true;
  stage.Deliver("v1");
  stage.Away("b");
  stage.plan[1].stage.offline_policy = api::OfflinePolicy::kSkip;
  stage.Deliver("v2");
  REQUIRE(stage.Phase() == RunPhase::kSucceeded);
  stage.Away("b", false);
  stage.Tell(HeldSeen{"b", 1, Rev("v1").release_digest, true});
  stage.Play(1s);
  stage.Forget();
  stage.Breach("a");
  stage.Play(30s);
  CHECK(stage.Phase() == RunPhase::kRolledBack);
  CHECK(stage.Applies("v1") == Names{"a", "b", "canary"});  // b came to v2 after the run
}

TEST_CASE("after the watch nothing is judged any more") {
  Stage stage;
  stage.state.settings.judged = true;
  stage.Deliver("v1");
  CHECK_FALSE(stage.state.watched.empty());
  stage.Pass(stage.state.settings.watch_after_success + 1s);
  CHECK(stage.state.watched.empty());
}

TEST_CASE("a rollback by hand") {
  Stage stage;
  stage.Deliver("v1");
  stage.Deliver("v2");
  stage.Forget();
  SECTION("goes to the last known good of every cluster, also long after") {
    stage.Pass(48h);
    stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "looks odd", "alice", {}, false});
    stage.Play();
    CHECK(stage.Applies("v1") == Names{"a", "b", "canary"});
    CHECK(stage.state.target == Rev("v1"));
    CHECK(stage.state.quarantine.size() == 1);
  }
  SECTION("ignores a freeze") {
    stage.fleet.frozen = "Freeze";
    stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", {}, false});
    CHECK(stage.Said<Apply>().size() == 3);
  }
  SECTION("that names another fence than the one that runs is refused") {
    stage.Tell(RollbackSeen{"shop-rb-1", "Manual", "", "alice", {}, false});
    CHECK(stage.Said<RefuseRollback>().size() == 1);
    CHECK(stage.Said<Apply>().empty());
  }
  SECTION("to what runs already is refused") {
    stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", Rev("v2"), false});
    CHECK(stage.Said<RefuseRollback>().size() == 1);
  }
  SECTION("to a quarantined release is refused, unless forced") {
    stage.state.quarantine.push_back({Rev("v1").release_digest, {}, "shop-rb-9"});
    stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", Rev("v1"), false});
    CHECK(stage.Said<RefuseRollback>().size() == 1);
    stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", Rev("v1"), true});
    CHECK(stage.Said<Apply>().size() == 3);
  }
  SECTION("seen twice is done once") {
    stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", {}, false});
    stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", {}, false});
    CHECK(stage.commands.empty());
  }
}

TEST_CASE("a rollback is incomplete while a cluster is away, and complete when it has returned") {
  Stage stage;
  stage.Deliver("v1");
  stage.Deliver("v2");
  stage.Forget();
  stage.Away("b");
  stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", {}, false});
  stage.Play(1min);
  CHECK(stage.Phase() == RunPhase::kRollbackIncomplete);
  CHECK(stage.Applies("v1") == Names{"a", "canary"});
  stage.Away("b", false);
  stage.Play(1min);
  CHECK(stage.Phase() == RunPhase::kRolledBack);
  CHECK(stage.Applies("v1") == Names{"a", "b", "canary"});
}

TEST_CASE("a cluster that refuses the way back blocks only itself") {
  Stage stage;
  stage.Deliver("v1");
  stage.Deliver("v2");
  stage.Forget();
  stage.mute_apply = {"b"};
  stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", {}, false});
  stage.Play(1s);
  Error error;
  error.cls = ErrorClass::kInvalid;
  error.message = "immutable";
  stage.Tell(ApplyFailed{"b", 3, error});
  stage.Play(1min);
  CHECK(stage.Phase() == RunPhase::kRollbackIncomplete);
  CHECK(stage.state.run->message.find("immutable") != std::string::npos);
}

TEST_CASE("a cluster that a rollback still owes follows the newer run that reaches it first") {
  Stage stage;
  stage.Deliver("v1");
  stage.Deliver("v2");
  stage.Away("b");
  stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", {}, false});
  stage.Play(1min);
  stage.plan[1].stage.offline_policy = api::OfflinePolicy::kSkip;
  stage.Deliver("v3");
  stage.Forget();
  stage.Away("b", false);
  stage.Tell(HeldSeen{"b", 2, Rev("v2").release_digest, true});
  stage.Play();
  CHECK(stage.Applies("v1").empty());
  CHECK(stage.Applies("v3") == Names{"b"});
}

// --- outside a run ---

TEST_CASE("drift is corrected where it is enforced, toward what the cluster should hold") {
  Stage stage;
  stage.Deliver("v1");
  stage.Forget();
  SECTION("Enforce") {
    stage.Tell(Drifted{"a", "spec.replicas"});
    REQUIRE(stage.Said<Apply>().size() == 1);
    CHECK(stage.Said<Apply>()[0].fence == 1);
    stage.Tell(Drifted{"a", "spec.replicas"});
    CHECK(stage.Said<Apply>().empty());  // one is under way
  }
  SECTION("otherwise") {
    stage.state.settings.enforce_drift = false;
    stage.Tell(Drifted{"a", "spec.replicas"});
    CHECK(stage.commands.empty());
  }
}

TEST_CASE("a cluster that holds something else, or half of it, is brought to what it should hold") {
  Stage stage;
  stage.Deliver("v1");
  stage.Forget();
  SECTION("as it should be: nothing") {
    stage.Tell(HeldSeen{"a", 1, Rev("v1").release_digest, true});
    CHECK(stage.commands.empty());
  }
  SECTION("with objects too many: they go") {
    stage.Tell(HeldSeen{"a", 1, Rev("v1").release_digest, true, true});
    CHECK(stage.Said<Prune>().size() == 1);
  }
  SECTION("incomplete, or something else") {
    stage.Tell(HeldSeen{"a", 1, Rev("v1").release_digest, false});
    CHECK(stage.Said<Apply>().size() == 1);
    stage.Tell(HeldSeen{"b", 1, "sha256:other", true});
    CHECK(stage.Said<Apply>().size() == 1);
  }
}

TEST_CASE("a cluster that joins gets what runs, and starts no rollout") {
  Stage stage;
  stage.Deliver("v1");
  stage.Forget();
  stage.fleet.clusters["c"] = {};
  stage.plan[1].clusters.push_back("c");
  stage.Tell(InputsChanged{});
  stage.Tell(Prepared{stage.state.prepare_id, {Rev("v1"), stage.plan, {}}});
  CHECK(stage.Ever<CreateRollout>().empty());
  CHECK(stage.Applies("v1") == Names{"c"});
}

TEST_CASE("a cluster that leaves the placement keeps what it has") {
  Stage stage;
  stage.Deliver("v1");
  stage.Forget();
  stage.plan[1].clusters = {"a"};
  stage.Tell(InputsChanged{});
  stage.Tell(Prepared{stage.state.prepare_id, {Rev("v1"), stage.plan, {}}});
  stage.Play();
  CHECK(stage.Ever<Apply>().empty());
  CHECK(stage.Ever<Prune>().empty());
  CHECK(stage.state.target_clusters == Names{"a", "canary"});
}

TEST_CASE("an unchanged application answers no event with work") {
  Stage stage;
  stage.state.settings.judged = true;
  stage.Deliver("v1");
  stage.Pass(11min);
  stage.Forget();
  stage.Tell(RevisionSeen{stage.state.wanted_revision});
  stage.Tell(HealthSeen{"a", 1, Health::kHealthy, {}});
  stage.Tell(FleetChanged{});
  stage.Tell(ReachabilityChanged{"a"});
  stage.Pass(1h);
  CHECK(stage.all.empty());
}

}  // namespace
}  // namespace flotilla::deliver
