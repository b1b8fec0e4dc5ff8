#include "base/host.h"

#include <cstdlib>
#include <regex>

#include "base/thread_runtime.h"
#include "catch.h"

namespace flotilla {
namespace {

TEST_CASE("UUIDs are of version 4 and differ") {
  ThreadRuntime runtime;
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  const std::string first = NewUuid(runtime);
  CHECK(std::regex_match(first, form));
  CHECK(NewUuid(runtime) != first);
}

TEST_CASE("two starts under one name are two identities") {
  ThreadRuntime runtime;
  setenv("POD_NAME", "flotilla-0", 1);
  const auto first = NewHost(runtime), second = NewHost(runtime);
  CHECK(first->identity().rfind("flotilla-0_", 0) == 0);
  CHECK(first->identity() != second->identity());
  unsetenv("POD_NAME");
  CHECK(NewHost(runtime)->identity().rfind("flotilla-0_", 0) != 0);
}

TEST_CASE("an unset variable is not an empty one") {
  ThreadRuntime runtime;
  const auto host = NewHost(runtime);
  setenv("FLOTILLA_TEST_EMPTY", "", 1);
  CHECK(host->Environment("FLOTILLA_TEST_EMPTY") == "");
  CHECK_FALSE(host->Environment("FLOTILLA_TEST_UNSET"));
}

}  // namespace
}  // namespace flotilla
