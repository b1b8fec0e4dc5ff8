#include "base/compress.h"

#include "catch.h"

namespace flotilla {
namespace {

std::string Text(size_t size) {
  std::string text;
  while (text.size() < size) text += "kind: Deployment " + std::to_string(text.size() % 97) + "\n";
  text.resize(size);
  return text;
}

TEST_CASE("what was compressed comes back, and equal inputs are equal outputs") {
  for (const size_t size : {0u, 1u, 1000u, 3'000'000u}) {
    INFO(size);
    const std::string text = Text(size);
    const std::string frame = Compress(text);
    CHECK(frame == Compress(text));
    if (size >= 1000) CHECK(frame.size() < size / 2);
    const auto back = Decompress(frame, size);
    REQUIRE(back);
    CHECK(*back == text);
  }
}

TEST_CASE("a frame that expands beyond the limit is refused before it is expanded") {
  const auto bomb = Decompress(Compress(std::string(100 << 20, '\0')), 1 << 20);
  REQUIRE_FALSE(bomb);
  CHECK(bomb.error().cls == ErrorClass::kInvalid);
  CHECK(bomb.error().message.find("limit of 1048576") != std::string::npos);
}

TEST_CASE("what is not exactly one whole frame is refused") {
  const std::string frame = Compress(Text(10'000));
  std::string damaged = frame;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  for (const std::string& bad :
       {std::string(), std::string("plain text"), frame.substr(0, frame.size() - 1),
        frame.substr(1), frame + "x", frame + frame, damaged}) {
    const auto result = Decompress(bad, 1 << 20);
    REQUIRE_FALSE(result);
    CHECK(result.error().cls == ErrorClass::kInvalid);
  }
}

}  // namespace
}  // namespace flotilla
