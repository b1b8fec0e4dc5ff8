// ServiceLevelObjective: what must hold on a cluster during and after a rollout.
#pragma once

#include <string>
#include <vector>

#include "api/meta.h"
#include "base/result.h"

namespace flotilla::api {

enum class Comparison : unsigned char {
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kEqual,
  kNotEqual,
};
const char* ToString(Comparison op);  // "<", "<=", ...
// value `op` bound. NaN never holds (callers treat it as no data before they ask).
bool Holds(double value, Comparison op, double bound);

// A plain threshold: the objective is met while `query op value` holds, and breached by the first
// fresh sample for which it does not.
struct Objective {
  std::string name;
  std::string
      query;  // PromQL: a scalar or a vector of one element; {{app}} and {{cluster}} are replaced
  Comparison op = Comparison::kLess;
  double value = 0;
  std::string fresh_by;  // instant selector of a series that the query reads; "": the query itself
  int for_samples = 1;   // consecutive new samples that must violate it
  bool dry_run = false;  // reports, never acts
  bool operator==(const Objective&) const = default;
};

struct ServiceLevelObjectiveSpec {
  Duration scrape_interval = 15s;  // of the series; a sample older than three of them is no data
  Duration query_timeout = 2s;
  std::vector<Objective> objectives;
  bool operator==(const ServiceLevelObjectiveSpec&) const = default;
};

struct ServiceLevelObjective {
  Meta meta;
  ServiceLevelObjectiveSpec spec;
  bool operator==(const ServiceLevelObjective&) const = default;
};

Result<ServiceLevelObjective> ParseServiceLevelObjective(value::Ref object);
value::Value ToValue(const ServiceLevelObjective& slo);

void Describe(Fields& f, Objective& objective);
void Describe(Fields& f, ServiceLevelObjectiveSpec& spec);
void Describe(Fields& f, ServiceLevelObjective& slo);

}  // namespace flotilla::api
