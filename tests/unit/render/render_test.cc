#include "render/render.h"

#include <algorithm>
#include <random>

#include "base/limits.h"
#include "catch.h"
#include "memory_tree.h"
#include "render/canonical.h"
#include "value/json.h"

namespace flotilla::render {
namespace {

std::string ConfigMap(const std::string& name, const std::string& ns = "web") {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name +
         (ns.empty() ? "" : "\n  namespace: " + ns) + "\ndata:\n  key: value\n";
}

RenderRequest At(const std::string& path) {
  RenderRequest request;
  request.path = path;
  return request;
}

std::vector<std::string> IdsOf(const Variant& variant) {
  std::vector<std::string> ids;
  for (const Object& object : variant.objects) ids.push_back(object.Id().ToString());
  return ids;
}

std::vector<std::string> Ids(const Result<RenderOutput>& output) {
  INFO((output ? "" : output.error().ToString()));
  REQUIRE(output);
  return IdsOf(*output->variants.at(0));
}
using Names = std::vector<std::string>;

std::string ErrorOf(Tree& tree, const RenderRequest& request) {
  auto output = Render(tree, request);
  REQUIRE_FALSE(output);
  CHECK(output.error().cls == ErrorClass::kInvalid);
  return output.error().ToString();
}

TEST_CASE("a directory of YAML and JSON becomes objects sorted by identity") {
  MemoryTree tree{
      {"deploy/b.yaml", ConfigMap("b") + "---\n" + ConfigMap("a") + "---\n# nothing\n---\n"},
      {"deploy/sub/c.yml", ConfigMap("c")},
      {"deploy/sub/d.json",
       R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"web"}})"},
      {"deploy/list.yaml",
       "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s, "
       "namespace: web}}\n- {apiVersion: v1, kind: Namespace, metadata: {name: web}}\n"},
      {"deploy/README.md", "not a manifest"},
      {"deploy/.hidden/x.yaml", "not: an object"},
      {"elsewhere/x.yaml", "not: an object"}};
  auto output = Render(tree, At("deploy"));
  CHECK(Ids(output) == Names{"ConfigMap web/a", "ConfigMap web/b", "ConfigMap web/c",
                             "Namespace web", "Secret web/s", "Deployment.apps web/d"});
  const Variant& variant = *output->variants[0];
  CHECK(variant.objects[0].Source() == "deploy/b.yaml:9");
  CHECK(variant.objects[1].Source() == "deploy/b.yaml:1");
  CHECK(variant.objects[5].gvk == kube::GroupVersionKind{"apps", "v1", "Deployment"});
  CHECK(variant.objects[0].digest == ObjectDigest(variant.objects[0].value));
  CHECK(output->unresolved.empty());
}

TEST_CASE("a single file can be rendered, and the root") {
  MemoryTree tree{{"a.yaml", ConfigMap("a")}, {"sub/b.yaml", ConfigMap("b")}};
  CHECK(Ids(Render(tree, At("sub/b.yaml"))) == Names{"ConfigMap web/b"});
  for (const char* root : {"", ".", "./"}) {
    CHECK(Ids(Render(tree, At(root))) == Names{"ConfigMap web/a", "ConfigMap web/b"});
  }
}

TEST_CASE("include, exclude and recurse choose files") {
  MemoryTree tree{{"a.yaml", ConfigMap("a")},
                  {"b.yaml", ConfigMap("b")},
                  {"sub/a.yaml", ConfigMap("c")},
                  {"sub/deep/b.yaml", ConfigMap("d")},
                  {"skip/broken.yaml", "{{ nope"}};
  struct Row {
    Selection selection;
    Names ids;
  };
  const Row rows[] = {
      {{{}, {"skip"}, true},
       {"ConfigMap web/a", "ConfigMap web/b", "ConfigMap web/c", "ConfigMap web/d"}},
      {{{}, {"skip/**"}, true},
       {"ConfigMap web/a", "ConfigMap web/b", "ConfigMap web/c", "ConfigMap web/d"}},
      {{{}, {}, false}, {"ConfigMap web/a", "ConfigMap web/b"}},
      {{{"a.yaml"}, {}, true}, {"ConfigMap web/a", "ConfigMap web/c"}},
      {{{"/a.yaml", "sub/deep/*"}, {}, true}, {"ConfigMap web/a", "ConfigMap web/d"}},
      {{{"a.yaml"}, {"sub"}, true}, {"ConfigMap web/a"}},
  };
  for (const Row& row : rows) {
    RenderRequest request;
    request.selection = row.selection;
    CHECK(Ids(Render(tree, request)) == row.ids);
  }
}

