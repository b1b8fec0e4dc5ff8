#include "base/secret.h"

#include <cstring>
#include <type_traits>
#include <utility>

#include "catch.h"

namespace flotilla {
namespace {

TEST_CASE("a secret prints as redacted and is no string by accident") {
  const Secret secret("hunter2");
  CHECK(fmt::format("{} {:>12}", secret, secret) == "[redacted]   [redacted]");
  CHECK_FALSE(std::is_convertible_v<Secret, std::string>);
  CHECK_FALSE(std::is_convertible_v<std::string, Secret>);
  CHECK(secret.Reveal() == "hunter2");
}

TEST_CASE("nothing is left where a secret was moved from, assigned to or destroyed") {
  for (const size_t size : {7u, 100u}) {  // inside the string, and on the heap
    INFO(size);
    const std::string value(size, 'x');
    alignas(Secret) unsigned char memory[sizeof(Secret)];
    auto* const first = new (memory) Secret(value);
    const char* const place = first->Reveal().data();
    if (size < 16) {
      Secret second(std::move(*first));
      CHECK(second.Reveal() == value);
      CHECK(std::string_view(place, size).find('x') == std::string_view::npos);
      *first = second;
      CHECK(std::string_view(place, size) == value);
      *first = Secret("y");
      CHECK(std::string_view(place, size).find('x') == std::string_view::npos);
      *first = second;
    }
    first->~Secret();
    if (size < 16) {
      CHECK(std::memchr(memory, 'x', sizeof memory) == nullptr);
    }
  }
}

TEST_CASE("Wipe overwrites the whole capacity, also the tail of a text that was shortened") {
  std::string text(100, 'x');
  text.resize(40);
  const char* const place = text.data();
  Wipe(text);
  CHECK(text.empty());
  REQUIRE(text.capacity() >= 100);
  text.resize(100, '-');  // makes the memory readable again without moving it
  REQUIRE(text.data() == place);
  CHECK(text == std::string(100, '-'));
}

TEST_CASE("secrets compare by value") {
  CHECK(Secret("a") == Secret("a"));
  CHECK_FALSE(Secret("a") == Secret("b"));
  CHECK_FALSE(Secret("a") == Secret("aa"));
  CHECK(ConstantTimeEquals("", ""));
}

}  // namespace
}  // namespace flotilla
