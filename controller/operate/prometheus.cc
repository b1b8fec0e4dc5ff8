#include "operate/prometheus.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/encoding.h"
#include "value/json.h"

namespace flotilla::operate {
namespace {

std::optional<double> ParseSample(value::Ref pair) {
  if (!pair.IsList() || pair.size() != 2) return std::nullopt;
  const std::string text = pair[size_t{1}].Text();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "+Inf" || text == "Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || end != text.c_str() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Result<deliver::QueryAnswer> ParseQueryAnswer(int status, std::string_view body) {
  auto parsed = value::ParseJson(body);
  if (!parsed) {
    return Fail(status >= 500 ? ErrorClass::kUnavailable : ErrorClass::kInvalid,
                "Prometheus answers {} with something else than JSON", status);
  }
  if ((*parsed)["status"].String() != "success") {
    const ErrorClass cls = status == 400 || status == 422 ? ErrorClass::kInvalid
                           : status == 401                ? ErrorClass::kUnauthenticated
                           : status == 403                ? ErrorClass::kDenied
                                                          : ErrorClass::kUnavailable;
    return Fail(cls, "Prometheus answers {}: {}", status,
                (*parsed)["error"].String((*parsed)["message"].String("no reason given")));
  }
  deliver::QueryAnswer answer;
  answer.partial = (*parsed)["warnings"].size() > 0;
  const value::Ref data = (*parsed)["data"];
  const std::string_view type = data["resultType"].String();
  auto take = [&](value::Ref pair) {
    auto sample = ParseSample(pair);
    if (sample) answer.values.push_back(*sample);
    return sample.has_value();
  };
  if (type == "scalar") {
    if (take(data["result"])) return answer;
  } else if (type == "vector") {
    for (value::Ref series : data["result"].Items()) {
      if (!take(series["value"])) {
        return Fail(ErrorClass::kInvalid, "Prometheus answers a sample that is no number");
      }
    }
    return answer;
  }
  return Fail(ErrorClass::kInvalid, "the query gives a {}, not a scalar or an instant vector",
              type.empty() ? "nothing" : type);
}

void SendQuery(http::HttpClient& http, const std::shared_ptr<Member>& member,
               const http::Headers& headers, const std::string& promql, Duration timeout,
               std::stop_token stop, OnQueryAnswer on_answer) {
  const auto& source = member->cluster().spec.prometheus;
  if (source && source->service_proxy) {
    const api::ServiceProxy& proxy = *source->service_proxy;
    kube::ApiRequest request;
    request.path = fmt::format("/api/v1/namespaces/{}/services/{}:{}:{}/proxy{}/api/v1/query", proxy.ns,
                               proxy.scheme, proxy.name, proxy.port, proxy.path);
    request.query = {{"query", promql}};
    request.target = "Prometheus of " + member->name();
    request.timeout = timeout;
    member->client().Send(std::move(request), std::move(stop),
                          [on_answer = std::move(on_answer)](Result<kube::ApiResponse> answer) {
                            if (!answer) return on_answer(Pass(answer));
                            on_answer(ParseQueryAnswer(answer->status, answer->body));
                          });
    return;
  }
  http::Request request;
  request.method = http::Method::kPost;
  request.url = (source ? source->url : std::string()) + "/api/v1/query";
  request.headers = headers;
  request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  request.body = "query=" + PercentEncode(promql);
  request.deadline = member->client().runtime().Now() + timeout;
  http.Send(std::move(request), std::move(stop),
            [on_answer = std::move(on_answer)](Result<http::Response> answer) {
              if (!answer) return on_answer(Pass(answer));
              on_answer(ParseQueryAnswer(answer->status, answer->body));
            });
}

}  // namespace flotilla::operate
