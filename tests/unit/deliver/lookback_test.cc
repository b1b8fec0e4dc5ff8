// How far back a query looks: for so long after a rollback, errors of before are still counted.
#include "catch.h"
#include "deliver/gate.h"

namespace flotilla::deliver {
namespace {

TEST_CASE("a query looks back as far as its longest range") {
  struct Row {
    const char* query;
    Duration lookback;
  };
  const Row kRows[] = {
      {"error_ratio", 0s},
      {"rate(errors_total[1m])", 1min},
      {"rate(errors_total[30s]) / rate(requests_total[5m])", 5min},
      {"rate(errors_total[1h30m])", 90min},
      {"increase(errors_total[250ms])", 250ms},
      {"avg_over_time(errors_total[2d])", 48h},
      {"max_over_time(rate(errors_total[1m])[10m:30s])", 10min},
      {R"(rate(errors_total{code=~"[45]..",path="\"[9h]"}[1m]))", 1min},
      {"rate(errors_total{path=`\\`}[2m])", 2min},
      {"rate(errors_total[", 0s},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.query);
    CHECK(LookbackOf(row.query) == row.lookback);
  }
}

}  // namespace
}  // namespace flotilla::deliver
