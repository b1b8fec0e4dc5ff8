#include "deliver/gate.h"

#include <fmt/format.h>

#include <cmath>

namespace flotilla::deliver {
namespace {

constexpr Duration kFuture = 5s;       // clocks differ; a sample further ahead is not believed
constexpr int kStaleIntervals = 3;

WallTime FromSeconds(double seconds) {
  return WallTime(Duration(static_cast<int64_t>(seconds * 1e6)));
}

}  // namespace

Evidence Judge(const api::Objective& objective, Duration scrape_interval, WallTime applied_at,
               const Observation& observation, ObjectiveState& state) {
  Evidence evidence;
  evidence.query = objective.query;
  evidence.expected = fmt::format("{} {}", api::ToString(objective.op), objective.value);
  auto say = [&](Verdict verdict, std::string detail) {
    evidence.verdict = verdict;
    evidence.detail = std::move(detail);
    if (objective.dry_run && verdict != Verdict::kPass) {
      evidence.verdict = Verdict::kPass;
      evidence.detail = "dry run: " + evidence.detail;
    }
    return evidence;
  };

  if (!observation.value) return say(Verdict::kError, observation.value.error().ToString());
  if (!observation.sampled_at) return say(Verdict::kError, observation.sampled_at.error().ToString());
  const std::vector<double>& values = observation.value->values;
  if (values.size() > 1) {
    return say(Verdict::kError, fmt::format("the query gives {} series: aggregate it to one", values.size()));
  }
  if (values.empty() || std::isnan(values[0])) return say(Verdict::kNoData, "no data");
  evidence.observed = fmt::format("{}", values[0]);
  if (observation.sampled_at->values.empty() || std::isnan(observation.sampled_at->values[0])) {
    return say(Verdict::kNoData, "no sample of the series that freshBy names");
  }
  const WallTime sampled = FromSeconds(observation.sampled_at->values[0]);
  evidence.sample_time = sampled;
  if (sampled > observation.readable_at + kFuture) {
    return say(Verdict::kNoData, fmt::format("its sample is from the future: {}", FormatTime(sampled)));
  }
  if (observation.readable_at - sampled > scrape_interval * kStaleIntervals) {
    return say(Verdict::kNoData, fmt::format("stale: the newest sample is of {}", FormatTime(sampled)));
  }
  if (sampled <= applied_at) return say(Verdict::kNoData, "no sample since it was applied");

  const std::string fact = fmt::format("{}, expected {}, sampled {}", evidence.observed,
                                       evidence.expected, FormatMicroTime(sampled));
  const bool is_new = sampled > state.last_sample;
  if (is_new) state.last_sample = sampled;
  if (api::Holds(values[0], objective.op, objective.value)) {
    if (is_new) state.violations = 0;
    if (observation.value->partial) return say(Verdict::kError, "the answer is partial");
    return say(Verdict::kPass, fact);
  }
  // The two queries may see different samples: a violation that was not counted yet is a new one.
  if ((is_new || state.violations == 0) && ++state.violations == 1) state.first_bad_readable = observation.readable_at;
  if (state.violations < objective.for_samples) {
    return say(Verdict::kNoData, fmt::format("{}; {} of {} such samples", fact, state.violations,
                                             objective.for_samples));
  }
  evidence.readable_at = state.first_bad_readable;
  return say(Verdict::kBreach, fact);
}

std::string ExpandQuery(std::string_view query, std::string_view application,
                        std::string_view cluster) {
  std::string expanded;
  expanded.reserve(query.size());
  while (!query.empty()) {
    for (const auto& [name, value] : {std::pair{std::string_view("{{app}}"), application},
                                      std::pair{std::string_view("{{cluster}}"), cluster}}) {
      while (query.substr(0, name.size()) == name) {
        expanded += value;
        query.remove_prefix(name.size());
      }
    }
    if (query.empty()) break;
    expanded += query.front();
    query.remove_prefix(1);
  }
  return expanded;
}

Duration LookbackOf(std::string_view query) {
  static constexpr std::pair<std::string_view, Duration> kUnits[] = {
      {"ms", 1ms}, {"s", 1s}, {"m", 1min}, {"h", 1h}, {"d", 24h}, {"w", 24h * 7}, {"y", 24h * 365}};
  Duration longest{0};
  char quote = 0;
  for (size_t at = 0; at < query.size(); ++at) {
    const char c = query[at];
    if (quote != 0) {
      if (c == '\\' && quote != '`') ++at;
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'' || c == '`') {
      quote = c;
    } else if (c == '[') {
      Duration range{0};
      int64_t number = 0;
      for (++at; at < query.size() && query[at] != ']' && query[at] != ':'; ++at) {
        if (query[at] >= '0' && query[at] <= '9') {
          number = std::min<int64_t>(number * 10 + (query[at] - '0'), 1'000'000);
          continue;
        }
        for (const auto& [unit, length] : kUnits) {
          if (query.substr(at, unit.size()) != unit) continue;
          range += number * length;
          number = 0;
          at += unit.size() - 1;
          break;
        }
      }
      longest = std::max(longest, range);
    }
  }
  return longest;
}

std::string FreshnessQuery(const api::Objective& objective, std::string_view application,
                           std::string_view cluster) {
  const std::string& series = objective.fresh_by.empty() ? objective.query : objective.fresh_by;
  return fmt::format("max(timestamp({}))", ExpandQuery(series, application, cluster));
}

}  // namespace flotilla::deliver
