#include "api/slo.h"

#include "api/fields.h"

namespace flotilla::api {

const char* ToString(Comparison op) {
  constexpr const char* kNames[] = {"<", "<=", ">", ">=", "==", "!="};
  return NameOf(kNames, op);
}

bool Holds(double value, Comparison op, double bound) {
  switch (op) {
    case Comparison::kLess:
      return value < bound;
    case Comparison::kLessOrEqual:
      return value <= bound;
    case Comparison::kGreater:
      return value > bound;
    case Comparison::kGreaterOrEqual:
      return value >= bound;
    case Comparison::kEqual:
      return value == bound;
    case Comparison::kNotEqual:
      return value < bound || value > bound;
  }
  return false;
}

void Describe(Fields& f, Objective& objective) {
  f.Required("name", objective.name, "Unique within the object.", {.format = &kDnsLabel});
  f.Required(
      "query", objective.query,
      "PromQL that yields a scalar or a vector of one element. {{app}} and {{cluster}} stand for "
      "the names of the application and the cluster.");
  f.Required("op", objective.op, "The objective is met while `query op value` holds.");
  f.Required("value", objective.value, "The bound.");
  f.Optional("freshBy", objective.fresh_by,
             "Instant selector of a series that the query reads: its newest sample dates the "
             "answer. Absent: the query is an instant selector itself.");
  f.Optional("forSamples", objective.for_samples,
             "How many new samples in a row must violate the objective to breach it; each costs "
             "one scrape interval.",
             {.min = 1, .max = 100});
  f.Optional("dryRun", objective.dry_run, "Reports breaches without acting on them.");
}

void Describe(Fields& f, ServiceLevelObjectiveSpec& spec) {
  f.Optional("scrapeInterval", spec.scrape_interval,
             "Interval of the samples. An answer older than three of them is no data.",
             {.shortest = 1s, .longest = 10min});
  f.Optional("queryTimeout", spec.query_timeout, "Deadline of one query.",
             {.shortest = 100ms, .longest = 1min});
  f.Required("objectives", spec.objectives, "All of them must be met.",
             {.min_items = 1, .max_items = 50, .key = "name"});
}

void Describe(Fields& f, ServiceLevelObjective& slo) {
  f.Kind(kServiceLevelObjectiveKind,
         "What must hold on a cluster during and after a rollout; a breach rolls back.");
  f.Column("First", "string", ".spec.objectives[0].name", "The first objective.");
  f.Column("Scrape-Interval", "string", ".spec.scrapeInterval", "");
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(slo.spec, "The objectives and how they are read.");
}

Result<ServiceLevelObjective> ParseServiceLevelObjective(value::Ref object) {
  return ParseObject<ServiceLevelObjective>(object);
}
value::Value ToValue(const ServiceLevelObjective& slo) { return PrintObject(slo); }

}  // namespace flotilla::api
