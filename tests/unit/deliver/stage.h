// A delivery machine on stage: events in, commands out, with a world around it that answers as well
// as it can, or not at all where a test says so.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "deliver/machine.h"

namespace flotilla::deliver {

inline ReleaseId Rev(const std::string& name) { return {"sha256:" + name, "in:" + name, name}; }

inline api::RolloutStage StageOf(std::string name, std::vector<std::string> clusters) {
  api::RolloutStage stage;
  stage.stage.name = std::move(name);
  stage.stage.hot = 10s;
  stage.stage.bake = 0s;
  stage.stage.max_concurrency = api::Percent(100);
  stage.clusters = std::move(clusters);
  return stage;
}

class Stage {
 public:
  // Two stages: canary, then a and b.
  Stage() {
    state.settings.name = "shop";
    state.settings.namespace_name = "team";
    plan = {StageOf("canary", {"canary"}), StageOf("rest", {"a", "b"})};
    for (const char* name : {"canary", "a", "b"}) fleet.clusters[name] = {};
    now = {TimePoint(1000s), WallTime(1'800'000'000s)};
  }

  AppState state;
  FleetView fleet;
  Moment now;
  std::vector<api::RolloutStage> plan;
  Commands commands;  // of the last Tell
  Commands all;       // ever

  // What the world does not answer (test decides): clusters by kind of command.
  std::set<std::string> mute_dry_run, mute_apply, mute_health;
  std::map<std::string, DryRunDone> dry_run_answers;
  std::map<std::string, Health> healths;
  Verdict verdict = Verdict::kPass;  // of every watched cluster
  bool prune_answers = true;

  void Tell(const Event& event) {
    commands.clear();
    Step(state, event, now, fleet, commands);
    all.insert(all.end(), commands.begin(), commands.end());
  }
  void Pass(Duration time) {
    now.mono += time;
    now.wall += time;
    Tell(TimeCame{});
  }
  // A commit was seen and rendered.
  void Prepare(const std::string& name, const std::string& key = {}) { Prepare(Rev(name), key); }
  void Prepare(const ReleaseId& release, const std::string& key = {}) {
    Tell(RevisionSeen{"main@" + release.revision});
    Tell(Prepared{state.prepare_id, {release, plan, key}});
  }
  // Answers whatever was commanded, and what follows from that, and lets that much time pass.
  void Play(Duration time = 10min) {
    const TimePoint end = now.mono + time;
    for (int round = 0; round < 500; ++round) {
      while (answered_ < all.size()) Answer(Command(all[answered_++]));
      if (state.wake_at <= now.mono) {
        Tell(TimeCame{});
      } else if (now.mono < end) {
        Pass(std::min(state.wake_at, end) - now.mono);
      } else {
        return;
      }
    }
  }
  void Deliver(const std::string& name) {
    Prepare(name);
    Play(2min);
  }

  template <typename C>
  std::vector<C> Of(const Commands& from) const {
    std::vector<C> found;
    for (const Command& command : from) {
      if (const C* one = std::get_if<C>(&command)) found.push_back(*one);
    }
    return found;
  }
  template <typename C>
  std::vector<C> Said() const { return Of<C>(commands); }
  template <typename C>
  std::vector<C> Ever() const { return Of<C>(all); }
  std::set<std::string> Applies(const std::string& release) const {
    std::set<std::string> clusters;
    for (const Apply& apply : Ever<Apply>()) {
      if (apply.release.revision == release) clusters.insert(apply.cluster);
    }
    return clusters;
  }
  bool Heard(const std::string& reason) const {
    for (const Say& say : Ever<Say>()) {
      if (say.reason == reason) return true;
    }
    return false;
  }
  void Forget() {
    all.clear();
    answered_ = 0;
  }
  RunPhase Phase() const { return state.run ? state.run->phase : RunPhase::kPending; }
  ClusterPhase At(const std::string& cluster) const {
    for (const ClusterRun& entry : state.run->clusters) {
      if (entry.name == cluster) return entry.phase;
    }
    return ClusterPhase::kPending;
  }
  // Reachability, told as the shell does.
  void Away(const std::string& cluster, bool away = true) {
    fleet.clusters[cluster].reachable = !away;
    Tell(ReachabilityChanged{cluster});
  }
  void Breach(const std::string& cluster) {
    Evidence evidence;
    evidence.cluster = cluster;
    evidence.objective = "errors/ratio";
    evidence.verdict = Verdict::kBreach;
    evidence.detail = "0.5, expected < 0.05";
    evidence.readable_at = now.wall - 1s;
    Tell(VerdictSeen{cluster, state.watched_fence, Verdict::kBreach, {evidence}});
  }

 private:
  void Answer(const Command& command) {
    if (const auto* c = std::get_if<DryRun>(&command)) {
      if (mute_dry_run.count(c->cluster) || !fleet.clusters[c->cluster].reachable) return;
      auto it = dry_run_answers.find(c->cluster);
      DryRunDone done = it == dry_run_answers.end() ? DryRunDone{} : it->second;
      done.cluster = c->cluster;
      done.fence = c->fence;
      Tell(done);
    } else if (const auto* a = std::get_if<Apply>(&command)) {
      if (mute_apply.count(a->cluster) || !fleet.clusters[a->cluster].reachable) return;
      Tell(Applied{a->cluster, a->fence, 1, now.wall});
      if (mute_health.count(a->cluster)) return;
      auto it = healths.find(a->cluster);
      Tell(HealthSeen{a->cluster, a->fence, it == healths.end() ? Health::kHealthy : it->second, "as told"});
    } else if (const auto* p = std::get_if<deliver::Prune>(&command)) {
      if (prune_answers) Tell(Pruned{p->cluster, p->fence, 0, {}});
    } else if (const auto* w = std::get_if<Watch>(&command)) {
      for (const std::string& cluster : w->clusters) {
        if (verdict == Verdict::kBreach) {
          Breach(cluster);
        } else {
          Tell(VerdictSeen{cluster, w->fence, verdict, {}});
        }
      }
    } else if (const auto* r = std::get_if<CreateRollback>(&command)) {
      Tell(RollbackSeen{r->name, r->cause, r->reason, "flotilla", {}, false});
    }
  }

  size_t answered_ = 0;
};

}  // namespace flotilla::deliver
