#include "base/time.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace flotilla {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

struct Civil {
  int year;
  unsigned month, day;
  int hour, minute, second, micros;
};

Civil ToCivil(WallTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss<microseconds> clock(time - days);
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          static_cast<int>(clock.hours().count()),
          static_cast<int>(clock.minutes().count()),
          static_cast<int>(clock.seconds().count()),
          static_cast<int>(clock.subseconds().count())};
}

// Consumes text from the front.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool Empty() const { return text_.empty(); }
  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool Take(std::string_view prefix) {
    if (text_.substr(0, prefix.size()) != prefix) return false;
    text_.remove_prefix(prefix.size());
    return true;
  }
  bool TakeDigit(int* digit) {
    if (text_.empty() || text_.front() < '0' || text_.front() > '9') return false;
    *digit = text_.front() - '0';
    text_.remove_prefix(1);
    return true;
  }
  // Exactly `digits` digits with a value from least to most.
  bool TakeNumber(int digits, int least, int most, int* number) {
    *number = 0;
    for (int i = 0; i < digits; ++i) {
      int digit;
      if (!TakeDigit(&digit)) return false;
      *number = *number * 10 + digit;
    }
    return *number >= least && *number <= most;
  }

 private:
  std::string_view text_;
};

// "12.5" as micros of a unit of `nanos` nanoseconds each; false on overflow. Digits beyond the
// precision of a nanosecond are cut off.
bool AddQuantity(Reader& reader, int64_t* total_nanos) {
  int digit;
  bool any = false;
  int64_t whole = 0;
  while (reader.TakeDigit(&digit)) {
    any = true;
    if (whole > (std::numeric_limits<int64_t>::max() - digit) / 10) return false;
    whole = whole * 10 + digit;
  }
  double fraction = 0;
  if (reader.Take('.')) {
    double scale = 1;
    while (reader.TakeDigit(&digit)) {
      any = true;
      scale /= 10;
      fraction += digit * scale;
    }
  }
  if (!any) return false;
  int64_t unit;
  if (reader.Take("ns")) {
    unit = 1;
  } else if (reader.Take("us") || reader.Take("\xC2\xB5s") || reader.Take("\xCE\xBCs")) {
    unit = 1'000;
  } else if (reader.Take("ms")) {
    unit = 1'000'000;
  } else if (reader.Take('s')) {
    unit = 1'000'000'000;
  } else if (reader.Take('m')) {
    unit = 60'000'000'000;
  } else if (reader.Take('h')) {
    unit = 3'600'000'000'000;
  } else {
    return false;
  }
  int64_t nanos;
  if (__builtin_mul_overflow(whole, unit, &nanos)) return false;
  // Rounded half up to a nanosecond: 1.1 s is 1100 ms although 0.1 is no binary fraction.
  const auto part = std::llround(fraction * static_cast<double>(unit));
  return !__builtin_add_overflow(nanos, part, &nanos) &&
         !__builtin_add_overflow(*total_nanos, nanos, total_nanos);
}

// "1.5", "250": without trailing zeros.
std::string Decimal(int64_t value, int64_t unit) {
  std::string text = fmt::format("{}", value / unit);
  if (int64_t rest = value % unit) {
    std::string digits = fmt::format("{}", unit + rest).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    text += "." + digits;
  }
  return text;
}

}  // namespace

std::string FormatTime(WallTime time) {
  const Civil c = ToCivil(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second);
}

std::string FormatMicroTime(WallTime time) {
  const Civil c = ToCivil(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second, c.micros);
}

std::optional<WallTime> ParseTime(std::string_view text) {
  Reader reader(text);
  int year, month, day, hour, minute, second;
  if (!reader.TakeNumber(4, 0, 9999, &year) || !reader.Take('-') ||
      !reader.TakeNumber(2, 1, 12, &month) || !reader.Take('-') ||
      !reader.TakeNumber(2, 1, 31, &day) || !reader.Take('T') ||
      !reader.TakeNumber(2, 0, 23, &hour) || !reader.Take(':') ||
      !reader.TakeNumber(2, 0, 59, &minute) || !reader.Take(':') ||
      !reader.TakeNumber(2, 0, 59, &second)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok()) return std::nullopt;

  int64_t micros = 0;
  if (reader.Take('.')) {
    int digit, digits = 0;
    for (int64_t scale = 100'000; reader.TakeDigit(&digit); scale /= 10, ++digits) {
      micros += digit * scale;
    }
    if (digits == 0) return std::nullopt;
  }
  std::chrono::minutes offset(0);
  if (!reader.Take('Z')) {
    const bool east = reader.Take('+');
    int hours, minutes;
    if ((!east && !reader.Take('-')) || !reader.TakeNumber(2, 0, 23, &hours) || !reader.Take(':') ||
        !reader.TakeNumber(2, 0, 59, &minutes)) {
      return std::nullopt;
    }
    offset = std::chrono::minutes(east ? hours * 60 + minutes : -(hours * 60 + minutes));
  }
  if (!reader.Empty()) return std::nullopt;
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + seconds(second) + microseconds(micros) - offset;
}

std::optional<Duration> ParseDuration(std::string_view text) {
  Reader reader(text);
  const bool negative = reader.Take('-');
  if (!negative) reader.Take('+');
  if (reader.Empty()) return std::nullopt;
  int64_t nanos = 0;
  if (Reader zero = reader; zero.Take('0') && zero.Empty()) return Duration(0);
  while (!reader.Empty()) {
    if (!AddQuantity(reader, &nanos)) return std::nullopt;
  }
  return Duration((negative ? -nanos : nanos) / 1'000);
}

std::string FormatDuration(Duration duration) {
  const int64_t micros = duration.count();
  if (micros == 0) return "0s";
  if (micros < 0) {
    if (micros == std::numeric_limits<int64_t>::min()) return FormatDuration(Duration(micros + 1));
    return "-" + FormatDuration(-duration);
  }
  if (micros < 1'000) return fmt::format("{}\xC2\xB5s", micros);
  if (micros < 1'000'000) return Decimal(micros, 1'000) + "ms";
  const int64_t minutes = micros / 60'000'000;
  std::string text = Decimal(micros % 60'000'000, 1'000'000) + "s";
  if (minutes == 0) return text;
  text = fmt::format("{}m{}", minutes % 60, text);
  return minutes < 60 ? text : fmt::format("{}h{}", minutes / 60, text);
}

}  // namespace flotilla
