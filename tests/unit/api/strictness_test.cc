// What is wrong in an object is named by its path, with what is allowed instead.
#include <string>

#include "api/application.h"
#include "api/cluster.h"
#include "api/delivery_policy.h"
#include "api/repository.h"
#include "api/rollback.h"
#include "api/rollout.h"
#include "api/rollout_plan.h"
#include "api/slo.h"
#include "catch.h"
#include "samples.h"

namespace flotilla::api {
namespace {

using value::Edited;
using value::Path;
using value::Value;

template <typename T>
std::string Complaint(const Value& object, Result<T> (*parse)(value::Ref)) {
  Result<T> parsed = parse(object);
  if (parsed) return "accepted";
  CHECK(parsed.error().cls == ErrorClass::kInvalid);
  return parsed.error().message;
}

Value Minimal() {
  return Yaml(R"(
apiVersion: flotilla.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: demo}
spec:
  sources: [{repositoryRef: {name: shop}}]
  placement: {clusterSelector: {}}
)");
}

TEST_CASE("a wrong field of an application is named with what it should be") {
  struct Row {
    Path path;
    Value value;
    const char* complaint;
  };
  const Row rows[] = {
      {{"spec", "targetNamspace"},
       "x",
       "spec.targetNamspace: unknown field; known here: sources, targetNamespace, createNamespace, "
       "commonLabels, placement, overrides, planRef, sloRefs, prune, drift, ignoreFields, adopt, "
       "adoptFrom, deletionPolicy, rollback, dependsOn, historyLimit"},
      {{"spec", "prune", "keep"},
       true,
       "spec.prune.keep: unknown field; known here: enabled, when, maxObjects, maxPercent"},
      {{"spec", "sources", 0, "chart"},
       "x",
       "spec.sources[0].chart: unknown field; known here: repositoryRef, path, include, exclude, "
       "recurse"},
      {{"sepc"}, 1, "sepc: unknown field; known here: apiVersion, kind, metadata, spec, status"},
      {{"spec", "placement"}, nullptr, "spec.placement: is required"},
      {{"spec", "placement", "clusterSelector"},
       nullptr,
       "spec.placement.clusterSelector: is required"},
      {{"spec", "sources", 0, "repositoryRef", "name"},
       "",
       "spec.sources[0].repositoryRef.name: must not be empty"},
      {{"spec", "sources"}, Value::List({}), "spec.sources: has 0 items, exactly 1 is allowed"},
      {{"spec", "sources"}, "x", "spec.sources: must be a list, is string"},
      {{"spec", "sources", 0}, "x", "spec.sources[0]: must be a map, is string"},
      {{"spec", "historyLimit"}, "9", "spec.historyLimit: must be an integer, is string"},
      {{"spec", "historyLimit"}, 1.5, "spec.historyLimit: must be an integer, is number"},
      {{"spec", "historyLimit"}, 1, "spec.historyLimit: 1 is below the minimum 2"},
      {{"spec", "historyLimit"}, 101, "spec.historyLimit: 101 is above the maximum 100"},
      {{"spec", "historyLimit"}, int64_t{1} << 40, "spec.historyLimit: 1099511627776 is too large"},
      {{"spec", "historyLimit"},
       ~uint64_t{0},
       "spec.historyLimit: 18446744073709551615 is too large"},
      {{"spec", "prune"}, Value::List({}), "spec.prune: must be a map, is list"},
      {{"spec", "createNamespace"},
       "yes",
       "spec.createNamespace: must be true or false, is string"},
      {{"spec", "createNamespace"}, true, "spec: createNamespace needs targetNamespace"},
      {{"spec", "targetNamespace"},
       "Web_1",
       "spec.targetNamespace: \"Web_1\" is not a DNS label (lower-case letters, digits and '-', at "
       "most 63)"},
      {{"spec", "targetNamespace"}, 7, "spec.targetNamespace: must be a string, is integer"},
      {{"spec", "commonLabels"},
       Value::Map({{"a", 1}}),
       "spec.commonLabels: the value of \"a\" must be a string, is integer (put it in quotes)"},
      {{"spec", "commonLabels"},
       Value::Map({{"a b", "c"}}),
       "spec.commonLabels: \"a b\" is not a label key (an optional DNS name and '/', then letters, "
       "digits, '-', '_' and '.')"},
      {{"spec", "commonLabels"},
       Value::Map({{"a", "b c"}}),
       "spec.commonLabels: the value of \"a\", \"b c\", is not a label value (letters, digits, "
       "'-', "
       "'_' and '.', at most 63)"},
      {{"spec", "adopt"},
       "Sometimes",
       "spec.adopt: \"Sometimes\" is not one of IfNoDiff, Always, Never"},
      {{"spec", "adoptFrom"},
       Value::List({"Flux", "Rancher"}),
       "spec.adoptFrom[1]: \"Rancher\" is not one of ArgoCD, Flux, Helm, ApplySet, Controller"},
      {{"spec", "rollback", "watchAfterSuccess"},
       "1 hour",
       "spec.rollback.watchAfterSuccess: \"1 hour\" is not a duration such as 90s or 1h30m"},
      {{"spec", "rollback", "watchAfterSuccess"},
       "-1s",
       "spec.rollback.watchAfterSuccess: \"-1s\" is not a duration such as 90s or 1h30m"},
      {{"spec", "rollback", "watchAfterSuccess"},
       60,
       "spec.rollback.watchAfterSuccess: must be a duration such as 90s or 1h30m, is integer"},
      {{"spec", "rollback", "watchAfterSuccess"},
       "169h",
       "spec.rollback.watchAfterSuccess: 169h is longer than 168h0m0s"},
      {{"spec", "sources", 0, "path"},
       "../other",
       "spec.sources[0].path: \"../other\" is not a path below the root of the source (not "
       "absolute, without \"..\")"},
      {{"spec", "ignoreFields"},
       Value::List({Value::Map({{"target", Value::Map({{"kind", "Deployment"}})},
                                {"fields", Value::List({"spec.replicas"})}})}),
       "spec.ignoreFields[0].fields[0]: \"spec.replicas\" is not a JSON pointer such as "
       "/spec/replicas"},
      {{"spec", "sloRefs"},
       Value::List({Value::Map({{"name", "a"}}), Value::Map({{"name", "a"}})}),
       "spec.sloRefs: name \"a\" appears twice"},
      {{"spec", "placement", "clusterSelector", "matchExpressions"},
       Value::List({Value::Map({{"key", "a"}, {"operator", "In"}})}),
       "spec.placement.clusterSelector.matchExpressions[0]: In and NotIn need values, Exists and "
       "DoesNotExist take none"},
      {{"spec", "placement", "clusterSelector", "matchExpressions"},
       Value::List(
           {Value::Map({{"key", "a"}, {"operator", "Exists"}, {"values", Value::List({"b"})}})}),
       "spec.placement.clusterSelector.matchExpressions[0]: In and NotIn need values, Exists and "
       "DoesNotExist take none"},
      {{"metadata", "name"}, nullptr, "metadata.name: is required"},
      {{"metadata", "labels"}, "x", "metadata.labels: must be a map of strings, is string"},
  };
  for (const Row& row : rows) {
    INFO(value::ToString(row.path));
    const std::string who =
        row.path[0] == value::Step("metadata") && row.path[1] == value::Step("name")
            ? "Application ?: "
            : "Application demo/web: ";
    CHECK(Complaint(Edited(Minimal()).Set(row.path, row.value).Done(), ParseApplication) ==
          who + row.complaint);
  }
  CHECK(Complaint(Minimal(), ParseApplication) == "accepted");
}

TEST_CASE("a JSON patch has the members that its operation needs") {
  struct Row {
    const char* operation;
    const char* complaint;
  };
  const Row rows[] = {
      {"{op: add, path: /a}", ": add, replace and test need value, others take none"},
      {"{op: remove, path: /a, value: 1}", ": add, replace and test need value, others take none"},
      {"{op: move, path: /a}", ": move and copy need from, others take none"},
      {"{op: add, path: /a, from: /b, value: 1}", ": move and copy need from, others take none"},
      {"{op: add, path: a, value: 1}", ".path: \"a\" is not a JSON pointer such as /spec/replicas"},
      {"{op: append, path: /a, value: 1}",
       ".op: \"append\" is not one of add, remove, replace, move, copy, test"},
  };
  const Path operations{"spec", "overrides", 0, "patches", 0, "operations"};
  for (const Row& row : rows) {
    INFO(row.operation);
    const Value object =
        Edited(Sample("application")).Set(operations, Value::List({Yaml(row.operation)})).Done();
    CHECK(Complaint(object, ParseApplication) ==
          std::string("Application demo/web: spec.overrides[0].patches[0].operations[0]") +
              row.complaint);
  }
}

TEST_CASE("everything that is wrong is reported together, the first ten in full") {
  const Value two = Edited(Minimal()).Set({"spec", "a"}, 1).Set({"spec", "adopt"}, 2).Done();
  const std::string complaint = Complaint(two, ParseApplication);
  CHECK(complaint.find("spec.adopt: must be a string") != std::string::npos);
  CHECK(complaint.find("; spec.a: unknown field") != std::string::npos);

  Edited many(Minimal());
  for (int i = 0; i < 12; ++i) many.Set({"spec", "prune", "x" + std::to_string(i)}, 1);
  const std::string cut = Complaint(many.Done(), ParseApplication);
  CHECK(cut.find("spec.prune.x9:") != std::string::npos);
  CHECK(cut.find("spec.prune.x10:") == std::string::npos);
  CHECK(cut.ends_with("; and 2 more"));
}

TEST_CASE("a field that cannot be read is not reported a second time as missing") {
  const Value object = Edited(Sample("cluster")).Set({"spec", "prometheus", "url"}, 9090).Done();
  CHECK(Complaint(object, ParseCluster) ==
        "Cluster region-a: spec.prometheus.url: must be a string, is integer");
}

TEST_CASE("an object of another kind or version is refused by name") {
  CHECK(Complaint(Edited(Minimal()).Set({"kind"}, "Deployment").Done(), ParseApplication) ==
        "expected Application of flotilla.dev/v1alpha1, found Deployment of flotilla.dev/v1alpha1");
  CHECK(Complaint(Edited(Minimal()).Set({"apiVersion"}, "argoproj.io/v1alpha1").Done(),
                  ParseApplication) ==
        "expected Application of flotilla.dev/v1alpha1, found Application of argoproj.io/v1alpha1");
  CHECK(Complaint(Value::Map({{"spec", 1}}), ParseApplication) ==
        "expected Application of flotilla.dev/v1alpha1, found no kind of no apiVersion");
  CHECK(Complaint(Value("text"), ParseApplication) == "an object must be a map, is string");
}

TEST_CASE("metadata and status may hold what another version wrote") {
  const Value object = Edited(Minimal())
                           .Set({"metadata", "managedFields"}, Value::List({}))
                           .Set({"status", "later"}, 1)
                           .Set({"status", "clusters", "later"}, 1)
                           .Done();
  CHECK(Complaint(object, ParseApplication) == "accepted");
}

TEST_CASE("a URL with credentials in it is refused without repeating it") {
  const Value object =
      Edited(Sample("repository")).Set({"spec", "url"}, "https://me:hunter2@example.com/x").Done();
  const std::string complaint = Complaint(object, ParseRepository);
  CHECK(complaint ==
        "Repository demo/shop: spec.url: is not a Git URL: https://host/path, ssh://user@host/path "
        "or user@host:path, with credentials in secretRef and never in the URL");
}

TEST_CASE("fields that exclude each other are refused together") {
  CHECK(Complaint(Edited(Sample("repository")).Set({"spec", "ref", "tag"}, "v1").Done(),
                  ParseRepository) ==
        "Repository demo/shop: spec.ref: at most one of branch, tag, semver and commit may be set");
  CHECK(
      Complaint(Edited(Sample("cluster")).Set({"spec", "inCluster"}, true).Done(), ParseCluster) ==
      "Cluster region-a: spec: exactly one of kubeconfigSecretRef and inCluster is needed");
  CHECK(Complaint(Edited(Sample("cluster")).Remove({"spec", "prometheus", "url"}).Done(),
                  ParseCluster) ==
        "Cluster region-a: spec.prometheus: exactly one of url and serviceProxy is needed");
  CHECK(Complaint(Edited(Sample("deliverypolicy")).Set({"spec", "controllerIdentity"}, true).Done(),
                  ParseDeliveryPolicy) ==
        "DeliveryPolicy shop: spec: exactly one of serviceAccountName and controllerIdentity is "
        "needed");
  CHECK(Complaint(Edited(Sample("deliverypolicy"))
                      .Remove({"spec", "serviceAccountName"})
                      .Set({"spec", "controllerIdentity"}, true)
                      .Done(),
                  ParseDeliveryPolicy) ==
        "DeliveryPolicy shop: spec: serviceAccountNamespace needs serviceAccountName");
  CHECK(Complaint(Edited(Sample("deliverypolicy"))
                      .Remove({"spec", "images", "rules", 0, "publicKeys", 0, "pem"})
                      .Done(),
                  ParseDeliveryPolicy) ==
        "DeliveryPolicy shop: spec.images.rules[0].publicKeys[0]: exactly one of pem and secretRef "
        "is needed");
  CHECK(Complaint(Edited(Sample("rollback")).Remove({"spec", "clusters"}).Done(), ParseRollback) ==
        "Rollback demo/web-rb-7: spec: scope Cluster needs clusters, others take none");
  CHECK(
      Complaint(Edited(Sample("rollback-stage")).Remove({"spec", "stage"}).Done(), ParseRollback) ==
      "Rollback demo/web-rb-9: spec: scope Stage needs stage, others take none");
  CHECK(Complaint(Edited(Sample("rollback")).Set({"spec", "quarantine"}, Value::Map({})).Done(),
                  ParseRollback) == "Rollback demo/web-rb-7: spec.quarantine: a digest is needed");
}

TEST_CASE("counts and percentages of clusters are checked") {
  struct Row {
    Value value;
    const char* complaint;
  };
  const Row rows[] = {
      {"25%", "accepted"},
      {"100%", "accepted"},
      {3, "accepted"},
      {0, "0 is below the minimum 1"},
      {"0%", "0% is below the minimum 1%"},
      {-1, "-1 is below the minimum 1"},
      {"101%", "\"101%\" is neither a count nor a percentage from \"0%\" to \"100%\""},
      {"3", "\"3\" is neither a count nor a percentage from \"0%\" to \"100%\""},
      {"%", "\"%\" is neither a count nor a percentage from \"0%\" to \"100%\""},
      {"05%", "\"05%\" is neither a count nor a percentage from \"0%\" to \"100%\""},
      {"99999999999%",
       "\"99999999999%\" is neither a count nor a percentage from \"0%\" to \"100%\""},
      {"a%", "\"a%\" is neither a count nor a percentage from \"0%\" to \"100%\""},
      {true, "must be a count or a percentage such as \"25%\", is boolean"},
  };
  for (const Row& row : rows) {
    INFO(row.complaint);
    const std::string complaint =
        Complaint(Edited(Sample("rolloutplan"))
                      .Set({"spec", "stages", 0, "maxConcurrency"}, row.value)
                      .Done(),
                  ParseRolloutPlan);
    CHECK((complaint == row.complaint ||
           complaint == std::string("RolloutPlan demo/careful: spec.stages[0].maxConcurrency: ") +
                            row.complaint));
  }
}

TEST_CASE("two stages of one name are refused") {
  const Value plan = Sample("rolloutplan");
  const Value stage = plan.Share(plan["spec"]["stages"][size_t{0}]);
  CHECK(Complaint(Edited(plan).Set({"spec", "stages"}, Value::List({stage, stage})).Done(),
                  ParseRolloutPlan) ==
        "RolloutPlan demo/careful: spec.stages: name \"canary\" appears twice");
}

TEST_CASE("a bound of an objective may be any number, and nothing else") {
  const Path path{"spec", "objectives", 0, "value"};
  CHECK(Complaint(Edited(Sample("servicelevelobjective")).Set(path, 3).Done(),
                  ParseServiceLevelObjective) == "accepted");
  CHECK(Complaint(Edited(Sample("servicelevelobjective")).Set(path, "0.05").Done(),
                  ParseServiceLevelObjective) ==
        "ServiceLevelObjective demo/errors: spec.objectives[0].value: must be a number, is string");
}

TEST_CASE("a time that is none is refused") {
  CHECK(Complaint(Edited(Sample("rollout")).Set({"status", "startedTime"}, "yesterday").Done(),
                  ParseRollout) ==
        "Rollout demo/web-d2d2d2d2-2: status.startedTime: \"yesterday\" is not a time such as "
        "2026-11-20T08:15:30Z");
}

}  // namespace
}  // namespace flotilla::api
