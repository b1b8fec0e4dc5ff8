// Encryption of what rests on disk or in hub Secrets.
//
// Two forms from one 32-byte key, with sub-keys derived by HKDF-SHA256, so that neither weakens the
// other:
//   Seal               AES-256-GCM under a random nonce: snapshots. At most 2^32 seals per key.
//   SealDeterministic  AES-SIV (RFC 5297), equal plaintexts give equal ciphertexts: secret values
//                      inside a release, so that digests and diffs work without seeing them.
// `context` is authenticated, not stored: what the value is (a chunk's name, a field's path). A
// value that is moved to another context does not open.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/runtime.h"
#include "base/secret.h"

namespace flotilla {

inline constexpr size_t kSealKeyBytes = 32;

// A new key, from the runtime's randomness.
Secret NewSealKey(Runtime& runtime);

class Sealer {
 public:
  // Invalid where the key is not kSealKeyBytes long.
  static Result<Sealer> Make(const Secret& key);

  // A version byte, 12 bytes of nonce, the ciphertext, 16 bytes of tag.
  std::string Seal(Runtime& runtime, std::string_view plaintext, std::string_view context) const;
  Result<std::string> Open(std::string_view sealed, std::string_view context) const;

  // A version byte, 16 bytes of synthetic nonce, the ciphertext.
  std::string SealDeterministic(std::string_view plaintext, std::string_view context) const;
  Result<Secret> OpenDeterministic(std::string_view sealed, std::string_view context) const;

 private:
  Secret gcm_key_;
  Secret siv_key_;
};

}  // namespace flotilla
