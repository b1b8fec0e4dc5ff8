#include "base/digest.h"

#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/encoding.h"

namespace flotilla {
namespace {

// Fetched once: a fetch by every digest costs more than digesting a small text.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

// OpenSSL's digests fail only where memory or the library itself is gone.
void Check(int ok) {
  if (ok == 1) return;
  std::fputs("flotilla: OpenSSL cannot compute SHA-256\n", stderr);
  std::abort();
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  Context() { Check(EVP_DigestInit_ex2(md, Algorithm(), nullptr)); }
  ~Context() { EVP_MD_CTX_free(md); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::Update(std::string_view bytes) {
  Check(EVP_DigestUpdate(context_->md, bytes.data(), bytes.size()));
  return *this;
}

Sha256& Sha256::UpdateField(std::string_view bytes) {
  char length[8];
  for (size_t i = 0; i < sizeof length; ++i) {
    length[i] = static_cast<char>(static_cast<uint64_t>(bytes.size()) >> (56 - 8 * i));
  }
  return Update(std::string_view(length, sizeof length)).Update(bytes);
}

Digest Sha256::Finish() {
  Digest digest;
  Check(EVP_DigestFinal_ex(context_->md, digest.bytes.data(), nullptr));
  Check(EVP_DigestInit_ex2(context_->md, Algorithm(), nullptr));
  return digest;
}

Digest DigestOf(std::string_view bytes) {
  thread_local Sha256 digest;
  return digest.Update(bytes).Finish();
}

std::string Digest::Hex() const { return EncodeHex(View()); }

std::optional<Digest> Digest::FromHex(std::string_view text) {
  if (text.size() != 64 || text.find_first_of("ABCDEF") != std::string_view::npos) {
    return std::nullopt;
  }
  const std::optional<std::string> bytes = DecodeHex(text);
  if (!bytes) return std::nullopt;
  Digest digest;
  std::memcpy(digest.bytes.data(), bytes->data(), digest.bytes.size());
  return digest;
}

std::string_view Digest::View() const {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace flotilla
