// A simulated fleet: a hub, members, a Git repository, a metrics backend per member, the network
// between them, and the real controller on top, all on one thread and from one seed.
//
//   World world({.seed = 7});
//   world.Commit({{"app.yaml", kGood}});
//   world.Create(kApplication);
//   world.StartController();
//   world.RunUntil([&] { return world.RolloutPhase("shop") == "Succeeded"; });
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "operate/controller.h"
#include "operate/release.h"
#include "sim/api_server/api_server.h"
#include "sim/fiber_runtime.h"
#include "sim/memory_git.h"
#include "sim/metrics_source.h"
#include "sim/network.h"

namespace flotilla::sim {

struct WorldOptions {
  uint64_t seed = 1;
  // name → labels
  std::map<std::string, std::map<std::string, std::string>> members = {
      {"canary", {{"tier", "canary"}}}, {"region-a", {{"region", "a"}}}, {"region-b", {{"region", "b"}}}};
  Duration scrape_interval = 1s;
  // A member errs (series "error_ratio" is 0.5, not 0.001) while a Deployment whose image contains
  // this runs there.
  std::string bad_image = "bad";
  LogSink log;  // of the controller; null: none
};

class World {
 public:
  static constexpr const char* kRepository = "https://git.example/team/shop.git";

  explicit World(WorldOptions options);
  ~World();

  FiberRuntime& runtime() { return runtime_; }
  Network& network() { return network_; }
  ApiServer& hub() { return *hub_.server; }
  ApiServer& member(const std::string& name) { return *members_.at(name).server; }
  MetricsSource& metrics(const std::string& name) { return *members_.at(name).metrics; }
  std::vector<std::string> member_names() const;
  MemoryGit& git() { return git_; }
  static std::string OriginOf(const std::string& name) { return "https://" + name + ":6443"; }

  std::string Commit(Files files) { return git_.Commit(kRepository, "main", std::move(files)); }
  // Creates every object of a YAML text on the hub (or a member), as an administrator.
  void Create(const std::string& yaml) { CreateOn(hub(), yaml); }
  void CreateOn(ApiServer& server, const std::string& yaml);
  int Send(ApiServer& server, http::Method method, const std::string& path, const std::string& body,
           const std::string& content_type = "application/json");

  // One process of the controller. Another one may run, or wait for its turn, at the same time.
  void StartController(const std::string& name = "controller-0");
  void CrashController(const std::string& name = "controller-0");
  bool Leading(const std::string& name = "controller-0") const;
  // False before StartController, after a crash, and once it has ended by itself (leadership lost).
  bool Running(const std::string& name = "controller-0") const;

  // Runs until `done`; fails loudly (returns the reason) when that takes more than `limit` of
  // virtual time.
  Status RunUntil(const std::function<bool()>& done, Duration limit = 10min);
  void RunFor(Duration duration) { runtime_.RunFor(duration); }

  // The newest Rollout of an application on the hub; absent where there is none.
  value::Value NewestRollout(const std::string& application) const;
  std::string RolloutPhase(const std::string& application) const;

 private:
  struct Server {
    std::unique_ptr<ApiServer> server;
    std::unique_ptr<MetricsSource> metrics;
    std::unique_ptr<Event> due;
    std::unique_ptr<Task> ticker;
  };
  struct Process;
  Server MakeServer(const std::string& name, uint64_t seed);
  double ErrorRatio(const std::string& member) const;

  const WorldOptions options_;
  FiberRuntime runtime_;
  Network network_;
  MemoryGit git_;
  std::unique_ptr<operate::ReleaseStore> releases_;
  Server hub_;
  std::map<std::string, Server> members_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
};

}  // namespace flotilla::sim
