#include "surface/cli/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/directory_tree.h"
#include "base/log.h"
#include "surface/cli/verbs/verbs.h"
#include "surface/controller_command.h"
#include "surface/demo/demo.h"
#include "value/yaml.h"

namespace flotilla::surface {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 error, 2 partial or differences, 3 blocked, 4 time-out.";

void WriteTo(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(descriptor, text.data(), text.size());
    if (count <= 0) return;  // nobody reads any more
    text.remove_prefix(static_cast<size_t>(count));
  }
}

Duration ToDuration(const std::string& name, const std::string& text) {
  auto parsed = ParseDuration(text);
  if (!parsed || *parsed < 0s) {
    throw CLI::ValidationError(name, "\"" + text + "\" is no duration like 30s or 5m");
  }
  return *parsed;
}

void AddDuration(CLI::App& app, const std::string& name, Duration& duration,
                 const std::string& help) {
  app.add_option_function<std::string>(
         name, [&duration, name](const std::string& text) { duration = ToDuration(name, text); },
         help)
      ->type_name("DURATION")
      ->default_str(FormatDuration(duration));
}

void AddDuration(CLI::App& app, const std::string& name, std::optional<Duration>& duration,
                 const std::string& help) {
  app.add_option_function<std::string>(
         name, [&duration, name](const std::string& text) { duration = ToDuration(name, text); },
         help)
      ->type_name("DURATION");
}

