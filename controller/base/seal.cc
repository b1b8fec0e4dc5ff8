#include "base/seal.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace flotilla {
namespace {

constexpr char kRandomNonce = 1;    // version byte of Seal
constexpr char kDeterministic = 2;  // version byte of SealDeterministic
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;

// Sealing fails only where memory or the library is gone; opening has its own answers.
void Check(bool ok) {
  if (ok) return;
  std::fputs("flotilla: OpenSSL cannot encrypt\n", stderr);
  std::abort();
}

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

int Length(std::string_view text) {
  Check(text.size() <= (1u << 30));
  return static_cast<int>(text.size());
}

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

const EVP_CIPHER* Gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return cipher;
}

const EVP_CIPHER* Siv() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-SIV", nullptr);
  return cipher;
}

// HKDF-SHA256 (RFC 5869) without salt: the key is already uniform.
Secret DeriveKey(const Secret& key, std::string_view label, size_t size) {
  std::unique_ptr<EVP_KDF, void (*)(EVP_KDF*)> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr),
                                                   EVP_KDF_free);
  std::unique_ptr<EVP_KDF_CTX, void (*)(EVP_KDF_CTX*)> context(EVP_KDF_CTX_new(kdf.get()),
                                                               EVP_KDF_CTX_free);
  std::string input(key.Reveal()), info(label), digest("SHA256"), derived(size, '\0');
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, input.data(), input.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      OSSL_PARAM_construct_end(),
  };
  Check(EVP_KDF_derive(context.get(), Bytes(derived), derived.size(), parameters) == 1);
  Wipe(input);
  return Secret(std::move(derived));
}

// The associated data always has a byte, and the plaintext of SIV too: OpenSSL has skipped empty
// ones (CVE-2023-2975).
std::string Associated(char version, std::string_view context) {
  std::string data(1, version);
  data += context;
  return data;
}

void AddAssociated(EVP_CIPHER_CTX* context, std::string_view data) {
  int length = 0;
  Check(EVP_CipherUpdate(context, nullptr, &length, Bytes(data), Length(data)) == 1);
}

tl::unexpected<Error> DoesNotOpen() {
  return Fail(ErrorClass::kInvalid,
              "sealed value does not open: another key, another context, or damaged");
}

}  // namespace

Secret NewSealKey(Runtime& runtime) {
  std::string key(kSealKeyBytes, '\0');
  for (size_t i = 0; i < key.size(); i += 8) {
    const uint64_t random = runtime.Random();
    std::memcpy(key.data() + i, &random, 8);
  }
  return Secret(std::move(key));
}

Result<Sealer> Sealer::Make(const Secret& key) {
  if (key.Reveal().size() != kSealKeyBytes) {
    return Fail(ErrorClass::kInvalid, "a sealing key has {} bytes, not {}", kSealKeyBytes,
                key.Reveal().size());
  }
  Sealer sealer;
  sealer.gcm_key_ = DeriveKey(key, "flotilla/seal/v1/aes-256-gcm", 32);
  sealer.siv_key_ = DeriveKey(key, "flotilla/seal/v1/aes-256-siv", 64);
  return sealer;
}

std::string Sealer::Seal(Runtime& runtime, std::string_view plaintext,
                         std::string_view context) const {
  std::array<uint64_t, 2> random = {runtime.Random(), runtime.Random()};
  std::string sealed(1 + kNonceBytes + plaintext.size() + kTagBytes, '\0');
  sealed[0] = kRandomNonce;
  std::memcpy(sealed.data() + 1, random.data(), kNonceBytes);

  const Context cipher(EVP_CIPHER_CTX_new());
  Check(EVP_EncryptInit_ex2(cipher.get(), Gcm(), Bytes(gcm_key_.Reveal()), Bytes(sealed) + 1,
                            nullptr) == 1);
  AddAssociated(cipher.get(), Associated(kRandomNonce, context));
  unsigned char* const out = Bytes(sealed) + 1 + kNonceBytes;
  int length = 0;
  Check(EVP_EncryptUpdate(cipher.get(), out, &length, Bytes(plaintext), Length(plaintext)) == 1);
  Check(EVP_EncryptFinal_ex(cipher.get(), out + length, &length) == 1);
  Check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes,
                            out + plaintext.size()) == 1);
  return sealed;
}

