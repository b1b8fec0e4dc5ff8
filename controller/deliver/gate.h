// What an objective says of one answer of the metrics backend: pure.
//
// A plain threshold acts on the first fresh sample that violates it. Everything that is not a clear
// answer holds: no data, stale data, a NaN or an error neither passes nor breaches (DESIGN.md,
// section 4; delivery.md, section 9.3, rule 0).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/slo.h"
#include "base/result.h"
#include "base/time.h"
#include "deliver/machine.h"

namespace flotilla::deliver {

// An answer of Prometheus' /api/v1/query: the values of a vector, or the one of a scalar.
struct QueryAnswer {
  std::vector<double> values;
  bool partial = false;  // came with warnings
};

// What is remembered of one objective on one cluster while it is watched.
struct ObjectiveState {
  WallTime last_sample{};  // the newest one that was judged
  int violations = 0;      // consecutive new samples that violated it
  WallTime first_bad_readable{};
};

struct Observation {
  Result<QueryAnswer> value;
  Result<QueryAnswer> sampled_at;  // seconds: when the newest sample that the query reads was taken
  WallTime readable_at{};          // when the answer was there
};

// `applied_at`: when the cluster accepted the release: older samples say nothing of it.
Evidence Judge(const api::Objective& objective, Duration scrape_interval, WallTime applied_at,
               const Observation& observation, ObjectiveState& state);

// "{{app}}" and "{{cluster}}" of a query, replaced; PromQL's own braces stay.
std::string ExpandQuery(std::string_view query, std::string_view application,
                        std::string_view cluster);
// How far back the query looks: its longest range ("[1m]" is 1 min, "[30m:1m]" 30 min); 0 where it
// has none, or none that Prometheus would take.
Duration LookbackOf(std::string_view query);
// The query that tells when the newest sample behind `objective` was taken.
std::string FreshnessQuery(const api::Objective& objective, std::string_view application,
                           std::string_view cluster);

}  // namespace flotilla::deliver