TEST_CASE("namespaces follow the scope of a kind: own CRDs, built-in kinds, then the caller") {
  MemoryTree tree{
      {"crd.yaml",
       "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: "
       "fleets.x.io}\nspec: {group: x.io, scope: Cluster, names: {kind: Fleet}}\n"},
      {"objects.yaml",
       "apiVersion: x.io/v1\nkind: Fleet\nmetadata: {name: own}\n---\n" + ConfigMap("a", "") +
           "---\n" + ConfigMap("b", "other") +
           "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, "
           "namespace: wrong}\n---\napiVersion: y.io/v1\nkind: Asked\nmetadata: {name: q}\n---\n"
           "apiVersion: z.io/v1\nkind: Unknown\nmetadata: {name: u}\n---\napiVersion: z.io/v1\n"
           "kind: Unknown\nmetadata: {name: u, namespace: ns}\n"}};
  RenderRequest request;
  request.target_namespace = "target";
  request.scope = [](const kube::GroupVersionKind& gvk) -> std::optional<Scope> {
    CHECK(gvk.group != "x.io");
    if (gvk.kind == "Asked") return Scope::kNamespaced;
    return std::nullopt;
  };
  auto output = Render(tree, request);
  CHECK(Ids(output) == Names{"ConfigMap other/b", "ConfigMap target/a",
                             "CustomResourceDefinition.apiextensions.k8s.io fleets.x.io",
                             "ClusterRole.rbac.authorization.k8s.io r", "Fleet.x.io own",
                             "Asked.y.io target/q", "Unknown.z.io u", "Unknown.z.io ns/u"});
  CHECK(output->unresolved == std::vector<kube::GroupVersionKind>{{"z.io", "v1", "Unknown"}});
}

TEST_CASE("the target namespace is added on request, unless the set has it") {
  RenderRequest request;
  request.target_namespace = "web";
  request.create_namespace = true;
  MemoryTree without{{"a.yaml", ConfigMap("a")}};
  CHECK(Ids(Render(without, request)) == Names{"ConfigMap web/a", "Namespace web"});
  MemoryTree with{
      {"a.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: web, labels: {a: b}}\n"}};
  auto output = Render(with, request);
  CHECK(Ids(output) == Names{"Namespace web"});
  CHECK(kube::LabelOf(output->variants[0]->objects[0].value, "a") == "b");
}

TEST_CASE("common labels are on every object and win; nothing else is labelled") {
  MemoryTree tree{
      {"a.yaml",
       "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: ns, labels: "
       "{team: own, x: z}}\nspec: {selector: {matchLabels: {x: z}}}\n"}};
  RenderRequest request;
  request.common_labels = {{"team", "common"}};
  auto output = Render(tree, request);
  REQUIRE(output);
  value::Ref object = output->variants[0]->objects[0].value;
  CHECK(value::ToJson(object["metadata"]["labels"]) == R"({"team":"common","x":"z"})");
  CHECK(value::ToJson(object["spec"]) == R"({"selector":{"matchLabels":{"x":"z"}}})");
}

TEST_CASE("what only a server may say does not survive") {
  MemoryTree tree{
      {"a.yaml",
       "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: ns\n  "
       "creationTimestamp: null\n  resourceVersion: '5'\n  uid: x\n  generation: 2\n  "
       "managedFields: []\n  selfLink: /x\n  annotations: {keep: me}\nstatus: {a: b}\n"}};
  auto output = Render(tree, At(""));
  REQUIRE(output);
  CHECK(
      value::ToJson(output->variants[0]->objects[0].value) ==
      R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"ns","annotations":{"keep":"me"}}})");
}

