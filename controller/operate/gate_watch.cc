#include "operate/gate_watch.h"

#include <algorithm>

#include "operate/prometheus.h"

namespace flotilla::operate {
namespace {

constexpr Duration kTick = 1s;

}  // namespace

// One application's watch; replaced as a whole when anything of it changes.
struct GateWatch::Watched {
  struct Objective {
    api::Objective objective;
    std::string name;  // "slo/objective"
    Duration scrape_interval;
    Duration timeout;
  };
  struct Pending {  // of one objective in the tick under way
    std::optional<Result<deliver::QueryAnswer>> value, sampled_at;
  };
  struct Cluster {
    GateCluster cluster;
    std::vector<deliver::ObjectiveState> states;
    std::vector<Pending> pending;
    int missing = 0;  // answers of the tick under way; 0: none is
    std::optional<deliver::Verdict> told;
  };
  deliver::Fence fence = 0;
  std::vector<Objective> objectives;
  std::vector<Cluster> clusters;
};

GateWatch::GateWatch(Runtime& runtime, http::HttpClient& http, Fleet& fleet, OnVerdict on_verdict)
    : runtime_(runtime),
      http_(http),
      fleet_(fleet),
      on_verdict_(std::move(on_verdict)),
      idle_(runtime.NewEvent()),
      wake_(runtime.NewEvent()) {
  idle_->Set();
  task_ = runtime_.Spawn("gate", [this](std::stop_token stop) { Loop(stop); });
}

GateWatch::~GateWatch() {
  task_.reset();
  queries_.request_stop();
  idle_->Wait(kForever, {});  // each query ends within moments of its stop
}

void GateWatch::Set(const std::string& application, deliver::Fence fence,
                    std::vector<GateCluster> clusters,
                    std::vector<api::ServiceLevelObjective> slos) {
  auto watched = std::make_shared<Watched>();
  watched->fence = fence;
  for (const api::ServiceLevelObjective& slo : slos) {
    for (const api::Objective& objective : slo.spec.objectives) {
      watched->objectives.push_back({objective, slo.meta.name + "/" + objective.name,
                                     slo.spec.scrape_interval, slo.spec.query_timeout});
    }
  }
  for (GateCluster& cluster : clusters) {
    Watched::Cluster entry;
    entry.cluster = std::move(cluster);
    entry.states.resize(watched->objectives.size());
    entry.pending.resize(watched->objectives.size());
    watched->clusters.push_back(std::move(entry));
  }
  {
    MutexLock lock(mutex_);
    auto before = watched_.find(application);
    if (before != watched_.end() && before->second->fence == fence) {
      // Clusters that stay watched keep what was seen of them.
      for (Watched::Cluster& cluster : watched->clusters) {
        for (const Watched::Cluster& old : before->second->clusters) {
          if (old.cluster.name != cluster.cluster.name ||
              old.cluster.applied_at != cluster.cluster.applied_at ||
              old.states.size() != cluster.states.size()) {
            continue;
          }
          cluster.states = old.states;
          cluster.told = old.told;
        }
      }
    }
    if (watched->clusters.empty() || watched->objectives.empty()) {
      watched_.erase(application);
    } else {
      watched_[application] = std::move(watched);
    }
  }
  wake_->Set();
}

void GateWatch::Loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    bool any;
    {
      MutexLock lock(mutex_);
      any = !watched_.empty();
    }
    if (!any) {
      wake_->Reset();
      {
        MutexLock lock(mutex_);
        any = !watched_.empty();
      }
      if (!any) wake_->Wait(kForever, stop);
      continue;
    }
    Tick();
    runtime_.SleepFor(kTick, stop);
  }
}

void GateWatch::Tick() {
  std::vector<std::pair<std::string, std::shared_ptr<Watched>>> all;
  {
    MutexLock lock(mutex_);
    all.assign(watched_.begin(), watched_.end());
  }
  for (const auto& [application, watched] : all) {
    for (size_t i = 0; i < watched->clusters.size(); ++i) Ask(application, watched, i);
  }
}

void GateWatch::Ask(const std::string& application, const std::shared_ptr<Watched>& watched,
                    size_t cluster) {
  Watched::Cluster& entry = watched->clusters[cluster];
  std::shared_ptr<Member> member = fleet_.Find(entry.cluster.name);
  if (!member) return;
  const std::string name = application.substr(application.find('/') + 1);
  {
    MutexLock lock(mutex_);
    if (entry.missing > 0) return;  // the last tick is not answered yet: queries have a deadline
    entry.missing = static_cast<int>(watched->objectives.size()) * 2;
    under_way_ += entry.missing;
    idle_->Reset();
  }
  for (size_t i = 0; i < watched->objectives.size(); ++i) {
    const Watched::Objective& objective = watched->objectives[i];
    auto note = [this, application, watched, cluster, i](bool is_value) {
      return [this, application, watched, cluster, i, is_value](Result<deliver::QueryAnswer> answer) {
        bool complete;
        {
          MutexLock lock(mutex_);
          Watched::Cluster& answered = watched->clusters[cluster];
          (is_value ? answered.pending[i].value : answered.pending[i].sampled_at) = std::move(answer);
          complete = --answered.missing == 0;
        }
        if (complete) Conclude(application, watched, cluster);
        MutexLock lock(mutex_);
        if (--under_way_ == 0) idle_->Set();
      };
    };
    SendQuery(http_, member, {},
              deliver::ExpandQuery(objective.objective.query, name, entry.cluster.name),
              objective.timeout, queries_.get_token(), note(true));
    SendQuery(http_, member, {},
              deliver::FreshnessQuery(objective.objective, name, entry.cluster.name),
              objective.timeout, queries_.get_token(), note(false));
  }
}

void GateWatch::Conclude(const std::string& application, const std::shared_ptr<Watched>& watched,
                         size_t cluster) {
  deliver::VerdictSeen seen;
  {
    MutexLock lock(mutex_);
    auto current = watched_.find(application);
    if (current == watched_.end() || current->second != watched) return;
    Watched::Cluster& entry = watched->clusters[cluster];
    seen.cluster = entry.cluster.name;
    seen.fence = watched->fence;
    for (size_t i = 0; i < watched->objectives.size(); ++i) {
      const Watched::Objective& objective = watched->objectives[i];
      deliver::Observation observation{std::move(*entry.pending[i].value),
                                       std::move(*entry.pending[i].sampled_at), runtime_.WallNow()};
      deliver::Evidence evidence = Judge(objective.objective, objective.scrape_interval,
                                         entry.cluster.applied_at, observation, entry.states[i]);
      evidence.cluster = seen.cluster;
      evidence.objective = objective.name;
      seen.verdict = std::max(seen.verdict, evidence.verdict);
      if (evidence.verdict != deliver::Verdict::kPass) seen.evidence.push_back(std::move(evidence));
    }
    std::stable_sort(seen.evidence.begin(), seen.evidence.end(),
                     [](const auto& a, const auto& b) { return a.verdict > b.verdict; });
    if (entry.told == seen.verdict) return;
    entry.told = seen.verdict;
  }
  on_verdict_(application, std::move(seen));
}

}  // namespace flotilla::operate
