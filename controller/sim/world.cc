#include "sim/world.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "api/crd.h"
#include "kube/resource.h"
#include "sim/memory_releases.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::sim {
namespace {

constexpr const char* kSystemNamespace =
    "{apiVersion: v1, kind: Namespace, metadata: {name: flotilla-system}}";

// Where objects of the kinds that worlds are made of live.
std::string PathOf(value::Ref object) {
  static const std::map<std::string, std::string> kPlurals = {
      {"Application", "applications"},   {"Cluster", "clusters"},
      {"Repository", "repositories"},    {"RolloutPlan", "rolloutplans"},
      {"Rollback", "rollbacks"},         {"Freeze", "freezes"},
      {"Approval", "approvals"},         {"ServiceLevelObjective", "servicelevelobjectives"},
      {"DeliveryPolicy", "deliverypolicies"}, {"Namespace", "namespaces"},
      {"Secret", "secrets"},             {"ConfigMap", "configmaps"},
      {"Deployment", "deployments"},     {"Service", "services"},
      {"CustomResourceDefinition", "customresourcedefinitions"}};
  const kube::GroupVersionKind gvk = kube::GvkOf(object);
  return kube::CollectionPath({gvk.group, gvk.version, kPlurals.at(gvk.kind)}, kube::NamespaceOf(object));
}

[[noreturn]] void Impossible(const std::string& what) {
  std::fprintf(stderr, "world: %s\n", what.c_str());
  std::abort();
}

}  // namespace

// One incarnation of the controller, and what it is made of.
struct World::Process {
  std::unique_ptr<Incarnation> incarnation;
  std::unique_ptr<http::HttpClient> http;
  std::unique_ptr<operate::Controller> controller;
  std::unique_ptr<Task> task;
};

