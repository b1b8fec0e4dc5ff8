// Clusters outside a run that do not hold what they should: drift, a return after absence, a late
// joiner, a parent that somebody changed. They go straight to what is wanted there now; nothing is
// replayed.
#include "deliver/steps.h"

namespace flotilla::deliver {
namespace {

// Whether a run or a rollback has an apply under way, or planned, for this cluster.
bool InHands(const AppState& state, const std::string& name, Fence fence) {
  auto working = [&](const std::vector<ClusterRun>& clusters) {
    return std::any_of(clusters.begin(), clusters.end(), [&](const ClusterRun& cluster) {
      return cluster.name == name && (cluster.phase == ClusterPhase::kApplying ||
                                      cluster.phase == ClusterPhase::kRollingBack ||
                                      cluster.phase == ClusterPhase::kRollbackPendingOffline);
    });
  };
  if (state.rollback && state.rollback->fence == fence && working(state.rollback->clusters)) return true;
  return state.run && state.run->fence == fence && working(state.run->clusters);
}

}  // namespace

void Converge(Context& ctx, const std::string& cluster, const std::string& why) {
  AppState& state = ctx.state;
  const Wanted wanted = WantedOf(state, cluster);
  if (wanted.fence == 0 || InHands(state, cluster, wanted.fence)) return;
  auto [it, added] = state.converging.try_emplace(cluster);
  if (!added && it->second.fence == wanted.fence) return;
  it->second = Convergence{};
  it->second.fence = wanted.fence;
  it->second.message = why;
  it->second.retry_at = ctx.now.mono;  // AdvanceConvergence sends it in this very step
}

void OnHeldSeen(Context& ctx, const HeldSeen& held) {
  AppState& state = ctx.state;
  state.max_fence = std::max(state.max_fence, held.fence);
  if (RunIsActive(state) && held.fence < state.run->fence) {
    // The record precedes the first write: what a restart had to assume did not happen.
    ClusterRun* cluster = FindCluster(state.run->clusters, held.cluster);
    if (cluster && (cluster->phase == ClusterPhase::kPending || cluster->phase == ClusterPhase::kUnverified)) {
      cluster->touched = false;
    }
  }
  const Wanted wanted = WantedOf(state, held.cluster);
  if (wanted.fence == 0) return;
  if (held.complete && held.release_digest == wanted.release.release_digest) {
    // It was away, or we were, when the others were pruned.
    if (held.surplus && state.settings.prune && wanted.fence == state.target_fence) {
      ctx.Do(Prune{held.cluster, held.fence, wanted.release});
    }
    return;
  }
  Converge(ctx, held.cluster, fmt::format("holds {}", held.release_digest.empty()
                                                          ? "nothing"
                                                          : held.release_digest));
}

void OnDrifted(Context& ctx, const Drifted& drifted) {
  if (!ctx.state.settings.enforce_drift) return;
  ctx.Inform("DriftCorrected", "{}: {}", drifted.cluster, drifted.what);
  Converge(ctx, drifted.cluster, drifted.what);
}

void AdvanceConvergence(Context& ctx) {
  AppState& state = ctx.state;
  for (auto it = state.converging.begin(); it != state.converging.end();) {
    auto& [name, convergence] = *it;
    const Wanted wanted = WantedOf(state, name);
    if (wanted.fence != convergence.fence || InHands(state, name, wanted.fence)) {
      it = state.converging.erase(it);
      continue;
    }
    if (convergence.retry_at <= ctx.now.mono && ctx.Reachable(name)) {
      convergence.retry_at = kForever;
      ctx.Do(Apply{name, wanted.fence, wanted.release, Lane::kForward});
    }
    ++it;
  }
}

}  // namespace flotilla::deliver
