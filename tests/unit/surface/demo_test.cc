// What `flotilla demo` is made of, and the whole of it: some 20 s of real time.
#include "surface/demo/demo.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/application.h"
#include "base/thread_runtime.h"
#include "catch.h"
#include "http/client.h"
#include "surface/demo/fleet.h"
#include "surface/demo/manifests.h"
#include "surface/demo/report.h"
#include "value/json.h"

namespace flotilla::surface::demo {
namespace {

std::string FileOf(const std::string& name) {
  std::ifstream file(std::string(FLOTILLA_SOURCE_DIR "/manifests/demo/") + name);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

constexpr WallTime kZero{Duration(1'790'000'000'000'000)};

sim::AuditRecord RollbackCreated(Duration after) {
  sim::AuditRecord record;
  record.request.resource = "rollbacks";
  record.after = value::Value::Map({{"kind", "Rollback"}});
  record.wall = kZero + after;
  return record;
}

sim::AuditRecord Write(const char* user, const char* ns, Duration after) {
  sim::AuditRecord record;
  record.request.resource = "deployments";
  record.request.namespace_name = ns;
  record.user.name = user;
  record.wall = kZero + after;
  return record;
}

TEST_CASE("the program has the texts of manifests/demo") {
  CHECK(kFleet == FileOf("fleet.yaml"));
  CHECK(kApplication == FileOf("application.yaml"));
  CHECK(kShop == FileOf("shop/web.yaml"));
}

TEST_CASE("a Deployment is ready when all pods are, of its newest generation") {
  auto deployment = [](int64_t observed, int64_t updated, int64_t ready) {
    return value::ParseJson(fmt::format(
        R"({{"metadata":{{"generation":2}},"spec":{{"replicas":3}},
            "status":{{"observedGeneration":{},"updatedReplicas":{},"readyReplicas":{}}}}})",
        observed, updated, ready));
  };
  CHECK(IsReady(*deployment(2, 3, 3)));
  CHECK_FALSE(IsReady(*deployment(1, 3, 3)));
  CHECK_FALSE(IsReady(*deployment(2, 2, 3)));
  CHECK_FALSE(IsReady(*deployment(2, 3, 2)));
  CHECK_FALSE(IsReady(value::Value()));
}

TEST_CASE("a witness counts what the controller writes for the application after the Rollback") {
  Witness witness;
  witness.OnMember("canary", Write(kControllerUser, "shop", 1ms));
  CHECK(witness.writes().empty());
  witness.OnHub(RollbackCreated(10ms));
  witness.OnMember("canary", Write(kControllerUser, "shop", 12ms));
  witness.OnMember("canary", Write(kControllerUser, "shop", 15ms));
  witness.OnMember("canary", Write("system:embedded", "shop", 900ms));
  witness.OnMember("canary", Write(kControllerUser, "flotilla-system", 901ms));
  CHECK(witness.rolled_back_at() == kZero + 10ms);
  const auto writes = witness.writes();
  REQUIRE(writes.size() == 1);
  CHECK(writes.at("canary").objects == 2);
  CHECK(writes.at("canary").first == kZero + 12ms);
  CHECK(writes.at("canary").last == kZero + 15ms);
}

TEST_CASE("the table counts from the first bad sample that the metrics source had") {
  Witness witness;
  witness.OnHub(RollbackCreated(220ms));
  witness.OnMember("canary", Write(kControllerUser, "shop", 231ms));
  api::Rollout rollout;
  rollout.status.timeline.emplace();
  rollout.status.timeline->breach_visible = kZero + 200ms;
  rollout.status.timeline->detected = kZero + 201ms;
  rollout.status.timeline->accepted = kZero + 233ms;
  const std::string table = Table(rollout, kZero, witness);
  INFO(table);
  CHECK(table.find("breach readable                   +200 ms           +0 ms") != table.npos);
  CHECK(table.find("breach detected                   +201 ms") != table.npos);
  CHECK(table.find("rollback decided                        -         +220 ms") != table.npos);
  CHECK(table.find("accepted by every cluster         +233 ms         +231 ms") != table.npos);
  CHECK(table.find("canary: 1 object written back") != table.npos);
}

TEST_CASE("the demo sees its rollback, and leaves its directory as it was") {
  std::string directory = (std::filesystem::temp_directory_path() / "flotilla-XXXXXX").string();
  REQUIRE(mkdtemp(directory.data()));
  ThreadRuntime runtime(1024);
  const auto host = NewHost(runtime);
  const auto client = http::NewHttpClient(runtime);
  const auto files = OpenFileDisk("/");
  REQUIRE(files);
  const auto processes = NewProcessRunner(runtime);
  const Platform platform{runtime, *host, *client, **files, *processes, {}, "/", false, {}};

  CHECK(RunDemo(platform, {.once = true, .directory = directory}) == 0);
  CHECK(std::filesystem::is_empty(directory));

  std::ofstream(directory + "/mine") << "text";
  CHECK(RunDemo(platform, {.once = true, .directory = directory}) == 1);
  CHECK(std::filesystem::exists(directory + "/mine"));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace flotilla::surface::demo
