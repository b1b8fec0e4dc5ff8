// A stand-in for Prometheus whose samples follow what a cluster really runs.
//
// It scrapes on an interval: the value of a sample is what `read` says at that moment. It answers
// the instant queries that a plain objective asks: a series by name, and max(timestamp(<series>)).
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/runtime.h"
#include "http/server.h"

namespace flotilla::sim {

class MetricsSource {
 public:
  // The value of a series now; nullopt: it does not exist.
  using Read = std::function<std::optional<double>(const std::string& series)>;

  MetricsSource(Runtime& runtime, Duration scrape_interval, Read read);
  ~MetricsSource();

  http::Handler Handler();

  // What the backend does to everybody who asks.
  enum class Fault : unsigned char { kNone, kEmpty, kNaN, kStale, kUnavailable };
  void SetFault(Fault fault);

  // When the first sample above `bound` of that series became readable.
  std::optional<WallTime> FirstAbove(const std::string& series, double bound) const;

 private:
  struct Sample {
    double value;
    WallTime at;
  };
  http::ServerResponse Answer(const http::ServerRequest& request);
  void Scrape();

  Runtime& runtime_;
  const Duration interval_;
  const Read read_;
  mutable Mutex mutex_;
  Fault fault_ = Fault::kNone;                          // all guarded by mutex_
  std::map<std::string, std::vector<Sample>> samples_;  // of the series that were asked for
  std::unique_ptr<Task> task_;
};

}  // namespace flotilla::sim
