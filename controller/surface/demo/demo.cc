#include "surface/demo/demo.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>

#include "api/rollout.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "git/mirror_store.h"
#include "kube/client.h"
#include "operate/controller.h"
#include "operate/snapshots.h"
#include "surface/demo/fleet.h"
#include "surface/demo/manifests.h"
#include "surface/demo/narrator.h"
#include "surface/demo/report.h"
#include "surface/demo/repository.h"

namespace flotilla::surface {
namespace demo {
namespace {

namespace fs = std::filesystem;

constexpr Duration kPatience = 60s;  // for the rollout, and for the rollback
constexpr Duration kGlance = 20ms;   // between two looks at the hub

// A directory of ours, gone with all its content when this goes, unless it was there before: then
// only the content goes.
class Directory {
 public:
  static Result<std::unique_ptr<Directory>> Make(const Platform& platform,
                                                 const std::string& wanted) {
    std::error_code error;
    if (wanted.empty()) {
      std::string made =
          platform.host.Environment("TMPDIR").value_or("/tmp") + "/flotilla-demo-XXXXXX";
      if (!mkdtemp(made.data())) return Fail(ErrorClass::kInvalid, "cannot make {}", made);
      return std::unique_ptr<Directory>(new Directory(std::move(made), false));
    }
    const std::string path = AbsolutePath(platform, wanted);
    const bool existed = fs::exists(path, error);
    fs::create_directories(path, error);
    if (error) return Fail(ErrorClass::kInvalid, "cannot make {}: {}", path, error.message());
    if (!fs::is_empty(path, error) || error) {
      return Fail(ErrorClass::kInvalid, "{} is not an empty directory", path);
    }
    return std::unique_ptr<Directory>(new Directory(path, existed));
  }

