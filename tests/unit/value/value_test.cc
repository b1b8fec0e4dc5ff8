#include "value/value.h"

#include "catch.h"
#include "value/json.h"

using namespace flotilla::value;

TEST_CASE("reading along a path that does not exist yields absent") {
  Value v = *ParseJson(R"({"metadata":{"name":"web"}})");
  CHECK(v["metadata"]["name"].String() == "web");
  CHECK(v.At("spec", "template").IsAbsent());
}
