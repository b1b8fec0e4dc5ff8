#include "base/encoding.h"

#include <string>

#include "catch.h"

namespace flotilla {
namespace {

std::string Escaped(std::string_view text) {
  std::string out;
  AppendJsonString(out, text);
  return out;
}

TEST_CASE("the vectors of RFC 4648 §10") {
  struct {
    const char *plain, *base64, *hex;
  } const cases[] = {
      {"", "", ""},
      {"f", "Zg==", "66"},
      {"fo", "Zm8=", "666f"},
      {"foo", "Zm9v", "666f6f"},
      {"foob", "Zm9vYg==", "666f6f62"},
      {"fooba", "Zm9vYmE=", "666f6f6261"},
      {"foobar", "Zm9vYmFy", "666f6f626172"},
  };
  for (const auto& c : cases) {
    INFO(c.plain);
    CHECK(EncodeBase64(c.plain) == c.base64);
    CHECK(DecodeBase64(c.base64) == c.plain);
    CHECK(EncodeHex(c.plain) == c.hex);
    CHECK(DecodeHex(c.hex) == c.plain);
  }
}

TEST_CASE("every byte survives every encoding") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (size_t size = 0; size <= all.size(); ++size) {
    const std::string bytes = all.substr(all.size() - size);
    CHECK(DecodeBase64(EncodeBase64(bytes)) == bytes);
    CHECK(DecodeBase64Url(EncodeBase64Url(bytes)) == bytes);
    CHECK(DecodeHex(EncodeHex(bytes)) == bytes);
    CHECK(PercentDecode(PercentEncode(bytes)) == bytes);
  }
}

TEST_CASE("the two alphabets of base64 are not mixed") {
  CHECK(EncodeBase64("\xFB\xEF\xFF") == "++//");
  CHECK(EncodeBase64Url("\xFB\xEF\xFF") == "--__");
  CHECK_FALSE(DecodeBase64("--__"));
  CHECK_FALSE(DecodeBase64Url("++//"));
  CHECK_FALSE(DecodeBase64Url("Zg=="));
}

TEST_CASE("base64 that no encoder writes is refused") {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n",
                           "=Zg=", "Zg=g", "====", "Zm9v====", "Z\x80==", "=", "=="}) {
    INFO(text);
    CHECK_FALSE(DecodeBase64(text));
  }
  CHECK_FALSE(DecodeBase64Url("Z"));
  CHECK_FALSE(DecodeBase64Url("Zh"));
}

TEST_CASE("line breaks inside base64 are skipped where asked, and nothing else is") {
  CHECK(DecodeBase64("Zm9v\r\nYmFy\n", Newlines::kIgnore) == "foobar");
  CHECK_FALSE(DecodeBase64("Zm9v YmFy", Newlines::kIgnore));
}

TEST_CASE("hex reads both cases and writes lower case") {
  CHECK(DecodeHex("0aFF") == std::string("\x0A\xFF"));
  CHECK(EncodeHex("\x0A\xFF") == "0aff");
  CHECK_FALSE(DecodeHex("0"));
  CHECK_FALSE(DecodeHex("0g"));
}

TEST_CASE("percent-encoding keeps the unreserved characters of RFC 3986") {
  CHECK(PercentEncode("aZ09-._~") == "aZ09-._~");
  CHECK(PercentEncode("a b/c?d=\xC3\xA9+%") == "a%20b%2Fc%3Fd%3D%C3%A9%2B%25");
  CHECK(PercentDecode("a%2fb+c") == "a/b+c");
  CHECK_FALSE(PercentDecode("%"));
  CHECK_FALSE(PercentDecode("%2"));
  CHECK_FALSE(PercentDecode("%zz"));
}

TEST_CASE("UTF-8 is what RFC 3629 says") {
  for (const char* good : {"", "a", "\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEF\xBF\xBF",
                           "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    INFO(EncodeHex(good));
    CHECK(IsUtf8(good));
  }
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC2 "}) {
    INFO(EncodeHex(bad));
    CHECK_FALSE(IsUtf8(bad));
  }
}

TEST_CASE("JSON strings escape what JSON demands, and repair what is not UTF-8") {
  CHECK(Escaped("plain") == "\"plain\"");
  CHECK(Escaped("\"\\\n\r\t") == R"("\"\\\n\r\t")");
  CHECK(Escaped(std::string_view("\0\x1F\x7F", 3)) == R"("\u0000\u001f\u007f")");
  CHECK(Escaped("\xC3\xA9\xE2\x82\xAC") == "\"\xC3\xA9\xE2\x82\xAC\"");
  CHECK(Escaped("a\xFF\xC3z") == "\"a\xEF\xBF\xBD\xEF\xBF\xBDz\"");
}

}  // namespace
}  // namespace flotilla
