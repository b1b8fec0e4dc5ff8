#include "base/time.h"

#include "catch.h"

namespace flotilla {
namespace {

WallTime At(int64_t micros) { return WallTime(Duration(micros)); }

TEST_CASE("times are written as Kubernetes writes them") {
  CHECK(FormatTime(At(0)) == "1970-01-01T00:00:00Z");
  CHECK(FormatTime(At(1'795'853'730'999'999)) == "2026-11-28T08:15:30Z");
  CHECK(FormatMicroTime(At(1'795'853'730'000'042)) == "2026-11-28T08:15:30.000042Z");
  CHECK(FormatMicroTime(At(-1)) == "1969-12-31T23:59:59.999999Z");
}

TEST_CASE("RFC 3339 times are read with fraction and offset") {
  struct {
    const char* text;
    const char* canonical;
  } const cases[] = {
      {"2026-11-20T08:15:30Z", "2026-11-20T08:15:30.000000Z"},
      {"2026-11-20T08:15:30.5Z", "2026-11-20T08:15:30.500000Z"},
      {"2026-11-20T08:15:30.123456789Z", "2026-11-20T08:15:30.123456Z"},
      {"2026-11-20T08:15:30+02:00", "2026-11-20T06:15:30.000000Z"},
      {"2026-11-20T00:15:30-00:30", "2026-11-20T00:45:30.000000Z"},
      {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"},
      {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"},
  };
  for (const auto& c : cases) {
    INFO(c.text);
    const auto time = ParseTime(c.text);
    REQUIRE(time);
    CHECK(FormatMicroTime(*time) == c.canonical);
  }
}

TEST_CASE("what is no RFC 3339 time is refused") {
  for (const char* text : {"", "2026-11-20", "2026-11-20T08:15:30", "2026-11-20 08:15:30Z",
                           "2026-11-20T08:15:30.Z", "2026-13-20T08:15:30Z", "2026-02-29T08:15:30Z",
                           "2026-11-20T24:00:00Z", "2026-11-20T08:60:30Z", "2026-11-20T08:15:60Z",
                           "2026-11-20T08:15:30z", "2026-11-20T08:15:30+0200",
                           "2026-11-20T08:15:30Zx", "26-11-20T08:15:30Z", "+026-11-20T08:15:30Z"}) {
    INFO(text);
    CHECK_FALSE(ParseTime(text));
  }
}

// From Go's time package: Duration.String and ParseDuration.
TEST_CASE("durations are written as Go writes them, and read back") {
  struct {
    Duration duration;
    const char* text;
  } const cases[] = {
      {0us, "0s"},
      {1us, "1\xC2\xB5s"},
      {1100us, "1.1ms"},
      {250ms, "250ms"},
      {1500ms, "1.5s"},
      {-2s, "-2s"},
      {1min, "1m0s"},
      {5min + 1500ms, "5m1.5s"},
      {1h + 30min, "1h30m0s"},
      {300h + 1us, "300h0m0.000001s"},
  };
  for (const auto& c : cases) {
    INFO(c.text);
    CHECK(FormatDuration(c.duration) == c.text);
    CHECK(ParseDuration(c.text) == c.duration);
  }
}

TEST_CASE("durations are read in every unit and combination that Go reads") {
  CHECK(ParseDuration("0") == 0us);
  CHECK(ParseDuration("+5s") == 5s);
  CHECK(ParseDuration("-.5s") == -500ms);
  CHECK(ParseDuration("1.s") == 1s);
  CHECK(ParseDuration("1.1s") == 1100ms);
  CHECK(ParseDuration("1h1m1s1ms1us") == 1h + 1min + 1s + 1ms + 1us);
  CHECK(ParseDuration("1500ns") == 1us);
  CHECK(ParseDuration("1\xCE\xBCs") == 1us);
  CHECK(ParseDuration("9223372036854775807ns") == Duration(9'223'372'036'854'775));
}

TEST_CASE("what is no duration is refused") {
  for (const char* text : {"", "5", "s", ".s", "-", "1x", "1s ", " 1s", "1h-1m", "0x5s", "1..5s",
                           "9223372036854775808ns", "2562048h", "99999999999999999999s"}) {
    INFO(text);
    CHECK_FALSE(ParseDuration(text));
  }
}

}  // namespace
}  // namespace flotilla
