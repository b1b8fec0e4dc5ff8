// crds/ holds what the descriptions of the fields say. UPDATE_GOLDEN=1 rewrites it.
#include "api/crd.h"

#include <cstdlib>
#include <set>

#include "catch.h"
#include "samples.h"
#include "value/json.h"

namespace flotilla::api {
namespace {

using value::Ref;

const std::filesystem::path kFolder = std::filesystem::path(FLOTILLA_SOURCE_DIR) / "crds";
constexpr std::string_view kHeader =
    "# Made from the descriptions of the fields in controller/api; do not edit.\n"
    "# UPDATE_GOLDEN=1 unit_api rewrites it.\n";

// Equal, or made so on demand.
void CheckGolden(const std::filesystem::path& path, const std::string& wanted) {
  if (std::getenv("UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << wanted;
  }
  INFO(path << " differs; UPDATE_GOLDEN=1 rewrites it");
  CHECK(ReadFile(path) == wanted);
}

void ForEachProperty(Ref schema, const std::string& path,
                     const std::function<void(Ref, const std::string&)>& visit) {
  for (auto [name, property] : schema["properties"].Members()) {
    const std::string at = path + "." + std::string(name);
    visit(property, at);
    ForEachProperty(property, at, visit);
    if (property["items"]) ForEachProperty(property["items"], at + "[]", visit);
  }
}

Ref SchemaOf(const Crd& crd) {
  return crd.object["spec"]["versions"][size_t{0}].At("schema", "openAPIV3Schema");
}

TEST_CASE("the files of crds/ are those of the kinds") {
  std::string kustomization = std::string(kHeader) +
                              "apiVersion: kustomize.config.k8s.io/v1beta1\n"
                              "kind: Kustomization\n"
                              "resources:\n";
  std::set<std::string> expected{"kustomization.yaml"};
  for (const Crd& crd : AllCrds()) {
    const std::string file = crd.name + ".yaml";
    expected.insert(file);
    kustomization += "- " + file + "\n";
    CheckGolden(kFolder / file, std::string(kHeader) + value::ToYaml(crd.object));
  }
  CheckGolden(kFolder / "kustomization.yaml", kustomization);
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    found.insert(entry.path().filename().string());
  }
  CHECK(found == expected);
}

TEST_CASE("every field is described in a sentence") {
  for (const Crd& crd : AllCrds()) {
    ForEachProperty(SchemaOf(crd), crd.name, [](Ref property, const std::string& path) {
      if (path.ends_with(".metadata")) return;
      INFO(path);
      const std::string_view text = property["description"].String();
      CHECK(text.size() > 3);
      CHECK(text.ends_with('.'));
    });
  }
}

TEST_CASE("kinds are named as their users are told") {
  for (const Crd& crd : AllCrds()) {
    INFO(crd.name);
    const Ref spec = crd.object["spec"];
    CHECK(spec["group"].String() == "flotilla.dev");
    CHECK(spec.At("names", "categories")[size_t{0}].String() == "flotilla");
    CHECK(spec["versions"][size_t{0}]["name"].String() == "v1alpha1");
  }
}

TEST_CASE("short names collide with nobody's") {
  // Kubernetes' own and those of the neighbours on a hub: Argo CD, Rollouts, Cluster API, Flux.
  const std::set<std::string_view> taken{
      "ro",  "roll",    "cl",    "cluster", "clusters", "app",     "apps",         "application",
      "po",  "svc",     "ns",    "deploy",  "rs",       "sts",     "ds",           "cm",
      "pv",  "pvc",     "ep",    "sa",      "ing",      "hpa",     "cj",           "crd",
      "no",  "ev",      "quota", "limits",  "netpol",   "pdb",     "pc",           "sc",
      "csr", "gitrepo", "ks",    "hr",      "appset",   "appproj", "gitrepository"};
  std::set<std::string> ours;
  for (const Crd& crd : AllCrds()) {
    const Ref names = crd.object["spec"]["names"];
    for (Ref name : names["shortNames"].Items()) {
      INFO(name.String());
      CHECK_FALSE(taken.contains(name.String()));
      CHECK(ours.insert(name.Text()).second);
    }
  }
  CHECK(ours ==
        std::set<std::string>{"fapp", "fcl", "fplan", "fpol", "frb", "frepo", "fro", "fslo"});
}

TEST_CASE("records cannot be changed after their creation") {
  for (const char* name : {"rollouts", "approvals", "freezes", "clusterfreezes", "rollbacks"}) {
    INFO(name);
    bool found = false;
    for (const Crd& crd : AllCrds()) {
      if (crd.name != std::string(name) + ".flotilla.dev") continue;
      for (Ref rule : SchemaOf(crd).At("properties", "spec", "x-kubernetes-validations").Items()) {
        found = found || rule["rule"].String().find("oldSelf") != std::string_view::npos;
      }
    }
    CHECK(found);
  }
}

TEST_CASE("kinds whose state the controller reports have a status of their own") {
  for (const Crd& crd : AllCrds()) {
    INFO(crd.name);
    const Ref version = crd.object["spec"]["versions"][size_t{0}];
    const bool has_status = !SchemaOf(crd).At("properties", "status").IsAbsent();
    CHECK(version.At("subresources", "status").IsMap() == has_status);
  }
}

}  // namespace
}  // namespace flotilla::api
