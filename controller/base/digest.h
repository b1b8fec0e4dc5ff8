// SHA-256.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace flotilla {

struct Digest {
  std::array<uint8_t, 32> bytes{};

  std::string Hex() const;                                      // 64 lower-case digits
  static std::optional<Digest> FromHex(std::string_view text);  // exactly 64 lower-case digits
  std::string_view View() const;                                // the 32 bytes
  auto operator<=>(const Digest&) const = default;
};

// Incremental. Not safe for concurrent use.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& Update(std::string_view bytes);
  // The length as eight big-endian bytes, then the bytes: a sequence of fields has one reading.
  Sha256& UpdateField(std::string_view bytes);
  // Ends the digest, and starts a new one.
  Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Of the whole text at once: cheaper than a Sha256 for small ones.
Digest DigestOf(std::string_view bytes);

}  // namespace flotilla

template <>
struct std::hash<flotilla::Digest> {
  size_t operator()(const flotilla::Digest& digest) const noexcept {
    size_t value;
    std::memcpy(&value, digest.bytes.data(), sizeof value);
    return value;
  }
};
