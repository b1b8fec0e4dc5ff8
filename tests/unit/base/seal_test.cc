#include "base/seal.h"

#include "base/encoding.h"
#include "base/thread_runtime.h"
#include "catch.h"

namespace flotilla {
namespace {

struct Fixture {
  ThreadRuntime runtime;
  Secret key = NewSealKey(runtime);
  Sealer sealer = *Sealer::Make(key);
};

TEST_CASE("a sealed value opens under the same key and context") {
  Fixture f;
  for (const std::string& text : {std::string(), std::string("x"), std::string(100'000, 'y')}) {
    CHECK(*f.sealer.Open(f.sealer.Seal(f.runtime, text, "chunk"), "chunk") == text);
    CHECK(f.sealer.OpenDeterministic(f.sealer.SealDeterministic(text, "path"), "path")->Reveal() ==
          text);
  }
}

TEST_CASE("Seal differs every time; SealDeterministic only with value, context or key") {
  Fixture f;
  CHECK(f.sealer.Seal(f.runtime, "v", "c") != f.sealer.Seal(f.runtime, "v", "c"));
  const std::string sealed = f.sealer.SealDeterministic("v", "c");
  CHECK(sealed == Sealer::Make(f.key)->SealDeterministic("v", "c"));
  CHECK(sealed != f.sealer.SealDeterministic("w", "c"));
  CHECK(sealed != f.sealer.SealDeterministic("v", "d"));
  CHECK(sealed != Fixture().sealer.SealDeterministic("v", "c"));
}

TEST_CASE("a value that was changed, cut, moved or sealed otherwise does not open") {
  Fixture f;
  Fixture other;
  for (const bool deterministic : {false, true}) {
    for (const std::string& text : {std::string(), std::string("value")}) {
      const std::string sealed = deterministic ? f.sealer.SealDeterministic(text, "c")
                                               : f.sealer.Seal(f.runtime, text, "c");
      const auto opens = [&](const Sealer& sealer, const std::string& bytes, const char* context) {
        return deterministic ? sealer.OpenDeterministic(bytes, context).has_value()
                             : sealer.Open(bytes, context).has_value();
      };
      REQUIRE(opens(f.sealer, sealed, "c"));
      CHECK_FALSE(opens(f.sealer, sealed, "d"));
      CHECK_FALSE(opens(f.sealer, sealed, ""));
      CHECK_FALSE(opens(other.sealer, sealed, "c"));
      CHECK_FALSE(opens(f.sealer, sealed + "x", "c"));
      for (size_t i = 0; i < sealed.size(); ++i) {
        INFO(i);
        CHECK_FALSE(opens(f.sealer, sealed.substr(0, i), "c"));
        std::string changed = sealed;
        changed[i] = static_cast<char>(changed[i] ^ 0x40);
        CHECK_FALSE(opens(f.sealer, changed, "c"));
      }
    }
  }
  CHECK_FALSE(f.sealer.Open(f.sealer.SealDeterministic("a long enough value", "c"), "c"));
  CHECK_FALSE(f.sealer.OpenDeterministic(f.sealer.Seal(f.runtime, "v", "c"), "c"));
}

TEST_CASE("the sealed form does not change: what is stored today opens tomorrow") {
  std::string bytes;
  for (int i = 0; i < 32; ++i) bytes += static_cast<char>(i);
  const Sealer sealer = *Sealer::Make(Secret(bytes));
  CHECK(EncodeHex(sealer.SealDeterministic("password", "Secret/web/data/token")) ==
        "0228c770c12683673d3ade0701f6bc4736099496749165133c21");
}

TEST_CASE("a key of another length is refused") {
  CHECK_FALSE(Sealer::Make(Secret(std::string(31, 'k'))));
  CHECK_FALSE(Sealer::Make(Secret()));
}

TEST_CASE("the plaintext does not show") {
  Fixture f;
  const std::string text = "a very recognisable password";
  CHECK(f.sealer.Seal(f.runtime, text, "c").find("recognisable") == std::string::npos);
  CHECK(f.sealer.SealDeterministic(text, "c").find("recognisable") == std::string::npos);
}

}  // namespace
}  // namespace flotilla
