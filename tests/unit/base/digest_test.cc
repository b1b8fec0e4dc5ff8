#include "base/digest.h"

#include "catch.h"

namespace flotilla {
namespace {

TEST_CASE("the vectors of FIPS 180-4") {
  CHECK(DigestOf("").Hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(DigestOf("abc").Hex() ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(DigestOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").Hex() ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("pieces give the digest of the whole, and Finish starts anew") {
  Sha256 digest;
  CHECK(digest.Update("a").Update("").Update("bc").Finish() == DigestOf("abc"));
  CHECK(digest.Finish() == DigestOf(""));
}

TEST_CASE("a sequence of fields has one reading") {
  CHECK(Sha256().UpdateField("a").UpdateField("bc").Finish() !=
        Sha256().UpdateField("ab").UpdateField("c").Finish());
  CHECK(Sha256().UpdateField("ab").Finish() == DigestOf(std::string_view("\0\0\0\0\0\0\0\x02"
                                                                         "ab",
                                                                         10)));
}

TEST_CASE("digests are read from exactly 64 lower-case digits") {
  const std::string hex = DigestOf("abc").Hex();
  CHECK(Digest::FromHex(hex) == DigestOf("abc"));
  CHECK_FALSE(Digest::FromHex(hex.substr(1)));
  CHECK_FALSE(Digest::FromHex(hex + "00"));
  CHECK_FALSE(Digest::FromHex("BA" + hex.substr(2)));
  CHECK_FALSE(Digest::FromHex("zz" + hex.substr(2)));
}

}  // namespace
}  // namespace flotilla
