// DeliveryPolicy: what may be delivered where, by whom (DESIGN section 2). Cluster-scoped.
//
// An application is allowed by a policy when its namespace, repository, every target cluster and
// every target namespace match. Globs: '*' any run of characters, '?' one; "!" in front excludes
// and wins.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/meta.h"
#include "api/selector.h"
#include "base/result.h"

namespace flotilla::api {

enum class PolicyMode : unsigned char { kDeny, kWarn, kAudit };
const char* ToString(PolicyMode mode);  // "deny", "warn", "audit"

// rbac.authorization.k8s.io/v1 PolicyRule.
struct RbacRule {
  std::vector<std::string> verbs;
  std::vector<std::string> api_groups;
  std::vector<std::string> resources;
  std::vector<std::string> resource_names;
  std::vector<std::string> non_resource_urls;
  bool operator==(const RbacRule&) const = default;
};

struct KindPattern {
  std::string group;  // globs
  std::string kind;
  std::string name = "*";
  bool operator==(const KindPattern&) const = default;
};

struct RbacPolicy {
  // Roles and bindings in the set may grant no more than these rules. Absent: not checked; an empty
  // list: nothing may be granted.
  std::optional<std::vector<RbacRule>> ceiling;
  PolicyMode mode = PolicyMode::kDeny;
  bool operator==(const RbacPolicy&) const = default;
};

// A cosign public key: exactly one of pem and secret_name.
struct PublicKey {
  std::string pem;
  std::string secret_name;  // Secret in flotilla-system
  std::string secret_key = "cosign.pub";
  bool operator==(const PublicKey&) const = default;
};

struct ImageRule {
  std::vector<std::string> images;  // globs over the reference without tag and digest
  std::vector<PublicKey>
      public_keys;  // any one of them must have signed; empty: no signature asked
  bool operator==(const ImageRule&) const = default;
};

struct ImagePolicy {
  std::vector<ImageRule> rules;  // the first whose globs match decides
  bool deny_unmatched = false;   // an image that no rule matches is a violation
  PolicyMode mode = PolicyMode::kDeny;
  bool operator==(const ImagePolicy&) const = default;
};

struct DeliveryPolicySpec {
  std::vector<std::string> application_namespaces;  // globs; on the hub
  std::vector<std::string> repositories;            // globs over normalised URLs
  LabelSelector cluster_selector;
  std::vector<std::string> namespaces;     // globs; targets on members
  std::vector<KindPattern> cluster_kinds;  // cluster-scoped kinds that are allowed; none by default
  std::vector<KindPattern> denied_kinds;
  // Exactly one of service_account_name and controller_identity.
  std::string service_account_name;       // impersonated on members
  std::string service_account_namespace;  // "": the application's targetNamespace
  bool controller_identity = false;
  RbacPolicy rbac;
  ImagePolicy images;
  PolicyMode mode = PolicyMode::kDeny;  // of the bounds above
  bool operator==(const DeliveryPolicySpec&) const = default;
};

struct DeliveryPolicy {
  Meta meta;
  DeliveryPolicySpec spec;
  bool operator==(const DeliveryPolicy&) const = default;
};

Result<DeliveryPolicy> ParseDeliveryPolicy(value::Ref object);
value::Value ToValue(const DeliveryPolicy& policy);

void Describe(Fields& f, DeliveryPolicy& policy);

}  // namespace flotilla::api