  ~Directory() {
    std::error_code ignored;
    if (!existed_) {
      fs::remove_all(path_, ignored);
      return;
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(path_, ignored)) {
      fs::remove_all(entry.path(), ignored);
    }
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::string& path() const { return path_; }

 private:
  Directory(std::string path, bool existed) : path_(std::move(path)), existed_(existed) {}
  const std::string path_;
  const bool existed_;
};

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// The controller as `flotilla controller` runs it, with its data in `directory`.
class RunningController {
 public:
  static Result<std::unique_ptr<RunningController>> Start(const Platform& platform,
                                                          const Fleet& fleet,
                                                          const std::string& directory) {
    std::unique_ptr<RunningController> made(new RunningController());
    Runtime& runtime = platform.runtime;
    made->log_file_ = Descriptor(::open((directory + "/controller.log").c_str(),
                                        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const Logger log(runtime, LogToDescriptor(made->log_file_.get()));
    auto data = OpenFileDisk(directory + "/data");
    if (!data) return Pass(data);
    made->data_ = std::move(*data);
    auto git = git::OpenMirrorStore(runtime, platform.http, {directory + "/data/git"});
    if (!git) return Pass(git);
    made->git_ = std::move(*git);

    operate::ControllerOptions options;
    options.identity = platform.host.identity();
    kube::Proof proof{{{"Authorization", fmt::format("Bearer {}", kControllerToken)}}, nullptr};
    options.hub = {fleet.OriginOf("hub"), kube::FixedCredentials(std::move(proof)), {}, "default"};
    made->client_ =
        std::make_unique<kube::Client>(runtime, platform.http, options.hub,
                                       kube::ClientOptions{.user_agent = "flotilla-snapshots"});
    made->snapshots_ =
        std::make_unique<operate::Snapshots>(runtime, *made->client_, *made->data_, log);
    kube::AccessSources sources;
    sources.runtime = &runtime;
    made->controller_ = std::make_unique<operate::Controller>(
        operate::ControllerDependencies{runtime, platform.http, *made->git_, *made->snapshots_, log,
                                        sources},
        std::move(options));
    made->task_ = runtime.Spawn("controller",
                                [log, controller = made->controller_.get()](std::stop_token stop) {
                                  if (Status ended = controller->Run(stop); !ended)
                                    log.Error("ended", {{"error", ended.error()}});
                                });
    return made;
  }

  bool Ended() const { return task_->Done(); }

 private:
  RunningController() = default;
  Descriptor log_file_;
  std::unique_ptr<Disk> data_;
  std::unique_ptr<git::GitStore> git_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<operate::Snapshots> snapshots_;
  std::unique_ptr<operate::Controller> controller_;
  std::unique_ptr<Task> task_;  // last: uses all of the above
};

class Demo {
 public:
  Demo(const Platform& platform, const std::string& directory)
      : platform_(platform),
        directory_(directory),
        narrator_(platform.runtime,
                  platform.colour && !platform.host.Environment("NO_COLOR").has_value()) {}

  Status Run(bool once);

 private:
  Status Prepare();
  Status Deliver();
  Status Break();
  void Invite();
  Result<std::string> Commit(const std::string& content, const std::string& message);
  // The newest Rollout, once it is of `commit` and in that phase.
  Result<api::Rollout> Await(const std::string& commit, api::RolloutPhase phase);

  const Platform& platform_;
  const std::string directory_;
  Narrator narrator_;
  Witness witness_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<Repository> repository_;
  std::unique_ptr<RunningController> controller_;
};

Status Demo::Run(bool once) {
  for (Status (Demo::*step)() : {&Demo::Prepare, &Demo::Deliver, &Demo::Break}) {
    if (Status done = (this->*step)(); !done) return done;
  }
  if (once) return {};
  Invite();
  while (platform_.runtime.SleepFor(1h, platform_.stop)) {
  }
  return {};
}

Status Demo::Prepare() {
  narrator_.Print(Tone::kTitle,
                  "A hub, three clusters, a Git repository, metrics and the controller:");
  auto files = OpenFileDisk(directory_);
  if (!files) return Pass(files);
  if (Status made = (*files)->MakeDirectories("git"); !made) return made;
  auto fleet = Fleet::Start(platform_.runtime, directory_ + "/git",
                            [this](const std::string& member, double ratio) {
                              narrator_.Say(ratio < 0.05 ? Tone::kQuiet : Tone::kBad, member,
                                            fmt::format("metrics: {} is {}", kSeries, ratio));
                            });
  if (!fleet) return Pass(fleet);
  fleet_ = std::move(*fleet);
  std::vector<std::string> servers = Fleet::MemberNames();
  servers.insert(servers.begin(), "hub");
  for (const std::string& server : servers) {
    Status written = (*files)->WriteDurable(server + ".kubeconfig", fleet_->Kubeconfig(server, ""));
    if (!written) return written;
    narrator_.Say(Tone::kQuiet, server, "API server at " + fleet_->OriginOf(server));
  }
  fleet_->hub().OnAudit([this](const sim::AuditRecord& record) {
    witness_.OnHub(record);
    narrator_.OnHub(record);
  });
  for (const std::string& member : Fleet::MemberNames()) {
    fleet_->member(member).OnAudit([this, member](const sim::AuditRecord& record) {
      witness_.OnMember(member, record);
      narrator_.OnMember(member, record);
    });
  }
  auto repository = Repository::Make(platform_, directory_ + "/git", "shop.git",
                                     fleet_->GitUrl() + "/shop.git", directory_ + "/shop");
  if (!repository) return Pass(repository);
  repository_ = std::move(*repository);
  auto controller = RunningController::Start(platform_, *fleet_, directory_);
  if (!controller) return Pass(controller);
  controller_ = std::move(*controller);
  return fleet_->Create(Replaced(kFleet, "${PROMETHEUS}", fleet_->PrometheusUrl()));
}

Result<std::string> Demo::Commit(const std::string& content, const std::string& message) {
  auto commit = repository_->Commit("deploy/web.yaml", content, message);
  if (commit) {
    narrator_.Print(Tone::kPlain, "");
    narrator_.Say(Tone::kTitle, "git", fmt::format("commit {}: {}", commit->substr(0, 8), message));
  }
  return commit;
}

Status Demo::Deliver() {
  auto commit = Commit(kShop, "web 1.0");
  if (!commit) return Pass(commit);
  Status made = fleet_->Create(Replaced(kApplication, "${GIT}", fleet_->GitUrl()));
  if (!made) return made;
  auto done = Await(*commit, api::RolloutPhase::kSucceeded);
  if (!done) return Pass(done);
  return {};
}

Status Demo::Break() {
  std::string content = Replaced(kShop, "shop/web:1.0", "shop/web:1.1");
  content = Replaced(std::move(content), "\"0.002\"", "\"0.31\"");
  content = Replaced(std::move(content), "CHECKOUT: classic", "CHECKOUT: express");
  auto commit = Commit(content, "web 1.1: a new checkout, which fails for 31 % of the requests");
  if (!commit) return Pass(commit);
  auto rollout = Await(*commit, api::RolloutPhase::kRolledBack);
  if (!rollout) return Pass(rollout);
  const TimePoint deadline = platform_.runtime.Now() + kPatience;
  while (!IsReady(fleet_->member("canary").Get("deployments.apps", "shop", "web")) &&
         platform_.runtime.Now() < deadline &&
         platform_.runtime.SleepFor(kGlance, platform_.stop)) {
  }
  narrator_.Print(Tone::kPlain, "");
  narrator_.Print(Tone::kTitle,
                  "The rollback of " + rollout->meta.name + ", from the first bad sample on");
  narrator_.Print(Tone::kPlain,
                  Table(*rollout, fleet_->metrics("canary").FirstAbove(kSeries, 0.05), witness_));
  return {};
}

Result<api::Rollout> Demo::Await(const std::string& commit, api::RolloutPhase phase) {
  const TimePoint deadline = platform_.runtime.Now() + kPatience;
  std::string last = "no Rollout of it was made";
  while (platform_.runtime.Now() < deadline) {
    for (const value::Value& object : fleet_->hub().List("rollouts.flotilla.dev")) {
      auto rollout = api::ParseRollout(object);
      if (!rollout || rollout->spec.release.revision.find(commit) == std::string::npos) continue;
      if (rollout->status.phase == phase) return *std::move(rollout);
      last = fmt::format("Rollout {} is {}: {}", rollout->meta.name,
                         api::ToString(rollout->status.phase), rollout->status.message);
    }
    if (controller_->Ended()) return Fail(ErrorClass::kInternal, "the controller ended");
    if (!platform_.runtime.SleepFor(kGlance, platform_.stop)) {
      return Fail(ErrorClass::kCancelled, "stopped");
    }
  }
  for (const value::Value& object : fleet_->hub().List("applications.flotilla.dev")) {
    for (value::Ref condition : value::Ref(object).At("status", "conditions").Items()) {
      last += fmt::format("; {} {}: {}", condition["type"].String(), condition["status"].String(),
                          condition["message"].String());
    }
  }
  return Fail(ErrorClass::kTimeout, "commit {} is not {} after {}: {}", commit.substr(0, 8),
              api::ToString(phase), FormatDuration(kPatience), last);
}

void Demo::Invite() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const std::string program = error ? "flotilla" : self.string();
  narrator_.Print(Tone::kPlain, fmt::format(R"(
The fleet goes on until Ctrl-C. In another terminal:

  export KUBECONFIG={0}/hub.kubeconfig
  {1} status -n shop
  {1} why -n shop shop
  kubectl get applications.flotilla.dev,rollouts.flotilla.dev,rollbacks.flotilla.dev -n shop
  kubectl describe rollouts.flotilla.dev -n shop
  kubectl --kubeconfig {0}/canary.kubeconfig get all -n shop

Change {0}/shop/deploy/web.yaml, and

  git -C {0}/shop commit -am "a fix" && git -C {0}/shop push

What the controller says is in {0}/controller.log.)",
                                            directory_, program));
}

}  // namespace
}  // namespace demo

int RunDemo(const Platform& platform, const DemoFlags& flags) {
  auto directory = demo::Directory::Make(platform, flags.directory);
  if (!directory) {
    std::fprintf(stderr, "flotilla demo: %s\n", directory.error().ToString().c_str());
    return 1;
  }
  const Status done = demo::Demo(platform, (*directory)->path()).Run(flags.once);
  if (done || (platform.stop.stop_requested() && !flags.once)) return 0;
  std::fprintf(stderr, "flotilla demo: %s\n", done.error().ToString().c_str());
  return 1;
}

}  // namespace flotilla::surface
