// Bytes as text. Decoders are strict: what they accept, the encoder would have written (upper case
// in hex aside); anything else is nullopt.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flotilla {

// RFC 4648 §4, with padding.
std::string EncodeBase64(std::string_view bytes);
// kIgnore skips CR and LF, as Go's decoder does: for PEM bodies and kubeconfigs.
enum class Newlines : unsigned char { kRefuse, kIgnore };
std::optional<std::string> DecodeBase64(std::string_view text,
                                        Newlines newlines = Newlines::kRefuse);

// RFC 4648 §5, without padding.
std::string EncodeBase64Url(std::string_view bytes);
std::optional<std::string> DecodeBase64Url(std::string_view text);

std::string EncodeHex(std::string_view bytes);  // lower case
std::optional<std::string> DecodeHex(std::string_view text);

// RFC 3986 §2: every byte outside of the unreserved set as %XX. For one path segment or one value
// of a query.
std::string PercentEncode(std::string_view text);
// '+' stays '+'.
std::optional<std::string> PercentDecode(std::string_view text);

// Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool IsUtf8(std::string_view text);

// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace flotilla