// One line of the design's "Bad input" each.
TEST_CASE("bad input is refused with its file, place and what to do") {
  struct Row {
    std::string text;
    const char* error;
  };
  const Row rows[] = {
      {"a: b: c\n", "d/x.yaml:1:5: mapping values are not allowed in this context"},
      {"a: 1\n---\nb: [1\n", "d/x.yaml:4:1: did not find expected ',' or ']'"},
      {"apiVersion: v1\nkind: ConfigMap\nkind: Secret\n",
       "d/x.yaml:3:1: the key \"kind\" is written twice in one map (first in line 2)"},
      {"a: {{ .Values.x }}\n", "d/x.yaml:1:5: \"{{\" looks like a template"},
      {std::string(200, '['), "d/x.yaml:1:101: more than 100 lists and maps in one another"},
      {"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c "
       "[*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: "
       "[*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
       "aliases expand to more than"},
      {"- a\n", "d/x.yaml:1:1: an object is expected here, not a value of type list"},
      {"just text\n", "d/x.yaml:1:1: an object is expected here, not a value of type string"},
      {"name: values\n", "d/x.yaml:1:1: apiVersion is missing"},
      {"apiVersion: v1\nmetadata: {name: a}\n", "d/x.yaml:1:1: kind is missing"},
      {"apiVersion: a/b/c\nkind: X\nmetadata: {name: a}\n",
       "d/x.yaml:1:1: apiVersion has to be \"v1\" or of the form"},
      {"apiVersion: 1\nkind: X\nmetadata: {name: a}\n",
       "d/x.yaml:1:1: apiVersion has to be a string, not of type integer"},
      {"apiVersion: v1\nkind: ConfigMap\n", "d/x.yaml:1:1: metadata.name is missing"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", "d/x.yaml:3:1: metadata.name is missing"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata: [a]\n",
       "d/x.yaml:3:1: metadata has to be a map"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: 12\n",
       "d/x.yaml:4:3: metadata.name has to be a string, not of type integer: put it in quotes"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a/b}\n",
       "is no name that Kubernetes allows"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n",
       "generateName makes a new object"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: 1\n",
       "d/x.yaml:5:3: metadata.namespace has to be a string"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    app.io/version: "
       "1.5\n",
       "d/x.yaml:6:5: metadata.labels[\"app.io/version\"] has to be a string, not of type number: "
       "put it in quotes"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    on: x\n    x: "
       "yes\n",
       "d/x.yaml:7:5: metadata.annotations.x has to be a string, not of type boolean"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
       "d/x.yaml:1: ConfigMap a has no metadata.namespace: name one in it, or set "
       "spec.targetNamespace"},
      {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap}\n",
       "d/x.yaml:4:3: items[0].metadata.name is missing"},
      {"apiVersion: v1\nkind: List\nitems: 3\n", "d/x.yaml:3:1: items has to be a list"},
      {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: []}\n",
       "d/x.yaml:4:20: items[0].kind a List in a List"},
      {"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", "a file of Kustomize"},
      {"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nsops: {mac: ENC}\n",
       "encrypted with SOPS"},
      {std::string("apiVersion: v1\n\0kind: X\n", 23), "d/x.yaml:2:1: the text has a NUL byte"},
      {"\x89PNG\r\n", "d/x.yaml:1:1: the text is not valid UTF-8"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    MemoryTree tree{{"d/x.yaml", row.text}, {"d/ok.yaml", ConfigMap("ok")}};
    CHECK_THAT(ErrorOf(tree, At("d")), Catch::Contains(row.error));
  }
}

TEST_CASE("JSON files are held to JSON") {
  MemoryTree tree{{"d/x.json", "{\"apiVersion\": \"v1\",\n \"kind\": ConfigMap}"}};
  CHECK_THAT(ErrorOf(tree, At("d")), Catch::Contains("d/x.json:2:10: a value is expected here"));
  tree.Write("d/x.json",
             "{\"apiVersion\": \"v1\",\n \"kind\": \"ConfigMap\",\n \"metadata\": {\"name\": 5}}");
  CHECK_THAT(ErrorOf(tree, At("d")),
             Catch::Contains("d/x.json:3:15: metadata.name has to be a string"));
}

TEST_CASE("every problem of every file is listed, up to a number") {
  MemoryTree tree{
      {"a.yaml", "a: b: c"}, {"b.yaml", "kind: X\nmetadata: {name: 1}\n"}, {"c.yaml", "- 1"}};
  std::string error = ErrorOf(tree, At(""));
  CHECK(std::count(error.begin(), error.end(), '\n') == 3);
  for (const char* place :
       {"a.yaml:1:5: ", "b.yaml:1:1: apiVersion", "b.yaml:2:12: metadata.name", "c.yaml:1:1: "}) {
    CHECK_THAT(error, Catch::Contains(place));
  }
  std::string many;
  for (int i = 0; i < 50; ++i) many += "kind: X\n---\n";
  MemoryTree bad{{"a.yaml", many}};
  CHECK_THAT(ErrorOf(bad, At("")), Catch::Contains("and 80 more"));
}

