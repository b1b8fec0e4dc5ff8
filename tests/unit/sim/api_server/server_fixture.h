// An embedded API server with a clock that tests move, and short ways to talk to it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "catch.h"
#include "sim/api_server/api_server.h"
#include "value/json.h"

namespace flotilla::sim {

struct Reply {
  int status = 0;
  http::Headers headers;
  std::string text;
  value::Value body;

  std::string_view header(std::string_view name) const { return http::Find(headers, name); }
};

// What a watch has said so far.
struct WatchLog : http::ResponseWriter {
  struct Shared {
    std::vector<value::Value> events;
    bool ended = false;
    bool refuses = false;  // Write answers false
  };
  explicit WatchLog(std::shared_ptr<Shared> s) : shared(std::move(s)) {}
  ~WatchLog() override { shared->ended = true; }
  bool Write(std::string_view data) override {
    if (shared->refuses) return false;
    while (!data.empty()) {
      size_t end = data.find('\n');
      auto event = value::ParseJson(data.substr(0, end));
      REQUIRE(event);
      shared->events.push_back(*event);
      data.remove_prefix(end == std::string_view::npos ? data.size() : end + 1);
    }
    return true;
  }
  std::shared_ptr<Shared> shared;
};
using Events = std::shared_ptr<WatchLog::Shared>;

class ServerFixture {
 public:
  explicit ServerFixture(ApiServerOptions options = {}) : server(WithClock(std::move(options))) {}

  Reply Send(http::Method method, std::string target, std::string body = "",
             http::Headers headers = {}) {
    http::ServerRequest request;
    request.method = method;
    request.target = std::move(target);
    request.body = std::move(body);
    request.headers = std::move(headers);
    request.headers.emplace_back("User-Agent", "tester/1");
    if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
    http::ServerResponse response = server.Handle(request);
    Reply reply{response.status, response.headers, response.body, {}};
    if (auto json = value::ParseJson(response.body)) reply.body = *std::move(json);
    return reply;
  }
  Reply Get(std::string target, http::Headers headers = {}) {
    return Send(http::Method::kGet, std::move(target), "", std::move(headers));
  }
  Reply Post(std::string target, std::string body) {
    return Send(http::Method::kPost, std::move(target), std::move(body),
                {{"Content-Type", "application/json"}});
  }
  Reply Put(std::string target, std::string body) {
    return Send(http::Method::kPut, std::move(target), std::move(body),
                {{"Content-Type", "application/json"}});
  }
  Reply Delete(std::string target, std::string body = "") {
    return Send(http::Method::kDelete, std::move(target), std::move(body));
  }
  Reply Patch(std::string target, std::string type, std::string body) {
    return Send(http::Method::kPatch, std::move(target), std::move(body),
                {{"Content-Type", "application/" + type}});
  }
  Reply Apply(std::string target, std::string manager, std::string body, bool force = false) {
    return Patch(target + "?fieldManager=" + manager + (force ? "&force=true" : ""),
                 "apply-patch+yaml", std::move(body));
  }
  Events Watch(std::string target) {
    http::ServerRequest request;
    request.target = std::move(target);
    http::ServerResponse response = server.Handle(request);
    REQUIRE(response.status == 200);
    REQUIRE(response.stream);
    auto shared = std::make_shared<WatchLog::Shared>();
    response.stream(std::make_shared<WatchLog>(shared));
    return shared;
  }

  void Pass(Duration duration) {
    now += duration;
    server.Advance();
  }

  ApiServerOptions WithClock(ApiServerOptions options) {
    options.clock.now = [this] { return now; };
    options.clock.wall_now = [this] {
      return WallTime(std::chrono::hours(24 * 20000)) + now.time_since_epoch();
    };
    return options;
  }

  TimePoint now{};
  std::string token;
  ApiServer server;
};

// "ADDED a", "MODIFIED a", "BOOKMARK": what the events say.
inline std::vector<std::string> Summary(const Events& events) {
  std::vector<std::string> lines;
  for (const value::Value& event : events->events) {
    std::string line = event["type"].Text();
    if (value::Ref name = event["object"]["metadata"]["name"]) line += " " + name.Text();
    lines.push_back(line);
  }
  return lines;
}

inline std::string ConfigMap(const std::string& name, const std::string& value = "1") {
  return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name +
         R"("},"data":{"key":")" + value + R"("}})";
}

inline constexpr const char* kConfigMaps = "/api/v1/namespaces/default/configmaps";

}  // namespace flotilla::sim
