// Whatever happens to controllers, network, servers and metrics: nothing of a rejected or breaching
// release gets past where it was stopped, and in the end every cluster runs the last good commit.
//
//   FLOTILLA_SEEDS=500 simulation "[faults]"         FLOTILLA_SEED=17 FLOTILLA_SEEDS=1 ... one of them
//   FLOTILLA_FAULTS=crash,lost                       only these
#include <cstdlib>

#include "catch.h"
#include "drill.h"

namespace flotilla::sim {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

FaultKinds Faults() {
  const char* text = std::getenv("FLOTILLA_FAULTS");
  if (!text) return AllFaults();
  const std::string named = text;
  FaultKinds kinds;
  for (FaultKind kind : AllFaults()) {
    if (named.find(ToString(kind)) != std::string::npos) kinds.insert(kind);
  }
  return kinds;
}

LogSink LogIfAsked() { return std::getenv("FLOTILLA_TEST_LOG") ? LogToDescriptor(2) : nullptr; }

TEST_CASE("whatever fails, every cluster ends at the last good commit", "[faults]") {
  const uint64_t first = FromEnvironment("FLOTILLA_SEED", 1);
  const uint64_t seeds = FromEnvironment("FLOTILLA_SEEDS", 20);
  int failed = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    Drill drill(seed, Faults(), LogIfAsked());
    const std::string broken = drill.Run();
    if (broken.empty()) continue;
    if (++failed > 3) FAIL_CHECK("seed " << seed << ": " << broken);
    else FAIL_CHECK("seed " << seed << ": " << broken << "\n" << drill.Journal());
  }
}

TEST_CASE("the same seed plays the same drill", "[faults]") {
  uint64_t hashes[2];
  for (uint64_t& hash : hashes) {
    Drill drill(4, AllFaults(), nullptr);
    CHECK(drill.Run() == "");
    hash = drill.world().runtime().ScheduleHash();
  }
  CHECK(hashes[0] == hashes[1]);
}

}  // namespace
}  // namespace flotilla::sim
