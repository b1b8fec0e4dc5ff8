// The application that the tests deliver: two Deployments, a Service and a ConfigMap, over three
// stages, judged by the ratio of failed requests. It fails where its image contains "bad".
#pragma once

#include <optional>
#include <set>
#include <string>

#include "e2e/fleet.h"

namespace flotilla::e2e {

inline constexpr double kBound = 0.05;  // of the ratio of failed requests
inline const std::set<std::string> kAll = {"canary", "region-a", "region-b"};

// How the error ratio is measured.
struct Mode {
  const char* name;
  const char* job;       // of the Prometheus: how often it scrapes
  const char* interval;  // the same, for the SLO
  const char* window;    // over which errors are counted
  const char* hot;       // long enough for a breach to show
};
inline constexpr Mode kFastCounters{"1 s scrape, counters", "fast", "1s", "3s", "8s"};
inline constexpr Mode kFastRate{"1 s scrape, 1 m rate", "fast", "1s", "1m", "15s"};
inline constexpr Mode kSlowCounters{"5 s scrape, counters", "slow", "5s", "11s", "20s"};
inline constexpr Mode kSlowRate{"5 s scrape, 1 m rate", "slow", "5s", "1m", "25s"};

// PromQL of the ratio on one cluster.
std::string Ratio(const Mode& mode, const std::string& app, const std::string& cluster);
// Everything that the application `app`, in a namespace of its own name, needs on the hub.
std::string SetUp(Fleet& fleet, const Mode& mode, const std::string& app);
Files AppWithImage(const std::string& app, const std::string& image);

// When the API server of `member` had accepted every object of the release with this image that it
// was sent, counted from `since`; nullopt where it was sent none.
std::optional<WallTime> LastAccepted(Fleet& fleet, const std::string& member,
                                     const std::string& app, const std::string& image,
                                     WallTime since);
// Members whose API server accepted an object with this image since `since`.
std::set<std::string> WhoAccepted(Fleet& fleet, const std::string& app, const std::string& image,
                                  WallTime since);
// Members whose Deployments have this image now.
std::set<std::string> WhoRuns(Fleet& fleet, const std::string& app, const std::string& image);

// Waits until the newest Rollout is another one than `before` and over, which must be in this
// phase.
value::Value AwaitRollout(Fleet& fleet, const std::string& app, const std::string& phase,
                          const std::string& before, Duration limit);
std::string NameOf(const value::Value& rollout);

inline double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace flotilla::e2e
