#include "surface/demo/fleet.h"

#include <fmt/format.h>

#include <charconv>

#include "api/crd.h"
#include "kube/config.h"
#include "kube/resource.h"
#include "sim/git_http_server.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::surface::demo {
namespace {

constexpr std::string_view kPrometheusPath = "/prometheus/";

// Plural names of the kinds that the demo creates.
const std::map<std::string, std::string>& Plurals() {
  static const std::map<std::string, std::string> plurals = [] {
    std::map<std::string, std::string> made = {
        {"Namespace", "namespaces"},
        {"Secret", "secrets"},
        {"CustomResourceDefinition", "customresourcedefinitions"}};
    for (const api::Crd& crd : api::AllCrds()) {
      const value::Ref names = value::Ref(crd.object).At("spec", "names");
      made[names["kind"].Text()] = names["plural"].Text();
    }
    return made;
  }();
  return plurals;
}

Status Post(sim::ApiServer& server, const value::Value& object) {
  const kube::GroupVersionKind gvk = kube::GvkOf(object);
  const auto plural = Plurals().find(gvk.kind);
  if (plural == Plurals().end()) {
    return Fail(ErrorClass::kInvalid, "the demo makes no {}", gvk.kind);
  }
  http::ServerRequest request;
  request.method = http::Method::kPost;
  request.target =
      kube::CollectionPath({gvk.group, gvk.version, plural->second}, kube::NamespaceOf(object));
  request.headers = {{"Content-Type", "application/json"}};
  request.body = value::ToJson(object);
  const http::ServerResponse response = server.Handle(request);
  if (response.status == 201) return {};
  return Fail(ErrorClass::kInvalid, "create {} {}: {}", gvk.kind, kube::NameOf(object),
              response.body);
}

// What the Deployment on that cluster says its pods answer with; nullopt while not all are ready.
std::optional<double> ErrorRatioOf(const sim::ApiServer& server) {
  const value::Value deployment = server.Get("deployments.apps", "shop", "web");
  if (!IsReady(deployment)) return std::nullopt;
  for (value::Ref container : deployment.At("spec", "template", "spec", "containers").Items()) {
    for (value::Ref variable : container["env"].Items()) {
      if (variable["name"].String() != "ERROR_RATIO") continue;
      const std::string text = variable["value"].Text();
      double ratio = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ratio);
      if (error == std::errc() && end == text.data() + text.size()) return ratio;
    }
  }
  return 0.0;
}

}  // namespace

bool IsReady(value::Ref deployment) {
  const int64_t wanted = deployment.At("spec", "replicas").Int();
  const value::Ref status = deployment["status"];
  return wanted > 0 && status["observedGeneration"].Int() == kube::GenerationOf(deployment) &&
         status["updatedReplicas"].Int() == wanted && status["readyReplicas"].Int() == wanted;
}

Result<std::unique_ptr<Fleet>> Fleet::Start(Runtime& runtime, const std::string& git_root,
                                            OnErrorRatio on_error_ratio) {
  std::unique_ptr<Fleet> fleet(new Fleet(runtime));
  std::vector<std::string> names = MemberNames();
  names.emplace_back("hub");
  for (const std::string& name : names) {
    if (Status started = fleet->StartServer(name); !started) return Pass(started);
  }
  for (const api::Crd& crd : api::AllCrds()) {
    if (Status made = Post(fleet->hub(), crd.object); !made) return Pass(made);
  }
  if (Status backend = fleet->StartBackend(git_root, std::move(on_error_ratio)); !backend) {
    return Pass(backend);
  }
  for (const std::string& name : MemberNames()) {
    const value::Value secret = value::Value::Map(
        {{"apiVersion", "v1"},
         {"kind", "Secret"},
         {"metadata", value::Value::Map({{"name", name}, {"namespace", "flotilla-system"}})},
         {"stringData",
          value::Value::Map({{"kubeconfig", fleet->Kubeconfig(name, kControllerToken)}})}});
    if (Status made = Post(fleet->hub(), secret); !made) return Pass(made);
  }
  return fleet;
}

Fleet::~Fleet() {
  backend_.reset();
  metrics_.clear();
  for (auto& [name, server] : servers_) {
    server.http.reset();
    server.ticker.reset();
  }
}

const std::vector<std::string>& Fleet::MemberNames() {
  static const std::vector<std::string> names = {"canary", "region-a", "region-b"};
  return names;
}

