// Points in time and how they are written.
//
// Two clocks, never mixed: TimePoint is monotonic and is what deadlines and timers use; WallTime is
// what people and other machines read, and may jump. Both come from a Runtime, never from the
// system directly.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace flotilla {

using Duration = std::chrono::microseconds;
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
using TimePoint = MonotonicClock::time_point;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""h;

inline constexpr TimePoint kForever = TimePoint::max();

// "2026-11-20T08:15:30Z": Kubernetes' metav1.Time.
std::string FormatTime(WallTime time);
// "2026-11-20T08:15:30.123456Z": Kubernetes' metav1.MicroTime, always six digits.
std::string FormatMicroTime(WallTime time);
// RFC 3339 with optional fraction and offset; nullopt where the text is not one.
std::optional<WallTime> ParseTime(std::string_view text);

// Go's notation of durations ("1h30m", "250ms", "1.5s"), as Kubernetes writes metav1.Duration.
std::optional<Duration> ParseDuration(std::string_view text);
std::string FormatDuration(Duration duration);

}  // namespace flotilla
