#include "surface/cli/command_line.h"

#include <CLI/CLI.hpp>

#include "surface/controller_command.h"
#include "surface/demo/demo.h"

namespace flotilla::surface {
namespace {

void AddDuration(CLI::App& app, const std::string& name, Duration& duration,
                 const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&duration, name](const std::string& text) {
           auto parsed = ParseDuration(text);
           if (!parsed || *parsed < 0s)
             throw CLI::ValidationError(name, "\"" + text + "\" is no duration like 30s or 5m");
           duration = *parsed;
         },
         help)
      ->type_name("DURATION")
      ->default_str(FormatDuration(duration));
}

void AddHubFlags(CLI::App& app, HubFlags& hub) {
  app.add_option("--kubeconfig", hub.kubeconfig, "Path to the kubeconfig of the hub");
  app.add_option("--context", hub.context, "Context of the kubeconfig");
}

void AddController(CLI::App& root, ControllerFlags& flags) {
  CLI::App& app = *root.add_subcommand("controller", "Run the controller")
                       ->footer(
                           "Example:\n  flotilla controller --kubeconfig hub.yaml --data "
                           "/tmp/flotilla --listen 127.0.0.1:8080");
  AddHubFlags(app, flags.hub);
  app.add_option("--data", flags.data,
                 "Directory for mirrors of repositories and a cache of releases")
      ->capture_default_str();
  app.add_option("--listen", flags.listen, "Address of /healthz, /readyz and /metrics")
      ->capture_default_str();
  AddDuration(app, "--lease-duration", flags.lease, "How long leadership lasts without renewal");
  AddDuration(app, "--renew-deadline", flags.renew, "When a leader that cannot renew gives up");
  AddDuration(app, "--retry-period", flags.retry, "Time between tries to lead or renew");
  app.add_option("--workers", flags.workers, "Applications worked on at once")
      ->check(CLI::Range(1, 128))
      ->capture_default_str();
  app.add_option("--allow-exec", flags.allow_exec,
                 "Credential plugins that kubeconfigs of clusters may run");
  app.add_flag("--debug", flags.debug, "Log in detail");
}

CLI::App& AddDemo(CLI::App& root, DemoFlags& flags) {
  CLI::App& app = *root.add_subcommand(
      "demo", "Run a whole fleet in this process: a rollout, a breach, a rollback");
  app.add_flag("--once", flags.once, "End after the table, instead of leaving the fleet running");
  app.add_option("--directory", flags.directory,
                 "Empty or absent directory for kubeconfigs, repository and log; a temporary one "
                 "where it is not given");
  return app;
}

}  // namespace

int RunCommandLine(const Platform& platform, int argc, const char* const* argv) {
  CLI::App root("Flotilla: GitOps deployment for many Kubernetes clusters", "flotilla");
  root.require_subcommand(1);
  ControllerFlags controller;
  AddController(root, controller);
  DemoFlags demo;
  const CLI::App& demo_verb = AddDemo(root, demo);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return root.exit(error) == 0 ? 0 : 1;
  }
  if (demo_verb.parsed()) return RunDemo(platform, demo);
  return RunController(platform, controller);
}

}  // namespace flotilla::surface