World::World(WorldOptions options)
    : options_(std::move(options)),
      runtime_({.seed = options_.seed}),
      network_(runtime_),
      git_(runtime_),
      releases_(NewMemoryReleases()) {
  hub_ = MakeServer("hub", runtime_.ForkSeed());
  for (const api::Crd& crd : api::AllCrds()) {
    const int status = Send(hub(), http::Method::kPost,
                            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                            value::ToJson(crd.object));
    if (status != 201) Impossible(fmt::format("{}: {}", crd.name, status));
  }
  CreateOn(hub(), kSystemNamespace);
  for (const auto& [name, labels] : options_.members) {
    members_.emplace(name, MakeServer(name, runtime_.ForkSeed()));
    CreateOn(member(name), kSystemNamespace);
    members_.at(name).metrics = std::make_unique<MetricsSource>(
        runtime_, options_.scrape_interval,
        [this, member_name = name](const std::string&) { return ErrorRatio(member_name); });
    network_.Listen(fmt::format("http://metrics-{}:9090", name), members_.at(name).metrics->Handler());
    const std::string kubeconfig = fmt::format(
        R"({{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{{"name":"c","context":{{"cluster":"c","user":"u"}}}}],"clusters":[{{"name":"c","cluster":{{"server":"{}"}}}}],"users":[{{"name":"u","user":{{"token":"controller"}}}}]}})",
        OriginOf(name));
    value::Value secret = value::Value::Map(
        {{"apiVersion", "v1"},
         {"kind", "Secret"},
         {"metadata", value::Value::Map({{"name", name}, {"namespace", "flotilla-system"}})},
         {"stringData", value::Value::Map({{"kubeconfig", kubeconfig}})}});
    Create(value::ToJson(secret));
    std::string labels_text;
    for (const auto& [key, text] : labels) labels_text += fmt::format("{}: {}, ", key, text);
    Create(fmt::format(R"(
apiVersion: flotilla.dev/v1alpha1
kind: Cluster
metadata: {{name: {0}, labels: {{{1}}}}}
spec:
  kubeconfigSecretRef: {{name: {0}}}
  prometheus: {{url: "http://metrics-{0}:9090"}}
)", name, labels_text));
  }
}

World::~World() {
  for (auto& [name, process] : processes_) {
    if (process->task) process->task->RequestStop();
    process->task.reset();
  }
  processes_.clear();
  for (auto& [name, server] : members_) {
    server.ticker.reset();
    server.metrics.reset();
  }
  hub_.ticker.reset();
}

World::Server World::MakeServer(const std::string& name, uint64_t seed) {
  Server made;
  ApiServerOptions options;
  options.clock = Clock::Of(runtime_);
  options.seed = seed;
  options.anonymous = {"admin", {}, {"system:masters"}, {}};
  made.server = std::make_unique<ApiServer>(std::move(options));
  made.server->AddToken("controller", {"system:serviceaccount:flotilla-system:flotilla", {}, {"system:masters"}, {}});
  made.due = runtime_.NewEvent();
  made.server->OnDueChanged([due = made.due.get()] { due->Set(); });
  made.ticker = runtime_.Spawn("time of " + name, [this, server = made.server.get(),
                                                   due = made.due.get()](std::stop_token stop) {
    while (!stop.stop_requested()) {
      due->Reset();
      const auto next = server->NextDue();
      if (next && *next <= runtime_.Now()) {
        server->Advance();
        continue;
      }
      due->Wait(next.value_or(kForever), stop);
    }
  });
  network_.Listen(OriginOf(name), [server = made.server.get()](const http::ServerRequest& request) {
    return server->Handle(request);
  });
  return made;
}

std::vector<std::string> World::member_names() const {
  std::vector<std::string> names;
  for (const auto& [name, server] : members_) names.push_back(name);
  return names;
}

int World::Send(ApiServer& server, http::Method method, const std::string& path,
                const std::string& body, const std::string& content_type) {
  http::ServerRequest request;
  request.method = method;
  request.target = path;
  request.headers = {{"Content-Type", content_type}};
  request.body = body;
  const http::ServerResponse response = server.Handle(request);
  if (response.status >= 400) runtime_.Note(response.body);
  return response.status;
}

void World::CreateOn(ApiServer& server, const std::string& yaml) {
  auto documents = value::ParseYaml(yaml);
  if (!documents) Impossible(documents.error().ToString());
  for (const value::Document& document : *documents) {
    http::ServerRequest request;
    request.method = http::Method::kPost;
    request.target = PathOf(document.value);
    request.headers = {{"Content-Type", "application/json"}};
    request.body = value::ToJson(document.value);
    const http::ServerResponse response = server.Handle(request);
    if (response.status != 201) Impossible(fmt::format("{}: {}", request.target, response.body));
  }
}

double World::ErrorRatio(const std::string& name) const {
  for (const value::Value& deployment : members_.at(name).server->List("deployments.apps")) {
    for (value::Ref container :
         deployment.At("spec", "template", "spec", "containers").Items()) {
      if (container["image"].String().find(options_.bad_image) != std::string_view::npos) return 0.5;
    }
  }
  return 0.001;
}

void World::StartController(const std::string& name) {
  auto process = std::make_unique<Process>();
  process->incarnation = runtime_.NewIncarnation(name);
  process->http = network_.NewClient(name, process->incarnation.get());
  operate::ControllerOptions options;
  auto proof = kube::Proof{{{"Authorization", "Bearer controller"}}, nullptr};
  options.hub = kube::Access{OriginOf("hub"), kube::FixedCredentials(std::move(proof)), {}, "default"};
  options.identity = fmt::format("{}_{}", name, runtime_.ForkSeed());
  kube::AccessSources sources;
  sources.runtime = process->incarnation.get();
  operate::ControllerDependencies dependencies{
      *process->incarnation, *process->http, git_, *releases_,
      options_.log ? Logger(*process->incarnation, options_.log, LogLevel::kDebug) : Logger(), sources};
  process->controller = std::make_unique<operate::Controller>(std::move(dependencies), std::move(options));
  process->task = process->incarnation->Spawn(
      name, [controller = process->controller.get()](std::stop_token stop) { (void)controller->Run(stop); });
  processes_[name] = std::move(process);
}

void World::CrashController(const std::string& name) {
  auto it = processes_.find(name);
  if (it == processes_.end()) return;
  it->second->incarnation->Crash();
  it->second->task.reset();
  processes_.erase(it);
}

bool World::Leading(const std::string& name) const {
  auto it = processes_.find(name);
  return it != processes_.end() && it->second->controller->Leading();
}

bool World::Running(const std::string& name) const {
  auto it = processes_.find(name);
  return it != processes_.end() && !it->second->task->Done();
}

Status World::RunUntil(const std::function<bool()>& done, Duration limit) {
  return runtime_.RunUntil(done, runtime_.Now() + limit);
}

value::Value World::NewestRollout(const std::string& application) const {
  value::Value newest;
  for (const value::Value& rollout : hub_.server->List("rollouts.flotilla.dev")) {
    if (rollout.At("spec", "application").String() != application) continue;
    if (newest.IsAbsent() || rollout.At("spec", "fence").Int() > newest.At("spec", "fence").Int()) {
      newest = rollout;
    }
  }
  return newest;
}

std::string World::RolloutPhase(const std::string& application) const {
  return NewestRollout(application).At("status", "phase").Text();
}

}  // namespace flotilla::sim
