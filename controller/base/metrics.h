// Metrics for Prometheus: counters, gauges and histograms with labels.
//
// A series is made once and kept as a handle; updating it is one atomic operation. Asking again for
// the same name and labels gives the same series. Handles outlive the registry's interest in them:
// after Remove they still work, and show nowhere. Everything is safe for concurrent use.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/runtime.h"

namespace flotilla {

class Counter {
 public:
  void Increment(uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double by) { value_.fetch_add(by, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  // Upper bounds of the buckets, rising; +Inf is implied.
  explicit Histogram(std::vector<double> bounds);
  void Observe(double value);
  const std::vector<double>& bounds() const { return bounds_; }
  uint64_t count(size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::vector<double> bounds_;
  std::unique_ptr<std::atomic<uint64_t>[]> counts_;  // per bucket, not cumulative; the last is +Inf
  std::atomic<double> sum_{0};
};

// Seconds, from 1 ms to 60 s.
std::vector<double> LatencyBounds();

class Metrics {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  // `name` and label names follow Prometheus' grammar, and one name has one type, or this aborts:
  // names are constants of the program.
  std::shared_ptr<Counter> AddCounter(std::string_view name, std::string_view help,
                                      Labels labels = {});
  std::shared_ptr<Gauge> AddGauge(std::string_view name, std::string_view help, Labels labels = {});
  std::shared_ptr<Histogram> AddHistogram(std::string_view name, std::string_view help,
                                          Labels labels = {},
                                          std::vector<double> bounds = LatencyBounds());

  // Forgets every series that carries this label: its cluster or application is gone.
  void Remove(std::string_view label, std::string_view value);

  // The text exposition format 0.0.4, in order of names and labels.
  std::string Expose() const;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  enum class Type : unsigned char { kCounter, kGauge, kHistogram };
  struct Family {
    Type type = Type::kCounter;
    std::string help;
    std::map<Labels, std::shared_ptr<void>> series;
  };
  template <typename Series, typename Make>
  std::shared_ptr<Series> Add(Type type, std::string_view name, std::string_view help,
                              Labels labels, Make make);

  mutable Mutex mutex_;
  std::map<std::string, Family, std::less<>> families_;
};

}  // namespace flotilla
