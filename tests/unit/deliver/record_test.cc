// What is recorded on the hub, read back by another process: nothing that matters is lost, at any
// moment of a rollout or a rollback.
#include "deliver/record.h"

#include "catch.h"
#include "stage.h"

namespace flotilla::deliver {
namespace {

using Names = std::set<std::string>;

// A stage whose world keeps the records, as the shell does, and whose controller can be restarted.
class Recorder : public Stage {
 public:
  Recorder() {
    application_.meta.name = "shop";
    application_.meta.ns = "team";
    application_.meta.uid = "app-uid";
  }

  // Carries out what was said since the last time, then dies and comes back.
  void Restart() {
    Save();
    Recorded recorded;
    recorded.application = std::make_shared<api::Application>(application_);
    for (const auto& [name, rollout] : rollouts_) {
      // Through their written form, as the API server keeps them.
      auto read = api::ParseRollout(api::ToValue(rollout));
      REQUIRE(read);
      recorded.rollouts.push_back(std::make_shared<api::Rollout>(*read));
    }
    for (const auto& [name, rollback] : rollbacks_) {
      auto read = api::ParseRollback(api::ToValue(rollback));
      INFO((read ? "" : read.error().ToString()));
      REQUIRE(read);
      recorded.rollbacks.push_back(std::make_shared<api::Rollback>(*read));
    }
    state = deliver::Restore(state.settings, recorded, now);
    Forget();
    saved_ = 0;
    Tell(Restored{});
  }

  // Steps one event at a time would be saved one by one; at the end of a quiet moment this is the same.
  void Save() {
    for (; saved_ < all.size(); ++saved_) {
      const Command& command = all[saved_];
      if (std::holds_alternative<CreateRollout>(command)) {
        rollouts_[state.run->name] = RolloutRecord(state, application_, Named(state.run->release), {});
      } else if (const auto* close = std::get_if<CloseRollout>(&command)) {
        rollouts_[close->name].status.phase = close->phase;
      } else if (const auto* create = std::get_if<CreateRollback>(&command)) {
        if (!rollbacks_.count(create->name)) {
          rollbacks_[create->name] = RollbackRecord(state, *create, application_);
          rollbacks_[create->name].spec.requested_by = "flotilla";
        }
      }
    }
    if (state.run && rollouts_.count(state.run->name)) {
      api::Rollout& rollout = rollouts_[state.run->name];
      rollout.status = RolloutStatusOf(state, *state.run, now.wall, rollout.status);
    }
    if (state.rollback) {
      api::Rollback& rollback = rollbacks_[state.rollback->name];
      if (rollback.meta.name.empty()) {  // by hand, without a word on what it leaves
        rollback.meta.name = state.rollback->name;
        rollback.meta.ns = "team";
        rollback.spec.application = "shop";
        rollback.spec.fence = std::atoi(state.rollback->name.substr(8).c_str());
        rollback.spec.requested_by = "alice";
      }
      rollback.status = RollbackStatusOf(*state.rollback, now.wall, rollback.status);
    }
  }
  void PlayAndSave(Duration time) {
    for (Duration step = 0s; step < time; step += 1s) {
      Play(1s);
      Save();
    }
  }
  api::Rollback& rollback(const std::string& name) { return rollbacks_.at(name); }

