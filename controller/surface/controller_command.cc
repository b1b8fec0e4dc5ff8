#include "surface/controller_command.h"

#include <unistd.h>

#include <memory>

#include "base/log.h"
#include "base/metrics.h"
#include "git/mirror_store.h"
#include "kube/client.h"
#include "operate/controller.h"
#include "operate/snapshots.h"
#include "surface/health_server.h"

namespace flotilla::surface {
namespace {

constexpr Duration kCollectInterval = 10min;

// What only a scrape asks for.
class ProcessMetrics {
 public:
  ProcessMetrics(Metrics& metrics, const Platform& platform)
      : files_(platform.files),
        leader_(metrics.AddGauge("flotilla_leader", "1 while this process leads.")),
        ready_(metrics.AddGauge("flotilla_ready", "1 when the caches of the hub are filled.")),
        resident_(
            metrics.AddGauge("process_resident_memory_bytes", "Resident memory size in bytes.")) {
    const double now =
        std::chrono::duration<double>(platform.runtime.WallNow().time_since_epoch()).count();
    metrics.AddGauge("process_start_time_seconds", "When the process started, since the epoch.")
        ->Set(now);
  }

  void Update(const operate::Controller& controller) {
    leader_->Set(controller.Leading() ? 1 : 0);
    ready_->Set(controller.Ready() ? 1 : 0);
    const auto statm = files_.Read("proc/self/statm");
    if (!statm) return;
    const size_t blank = statm->find(' ');
    if (blank == std::string::npos) return;
    const double pages = std::strtod(statm->c_str() + blank, nullptr);
    resident_->Set(pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
  }

 private:
  Disk& files_;
  std::shared_ptr<Gauge> leader_, ready_, resident_;
};

Result<std::unique_ptr<Disk>> OpenData(const Platform& platform, const ControllerFlags& flags) {
  auto data = OpenFileDisk(AbsolutePath(platform, flags.data));
  if (!data) return Fail(data, "--data={}", flags.data);
  return data;
}

operate::ControllerOptions OptionsOf(const Platform& platform, const ControllerFlags& flags,
                                     const kube::Access& hub) {
  operate::ControllerOptions options;
  options.hub = hub;
  options.identity = platform.host.identity();
  options.lease = flags.lease;
  options.renew = flags.renew;
  options.retry = flags.retry;
  options.workers = flags.workers;
  return options;
}

// Kubeconfigs of members come from Secrets: they get no file of ours, and only the programs that
// whoever runs the controller has named.
kube::AccessSources MemberSources(const Platform& platform, const ControllerFlags& flags) {
  kube::AccessSources sources;
  sources.runtime = &platform.runtime;
  if (!flags.allow_exec.empty()) {
    sources.process = &platform.processes;
    sources.allowed_exec = flags.allow_exec;
    sources.exec_environment = platform.environment;
  }
  return sources;
}

std::unique_ptr<Task> CollectNowAndThen(Runtime& runtime, operate::Snapshots& snapshots,
                                        const operate::Controller& controller, const Logger& log) {
  return runtime.Spawn("collect snapshots", [&, log](std::stop_token stop) {
    while (runtime.SleepFor(kCollectInterval, stop)) {
      if (!controller.Leading()) continue;
      if (Status done = snapshots.Collect(stop); !done) {
        log.Warning("cannot collect snapshots", {{"error", done.error()}});
      }
    }
  });
}

Status Run(const Platform& platform, const ControllerFlags& flags, const Logger& log) {
  Runtime& runtime = platform.runtime;
  auto hub = AccessForController(platform, flags.hub);
  if (!hub) return Fail(Error(hub.error()), "find the hub");
  auto data = OpenData(platform, flags);
  if (!data) return Pass(data);
  auto git =
      git::OpenMirrorStore(runtime, platform.http, {AbsolutePath(platform, flags.data + "/git")});
  if (!git) return Fail(Error(git.error()), "open the mirrors of repositories");

  kube::Client client(runtime, platform.http, *hub, {.user_agent = "flotilla-snapshots"});
  operate::Snapshots snapshots(runtime, client, **data, log);
  operate::Controller controller(
      {runtime, platform.http, **git, snapshots, log, MemberSources(platform, flags)},
      OptionsOf(platform, flags, *hub));

  Metrics metrics;
  ProcessMetrics of_process(metrics, platform);
  HealthSources health{[&] { return controller.Ready(); }, [&] { of_process.Update(controller); },
                       &metrics};
  auto server = ServeHealth(runtime, flags.listen, std::move(health));
  if (!server) return Fail(Error(server.error()), "serve health and metrics");
  log.Info("started", {{"identity", platform.host.identity()},
                       {"hub", hub->base_url},
                       {"listen_port", (*server)->port()}});
  const std::unique_ptr<Task> collector = CollectNowAndThen(runtime, snapshots, controller, log);
  return controller.Run(platform.stop);
}

}  // namespace

int RunController(const Platform& platform, const ControllerFlags& flags) {
  const Logger log(platform.runtime, LogToDescriptor(STDERR_FILENO),
                   flags.debug ? LogLevel::kDebug : LogLevel::kInfo);
  if (Status ended = Run(platform, flags, log); !ended) {
    log.Error("ended", {{"error", ended.error()}});
    return 1;
  }
  log.Info("stopped");
  return 0;
}

}  // namespace flotilla::surface