TEST_CASE("two objects of one identity are refused by both their places") {
  MemoryTree tree{{"a.yaml", "# first\n" + ConfigMap("same")},
                  {"b.yaml", ConfigMap("x") + "---\n" + ConfigMap("same")}};
  CHECK_THAT(ErrorOf(tree, At("")),
             Catch::Contains("b.yaml:9: ConfigMap web/same is also defined in a.yaml:2"));
  // Also where only the target namespace makes them one, or only the version differs.
  MemoryTree target{{"a.yaml", ConfigMap("same", "")}, {"b.yaml", ConfigMap("same")}};
  RenderRequest request;
  request.target_namespace = "web";
  CHECK_THAT(ErrorOf(target, request), Catch::Contains("is also defined in"));
  MemoryTree version{
      {"a.yaml", "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a, namespace: b}\n"},
      {"b.yaml", "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a, namespace: b}\n"}};
  CHECK_THAT(ErrorOf(version, At("")), Catch::Contains("is also defined in"));
}

TEST_CASE("a path that is not there says what is") {
  MemoryTree tree{{"deploy/base/a.yaml", ConfigMap("a")}, {"README.md", ""}};
  CHECK_THAT(ErrorOf(tree, At("deploy/prod/eu")),
             Catch::Equals("the path deploy/prod/eu does not exist: deploy holds base"));
  CHECK_THAT(ErrorOf(tree, At("nowhere")),
             Catch::Contains("the repository holds README.md, deploy"));
  CHECK_THAT(ErrorOf(tree, At("README.md/x")), Catch::Contains("README.md is a file"));
  CHECK_THAT(ErrorOf(tree, At("README.md")), Catch::Contains("is no manifest"));
  CHECK_THAT(ErrorOf(tree, At("../x")), Catch::Contains(".."));
  CHECK_THAT(ErrorOf(tree, At("/etc")), Catch::Contains("absolute"));
}

TEST_CASE("links and submodules are refused wherever they stand, unless excluded") {
  MemoryTree tree{{"d/a.yaml", ConfigMap("a")}};
  tree.Link("d/link");
  tree.Submodule("d/module");
  std::string error = ErrorOf(tree, At("d"));
  CHECK_THAT(error, Catch::Contains("d/link: is a symbolic link"));
  CHECK_THAT(error, Catch::Contains("d/module: is a Git submodule"));
  CHECK_THAT(ErrorOf(tree, At("d/link")), Catch::Contains("is a symbolic link"));
  CHECK_THAT(ErrorOf(tree, At("d/link/below")), Catch::Contains("d/link is a symbolic link"));
  CHECK_THAT(ErrorOf(tree, At("d/module")), Catch::Contains("is a Git submodule"));
  RenderRequest request = At("d");
  request.selection.exclude = {"link", "module"};
  CHECK(Ids(Render(tree, request)) == Names{"ConfigMap web/a"});
}

TEST_CASE("directories of other renderers are refused by name, unless their file is excluded") {
  for (const char* name : {"kustomization.yaml", "kustomization.yml", "Kustomization"}) {
    MemoryTree tree{{"d/sub/a.yaml", ConfigMap("a")},
                    {std::string("d/sub/") + name, "resources: [a.yaml]"}};
    CHECK_THAT(ErrorOf(tree, At("d")), Catch::Contains(std::string("d/sub/") + name +
                                                       ": this directory is built with Kustomize"));
    RenderRequest request = At("d");
    request.selection.exclude = {name};
    CHECK(Ids(Render(tree, request)) == Names{"ConfigMap web/a"});
  }
  MemoryTree chart{{"d/Chart.yaml", "name: x"}, {"d/templates/a.yaml", "a: {{ .x }}"}};
  CHECK_THAT(ErrorOf(chart, At("d")),
             Catch::Contains("d/Chart.yaml: this directory is a Helm chart"));
}

