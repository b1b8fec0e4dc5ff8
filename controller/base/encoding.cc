#include "base/encoding.h"

#include <array>
#include <cstdint>

namespace flotilla {
namespace {

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kHexDigits = "0123456789abcdef";

using Inverse = std::array<uint8_t, 256>;
constexpr uint8_t kNone = 0xFF;

constexpr Inverse Invert(std::string_view alphabet) {
  Inverse inverse{};
  for (uint8_t& value : inverse) value = kNone;
  for (size_t i = 0; i < alphabet.size(); ++i) {
    inverse[static_cast<uint8_t>(alphabet[i])] = static_cast<uint8_t>(i);
  }
  return inverse;
}

constexpr Inverse InvertHex() {
  Inverse inverse = Invert(kHexDigits);
  for (uint8_t i = 0; i < 6; ++i)
    inverse[static_cast<size_t>('A' + i)] = static_cast<uint8_t>(10 + i);
  return inverse;
}

constexpr Inverse kFromStandard = Invert(kStandard);
constexpr Inverse kFromUrl = Invert(kUrl);
constexpr Inverse kFromHex = InvertHex();

uint8_t At(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

std::string Encode64(std::string_view bytes, std::string_view alphabet, bool padded) {
  std::string text;
  text.resize((bytes.size() + 2) / 3 * 4);
  char* out = text.data();
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t group =
        static_cast<uint32_t>(At(bytes, i) << 16 | At(bytes, i + 1) << 8 | At(bytes, i + 2));
    *out++ = alphabet[group >> 18];
    *out++ = alphabet[group >> 12 & 63];
    *out++ = alphabet[group >> 6 & 63];
    *out++ = alphabet[group & 63];
  }
  const size_t rest = bytes.size() - i;
  if (rest > 0) {
    const uint32_t group =
        static_cast<uint32_t>(At(bytes, i) << 16 | (rest == 2 ? At(bytes, i + 1) << 8 : 0));
    *out++ = alphabet[group >> 18];
    *out++ = alphabet[group >> 12 & 63];
    if (rest == 2) *out++ = alphabet[group >> 6 & 63];
    if (padded) {
      *out++ = '=';
      if (rest == 1) *out++ = '=';
    }
  }
  text.resize(static_cast<size_t>(out - text.data()));
  return text;
}

// `text` has no padding any more.
std::optional<std::string> Decode64(std::string_view text, const Inverse& inverse) {
  const size_t rest = text.size() % 4;
  if (rest == 1) return std::nullopt;
  std::string bytes;
  bytes.resize(text.size() / 4 * 3 + (rest ? rest - 1 : 0));
  char* out = bytes.data();
  size_t i = 0;
  for (; i + 4 <= text.size(); i += 4) {
    const uint8_t a = inverse[At(text, i)], b = inverse[At(text, i + 1)],
                  c = inverse[At(text, i + 2)], d = inverse[At(text, i + 3)];
    if ((a | b | c | d) & 0xC0) return std::nullopt;
    *out++ = static_cast<char>(a << 2 | b >> 4);
    *out++ = static_cast<char>(b << 4 | c >> 2);
    *out++ = static_cast<char>(c << 6 | d);
  }
  if (rest > 0) {
    const uint8_t a = inverse[At(text, i)], b = inverse[At(text, i + 1)],
                  c = rest == 3 ? inverse[At(text, i + 2)] : uint8_t{0};
    if ((a | b | c) & 0xC0) return std::nullopt;
    // Bits that no byte takes must be zero: otherwise two texts would mean the same bytes.
    if (rest == 2 ? (b & 0x0F) != 0 : (c & 0x03) != 0) return std::nullopt;
    *out++ = static_cast<char>(a << 2 | b >> 4);
    if (rest == 3) *out++ = static_cast<char>(b << 4 | c >> 2);
  }
  return bytes;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// The length of the well-formed character at the start of `text`, or 0.
size_t CharacterLength(std::string_view text) {
  const uint8_t first = At(text, 0);
  if (first < 0x80) return 1;
  size_t length;
  uint8_t least = 0x80, most = 0xBF;  // of the second byte
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    if (first == 0xE0) least = 0xA0;
    if (first == 0xED) most = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    if (first == 0xF0) least = 0x90;
    if (first == 0xF4) most = 0x8F;
  } else {
    return 0;
  }
  if (text.size() < length || At(text, 1) < least || At(text, 1) > most) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((At(text, i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string EncodeBase64(std::string_view bytes) { return Encode64(bytes, kStandard, true); }
std::string EncodeBase64Url(std::string_view bytes) { return Encode64(bytes, kUrl, false); }

std::optional<std::string> DecodeBase64(std::string_view text, Newlines newlines) {
  std::string joined;
  if (newlines == Newlines::kIgnore && text.find_first_of("\r\n") != std::string_view::npos) {
    joined.reserve(text.size());
    for (char c : text) {
      if (c != '\r' && c != '\n') joined += c;
    }
    text = joined;
  }
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.ends_with("==")) {
    text.remove_suffix(2);
  } else if (text.ends_with('=')) {
    text.remove_suffix(1);
  }
  return Decode64(text, kFromStandard);
}

std::optional<std::string> DecodeBase64Url(std::string_view text) {
  return Decode64(text, kFromUrl);
}

std::string EncodeHex(std::string_view bytes) {
  std::string text;
  text.resize(bytes.size() * 2);
  for (size_t i = 0; i < bytes.size(); ++i) {
    text[2 * i] = kHexDigits[At(bytes, i) >> 4];
    text[2 * i + 1] = kHexDigits[At(bytes, i) & 15];
  }
  return text;
}

std::optional<std::string> DecodeHex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.resize(text.size() / 2);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const uint8_t high = kFromHex[At(text, 2 * i)], low = kFromHex[At(text, 2 * i + 1)];
    if (high == kNone || low == kNone) return std::nullopt;
    bytes[i] = static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  encoded.reserve(text.size());
  for (char c : text) {
    if (IsUnreserved(c)) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += "0123456789ABCDEF"[static_cast<uint8_t>(c) >> 4];
      encoded += "0123456789ABCDEF"[static_cast<uint8_t>(c) & 15];
    }
  }
  return encoded;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const uint8_t high = kFromHex[At(text, i + 1)], low = kFromHex[At(text, i + 2)];
    if (high == kNone || low == kNone) return std::nullopt;
    decoded += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return decoded;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void AppendJsonString(std::string& out, std::string_view text) {
  out.reserve(out.size() + text.size() + 2);
  out += '"';
  while (!text.empty()) {
    // The longest run that stands as it is.
    size_t plain = 0;
    while (plain < text.size() && At(text, plain) >= 0x20 && At(text, plain) < 0x7F &&
           text[plain] != '"' && text[plain] != '\\') {
      ++plain;
    }
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const char c = text.front();
    size_t taken = 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (const uint8_t byte = At(text, 0); byte < 0x20 || byte == 0x7F) {
          out += "\\u00";
          out += kHexDigits[byte >> 4];
          out += kHexDigits[byte & 15];
        } else if (const size_t length = CharacterLength(text); length > 0) {
          out += text.substr(0, length);
          taken = length;
        } else {
          out += "\xEF\xBF\xBD";
        }
    }
    text.remove_prefix(taken);
  }
  out += '"';
}

}  // namespace flotilla