Result<std::string> Sealer::Open(std::string_view sealed, std::string_view context) const {
  if (sealed.size() < 1 + kNonceBytes + kTagBytes || sealed[0] != kRandomNonce)
    return DoesNotOpen();
  const std::string_view nonce = sealed.substr(1, kNonceBytes);
  const std::string_view body =
      sealed.substr(1 + kNonceBytes, sealed.size() - 1 - kNonceBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));

  const Context cipher(EVP_CIPHER_CTX_new());
  Check(EVP_DecryptInit_ex2(cipher.get(), Gcm(), Bytes(gcm_key_.Reveal()), Bytes(nonce), nullptr) ==
        1);
  AddAssociated(cipher.get(), Associated(kRandomNonce, context));
  std::string plaintext(body.size(), '\0');
  int length = 0;
  Check(EVP_DecryptUpdate(cipher.get(), Bytes(plaintext), &length, Bytes(body), Length(body)) == 1);
  Check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1);
  unsigned char rest[16];
  if (EVP_DecryptFinal_ex(cipher.get(), rest, &length) != 1) {
    Wipe(plaintext);
    return DoesNotOpen();
  }
  return plaintext;
}

std::string Sealer::SealDeterministic(std::string_view plaintext, std::string_view context) const {
  std::string padded(1, kDeterministic);
  padded += plaintext;
  std::string sealed(1 + kTagBytes + padded.size(), '\0');
  sealed[0] = kDeterministic;

  const Context cipher(EVP_CIPHER_CTX_new());
  Check(EVP_EncryptInit_ex2(cipher.get(), Siv(), Bytes(siv_key_.Reveal()), nullptr, nullptr) == 1);
  AddAssociated(cipher.get(), Associated(kDeterministic, context));
  int length = 0;
  unsigned char* const out = Bytes(sealed) + 1 + kTagBytes;
  Check(EVP_EncryptUpdate(cipher.get(), out, &length, Bytes(padded), Length(padded)) == 1);
  Check(EVP_EncryptFinal_ex(cipher.get(), out + length, &length) == 1);
  Check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, Bytes(sealed) + 1) ==
        1);
  Wipe(padded);
  return sealed;
}

Result<Secret> Sealer::OpenDeterministic(std::string_view sealed, std::string_view context) const {
  if (sealed.size() < 1 + kTagBytes + 1 || sealed[0] != kDeterministic) return DoesNotOpen();
  std::string tag(sealed.substr(1, kTagBytes));
  const std::string_view body = sealed.substr(1 + kTagBytes);

  const Context cipher(EVP_CIPHER_CTX_new());
  Check(EVP_DecryptInit_ex2(cipher.get(), Siv(), Bytes(siv_key_.Reveal()), nullptr, nullptr) == 1);
  Check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1);
  AddAssociated(cipher.get(), Associated(kDeterministic, context));
  std::string padded(body.size(), '\0');
  int length = 0;
  unsigned char rest[16];
  // SIV verifies at once: the update fails where the tag does not fit.
  if (EVP_DecryptUpdate(cipher.get(), Bytes(padded), &length, Bytes(body), Length(body)) != 1 ||
      EVP_DecryptFinal_ex(cipher.get(), rest, &length) != 1 || padded[0] != kDeterministic) {
    Wipe(padded);
    return DoesNotOpen();
  }
  Secret plaintext(padded.substr(1));
  Wipe(padded);
  return plaintext;
}

}  // namespace flotilla
