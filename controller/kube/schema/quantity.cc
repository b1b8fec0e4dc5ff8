#include "kube/schema/quantity.h"

#include <algorithm>
#include <charconv>

namespace flotilla::kube::schema {
namespace {

__extension__ typedef __int128 Wide;
constexpr int kMaxDigits = 28;  // of a mantissa: fits Wide with room for a binary suffix

struct Suffix {
  enum class Format { kDecimal, kBinary, kExponent } format;
  int exponent;  // of 10, or of 2
};

std::optional<Suffix> ReadSuffix(std::string_view text) {
  using F = Suffix::Format;
  static constexpr struct {
    std::string_view name;
    Suffix suffix;
  } kKnown[] = {{"", {F::kDecimal, 0}},   {"n", {F::kDecimal, -9}}, {"u", {F::kDecimal, -6}},
                {"m", {F::kDecimal, -3}}, {"k", {F::kDecimal, 3}},  {"M", {F::kDecimal, 6}},
                {"G", {F::kDecimal, 9}},  {"T", {F::kDecimal, 12}}, {"P", {F::kDecimal, 15}},
                {"E", {F::kDecimal, 18}}, {"Ki", {F::kBinary, 10}}, {"Mi", {F::kBinary, 20}},
                {"Gi", {F::kBinary, 30}}, {"Ti", {F::kBinary, 40}}, {"Pi", {F::kBinary, 50}},
                {"Ei", {F::kBinary, 60}}};
  for (const auto& known : kKnown) {
    if (known.name == text) return known.suffix;
  }
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return std::nullopt;
  std::string_view digits = text.substr(1);
  if (digits[0] == '+') digits.remove_prefix(1);
  int exponent = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  if (error != std::errc() || end != digits.data() + digits.size() || exponent > 18 ||
      exponent < -18) {
    return std::nullopt;
  }
  return Suffix{F::kExponent, exponent};
}

std::string Digits(Wide number) {
  std::string text;
  do {
    text.insert(text.begin(), static_cast<char>('0' + static_cast<int>(number % 10)));
    number /= 10;
  } while (number != 0);
  return text;
}

std::string DecimalText(Wide number, int exponent, bool as_exponent) {
  while (number % 10 == 0 && exponent < 18) number /= 10, ++exponent;
  while (exponent % 3 != 0 || exponent > 18) number *= 10, --exponent;
  std::string text = Digits(number);
  if (exponent == 0) return text;
  if (as_exponent) return text + "e" + std::to_string(exponent);
  static constexpr std::string_view kNames[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
  return text.append(kNames[(exponent + 9) / 3]);
}

std::string BinaryText(Wide number) {
  static constexpr std::string_view kNames[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  size_t name = 0;
  while (number % 1024 == 0 && name < 6) number /= 1024, ++name;
  return Digits(number).append(kNames[name]);
}

}  // namespace

std::optional<std::string> CanonicalQuantity(std::string_view text) {
  std::string_view rest = text;
  bool negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  Wide number = 0;
  int exponent = 0;
  int digits = 0;
  bool point = false;
  while (!rest.empty() && ((rest[0] >= '0' && rest[0] <= '9') || (rest[0] == '.' && !point))) {
    if (rest[0] == '.') {
      point = true;
    } else {
      if (++digits > kMaxDigits) return std::nullopt;
      number = number * 10 + (rest[0] - '0');
      if (point) --exponent;
    }
    rest.remove_prefix(1);
  }
  if (digits == 0) return std::nullopt;
  std::optional<Suffix> suffix = ReadSuffix(rest);
  if (!suffix) return std::nullopt;
  if (number == 0) return "0";
  bool binary = suffix->format == Suffix::Format::kBinary;
  if (binary) {
    for (int i = 0; i < suffix->exponent; ++i) {
      if (number > (Wide{1} << 122)) return std::nullopt;
      number *= 2;
    }
    while (exponent < 0 && number % 10 == 0) number /= 10, ++exponent;
    if (exponent < 0 || number < 1024) binary = false;
  } else {
    exponent += suffix->exponent;
  }
  // Nothing is smaller than a billionth: what remains is rounded away from zero.
  while (exponent < -9) {
    number = number / 10 + (number % 10 != 0 ? 1 : 0);
    ++exponent;
  }
  std::string canonical =
      binary ? BinaryText(number)
             : DecimalText(number, exponent, suffix->format == Suffix::Format::kExponent);
  return negative ? "-" + canonical : canonical;
}

}  // namespace flotilla::kube::schema
