#include "base/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace flotilla {
namespace {

void Require(bool ok, std::string_view name, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "flotilla: metric %.*s: %s\n", static_cast<int>(name.size()), name.data(),
               what);
  std::abort();
}

// [a-zA-Z_:][a-zA-Z0-9_:]*; label names have no ':'.
bool IsName(std::string_view text, bool label) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  return std::all_of(text.begin(), text.end(), [label](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c == ':' && !label);
  });
}

std::string Escape(std::string_view text, bool quotes) {
  std::string escaped;
  for (char c : text) {
    if (c == '\\') {
      escaped += "\\\\";
    } else if (c == '\n') {
      escaped += "\\n";
    } else if (c == '"' && quotes) {
      escaped += "\\\"";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

// {a="1",le="0.5"}, or nothing.
std::string LabelText(const Metrics::Labels& labels, std::string_view bound = {}) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "{" : ",", name, Escape(value, true));
  }
  if (!bound.empty()) text += fmt::format("{}le=\"{}\"", text.empty() ? "{" : ",", bound);
  if (!text.empty()) text += '}';
  return text;
}

void ExposeHistogram(std::string& out, std::string_view name, const Metrics::Labels& labels,
                     const Histogram& histogram) {
  uint64_t cumulative = 0;
  for (size_t i = 0; i <= histogram.bounds().size(); ++i) {
    cumulative += histogram.count(i);
    const std::string bound =
        i < histogram.bounds().size() ? Number(histogram.bounds()[i]) : "+Inf";
    out += fmt::format("{}_bucket{} {}\n", name, LabelText(labels, bound), cumulative);
  }
  out += fmt::format("{}_sum{} {}\n", name, LabelText(labels), Number(histogram.sum()));
  out += fmt::format("{}_count{} {}\n", name, LabelText(labels), cumulative);
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)),
      counts_(std::make_unique<std::atomic<uint64_t>[]>(bounds_.size() + 1)) {}

void Histogram::Observe(double value) {
  // A NaN belongs to no bucket but +Inf.
  const auto bucket =
      std::isnan(value) ? bounds_.end() : std::lower_bound(bounds_.begin(), bounds_.end(), value);
  counts_[static_cast<size_t>(bucket - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<double> LatencyBounds() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
}

template <typename Series, typename Make>
std::shared_ptr<Series> Metrics::Add(Type type, std::string_view name, std::string_view help,
                                     Labels labels, Make make) {
  Require(IsName(name, false), name, "not a metric's name");
  std::sort(labels.begin(), labels.end());
  for (size_t i = 0; i < labels.size(); ++i) {
    Require(IsName(labels[i].first, true) && labels[i].first != "le", name, "not a label's name");
    Require(i == 0 || labels[i].first != labels[i - 1].first, name, "two labels of one name");
  }
  MutexLock lock(mutex_);
  auto family = families_.find(name);
  if (family == families_.end()) {
    family = families_.try_emplace(std::string(name), Family{type, std::string(help), {}}).first;
  }
  Require(family->second.type == type, name, "two types under one name");
  std::shared_ptr<void>& series = family->second.series[std::move(labels)];
  if (!series) series = make();
  return std::static_pointer_cast<Series>(series);
}

std::shared_ptr<Counter> Metrics::AddCounter(std::string_view name, std::string_view help,
                                             Labels labels) {
  return Add<Counter>(Type::kCounter, name, help, std::move(labels),
                      [] { return std::make_shared<Counter>(); });
}

std::shared_ptr<Gauge> Metrics::AddGauge(std::string_view name, std::string_view help,
                                         Labels labels) {
  return Add<Gauge>(Type::kGauge, name, help, std::move(labels),
                    [] { return std::make_shared<Gauge>(); });
}

std::shared_ptr<Histogram> Metrics::AddHistogram(std::string_view name, std::string_view help,
                                                 Labels labels, std::vector<double> bounds) {
  Require(std::is_sorted(bounds.begin(), bounds.end()), name, "bounds that do not rise");
  return Add<Histogram>(Type::kHistogram, name, help, std::move(labels),
                        [&bounds] { return std::make_shared<Histogram>(std::move(bounds)); });
}

void Metrics::Remove(std::string_view label, std::string_view value) {
  MutexLock lock(mutex_);
  for (auto& [name, family] : families_) {
    std::erase_if(family.series, [&](const auto& series) {
      return std::any_of(series.first.begin(), series.first.end(), [&](const auto& pair) {
        return pair.first == label && pair.second == value;
      });
    });
  }
}

std::string Metrics::Expose() const {
  static constexpr const char* kTypes[] = {"counter", "gauge", "histogram"};
  std::string out;
  MutexLock lock(mutex_);
  for (const auto& [name, family] : families_) {
    if (family.series.empty()) continue;
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, Escape(family.help, false), name,
                       kTypes[static_cast<size_t>(family.type)]);
    for (const auto& [labels, series] : family.series) {
      switch (family.type) {
        case Type::kCounter:
          out += fmt::format("{}{} {}\n", name, LabelText(labels),
                             static_cast<const Counter*>(series.get())->value());
          break;
        case Type::kGauge:
          out += fmt::format("{}{} {}\n", name, LabelText(labels),
                             Number(static_cast<const Gauge*>(series.get())->value()));
          break;
        case Type::kHistogram:
          ExposeHistogram(out, name, labels, *static_cast<const Histogram*>(series.get()));
          break;
      }
    }
  }
  return out;
}

}  // namespace flotilla
