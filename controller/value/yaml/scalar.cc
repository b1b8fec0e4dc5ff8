#include "value/yaml/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

namespace flotilla::value::internal {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

size_t SkipDigits(std::string_view text, size_t at) {
  while (at < text.size() && IsDigit(text[at])) ++at;
  return at;
}

std::optional<Scalar> ResolveWord(std::string_view text) {
  static constexpr std::array<std::string_view, 11> kTrue = {
      "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
  static constexpr std::array<std::string_view, 11> kFalse = {
      "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
  static constexpr std::array<std::string_view, 5> kNull = {"", "~", "null", "Null", "NULL"};
  if (text.size() > 5) return std::nullopt;
  auto one_of = [&](const auto& words) {
    return std::find(words.begin(), words.end(), text) != words.end();
  };
  if (one_of(kNull)) return Scalar{.type = ScalarType::kNull};
  if (one_of(kTrue)) return Scalar{.type = ScalarType::kBool, .boolean = true};
  if (one_of(kFalse)) return Scalar{.type = ScalarType::kBool, .boolean = false};
  if (text.find('.') == std::string_view::npos) return std::nullopt;
  double sign = text[0] == '-' ? -1 : 1;
  std::string_view unsigned_text = text[0] == '-' || text[0] == '+' ? text.substr(1) : text;
  if (unsigned_text == ".inf" || unsigned_text == ".Inf" || unsigned_text == ".INF") {
    return Scalar{.type = ScalarType::kFloat,
                  .real = sign * std::numeric_limits<double>::infinity()};
  }
  if (text == ".nan" || text == ".NaN" || text == ".NAN") {
    return Scalar{.type = ScalarType::kFloat, .real = std::numeric_limits<double>::quiet_NaN()};
  }
  return std::nullopt;
}

// Go's ParseInt and ParseUint with base 0.
std::optional<Scalar> ResolveInteger(std::string_view text) {
  bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  bool negative = sign && text[0] == '-';
  std::string_view digits = text.substr(sign ? 1 : 0);
  int base = 10;
  if (digits.size() > 1 && digits[0] == '0') {
    switch (digits[1]) {
      case 'x':
      case 'X':
        base = 16;
        digits.remove_prefix(2);
        break;
      case 'o':
      case 'O':
        base = 8;
        digits.remove_prefix(2);
        break;
      case 'b':
      case 'B':
        base = 2;
        digits.remove_prefix(2);
        break;
      default:
        base = 8;
        digits.remove_prefix(1);
    }
  }
  uint64_t size = 0;
  const char* end = digits.data() + digits.size();
  if (digits.empty() || digits[0] == '-') return std::nullopt;
  auto [at, error] = std::from_chars(digits.data(), end, size, base);
  if (error != std::errc() || at != end) return std::nullopt;
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (size <= kMax) {
    auto value = static_cast<int64_t>(size);
    return Scalar{.type = ScalarType::kInt, .int64 = negative ? -value : value};
  }
  if (negative && size == kMax + 1) {
    return Scalar{.type = ScalarType::kInt, .int64 = std::numeric_limits<int64_t>::min()};
  }
  if (sign) return std::nullopt;
  return Scalar{.type = ScalarType::kUint, .uint64 = size};
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
std::optional<Scalar> ResolveFloat(std::string_view text) {
  size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  size_t whole = SkipDigits(text, at) - at;
  at += whole;
  if (at < text.size() && text[at] == '.') {
    size_t fraction = SkipDigits(text, at + 1) - (at + 1);
    if (whole == 0 && fraction == 0) return std::nullopt;
    at += 1 + fraction;
  } else if (whole == 0) {
    return std::nullopt;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    size_t end = SkipDigits(text, at);
    if (end == at) return std::nullopt;
    at = end;
  }
  if (at != text.size()) return std::nullopt;
  if (text[0] == '+') text.remove_prefix(1);
  double real = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), real);
  if (error == std::errc::result_out_of_range) {
    // Too small is zero, too large is a string, as in Go.
    real = std::strtod(std::string(text).c_str(), nullptr);
    if (std::abs(real) > 1) return std::nullopt;
  }
  return Scalar{.type = ScalarType::kFloat, .real = real};
}

bool UnderscoresSeparateDigits(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') continue;
    if (i == 0 || i + 1 == text.size() || !IsDigit(text[i - 1]) || !IsDigit(text[i + 1]))
      return false;
  }
  return true;
}

// yyyy-[m]m-[d]d, alone or followed by a time.
bool LooksLikeTimestamp(std::string_view text) {
  if (SkipDigits(text, 0) != 4 || text.size() < 8 || text[4] != '-') return false;
  size_t month = SkipDigits(text, 5);
  if (month == 5 || month > 7 || month >= text.size() || text[month] != '-') return false;
  size_t day = SkipDigits(text, month + 1);
  if (day == month + 1 || day > month + 3) return false;
  return day == text.size() || text[day] == 'T' || text[day] == 't' || text[day] == ' ';
}

}  // namespace

Scalar ResolveScalar(std::string_view text) {
  char first = text.empty() ? '~' : text[0];
  bool number = IsDigit(first) || first == '-' || first == '+';
  if (!number && first != '.' && std::string_view("yYnNtTfFoO~").find(first) == text.npos)
    return {};
  if (auto word = ResolveWord(text)) return *word;
  if (!number && first != '.') return {};
  if (LooksLikeTimestamp(text)) return Scalar{.type = ScalarType::kTimestamp};
  std::string without_underscores;
  if (text.find('_') != text.npos) {
    if (first == '.' && !UnderscoresSeparateDigits(text)) return {};
    std::copy_if(text.begin(), text.end(), std::back_inserter(without_underscores),
                 [](char c) { return c != '_'; });
    text = without_underscores;
  }
  if (first == '.') return ResolveFloat(text).value_or(Scalar());
  if (auto integer = ResolveInteger(text)) return *integer;
  return ResolveFloat(text).value_or(Scalar());
}

bool LooksLikeBase60(std::string_view text) {
  // [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?
  size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  if (at >= text.size() || !IsDigit(text[at])) return false;
  while (at < text.size() && (IsDigit(text[at]) || text[at] == '_')) ++at;
  size_t groups = 0;
  while (at < text.size() && text[at] == ':') {
    size_t end = SkipDigits(text, at + 1);
    size_t digits = end - at - 1;
    if (digits == 0 || digits > 2 || (digits == 2 && text[at + 1] > '5')) return false;
    at = end;
    ++groups;
  }
  if (groups == 0) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    while (at < text.size() && (IsDigit(text[at]) || text[at] == '_')) ++at;
  }
  return at == text.size();
}

std::string KeyOfFloat(double real) {
  if (std::isnan(real)) return ".nan";
  if (std::isinf(real)) return real > 0 ? ".inf" : "-.inf";
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, static_cast<float>(real),
                                    std::chars_format::scientific);
  std::string_view scientific(buffer, static_cast<size_t>(end - buffer));
  int exponent = 0;
  size_t e = scientific.find('e');
  std::from_chars(scientific.data() + e + (scientific[e + 1] == '+' ? 2 : 1),
                  scientific.data() + scientific.size(), exponent);
  if (exponent < -4 || exponent >= 6) return std::string(scientific);
  auto [fixed_end, fixed_error] = std::to_chars(buffer, buffer + sizeof buffer,
                                                static_cast<float>(real), std::chars_format::fixed);
  return std::string(buffer, fixed_end);
}

}  // namespace flotilla::value::internal
