#include "api/cluster.h"

#include "api/fields.h"

namespace flotilla::api {

const char* ToString(Connectivity connectivity) {
  constexpr const char* kNames[] = {"Always", "Intermittent"};
  return NameOf(kNames, connectivity);
}

Labels Cluster::SelectableLabels() const {
  Labels labels = meta.labels;
  labels["name"] = meta.name;
  if (!spec.region.empty()) labels["region"] = spec.region;
  if (!spec.zone.empty()) labels["zone"] = spec.zone;
  if (!spec.tier.empty()) labels["tier"] = spec.tier;
  return labels;
}

static void Describe(Fields& f, SecretKeyReference& secret) {
  f.Optional("namespace", secret.ns, "Namespace of the Secret.", {.format = &kDnsLabel});
  f.Required("name", secret.name, "Name of the Secret.", {.format = &kDnsSubdomain});
  f.Optional("key", secret.key, "Key within the Secret.");
}

static void Describe(Fields& f, ServiceProxy& proxy) {
  f.Required("namespace", proxy.ns, "Namespace of the Service.", {.format = &kDnsLabel});
  f.Required("name", proxy.name, "Name of the Service.", {.format = &kDnsLabel});
  f.Optional("port", proxy.port, "Number or name of its port.");
  f.Optional("scheme", proxy.scheme, "http or https.");
  f.Optional("path", proxy.path, "What precedes /api/v1 in the Prometheus API's path.");
  f.Rule("self.scheme == 'http' || self.scheme == 'https'", "scheme must be http or https",
         proxy.scheme == "http" || proxy.scheme == "https");
}

static void Describe(Fields& f, MetricsSource& source) {
  f.Optional("url", source.url, "Base URL of a Prometheus API that the controller can reach.",
             {.format = &kHttpUrl});
  f.Optional("serviceProxy", source.service_proxy,
             "A Prometheus inside the cluster, reached through its API server.");
  f.Reference("secretRef", source.secret_name,
              "Secret in flotilla-system with username and password, or token, and optionally "
              "ca.crt.");
  f.Rule("has(self.url) != has(self.serviceProxy)", "exactly one of url and serviceProxy is needed",
         source.url.empty() == source.service_proxy.has_value());
}

static void Describe(Fields& f, ClusterLimits& limits) {
  f.Optional("maxRequestsInFlight", limits.max_requests_in_flight,
             "Most requests at once; the controller goes below it when the API server throttles.",
             {.min = 1, .max = 1024});
  f.Optional("requestsPerSecond", limits.requests_per_second,
             "Most requests per second; unlimited where it is absent.", {.min = 1, .max = 10000});
  f.Optional("requestTimeout", limits.request_timeout, "Deadline of one request.",
             {.shortest = 100ms, .longest = 5min});
}

static void Describe(Fields& f, ClusterSpec& spec) {
  f.Optional("kubeconfigSecretRef", spec.kubeconfig,
             "Secret with a kubeconfig of the cluster; `flotilla cluster add` creates it.");
  f.Optional("inCluster", spec.in_cluster,
             "The cluster that the controller runs in, with its own ServiceAccount.");
  f.Optional("region", spec.region, "Selectable as the label region.", {.format = &kLabelValue});
  f.Optional("zone", spec.zone, "Selectable as the label zone.", {.format = &kLabelValue});
  f.Optional("tier", spec.tier, "Selectable as the label tier.", {.format = &kLabelValue});
  f.Optional("connectivity", spec.connectivity,
             "Intermittent clusters are expected to be offline at times.");
  f.Optional("prometheus", spec.prometheus, "Where objectives read this cluster's metrics.");
  f.Optional("limits", spec.limits, "How hard the controller may drive the API server.");
  f.Optional("suspended", spec.suspended,
             "Neither written nor watched; treated as offline while true.");
  f.Rule("has(self.kubeconfigSecretRef) != (has(self.inCluster) && self.inCluster)",
         "exactly one of kubeconfigSecretRef and inCluster is needed",
         spec.kubeconfig.has_value() != spec.in_cluster);
}

static void Describe(Fields& f, ClusterStatus& status) {
  f.Optional("observedGeneration", status.observed_generation, "The generation last acted on.");
  f.Optional("conditions", status.conditions, "Ready, Reachable and MetricsReachable.",
             {.key = "type"});
  f.Optional(
      "uid", status.uid,
      "uid of the cluster's kube-system namespace: its identity. A change holds deliveries.");
  f.Optional("kubernetesVersion", status.kubernetes_version, "gitVersion of its API server.");
  f.Optional("lastSeenTime", status.last_seen, "When it answered last, as of the last write.");
  f.Optional("roundTrip", status.round_trip, "Duration of a small request.");
  f.Optional("applications", status.applications, "How many applications are placed on it.");
}

void Describe(Fields& f, Cluster& cluster) {
  f.Kind(kClusterKind,
         "A target of deliveries. Selectors see its labels, and region, zone, tier "
         "and name.");
  f.Column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status", "");
  f.Column("Region", "string", ".spec.region", "");
  f.Column("Zone", "string", ".spec.zone", "");
  f.Column("Tier", "string", ".spec.tier", "");
  f.Column("Version", "string", ".status.kubernetesVersion", "Of the API server.");
  f.Column("Applications", "integer", ".status.applications", "Placed on it.");
  f.Column("Round-Trip", "string", ".status.roundTrip", "Of a small request.", 1);
  f.Column("Message", "string", ".status.conditions[?(@.type=='Ready')].message", "", 1);
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(cluster.spec, "How the cluster is reached and what it is.");
  f.Status(cluster.status, "What was last seen of it.");
}

Result<Cluster> ParseCluster(value::Ref object) { return ParseObject<Cluster>(object); }
value::Value ToValue(const Cluster& cluster) { return PrintObject(cluster); }

}  // namespace flotilla::api
