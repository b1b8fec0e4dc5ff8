// The type of a plain YAML scalar by the rules of go-yaml v2, which kubectl, Helm and Argo CD read
// manifests with. Internal to value/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flotilla::value::internal {

enum class ScalarType : uint8_t {
  kNull,       // "", ~, null, Null, NULL
  kBool,       // y, yes, on, true, n, no, off, false, in lower, title and upper case
  kInt,        // 12, +1, 0x1F, 0o17, 017, 0b11, 1_000
  kUint,       // above the range of int64
  kFloat,      // 1.5, 1., .5, 1e3, 08, integers above uint64, .inf, .nan
  kTimestamp,  // 2001-01-01, 2001-12-14t21:59:43.10-05:00: a string that has to be quoted
  kString,
};

struct Scalar {
  ScalarType type = ScalarType::kString;
  bool boolean = false;
  int64_t int64 = 0;
  uint64_t uint64 = 0;
  double real = 0;
};

Scalar ResolveScalar(std::string_view text);

// "1:30": a number in YAML 1.1, a string here, quoted when written so that it is one everywhere.
bool LooksLikeBase60(std::string_view text);

// A float as a key of a map, in the single precision that sigs.k8s.io/yaml gives it.
std::string KeyOfFloat(double real);

}  // namespace flotilla::value::internal
