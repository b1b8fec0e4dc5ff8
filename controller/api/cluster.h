// Cluster: one target of deliveries (DESIGN section 2). Cluster-scoped.
#pragma once

#include <optional>
#include <string>

#include "api/conditions.h"
#include "api/meta.h"
#include "base/result.h"

namespace flotilla::api {

// Intermittent clusters are expected to be offline at times: nobody is alarmed, and stages skip
// them unless their offlinePolicy says otherwise.
enum class Connectivity : unsigned char { kAlways, kIntermittent };
const char* ToString(Connectivity connectivity);

// A key of a Secret in another namespace (cluster-scoped kinds only).
struct SecretKeyReference {
  std::string ns{kSystemNamespace};
  std::string name;
  std::string key = "kubeconfig";
  bool operator==(const SecretKeyReference&) const = default;
};

// A Prometheus reached through the API server's service proxy of the same cluster.
struct ServiceProxy {
  std::string ns;
  std::string name;
  std::string port = "9090";  // number or name
  std::string scheme = "http";
  std::string path;  // prefix of the Prometheus API, without the trailing slash
  bool operator==(const ServiceProxy&) const = default;
};

// Where the cluster's metrics are read: exactly one of url and service_proxy.
struct MetricsSource {
  std::string url;
  std::optional<ServiceProxy> service_proxy;
  // Secret in flotilla-system with username and password, or token, and optionally ca.crt.
  std::string secret_name;
  bool operator==(const MetricsSource&) const = default;
};

struct ClusterLimits {
  int max_requests_in_flight = 64;         // upper bound of the adaptive window
  std::optional<int> requests_per_second;  // absent: the window alone decides
  Duration request_timeout = 10s;
  bool operator==(const ClusterLimits&) const = default;
};

struct ClusterSpec {
  // Exactly one: a kubeconfig, or the cluster that the controller runs in.
  std::optional<SecretKeyReference> kubeconfig;
  bool in_cluster = false;
  std::string region;
  std::string zone;
  std::string tier;
  Connectivity connectivity = Connectivity::kAlways;
  std::optional<MetricsSource> prometheus;
  ClusterLimits limits;
  bool suspended = false;  // no write and no watch; counts as offline
  bool operator==(const ClusterSpec&) const = default;
};

struct ClusterStatus {
  int64_t observed_generation = 0;
  Conditions conditions;  // Ready, Reachable, MetricsReachable
  std::string uid;        // of its kube-system namespace: the cluster's identity
  std::string kubernetes_version;
  std::optional<WallTime> last_seen;
  std::optional<Duration> round_trip;
  int applications = 0;
  bool operator==(const ClusterStatus&) const = default;
};

struct Cluster {
  Meta meta;
  ClusterSpec spec;
  ClusterStatus status;

  // What selectors see: metadata.labels, and region, zone, tier (where set) and name of this
  // cluster, which win over labels of the same key.
  Labels SelectableLabels() const;
  bool operator==(const Cluster&) const = default;
};

Result<Cluster> ParseCluster(value::Ref object);
value::Value ToValue(const Cluster& cluster);

void Describe(Fields& f, Cluster& cluster);

}  // namespace flotilla::api
