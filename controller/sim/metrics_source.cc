#include "sim/metrics_source.h"

#include <fmt/format.h>

#include "base/encoding.h"

namespace flotilla::sim {
namespace {

constexpr size_t kKept = 1000;  // samples per series

// The value of "query" in a form body or a query string.
std::string QueryOf(std::string_view text) {
  const size_t at = text.find("query=");
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + 6);
  std::string value(text.substr(0, text.find('&')));
  for (char& c : value) {
    if (c == '+') c = ' ';
  }
  return PercentDecode(value).value_or("");
}

}  // namespace

MetricsSource::MetricsSource(Runtime& runtime, Duration scrape_interval, Read read)
    : runtime_(runtime), interval_(scrape_interval), read_(std::move(read)) {
  task_ = runtime_.Spawn("scrape", [this](std::stop_token stop) {
    while (runtime_.SleepFor(interval_, stop)) Scrape();
  });
}

MetricsSource::~MetricsSource() { task_.reset(); }

void MetricsSource::SetFault(Fault fault) {
  MutexLock lock(mutex_);
  fault_ = fault;
}

std::optional<WallTime> MetricsSource::FirstAbove(const std::string& series, double bound) const {
  MutexLock lock(mutex_);
  auto it = samples_.find(series);
  if (it == samples_.end()) return std::nullopt;
  for (const Sample& sample : it->second) {
    if (sample.value > bound) return sample.at;
  }
  return std::nullopt;
}

void MetricsSource::Scrape() {
  std::vector<std::string> names;
  {
    MutexLock lock(mutex_);
    if (fault_ == Fault::kStale) return;
    for (const auto& [name, samples] : samples_) names.push_back(name);
  }
  for (const std::string& name : names) {
    const std::optional<double> value = read_(name);
    MutexLock lock(mutex_);
    std::vector<Sample>& samples = samples_[name];
    if (samples.size() >= kKept) samples.erase(samples.begin(), samples.begin() + kKept / 2);
    if (value) samples.push_back({*value, runtime_.WallNow()});
  }
}

http::ServerResponse MetricsSource::Answer(const http::ServerRequest& request) {
  std::string query = QueryOf(request.body.empty() ? std::string_view(request.target) : request.body);
  constexpr std::string_view kTimestamp = "max(timestamp(";
  bool timestamp = false;
  if (query.rfind(kTimestamp, 0) == 0) {
    timestamp = true;
    query = query.substr(kTimestamp.size(), query.size() - kTimestamp.size() - 2);
  }
  http::ServerResponse response;
  response.headers = {{"Content-Type", "application/json"}};
  MutexLock lock(mutex_);
  std::vector<Sample>& samples = samples_[query];  // from now on it is scraped
  if (fault_ == Fault::kUnavailable) {
    response.status = 503;
    response.body = R"({"status":"error","errorType":"timeout","error":"query timed out"})";
    return response;
  }
  auto seconds = [](WallTime time) {
    return static_cast<double>(time.time_since_epoch().count()) / 1e6;
  };
  std::string result;
  if (!samples.empty() && fault_ != Fault::kEmpty) {
    const Sample& last = samples.back();
    const std::string value = fault_ == Fault::kNaN ? "NaN"
                              : timestamp           ? fmt::format("{:.6f}", seconds(last.at))
                                                    : fmt::format("{}", last.value);
    result = fmt::format(R"({{"metric":{{}},"value":[{:.3f},"{}"]}})", seconds(runtime_.WallNow()), value);
  }
  response.body = fmt::format(
      R"({{"status":"success","data":{{"resultType":"vector","result":[{}]}}}})", result);
  return response;
}

http::Handler MetricsSource::Handler() {
  return [this](const http::ServerRequest& request) { return Answer(request); };
}

}  // namespace flotilla::sim
