#include "surface/hub_access.h"

#include <filesystem>

namespace flotilla::surface {
namespace {

kube::AccessSources OwnSources(const Platform& platform) {
  kube::AccessSources sources;
  sources.runtime = &platform.runtime;
  sources.disk = &platform.files;
  sources.process = &platform.processes;
  sources.allowed_exec = {"*"};
  sources.exec_environment = platform.environment;
  return sources;
}

// What the environment names, or the one of the home directory.
std::vector<std::string> DefaultFiles(const Platform& platform) {
  std::vector<std::string> files;
  std::string list = platform.host.Environment("KUBECONFIG").value_or("");
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(':', at), list.size());
    if (end > at) files.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  if (files.empty()) {
    files.push_back(platform.host.Environment("HOME").value_or("/") + "/.kube/config");
  }
  return files;
}

bool HasContext(const kube::Kubeconfig& config, const std::string& context) {
  if (context.empty()) return !config.current_context.empty();
  for (const kube::ContextConfig& one : config.contexts) {
    if (one.name == context) return true;
  }
  return false;
}

Result<kube::Kubeconfig> ReadConfig(const Platform& platform, const std::string& path) {
  auto text = ReadUserFile(platform, path);
  if (!text) return Pass(text);
  return kube::ParseKubeconfig(*text, path);
}

Result<kube::Access> Access(const Platform& platform, const kube::Kubeconfig& config,
                            const std::string& path, const std::string& context) {
  const std::filesystem::path absolute = AbsolutePath(platform, path);
  return kube::ToAccess(config, context, absolute.parent_path().string(), OwnSources(platform));
}

}  // namespace

Result<kube::Access> AccessByFile(const Platform& platform, const std::string& path,
                                  const std::string& context) {
  auto config = ReadConfig(platform, path);
  if (!config) return Pass(config);
  return Access(platform, *config, path, context);
}

Result<kube::ClusterConfig> ReachByFile(const Platform& platform, const std::string& path,
                                        const std::string& context) {
  auto config = ReadConfig(platform, path);
  if (!config) return Pass(config);
  const std::string& wanted = context.empty() ? config->current_context : context;
  for (const kube::ContextConfig& one : config->contexts) {
    if (one.name != wanted) continue;
    for (kube::ClusterConfig& cluster : config->clusters) {
      if (cluster.name != one.cluster) continue;
      if (!cluster.ca_file.empty() && cluster.ca_data.empty()) {
        const auto directory = std::filesystem::path(AbsolutePath(platform, path)).parent_path();
        auto pem = ReadUserFile(platform, (directory / cluster.ca_file).string());
        if (!pem) return Pass(pem);
        cluster.ca_data = std::move(*pem);
      }
      cluster.ca_file.clear();
      return std::move(cluster);
    }
  }
  return Fail(ErrorClass::kInvalid, "{} has no cluster for the context \"{}\"", path, wanted);
}

Result<kube::Access> AccessByKubeconfig(const Platform& platform, const HubFlags& flags) {
  auto with_namespace = [&](Result<kube::Access> access) {
    if (access && !flags.ns.empty()) access->default_namespace = flags.ns;
    return access;
  };
  if (!flags.kubeconfig.empty()) {
    return with_namespace(AccessByFile(platform, flags.kubeconfig, flags.context));
  }
  const std::vector<std::string> files = DefaultFiles(platform);
  std::optional<Error> first;
  for (const std::string& path : files) {
    auto config = ReadConfig(platform, path);
    if (config && (files.size() == 1 || HasContext(*config, flags.context))) {
      return with_namespace(Access(platform, *config, path, flags.context));
    }
    if (!config && !first) first = config.error();
  }
  if (first) return Fail(*first, "no kubeconfig: give --kubeconfig or set KUBECONFIG");
  return Fail(ErrorClass::kInvalid, "no file of KUBECONFIG has the context \"{}\"", flags.context);
}

Result<kube::Access> AccessForController(const Platform& platform, const HubFlags& flags) {
  const auto host = platform.host.Environment("KUBERNETES_SERVICE_HOST");
  if (!flags.kubeconfig.empty() || !host) return AccessByKubeconfig(platform, flags);
  kube::AccessSources sources;
  sources.runtime = &platform.runtime;
  sources.disk = &platform.files;
  return kube::InClusterAccess(
      *host, platform.host.Environment("KUBERNETES_SERVICE_PORT").value_or("443"), sources);
}

}  // namespace flotilla::surface