void AddLabels(CLI::App& app, const std::string& name, api::Labels& labels,
               const std::string& help) {
  app.add_option_function<std::vector<std::string>>(
         name,
         [&labels, name](const std::vector<std::string>& pairs) {
           for (const std::string& pair : pairs) {
             const size_t equals = pair.find('=');
             if (equals == std::string::npos || equals == 0) {
               throw CLI::ValidationError(name, "\"" + pair + "\" is not KEY=VALUE");
             }
             labels[pair.substr(0, equals)] = pair.substr(equals + 1);
           }
         },
         help)
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

// One run of the program: what was written on the command line, and what to do about it.
class CommandLine {
 public:
  explicit CommandLine(const Platform& platform) : platform_(platform) {
    root_.require_subcommand(1);
    root_.footer(kExitCodes);
    AddController();
    AddDemo();
    AddOffline();
    AddClusters();
    AddLooking();
    AddActing();
  }

  int Run(int argc, const char* const* argv) {
    try {
      root_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return root_.exit(error) == 0 ? kDone : kError;
    }
    Result<int> code = run_();
    if (code) return *code;
    WriteTo(STDERR_FILENO, "error: " + RedactUrls(code.error().ToString()) + "\n");
    return code.error().cls == ErrorClass::kTimeout ? kTimeOut : kError;
  }

 private:
  CLI::App& Add(CLI::App& parent, const std::string& name, const std::string& what,
                const std::string& example, std::function<Result<int>()> run) {
    CLI::App& app = *parent.add_subcommand(name, what)->footer("Example:\n  " + example);
    app.callback([this, run = std::move(run)] { run_ = run; });
    return app;
  }
  void AddOutput(CLI::App& app) {
    static const std::map<std::string, OutputFormat> kFormats = {{"table", OutputFormat::kTable},
                                                                 {"json", OutputFormat::kJson},
                                                                 {"yaml", OutputFormat::kYaml},
                                                                 {"name", OutputFormat::kName}};
    app.add_option_function<std::string>(
           "-o,--output",
           [this](const std::string& text) {
             auto it = kFormats.find(text);
             if (it == kFormats.end()) {
               throw CLI::ValidationError("-o", "table, json, yaml or name, not " + text);
             }
             format_ = it->second;
           },
           "table, json, yaml or name")
        ->type_name("FORMAT");
  }
  void AddHub(CLI::App& app, bool with_namespace = true) {
    app.add_option("--kubeconfig", hub_.kubeconfig,
                   "Kubeconfig of the hub; else $KUBECONFIG, else ~/.kube/config");
    app.add_option("--context", hub_.context, "Context of the kubeconfig");
    if (with_namespace) app.add_option("-n,--namespace", hub_.ns, "Namespace of the application");
    AddOutput(app);
  }
  void AddApplication(CLI::App& app, std::string& application) {
    app.add_option("APP", application, "Name of the Application")->required();
    AddHub(app);
  }

  Console MakeConsole() const {
    return {[](std::string_view text) { WriteTo(STDOUT_FILENO, text); },
            [](std::string_view text) { WriteTo(STDERR_FILENO, text); }, format_, platform_.colour};
  }
  // What most verbs do: something with the hub.
  std::function<Result<int>()> OnHub(std::function<Result<int>(Session&)> verb) {
    return [this, verb = std::move(verb)]() -> Result<int> {
      auto access = AccessByKubeconfig(platform_, hub_);
      if (!access) return Pass(access);
      kube::Client client(platform_.runtime, platform_.http, *access,
                          {.user_agent = "flotilla-cli"});
      Console console = MakeConsole();
      Session session{platform_.runtime, client, access->default_namespace, console,
                      platform_.stop};
      return verb(session);
    };
  }

  void AddController();
  void AddDemo();
  void AddOffline();
  void AddClusters();
  void AddLooking();
  void AddActing();
  Result<int> Offline(Result<int> (*verb)(Console&, Tree&, const RenderFlags&));
  Result<int> AddCluster();

  const Platform& platform_;
  CLI::App root_{"Flotilla: GitOps deployment for many Kubernetes clusters", "flotilla"};
  std::function<Result<int>()> run_;
  HubFlags hub_;
  OutputFormat format_ = OutputFormat::kTable;

  ControllerFlags controller_;
  DemoFlags demo_;
  RenderFlags render_;
  std::string path_;
  std::string application_file_;
  ClusterAddFlags cluster_;
  std::string member_kubeconfig_, member_context_, server_;
  StatusFlags status_;
  std::string application_;
  RollbackFlags rollback_;
  PauseFlags pause_;
  ApproveFlags approve_;
  ReleaseFlags release_;
};

void CommandLine::AddController() {
  ControllerFlags& flags = controller_;
  CLI::App& app =
      Add(root_, "controller", "Run the controller",
          "flotilla controller --kubeconfig hub.yaml --data /tmp/flotilla --listen 127.0.0.1:8080",
          [this]() -> Result<int> { return RunController(platform_, controller_); });
  app.add_option("--kubeconfig", flags.hub.kubeconfig,
                 "Kubeconfig of the hub; else the pod's service account, else as kubectl");
  app.add_option("--context", flags.hub.context, "Context of the kubeconfig");
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

void CommandLine::AddDemo() {
  CLI::App& app =
      Add(root_, "demo", "Run a whole fleet in this process: a rollout, a breach, a rollback",
          "flotilla demo --once", [this]() -> Result<int> { return RunDemo(platform_, demo_); });
  app.add_flag("--once", demo_.once, "End after the table, instead of leaving the fleet running");
  app.add_option("--directory", demo_.directory,
                 "Empty or absent directory for kubeconfigs, repository and log; a temporary one "
                 "where it is not given");
}

void CommandLine::AddOffline() {
  auto add = [&](const std::string& name, const std::string& what, const std::string& example,
                 Result<int> (*verb)(Console&, Tree&, const RenderFlags&)) {
    CLI::App& app = Add(root_, name, what, example, [this, verb] { return Offline(verb); });
    app.add_option("PATH", path_,
                   "Directory or file of manifests; with --application the root of the checkout")
        ->required();
    app.add_option("--application", application_file_,
                   "File with the Application whose path and options apply");
    app.add_option("-n,--namespace", render_.ns,
                   "Namespace of objects that name none (without --application)")
        ->capture_default_str();
    app.add_option("--cluster", render_.cluster, "Name of the cluster whose overrides apply");
    AddLabels(app, "--cluster-label", render_.labels, "Label of that cluster");
    AddOutput(app);
  };
  add("render", "Print what a cluster would get; offline",
      "flotilla render . --application apps/web.yaml --cluster eu-1 --cluster-label region=eu",
      &Render);
  add("check", "Judge manifests as a cluster would; offline, for CI",
      "flotilla check . --application apps/web.yaml", &Check);
}

Result<int> CommandLine::Offline(Result<int> (*verb)(Console&, Tree&, const RenderFlags&)) {
  if (!application_file_.empty()) {
    auto text = ReadUserFile(platform_, application_file_);
    if (!text) return Pass(text);
    auto documents = value::ParseYaml(*text);
    if (!documents) return Fail(documents, "{}", application_file_);
    for (const value::Document& document : *documents) {
      if (kube::GvkOf(document.value).kind != api::kApplicationKind.kind) continue;
      auto application = api::ParseApplication(document.value);
      if (!application) return Fail(application, "{}", application_file_);
      render_.application = std::move(*application);
      break;
    }
    if (!render_.application) {
      return Fail(ErrorClass::kInvalid, "{} has no Application", application_file_);
    }
  }
  std::filesystem::path directory = AbsolutePath(platform_, path_);
  std::error_code unreadable;
  if (std::filesystem::is_regular_file(directory, unreadable)) {
    render_.path = directory.filename().string();
    directory = directory.parent_path();
  }
  auto tree = OpenDirectoryTree(directory.string());
  if (!tree) return Pass(tree);
  Console console = MakeConsole();
  return verb(console, **tree, render_);
}

void CommandLine::AddClusters() {
  CLI::App& group = *root_.add_subcommand("cluster", "Register clusters")->require_subcommand(1);
  CLI::App& add = Add(group, "add", "Register a cluster, with an account of its own for Flotilla",
                      "flotilla cluster add eu-1 --kubeconfig eu-1.yaml --label env=production",
                      [this] { return AddCluster(); });
  add.add_option("NAME", cluster_.name, "Name of the Cluster")->required();
  add.add_option("--kubeconfig", member_kubeconfig_,
                 "Administrator's kubeconfig of the new cluster")
      ->required();
  add.add_option("--context", member_context_, "Context of that kubeconfig");
  add.add_option("--server", server_, "How the controller reaches it, where that differs");
  add.add_option("--hub-kubeconfig", hub_.kubeconfig,
                 "Kubeconfig of the hub; else $KUBECONFIG, else ~/.kube/config");
  add.add_option("--hub-context", hub_.context, "Context of the hub's kubeconfig");
  add.add_option("--profile", cluster_.profile, "What the account may do: admin")
      ->capture_default_str();
  AddLabels(add, "--label", cluster_.labels, "Label of the Cluster");
  add.add_option("--region", cluster_.region, "Region, for selectors");
  add.add_option("--zone", cluster_.zone, "Zone, for selectors");
  add.add_option("--tier", cluster_.tier, "Tier, for selectors");
  add.add_option("--prometheus", cluster_.prometheus, "URL of the Prometheus that judges it");
  add.add_flag("--rotate", cluster_.rotate, "Replace the credential");
  AddOutput(add);
  AddHub(Add(group, "list", "List clusters", "flotilla cluster list", OnHub(&ClusterList)), false);
  CLI::App& remove =
      Add(group, "rm", "Forget a cluster; what is deployed there stays", "flotilla cluster rm eu-1",
          OnHub([this](Session& session) { return ClusterRemove(session, cluster_.name); }));
  remove.add_option("NAME", cluster_.name, "Name of the Cluster")->required();
  AddHub(remove, false);
}

Result<int> CommandLine::AddCluster() {
  auto member = AccessByFile(platform_, member_kubeconfig_, member_context_);
  if (!member) return Pass(member);
  auto reach = ReachByFile(platform_, member_kubeconfig_, member_context_);
  if (!reach) return Pass(reach);
  if (!server_.empty()) reach->server = server_;
  kube::Client client(platform_.runtime, platform_.http, *member, {.user_agent = "flotilla-cli"});
  return OnHub([&](Session& session) {
    return ClusterAdd(session, client, platform_.http, *reach, cluster_);
  })();
}

void CommandLine::AddLooking() {
  CLI::App& status =
      Add(root_, "status", "Show what runs where", "flotilla status shop -n team --watch",
          OnHub([this](Session& session) { return ShowStatus(session, status_); }));
  status.add_option("APP", status_.application,
                    "Name of the Application; all of the namespace without");
  status.add_flag("-A,--all-namespaces", status_.all_namespaces, "Applications of every namespace");
  status.add_flag("-w,--watch", status_.watch, "Go on, and print what changes");
  AddHub(status);
  AddApplication(Add(root_, "history", "List rollouts and rollbacks, newest first",
                     "flotilla history shop -n team", OnHub([this](Session& session) {
                       return ShowHistory(session, application_);
                     })),
                 application_);
  AddApplication(Add(root_, "why", "Explain what runs, and which inputs decided it",
                     "flotilla why shop -n team",
                     OnHub([this](Session& session) { return ShowWhy(session, application_); })),
                 application_);
}

void CommandLine::AddActing() {
  CLI::App& rollback =
      Add(root_, "rollback", "Go back to the last known good release, or to another",
          "flotilla rollback shop -n team --reason 'checkout is slow' --wait 60s",
          OnHub([this](Session& session) { return RollBack(session, rollback_); }));
  rollback.add_option("--to", rollback_.to, "Rollout, release digest, revision or commit");
  rollback.add_option("--reason", rollback_.reason, "Why");
  rollback.add_flag("--force", rollback_.force, "Also to a release in quarantine");
  AddDuration(rollback, "--wait", rollback_.wait, "Wait for its end for at most this long");
  AddApplication(rollback, rollback_.application);

  CLI::App& pause = Add(root_, "pause", "Stop forward progress of an application; rollbacks go on",
                        "flotilla pause shop -n team --for 2h --reason 'black friday'",
                        OnHub([this](Session& session) { return Pause(session, pause_); }));
  pause.add_option("--reason", pause_.reason, "Why");
  AddDuration(pause, "--for", pause_.duration, "For how long; until resumed without");
  AddApplication(pause, pause_.application);
  AddApplication(Add(root_, "resume", "End what pause began", "flotilla resume shop -n team",
                     OnHub([this](Session& session) { return Resume(session, application_); })),
                 application_);

  auto approval = [&](const std::string& name, const std::string& what, bool skip_bake) {
    CLI::App& app = Add(root_, name, what, "flotilla " + name + " shop -n team",
                        OnHub([this, skip_bake](Session& session) {
                          approve_.skip_bake = skip_bake;
                          return Approve(session, approve_);
                        }));
    app.add_option("--stage", approve_.stage, "The stage; else the current one");
    app.add_option("--reason", approve_.reason, "Why");
    AddDuration(app, "--for", approve_.duration, "Without effect after this time");
    AddApplication(app, approve_.application);
  };
  approval("approve", "Let the stage that waits for it begin", false);
  approval("promote", "End the bake of the current stage now", true);

  CLI::App& release = Add(root_, "release", "End the pin and quarantine of a rollback",
                          "flotilla release shop -n team --reason 'fixed the flag'",
                          OnHub([this](Session& session) { return Release(session, release_); }));
  release.add_option("--rollback", release_.rollback, "Name of the Rollback; else the newest");
  release.add_flag("--all", release_.all, "Every Rollback of the application");
  release.add_option("--reason", release_.reason, "Why");
  AddApplication(release, release_.application);
}

}  // namespace

int RunCommandLine(const Platform& platform, int argc, const char* const* argv) {
  return CommandLine(platform).Run(argc, argv);
}

}  // namespace flotilla::surface
