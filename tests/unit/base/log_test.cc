#include "base/log.h"

#include <limits>
#include <vector>

#include "base/limits.h"
#include "catch.h"

namespace flotilla {
namespace {

// A runtime that only knows what time it is.
class StoppedClock final : public Runtime {
 public:
  TimePoint Now() const override { return {}; }
  WallTime WallNow() const override { return WallTime(Duration(1'500'000)); }
  uint64_t Random() override { return 4; }
  std::unique_ptr<Task> Spawn(std::string, std::function<void(std::stop_token)>) override {
    return nullptr;
  }
  std::unique_ptr<Event> NewEvent() override { return nullptr; }
  bool SleepUntil(TimePoint, std::stop_token) override { return false; }
};

struct Captured {
  StoppedClock clock;
  std::vector<std::string> lines;
  Logger log{clock, [this](std::string_view line) { lines.emplace_back(line); }};
  // What follows the fixed part of the last line.
  std::string Fields() const {
    const std::string& line = lines.back();
    return line.substr(line.find("\"message\":\"m\"") + 13);
  }
};

TEST_CASE("a line is one JSON object with time, level, message and fields") {
  Captured c;
  c.log.Info("stage done", {{"application", "web"}, {"stage", 2}});
  REQUIRE(c.lines.size() == 1);
  CHECK(c.lines[0] ==
        R"({"time":"1970-01-01T00:00:01.500000Z","level":"info","message":"stage done",)"
        R"("application":"web","stage":2})"
        "\n");
}

TEST_CASE("every kind of field has one form") {
  Captured c;
  c.log.Error("m", {{"text", "a\"b\n"},
                    {"yes", true},
                    {"int", -5},
                    {"uint", std::numeric_limits<uint64_t>::max()},
                    {"double", 0.5},
                    {"nan", std::numeric_limits<double>::quiet_NaN()},
                    {"took", Duration(1500ms)},
                    {"at", WallTime(Duration(0))}});
  CHECK(c.Fields() ==
        R"(,"text":"a\"b\n","yes":true,"int":-5,"uint":18446744073709551615,"double":0.5,)"
        R"("nan":"nan","took":"1.5s","at":"1970-01-01T00:00:00.000000Z"})"
        "\n");
}

TEST_CASE("an error field has its class and the chain of messages") {
  Captured c;
  const Error below = Fail(ErrorClass::kTimeout, "no answer").value();
  const Error error = Fail(below, "list pods").value();
  c.log.Warning("m", {{"error", error}});
  CHECK(c.Fields() == ",\"error\":\"Timeout: list pods: no answer\"}\n");
}

TEST_CASE("secrets and the passwords of URLs do not print, wherever they are") {
  Captured c;
  const Secret token("s3cr3t");
  const Error error =
      Fail(ErrorClass::kDenied, "cannot reach https://bot:s3cr3t@git.example/x: 403").value();
  c.log.With({{"token", token}})
      .Info("push to ssh://u:s3cr3t@h failed",
            {{"url", "https://u:s3cr3t@h/a?b#c"}, {"error", error}, {"again", token}});
  REQUIRE(c.lines.size() == 1);
  CHECK(c.lines[0].find("s3cr3t") == std::string::npos);
  CHECK(c.lines[0].find(R"("url":"https://u:[redacted]@h/a?b#c")") != std::string::npos);
}

TEST_CASE("only what stands between colon and the last at-sign of an authority is a password") {
  struct {
    const char *text, *redacted;
  } const cases[] = {
      {"https://u:p@h/x", "https://u:[redacted]@h/x"},
      {"https://u:p@q@h/x", "https://u:[redacted]@h/x"},
      {"https://u:@h", "https://u:[redacted]@h"},
      {"https://:p@h", "https://:[redacted]@h"},
      {"https://u@h:80/x", "https://u@h:80/x"},
      {"https://h:80/a@b", "https://h:80/a@b"},
      {"see http://a:b@c and http://d:e@f.",
       "see http://a:[redacted]@c and http://d:[redacted]@f."},
      {"no url: a@b", "no url: a@b"},
      {"://", "://"},
  };
  for (const auto& c : cases) CHECK(RedactUrls(c.text) == c.redacted);
}

TEST_CASE("With adds fields to every line of the narrowed logger, and only there") {
  Captured c;
  const Logger narrow = c.log.With({{"cluster", "a"}}).With({{"n", 1}});
  narrow.Info("m", {{"x", 2}});
  CHECK(c.Fields() == ",\"cluster\":\"a\",\"n\":1,\"x\":2}\n");
  c.log.Info("m");
  CHECK(c.Fields() == "}\n");
}

TEST_CASE("levels below the least, and a default logger, print nothing") {
  Captured c;
  c.log.Debug("m");
  Logger().With({{"a", 1}}).Error("m");
  CHECK(c.lines.empty());
  CHECK_FALSE(c.log.Enabled(LogLevel::kDebug));
}

TEST_CASE("a huge text is cut, and says so") {
  Captured c;
  c.log.Info("m", {{"x", std::string(limits::kLogTextBytes + 5, 'x')}});
  CHECK(c.lines[0].size() < limits::kLogTextBytes + 200);
  CHECK(c.lines[0].find("x [5 bytes more]\"") != std::string::npos);
}

}  // namespace
}  // namespace flotilla