 private:
  static api::Release Named(const ReleaseId& id) {
    api::Release release;
    release.release_digest = id.release_digest;
    release.input_digest = id.input_digest;
    release.revision = id.revision;
    return release;
  }
  api::Application application_;
  std::map<std::string, api::Rollout> rollouts_;
  std::map<std::string, api::Rollback> rollbacks_;
  size_t saved_ = 0;
};

TEST_CASE("a restart at any second of a rollout ends where no restart ends") {
  for (int second = 0; second < 60; second += 3) {
    Recorder stage;
    stage.state.settings.judged = true;
    stage.plan[0].stage.bake = 10s;
    stage.Prepare("v1");
    stage.Save();
    stage.PlayAndSave(std::chrono::seconds(second));
    INFO("after " << second << " s in " << api::ToString(stage.Phase()));
    stage.Restart();
    CHECK(stage.state.max_fence == 1);
    stage.PlayAndSave(2min);
    CHECK(stage.Phase() == RunPhase::kSucceeded);
    CHECK(stage.state.target == Rev("v1"));
    CHECK(stage.state.target_clusters == Names{"a", "b", "canary"});
    for (const Apply& apply : stage.Ever<Apply>()) CHECK(apply.fence == 1);
  }
}

TEST_CASE("a restart keeps history, quarantine, pin and fences") {
  Recorder stage;
  stage.state.settings.judged = true;
  stage.Prepare("v1");
  stage.PlayAndSave(15min);
  stage.Prepare("v2");
  stage.PlayAndSave(5s);
  stage.Breach("canary");
  stage.PlayAndSave(3min);
  REQUIRE(stage.Phase() == RunPhase::kRolledBack);
  stage.Restart();
  CHECK(stage.Phase() == RunPhase::kRolledBack);
  CHECK(stage.state.target == Rev("v1"));
  CHECK(stage.state.target_fence == 3);
  CHECK(stage.state.max_fence == 3);
  CHECK(stage.state.pinned);
  CHECK(stage.state.rollbacks.size() == 1);
  REQUIRE(stage.state.quarantine.size() == 1);
  CHECK(FindQuarantine(stage.state, Rev("v2")));
  CHECK(RollbackTarget(stage.state, Rev("v2")) == Rev("v1"));
  CHECK(stage.Ever<Apply>().empty());
  CHECK(stage.Ever<CreateRollback>().empty());
}

TEST_CASE("a restart in the middle of a rollback finishes that one, under its fence, and starts no other") {
  Recorder stage;
  stage.state.settings.judged = true;
  stage.Prepare("v1");
  stage.PlayAndSave(15min);
  stage.Prepare("v2");
  stage.PlayAndSave(5s);
  SECTION("decided, nothing applied yet") {
    stage.mute_apply = {"canary"};
    stage.Breach("canary");
    stage.PlayAndSave(1s);
    REQUIRE(stage.Phase() == RunPhase::kRollingBack);
    stage.mute_apply.clear();
    const auto visible = stage.state.rollback->timeline.breach_visible_at;
    stage.Restart();
    CHECK(stage.Phase() == RunPhase::kRollingBack);
    CHECK(stage.state.rollback->timeline.breach_visible_at == visible);
  }
  SECTION("created, not seen yet") {
    stage.Breach("canary");
    stage.Restart();  // the shell tells of the Rollback that nobody has begun
    stage.Tell(RollbackSeen{"shop-rb-2", "Breach", "", "flotilla", {}, false});
  }
  stage.PlayAndSave(1min);
  CHECK(stage.Phase() == RunPhase::kRolledBack);
  CHECK(stage.Ever<CreateRollback>().empty());
  for (const Apply& apply : stage.Ever<Apply>()) {
    CHECK(apply.release == Rev("v1"));
    CHECK(apply.fence == 3);
  }
}

TEST_CASE("an incomplete rollback stays one after a restart, until the cluster has returned") {
  Recorder stage;
  stage.Prepare("v1");
  stage.PlayAndSave(1min);
  stage.Prepare("v2");
  stage.PlayAndSave(1min);
  stage.Away("b");
  stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", {}, false});
  stage.PlayAndSave(1min);
  REQUIRE(stage.Phase() == RunPhase::kRollbackIncomplete);
  stage.Restart();
  stage.PlayAndSave(1min);
  CHECK(stage.Phase() == RunPhase::kRollbackIncomplete);
  CHECK(stage.Applies("v1").count("b") == 0);
  stage.Away("b", false);
  stage.PlayAndSave(1min);
  CHECK(stage.Phase() == RunPhase::kRolledBack);
  CHECK(stage.Applies("v1").count("b") == 1);
}

TEST_CASE("a rollback by hand that names only a fence keeps its quarantine over a restart") {
  Recorder stage;
  stage.Prepare("v1");
  stage.PlayAndSave(1min);
  stage.Prepare("v2");
  stage.PlayAndSave(1min);
  stage.Tell(RollbackSeen{"shop-rb-2", "Manual", "", "alice", {}, false});
  stage.PlayAndSave(1min);
  stage.Restart();
  CHECK(FindQuarantine(stage.state, Rev("v2")));
  CHECK(stage.state.pinned);
  SECTION("and loses it when a person has released it") {
    stage.rollback("shop-rb-2").spec.release = api::RollbackRelease{"alice", {}, ""};
    stage.Restart();
    CHECK_FALSE(FindQuarantine(stage.state, Rev("v2")));
    CHECK_FALSE(stage.state.pinned);
  }
}

TEST_CASE("what a superseded run had reached is known after a restart") {
  Recorder stage;
  stage.Prepare("v1");
  stage.PlayAndSave(1min);
  stage.plan[1].stage.require_approval = true;
  stage.Prepare("v2");
  stage.PlayAndSave(1min);
  REQUIRE(stage.Phase() == RunPhase::kAwaitingApproval);
  stage.plan = {StageOf("first", {"a"}), StageOf("rest", {"b", "canary"})};
  stage.mute_apply = {"a"};
  stage.Prepare("v3");
  stage.PlayAndSave(1s);
  stage.Restart();
  for (const ClusterRun& cluster : stage.state.run->clusters) {
    CHECK(cluster.inherited == (cluster.name == "canary"));
  }
}

TEST_CASE("a watch after success and a verification after a rollback last as long as without a restart") {
  Recorder stage;
  stage.state.settings.judged = true;
  stage.Prepare("v1");
  stage.PlayAndSave(1min);
  stage.Prepare("v2");
  stage.PlayAndSave(1min);
  const TimePoint until = stage.state.run->watch_until;
  stage.Restart();
  CHECK(std::chrono::abs(stage.state.run->watch_until - until) <= 1s);
  stage.Breach("a");
  stage.Play(1s);
  stage.Save();
  REQUIRE(stage.state.rollback);
  const TimePoint verify = stage.state.rollback->verify_at;
  stage.Restart();
  CHECK(std::chrono::abs(stage.state.rollback->verify_at - verify) <= 1s);
}

TEST_CASE("a rejected release and a paused run stay what they are") {
  Recorder stage;
  stage.dry_run_answers["a"] = {"", 0, DryRunAnswer::kInvalid, "no"};
  stage.Prepare("v1");
  stage.PlayAndSave(1s);
  stage.Restart();
  CHECK(stage.Phase() == RunPhase::kRejected);
  stage.Play();
  CHECK(stage.Ever<Apply>().empty());

  Recorder first;
  first.state.settings.judged = true;
  first.verdict = Verdict::kBreach;
  first.Prepare("v1");
  first.PlayAndSave(1min);
  REQUIRE(first.Phase() == RunPhase::kPaused);
  first.Restart();
  CHECK(first.Phase() == RunPhase::kPaused);
  CHECK(first.state.run->pause_reason == "NoRollbackTarget");
}

}  // namespace
}  // namespace flotilla::deliver
