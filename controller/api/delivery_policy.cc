#include "api/delivery_policy.h"

#include "api/fields.h"

namespace flotilla::api {

const char* ToString(PolicyMode mode) {
  constexpr const char* kNames[] = {"deny", "warn", "audit"};
  return NameOf(kNames, mode);
}

static void Describe(Fields& f, RbacRule& rule) {
  f.Required("verbs", rule.verbs, "\"*\" means all.", {.min_items = 1, .max_items = 32});
  f.Optional("apiGroups", rule.api_groups, "\"\" is the core group, \"*\" means all.",
             {.max_items = 64});
  f.Optional("resources", rule.resources, "Plurals, or resource/subresource.", {.max_items = 128});
  f.Optional("resourceNames", rule.resource_names, "Absent: every name.", {.max_items = 128});
  f.Optional("nonResourceURLs", rule.non_resource_urls, "Paths, which may end in *.",
             {.max_items = 64});
}

static void Describe(Fields& f, KindPattern& pattern) {
  f.Optional("group", pattern.group, "Glob over the API group; empty is the core group.");
  f.Required("kind", pattern.kind, "Glob over the kind.");
  f.Optional("name", pattern.name, "Glob over the name.");
}

static void Describe(Fields& f, RbacPolicy& rbac) {
  f.Optional("ceiling", rbac.ceiling,
             "Roles and bindings that are delivered may grant no more than these rules. Absent: "
             "not checked; empty: nothing may be granted.",
             {.max_items = 128});
  f.Optional("mode", rbac.mode, "What happens on a violation.");
}

static void Describe(Fields& f, PublicKey& key) {
  f.Optional("pem", key.pem, "A PEM encoded public key.");
  f.Reference("secretRef", key.secret_name, "Secret in flotilla-system that holds the key.");
  f.Optional("secretKey", key.secret_key, "Key within that Secret.");
  f.Rule("has(self.pem) != has(self.secretRef)", "exactly one of pem and secretRef is needed",
         key.pem.empty() != key.secret_name.empty());
}

static void Describe(Fields& f, ImageRule& rule) {
  f.Required("images", rule.images,
             "Globs over repositories such as registry.example.com/team/*, without tag and digest.",
             {.min_items = 1, .max_items = 64});
  f.Optional("publicKeys", rule.public_keys,
             "Cosign keys, one of which must have signed. Empty: no signature is asked for.",
             {.max_items = 16});
}

static void Describe(Fields& f, ImagePolicy& images) {
  f.Optional("rules", images.rules, "The first rule that matches an image decides.",
             {.max_items = 64});
  f.Optional("denyUnmatched", images.deny_unmatched,
             "An image that no rule matches is a violation.");
  f.Optional("mode", images.mode, "What happens on a violation.");
}

static void Describe(Fields& f, DeliveryPolicySpec& spec) {
  f.Required("applicationNamespaces", spec.application_namespaces,
             "Globs over the namespaces of Applications on the hub.",
             {.min_items = 1, .max_items = 64});
  f.Required("repositories", spec.repositories,
             "Globs over repository URLs such as https://git.example.com/team/*.",
             {.min_items = 1, .max_items = 64});
  f.Optional("clusterSelector", spec.cluster_selector,
             "Clusters that may be delivered to; empty: all.");
  f.Required("namespaces", spec.namespaces,
             "Globs over the namespaces on members that may be written.",
             {.min_items = 1, .max_items = 64});
  f.Optional("clusterKinds", spec.cluster_kinds,
             "Cluster-scoped kinds that may be delivered; none by default.", {.max_items = 64});
  f.Optional("deniedKinds", spec.denied_kinds, "Kinds that may not be delivered.",
             {.max_items = 64});
  f.Optional("serviceAccountName", spec.service_account_name,
             "ServiceAccount on the members that is impersonated for every write of these "
             "applications.",
             {.format = &kDnsSubdomain});
  f.Optional("serviceAccountNamespace", spec.service_account_namespace,
             "Its namespace; the application's targetNamespace where it is empty.",
             {.format = &kDnsLabel});
  f.Optional("controllerIdentity", spec.controller_identity,
             "Write with the controller's own credentials instead.");
  f.Optional("rbac", spec.rbac, "Bounds on what delivered roles may grant.");
  f.Optional("images", spec.images, "Which images must be signed, and by whom.");
  f.Optional("mode", spec.mode,
             "What happens when an object breaks the bounds above: deny refuses the release, warn "
             "and audit record it.");
  f.Rule(
      "has(self.serviceAccountName) != (has(self.controllerIdentity) && self.controllerIdentity)",
      "exactly one of serviceAccountName and controllerIdentity is needed",
      spec.service_account_name.empty() == spec.controller_identity);
  f.Rule("!has(self.serviceAccountNamespace) || has(self.serviceAccountName)",
         "serviceAccountNamespace needs serviceAccountName",
         spec.service_account_namespace.empty() || !spec.service_account_name.empty());
}

void Describe(Fields& f, DeliveryPolicy& policy) {
  f.Kind(kDeliveryPolicyKind,
         "What may be delivered where, and by whom. An application is delivered when a policy "
         "matches its namespace, repository, clusters and namespaces. In globs, * is any run of "
         "characters, ? is one, and a leading ! excludes.");
  f.Column("Mode", "string", ".spec.mode", "");
  f.Column("Service-Account", "string", ".spec.serviceAccountName", "Impersonated on members.");
  f.Column("Controller-Identity", "boolean", ".spec.controllerIdentity", "", 1);
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(policy.spec, "Whom it concerns and what it demands.");
}

Result<DeliveryPolicy> ParseDeliveryPolicy(value::Ref object) {
  return ParseObject<DeliveryPolicy>(object);
}
value::Value ToValue(const DeliveryPolicy& policy) { return PrintObject(policy); }

}  // namespace flotilla::api