TEST_CASE("a render without objects is an error of its own, never an empty set") {
  MemoryTree trees[] = {{{"d/README.md", "x"}},
                        {{"d/a.yaml", "# only a comment\n---\n"}},
                        {{"d/a.yaml", "apiVersion: v1\nkind: List\nitems: []\n"}}};
  for (MemoryTree& tree : trees) {
    auto output = Render(tree, At("d"));
    REQUIRE_FALSE(output);
    CHECK(output.error().Detail<EmptyRender>());
    CHECK_THAT(output.error().message, Catch::Contains("d holds no Kubernetes object"));
  }
  MemoryTree broken{{"d/a.yaml", "a: b: c"}};
  CHECK_FALSE(Render(broken, At("d")).error().Detail<EmptyRender>());
  CHECK_FALSE(Render(broken, At("e")).error().Detail<EmptyRender>());
}

TEST_CASE("limits of a source: bytes of a file and of all, depth of directories") {
  MemoryTree tree{{"a.yaml", std::string(limits::kSourceFileBytes + 1, '\n')}};
  CHECK_THAT(ErrorOf(tree, At("")), Catch::Contains("a.yaml: has 8388609 bytes"));
  MemoryTree all;
  for (int i = 0; i < 9; ++i)
    all.Write(std::to_string(i) + ".yaml", std::string(limits::kSourceFileBytes, '\n'));
  CHECK_THAT(ErrorOf(all, At("")), Catch::Contains("bytes in total"));
  std::string deep;
  for (size_t i = 0; i < limits::kSourceDepth + 1; ++i) deep += "d/";
  MemoryTree nested{{deep + "a.yaml", ConfigMap("a")}};
  CHECK_THAT(ErrorOf(nested, At("")), Catch::Contains("nested deeper than 64"));
}

TEST_CASE("variants share what their patches do not touch") {
  MemoryTree tree{{"a.yaml", ConfigMap("a") + "---\n" + ConfigMap("b")}};
  api::Patch patch;
  patch.target = {"core", "ConfigMap", "", "a"};
  patch.operations = {{api::PatchVerb::kReplace, "/data/key", "", "patched"}};
  RenderRequest request;
  request.variants = {{}, {{patch}}, {}};
  auto output = Render(tree, request);
  REQUIRE(output);
  REQUIRE(output->variants.size() == 3);
  CHECK(output->variants[0] == output->variants[2]);
  CHECK(output->variants[0]->digest != output->variants[1]->digest);
  const auto& plain = output->variants[0]->objects;
  const auto& patched = output->variants[1]->objects;
  CHECK(plain[0].value["data"]["key"].String() == "value");
  CHECK(patched[0].value["data"]["key"].String() == "patched");
  CHECK(plain[1].value.ref().node() == patched[1].value.ref().node());
}

TEST_CASE("a patch that cannot do what it says is refused by its target") {
  MemoryTree tree{{"a.yaml", ConfigMap("a")}};
  struct Row {
    api::ObjectPattern target;
    api::PatchOperation operation;
    const char* error;
  };
  const Row rows[] = {
      {{"", "ConfigMap", "", "nope"},
       {api::PatchVerb::kRemove, "/data", "", {}},
       "the override for kind ConfigMap, name nope matches no object"},
      {{"apps", "ConfigMap", "", ""},
       {api::PatchVerb::kRemove, "/data", "", {}},
       "matches no object"},
      {{"", "", "", "a"},
       {api::PatchVerb::kReplace, "/data/x", "", 1},
       "a.yaml:1: the override for name a on ConfigMap web/a: operation 0 (replace \"/data/x\"): "
       "\"/data\" has no member \"x\""},
      {{},
       {api::PatchVerb::kReplace, "/metadata/name", "", "b"},
       "every object on ConfigMap web/a: an override must not change"},
      {{}, {api::PatchVerb::kReplace, "/apiVersion", "", "v2"}, "an override must not change"},
      {{}, {api::PatchVerb::kRemove, "/metadata", "", {}}, "metadata.name is missing"},
      {{},
       {api::PatchVerb::kAdd, "/metadata/labels", "", value::Value::Map({{"a", 1}})},
       "metadata.labels.a has to be a string"},
  };
  for (const Row& row : rows) {
    RenderRequest request;
    request.variants = {{{{row.target, {row.operation}}}}};
    CHECK_THAT(ErrorOf(tree, request), Catch::Contains(row.error));
  }
}