Status Fleet::StartServer(const std::string& name) {
  Server& server = servers_[name];
  sim::ApiServerOptions options;
  options.clock = sim::Clock::Of(runtime_);
  options.seed = runtime_.Random();
  options.anonymous = {kAdministrator, {}, {"system:masters"}, {}};
  server.api = std::make_unique<sim::ApiServer>(std::move(options));
  server.api->AddToken(kControllerToken, {kControllerUser, {}, {"system:masters"}, {}});
  server.due = runtime_.NewEvent();
  server.api->OnDueChanged([due = server.due.get()] { due->Set(); });
  server.ticker = runtime_.Spawn("time of " + name, [this, api = server.api.get(),
                                                     due = server.due.get()](std::stop_token stop) {
    while (!stop.stop_requested()) {
      due->Reset();
      const std::optional<TimePoint> next = api->NextDue();
      if (next && *next <= runtime_.Now()) {
        api->Advance();
      } else {
        due->Wait(next.value_or(kForever), stop);
      }
    }
  });
  auto http =
      http::Serve(runtime_, {}, [api = server.api.get()](const http::ServerRequest& request) {
        return api->Handle(request);
      });
  if (!http) return Fail(http, "serve the API of {}", name);
  server.http = std::move(*http);
  return CreateOn(*server.api,
                  "{apiVersion: v1, kind: Namespace, metadata: {name: flotilla-system}}");
}

Status Fleet::StartBackend(const std::string& git_root, OnErrorRatio on_error_ratio) {
  std::map<std::string, http::Handler, std::less<>> prometheus;
  for (const std::string& name : MemberNames()) {
    metrics_[name] = std::make_unique<sim::MetricsSource>(
        runtime_, 1s,
        [name, api = servers_.at(name).api.get(), on_error_ratio, last = std::optional<double>()](
            const std::string& series) mutable -> std::optional<double> {
          if (series != kSeries) return std::nullopt;
          const std::optional<double> ratio = ErrorRatioOf(*api);
          if (ratio && ratio != last) {
            last = ratio;
            on_error_ratio(name, *ratio);
          }
          return last;
        });
    prometheus[name] = metrics_[name]->Handler();
  }
  sim::GitServerOptions options;
  options.root = git_root;
  options.allow_push = true;
  auto served = http::Serve(
      runtime_, {},
      [prometheus = std::move(prometheus), git = sim::GitHttpHandler(runtime_, std::move(options))](
          const http::ServerRequest& request) {
        std::string_view path = request.target;
        if (!path.starts_with(kPrometheusPath)) return git(request);
        path.remove_prefix(kPrometheusPath.size());
        const auto member = prometheus.find(path.substr(0, path.find('/')));
        if (member != prometheus.end()) return member->second(request);
        http::ServerResponse unknown;
        unknown.status = 404;
        return unknown;
      });
  if (!served) return Fail(served, "serve Git and metrics");
  backend_ = std::move(*served);
  return {};
}

std::string Fleet::OriginOf(const std::string& server) const {
  return fmt::format("http://127.0.0.1:{}", servers_.at(server).http->port());
}

std::string Fleet::GitUrl() const { return fmt::format("http://127.0.0.1:{}", backend_->port()); }

std::string Fleet::PrometheusUrl() const {
  return fmt::format("http://127.0.0.1:{}/prometheus", backend_->port());
}

std::string Fleet::Kubeconfig(const std::string& server, const std::string& token) const {
  kube::Kubeconfig config;
  config.current_context = server;
  config.clusters.emplace_back().name = server;
  config.clusters.back().server = OriginOf(server);
  config.users.emplace_back().name = token.empty() ? kAdministrator : "flotilla";
  config.users.back().token = token;
  config.contexts.push_back({server, server, config.users.back().name, ""});
  return kube::WriteKubeconfig(config);
}

Status Fleet::Create(std::string_view yaml) { return CreateOn(hub(), yaml); }

Status Fleet::CreateOn(sim::ApiServer& server, std::string_view yaml) {
  auto documents = value::ParseYaml(yaml);
  if (!documents) return Pass(documents);
  for (const value::Document& document : *documents) {
    if (Status made = Post(server, document.value); !made) return made;
  }
  return {};
}

}  // namespace flotilla::surface::demo
