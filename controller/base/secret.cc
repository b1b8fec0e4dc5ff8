#include "base/secret.h"

#include <openssl/crypto.h>

#include <utility>

namespace flotilla {

void Wipe(std::string& text) {
  // The whole capacity: a text that was shortened leaves its tail there.
  text.resize(text.capacity());
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

bool ConstantTimeEquals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Secret::Secret(std::string value) : value_(std::move(value)) { Wipe(value); }
Secret::Secret(const Secret& other) = default;
// A moved-from short string keeps its bytes in place: wiping it is not the same as clearing it.
Secret::Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { Wipe(other.value_); }
Secret::~Secret() { Wipe(value_); }

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) {
    Wipe(value_);
    value_ = other.value_;
  }
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    Wipe(value_);
    value_ = std::move(other.value_);
    Wipe(other.value_);
  }
  return *this;
}

bool operator==(const Secret& a, const Secret& b) { return ConstantTimeEquals(a.value_, b.value_); }

}  // namespace flotilla