TEST_CASE("clusters that match the same overrides share a variant") {
  auto patch = [](const char* name) { return api::Patch{{"", "", "", name}, {}}; };
  api::Override eu{{{{"region", "eu"}}, {}}, {patch("eu")}};
  api::Override prod{{{{"tier", "prod"}}, {}}, {patch("prod")}};
  VariantPlan plan = PlanVariants({eu, prod}, {{"a", {{"region", "us"}}},
                                               {"b", {{"region", "eu"}, {"tier", "prod"}}},
                                               {"c", {{"region", "eu"}}},
                                               {"d", {{"tier", "prod"}, {"region", "eu"}}},
                                               {"e", {}}});
  REQUIRE(plan.variants.size() == 3);
  CHECK(plan.variants[0].patches.empty());
  CHECK(plan.variants[1].patches == std::vector<api::Patch>{patch("eu"), patch("prod")});
  CHECK(plan.clusters == std::map<std::string, size_t, std::less<>>{
                             {"a", 0}, {"b", 1}, {"c", 2}, {"d", 1}, {"e", 0}});
}

TEST_CASE("the order of files, documents and keys changes no digest; content does") {
  MemoryTree one{{"a.yaml", ConfigMap("a") + "---\n" + ConfigMap("b")}};
  MemoryTree other{
      {"z.yaml", ConfigMap("a")},
      {"b.json",
       R"({"data":{"key":"value"},"kind":"ConfigMap","metadata":{"namespace":"web","name":"b"},"apiVersion":"v1"})"}};
  auto first = Render(one, At(""));
  auto second = Render(other, At(""));
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->variants[0]->digest == second->variants[0]->digest);
  CHECK(first->input_digest != second->input_digest);
  one.Write("a.yaml", ConfigMap("a") + "---\n" + ConfigMap("c"));
  CHECK(Render(one, At(""))->variants[0]->digest != first->variants[0]->digest);
}

TEST_CASE("the input digest covers files read and options, not the clusters that exist") {
  MemoryTree tree{{"d/a.yaml", ConfigMap("a")}, {"d/README.md", "x"}};
  const RenderRequest plain = At("d");
  const Digest before = Render(tree, plain)->input_digest;
  auto with = [&](auto change) {
    RenderRequest request = plain;
    change(request);
    return Render(tree, request)->input_digest;
  };
  CHECK(with([](auto& r) { r.path = "d/"; }) == before);
  CHECK(with([](auto& r) { r.variants = {{}, {{api::Patch{}}}}; }) == before);
  CHECK(with([](auto& r) { r.path = "d/a.yaml"; }) != before);
  CHECK(with([](auto& r) { r.selection.recurse = false; }) != before);
  CHECK(with([](auto& r) { r.selection.include = {"*"}; }) != before);
  CHECK(with([](auto& r) { r.selection.exclude = {"*.json"}; }) != before);
  CHECK(with([](auto& r) { r.target_namespace = "x"; }) != before);
  CHECK(with([](auto& r) { r.create_namespace = true; }) != before);
  CHECK(with([](auto& r) { r.common_labels = {{"a", "b"}}; }) != before);
  CHECK(with([](auto& r) { r.overrides = {api::Override{{{{"a", "b"}}, {}}, {}}}; }) != before);
  tree.Write("d/README.md", "changed");
  CHECK(Render(tree, plain)->input_digest == before);
  tree.Write("d/a.yaml", ConfigMap("a") + "# changed\n");
  CHECK(Render(tree, plain)->input_digest != before);
}

TEST_CASE("an Application's spec says what to render") {
  api::ApplicationSpec spec;
  api::Source source;
  source.path = "deploy";
  source.exclude = {"test"};
  source.recurse = false;
  spec.sources = {source};
  spec.target_namespace = "web";
  spec.create_namespace = true;
  spec.common_labels = {{"a", "b"}};
  RenderRequest request = RequestFor(spec);
  CHECK(request.path == "deploy");
  CHECK(request.selection == Selection{{}, {"test"}, false});
  CHECK(request.target_namespace == "web");
  CHECK(request.create_namespace);
  CHECK(request.common_labels == api::Labels{{"a", "b"}});
  CHECK(request.variants.size() == 1);
}

}  // namespace
}  // namespace flotilla::render
