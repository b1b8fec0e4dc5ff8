#include "deliver/phases.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <tuple>

#include "api/names.h"
#include "kube/resource.h"

namespace flotilla::deliver {
namespace {

constexpr std::string_view kArgoSyncWave = "argocd.argoproj.io/sync-wave";

// What pods find missing when they start before it is there.
bool PodsNeedIt(const kube::GroupKind& kind) {
  static constexpr std::string_view kCore[] = {"ConfigMap",      "LimitRange", "PersistentVolume",
                                               "PersistentVolumeClaim", "ResourceQuota", "Secret",
                                               "ServiceAccount"};
  if (kind.group.empty()) {
    return std::find(std::begin(kCore), std::end(kCore), kind.kind) != std::end(kCore);
  }
  return kind.group == "rbac.authorization.k8s.io" || kind.group == "scheduling.k8s.io" ||
         kind.group == "storage.k8s.io";
}

// Position of an object: earlier tuples are written earlier.
struct Rank {
  int step = 0;  // 0 namespaces, 1 CRDs, 2 waves
  int wave = 0;
  int layer = 0;  // 0 what pods need, 1 the rest
  auto operator<=>(const Rank&) const = default;
};

Rank RankOf(value::Ref object) {
  const kube::GroupKind kind = kube::GvkOf(object).ToGroupKind();
  if (kind.group.empty() && kind.kind == "Namespace") return {0, 0, 0};
  if (kind.group == "apiextensions.k8s.io") return {1, 0, 0};
  return {2, WaveOf(object), PodsNeedIt(kind) ? 0 : 1};
}

}  // namespace

int WaveOf(value::Ref object) {
  for (std::string_view key : {api::kSyncWaveAnnotation, kArgoSyncWave}) {
    const std::string_view text = kube::AnnotationOf(object, key);
    int wave = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wave);
    if (!text.empty() && error == std::errc() && end == text.data() + text.size()) return wave;
  }
  return 0;
}

std::vector<Phase> PlanPhases(const std::vector<value::Ref>& objects, bool back) {
  std::vector<std::pair<Rank, size_t>> order;
  order.reserve(objects.size());
  for (size_t i = 0; i < objects.size(); ++i) order.emplace_back(RankOf(objects[i]), i);
  std::sort(order.begin(), order.end());

  std::vector<Phase> phases;
  const Rank* last = nullptr;
  for (const auto& [rank, index] : order) {
    if (!last || rank != *last) {
      const bool new_wave = last && last->step == 2 && last->wave != rank.wave;
      if (new_wave && !back) phases.back().wait = PhaseWait::kHealthy;
      if (last && last->step == 1) phases.back().wait = PhaseWait::kEstablished;
      phases.emplace_back();
      last = &rank;
    }
    phases.back().objects.push_back(index);
  }
  return phases;
}

}  // namespace flotilla::deliver
