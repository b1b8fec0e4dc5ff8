// What was put is found again after any crash, with whatever is left of disk and hub.
#include "operate/snapshots.h"

#include <fmt/format.h>

#include "api/crd.h"
#include "base/encoding.h"
#include "catch.h"
#include "kube/access.h"
#include "render/canonical.h"
#include "sim/api_server/api_server.h"
#include "sim/fiber_runtime.h"
#include "sim/network.h"
#include "value/json.h"

namespace flotilla::operate {
namespace {

constexpr const char* kHub = "https://hub:6443";
constexpr const char* kPassword = "correct-horse-battery-staple";

// A disk that survives as long as the test wants it to.
class MemoryDisk final : public Disk {
 public:
  Result<std::string> Read(std::string_view path) override {
    auto it = files.find(std::string(path));
    if (it == files.end()) return Fail(ErrorClass::kNotFound, "no {}", path);
    return it->second;
  }
  Status WriteDurable(std::string_view path, std::string_view content) override {
    if (full) return Fail(ErrorClass::kUnavailable, "no space left");
    files[std::string(path)] = content;
    return {};
  }
  Status Remove(std::string_view path) override {
    files.erase(std::string(path));
    return {};
  }
  Result<std::vector<std::string>> List(std::string_view directory) override {
    std::vector<std::string> names;
    const std::string prefix = std::string(directory) + "/";
    for (const auto& [path, content] : files) {
      if (path.rfind(prefix, 0) == 0) names.push_back(path.substr(prefix.size()));
    }
    if (names.empty()) return Fail(ErrorClass::kNotFound, "no {}", directory);
    return names;
  }
  Status MakeDirectories(std::string_view) override { return {}; }

  std::map<std::string, std::string> files;
  bool full = false;
};

std::shared_ptr<const render::Variant> VariantOf(const std::vector<std::string>& objects) {
  auto variant = std::make_shared<render::Variant>();
  uint32_t line = 0;
  for (const std::string& json : objects) {
    variant->objects.push_back(
        render::MakeObject(*value::ParseJson(json), "deploy/web.yaml", ++line));
  }
  render::SortObjects(variant->objects);
  variant->digest = render::VariantDigest(variant->objects);
  return variant;
}

std::string ConfigMap(const std::string& name, const std::string& text) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{}","namespace":"web"}},"data":{{"a":"{}"}}}})",
      name, text);
}
std::string SecretObject() {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"db","namespace":"web"}},"stringData":{{"password":"{}"}}}})",
      kPassword);
}

std::shared_ptr<const Release> ReleaseOf(
    std::vector<std::shared_ptr<const render::Variant>> variants,
    std::map<std::string, size_t, std::less<>> clusters) {
  auto release = std::make_shared<Release>();
  render::ReleaseParts parts;
  for (const auto& variant : variants) parts.variants.push_back(variant->digest);
  release->id = {render::ToString(render::ReleaseDigest(parts)), "sha256:in", "main@sha1:abc"};
  release->variants = std::move(variants);
  release->clusters = std::move(clusters);
  release->impersonate = "system:serviceaccount:web:deployer";
  return release;
}
std::shared_ptr<const Release> Simple(const std::string& text = "1") {
  return ReleaseOf({VariantOf({ConfigMap("settings", text), SecretObject()})}, {{"canary", 0}});
}
// Text that zstd cannot shorten much.
std::string Noise(sim::FiberRuntime& runtime, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += fmt::format("{:016x}", runtime.Random());
  return text;
}

struct Fixture {
  explicit Fixture(SnapshotLimits with = SnapshotLimits::Default())
      : limits(with), network(runtime), hub(Options(runtime)) {
    network.Listen(kHub,
                   [this](const http::ServerRequest& request) { return hub.Handle(request); });
    http = network.NewClient("controller", nullptr);
    for (const api::Crd& crd : api::AllCrds()) {
      Post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", value::ToJson(crd.object));
    }
    for (const char* name : {"flotilla-system", "team"}) {
      Post("/api/v1/namespaces",
           fmt::format(R"({{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{}"}}}})",
                       name));
    }
    client = std::make_unique<kube::Client>(
        runtime, *http, kube::Access{kHub, kube::FixedCredentials({}), {}, "default"});
    Restart();
  }
  static sim::ApiServerOptions Options(sim::FiberRuntime& runtime) {
    sim::ApiServerOptions options;
    options.clock = sim::Clock::Of(runtime);
    options.anonymous = {"admin", {}, {"system:masters"}, {}};
    return options;
  }
  void Post(const std::string& target, const std::string& body) {
    http::ServerRequest request;
    request.method = http::Method::kPost;
    request.target = target;
    request.headers = {{"Content-Type", "application/json"}};
    request.body = body;
    REQUIRE(hub.Handle(request).status == 201);
  }
  // A new process with the same disk.
  void Restart() {
    store.reset();
    store = std::make_unique<Snapshots>(runtime, *client, disk, Logger(), limits);
  }
  void Put(const std::shared_ptr<const Release>& release) {
    Status put = store->Put(release, {});
    INFO((put ? std::string() : put.error().ToString()));
    REQUIRE(put);
  }
  std::shared_ptr<const Release> Get(const std::shared_ptr<const Release>& release) {
    auto got = store->Get(release->id.release_digest, {});
    INFO((got ? std::string() : got.error().ToString()));
    REQUIRE(got);
    return *got;
  }
  std::vector<value::Value> Stored(std::string_view prefix) const {
    std::vector<value::Value> found;
    for (const value::Value& secret : hub.List("secrets")) {
      if (kube::NameOf(secret).substr(0, prefix.size()) == prefix) found.push_back(secret);
    }
    return found;
  }
  void SpoilDisk() {
    for (auto& [path, content] : disk.files) content[content.size() / 2] ^= 1;
  }
  void SpoilHub(const std::string& prefix) {
    for (const value::Value& secret : Stored(prefix)) {
      std::string bytes = *DecodeBase64(secret.At("data", "sealed").String());
      bytes[bytes.size() / 2] ^= 1;
      const value::Value body =
          value::Edited(secret).Set({"data", "sealed"}, EncodeBase64(bytes)).Done();
      const std::string name(kube::NameOf(secret));
      REQUIRE(client->Do(kube::UpdateRequest({"", "v1", "secrets"}, {"flotilla-system", name},
                                             value::ToJson(body)),
                         {}));
    }
  }
  void NameInRollout(const Release& release) {
    Post("/apis/flotilla.dev/v1alpha1/namespaces/team/rollouts",
         fmt::format(R"({{
      "apiVersion":"flotilla.dev/v1alpha1","kind":"Rollout","metadata":{{"name":"shop-{}","namespace":"team"}},
      "spec":{{"application":"shop","fence":1,"release":{{"releaseDigest":"{}","inputDigest":"i","revision":"r","variants":[]}},"stages":[]}}}})",
                     release.id.release_digest.substr(7, 8), release.id.release_digest));
  }

  SnapshotLimits limits;
  sim::FiberRuntime runtime;
  sim::Network network;
  sim::ApiServer hub;
  std::unique_ptr<http::HttpClient> http;
  std::unique_ptr<kube::Client> client;
  MemoryDisk disk;
  std::unique_ptr<Snapshots> store;
};

void CheckSame(const Release& a, const Release& b) {
  CHECK(a.id.release_digest == b.id.release_digest);
  CHECK(a.id.input_digest == b.id.input_digest);
  CHECK(a.id.revision == b.id.revision);
  CHECK(a.impersonate == b.impersonate);
  CHECK(a.clusters == b.clusters);
  REQUIRE(a.variants.size() == b.variants.size());
  for (size_t i = 0; i < a.variants.size(); ++i) {
    CHECK(a.variants[i]->digest == b.variants[i]->digest);
    REQUIRE(a.variants[i]->objects.size() == b.variants[i]->objects.size());
    for (size_t k = 0; k < a.variants[i]->objects.size(); ++k) {
      const render::Object& x = a.variants[i]->objects[k];
      const render::Object& y = b.variants[i]->objects[k];
      CHECK(x.gvk == y.gvk);
      CHECK(x.key == y.key);
      CHECK(x.digest == y.digest);
      CHECK(x.value == y.value);
      CHECK(x.Source() == y.Source());
    }
  }
}

TEST_CASE("a release comes back as it was, from memory without a request") {
  Fixture f;
  const auto release = Simple();
  f.Put(release);
  f.network.ResetCounts();
  CHECK(f.Get(release) == release);
  CHECK(f.network.CountSent() == 0);
}

TEST_CASE("a process without disk finds a release in the hub") {
  Fixture f;
  const auto variant = VariantOf({ConfigMap("settings", "2")});
  const auto release = ReleaseOf({variant, VariantOf({ConfigMap("settings", "3")}), variant},
                                 {{"canary", 0}, {"region-a", 1}, {"region-b", 2}});
  f.Put(release);
  f.disk.files.clear();
  f.Restart();
  CheckSame(*f.Get(release), *release);
  CHECK(f.disk.files.size() == 3);  // and keeps it
}

TEST_CASE("chunks come from disk where it has them") {
  Fixture f;
  const auto release = Simple();
  f.Put(release);
  f.Restart();
  f.network.ResetCounts();
  CheckSame(*f.Get(release), *release);
  CHECK(f.network.CountSent({}, {}, "*/secrets/flotilla-chunk-*") == 0);
}

TEST_CASE("what is damaged on disk is read from the hub and mended") {
  Fixture f;
  const auto release = Simple();
  f.Put(release);
  f.SpoilDisk();
  f.Restart();
  CheckSame(*f.Get(release), *release);
  f.Restart();
  f.network.ResetCounts();
  f.Get(release);
  CHECK(f.network.CountSent({}, {}, "*/secrets/flotilla-chunk-*") == 0);
}

TEST_CASE("what is damaged in the hub is read from disk") {
  Fixture f;
  const auto release = Simple();
  f.Put(release);
  f.SpoilHub("flotilla-release-");
  f.SpoilHub("flotilla-chunk-");
  f.Restart();
  CheckSame(*f.Get(release), *release);
}

TEST_CASE("a release that is damaged everywhere is an error that names what and where") {
  Fixture f;
  const auto release = Simple();
  f.Put(release);
  f.SpoilDisk();
  f.SpoilHub("flotilla-chunk-");
  f.Restart();
  auto got = f.store->Get(release->id.release_digest, {});
  REQUIRE_FALSE(got);
  CHECK_THAT(got.error().ToString(), Catch::Contains(release->id.release_digest) &&
                                         Catch::Contains("Secret flotilla-chunk-") &&
                                         Catch::Contains("damaged"));
}

TEST_CASE("a release that was never put is not found") {
  Fixture f;
  for (const std::string& digest :
       {Simple()->id.release_digest, std::string("sha256:x"), std::string()}) {
    auto got = f.store->Get(digest, {});
    REQUIRE_FALSE(got);
    CHECK(got.error().cls == ErrorClass::kNotFound);
  }
}

TEST_CASE("no value of a Secret is readable on disk or in the hub") {
  Fixture f;
  f.Put(Simple());
  auto reveals = [](const std::string& bytes) {
    return bytes.find(kPassword) != std::string::npos ||
           bytes.find(EncodeBase64(kPassword)) != std::string::npos ||
           bytes.find("ConfigMap") != std::string::npos;
  };
  REQUIRE(f.disk.files.size() == 2);
  for (const auto& [path, bytes] : f.disk.files) CHECK_FALSE(reveals(bytes));
  REQUIRE(f.Stored("flotilla-").size() == 3);
  for (const value::Value& secret : f.Stored("flotilla-")) {
    CHECK_FALSE(reveals(value::ToJson(secret)));
    const auto sealed = DecodeBase64(secret.At("data", "sealed").String());
    REQUIRE(sealed);
    CHECK_FALSE(reveals(*sealed));
  }
}

TEST_CASE("a large release is cut into chunks that all releases share") {
  Fixture f({.chunk_bytes = 8 << 10, .budget_bytes = 1 << 20, .memory_bytes = 1});
  const auto large = VariantOf({ConfigMap("large", Noise(f.runtime, 64 << 10))});
  const auto first = ReleaseOf({large}, {{"canary", 0}});
  f.Put(first);
  const size_t chunks = f.Stored("flotilla-chunk-").size();
  CHECK(chunks > 3);
  for (const value::Value& secret : f.Stored("flotilla-chunk-")) {
    CHECK(DecodeBase64(secret.At("data", "sealed").String())->size() <= 8 << 10);
  }
  const auto second = ReleaseOf({large, VariantOf({ConfigMap("small", "1")})}, {{"canary", 1}});
  f.Put(second);
  CHECK(f.Stored("flotilla-chunk-").size() == chunks + 1);
  f.disk.files.clear();
  f.Restart();
  CheckSame(*f.Get(first), *first);
  CheckSame(*f.Get(second), *second);
}

TEST_CASE("putting a release again writes only a new assignment of clusters") {
  Fixture f;
  const auto release = Simple();
  f.Put(release);
  f.Restart();
  f.network.ResetCounts();
  f.Put(release);
  CHECK(f.network.CountSent({}, http::Method::kPut) == 0);
  CHECK(f.network.CountSent({}, http::Method::kPost) == 1);  // refused: it exists

  auto wider = std::make_shared<Release>(*release);
  wider->clusters = {{"canary", 0}, {"region-a", 0}};
  f.Put(wider);
  CHECK(f.Get(release)->clusters.size() == 2);
  f.Restart();
  CHECK(f.Get(release)->clusters.size() == 2);
}

TEST_CASE("an assignment that another process made counts more than our disk") {
  Fixture f;
  const auto release = Simple();
  f.Put(release);
  const auto old_disk = f.disk.files;
  auto wider = std::make_shared<Release>(*release);
  wider->clusters = {{"canary", 0}, {"region-a", 0}};
  f.Put(wider);
  f.disk.files = old_disk;
  f.Restart();
  CHECK(f.Get(release)->clusters.size() == 2);
}

TEST_CASE("a chunk whose answer was lost is there, and no error") {
  Fixture f;
  bool lost = false;
  f.network.SetIntercept([&](const sim::Sent& sent) -> std::optional<sim::Network::Decision> {
    if (lost || sent.method != http::Method::kPost ||
        sent.body.find("flotilla-chunk-") == std::string_view::npos) {
      return std::nullopt;
    }
    lost = true;
    return sim::Network::Decision{.fault = sim::Fault::kResetReply, .delay = 0s};
  });
  const auto release = Simple();
  CHECK_FALSE(f.store->Put(release, {}));
  REQUIRE(lost);
  f.Put(release);
  f.disk.files.clear();
  f.Restart();
  CheckSame(*f.Get(release), *release);
}

TEST_CASE("a full disk loses nothing") {
  Fixture f;
  f.disk.full = true;
  const auto release = Simple();
  f.Put(release);
  f.Restart();
  CheckSame(*f.Get(release), *release);
}

TEST_CASE("a release whose digest is not that of its variants is not stored") {
  Fixture f;
  auto wrong = std::make_shared<Release>(*Simple());
  wrong->id.release_digest = Simple("2")->id.release_digest;
  auto put = f.store->Put(wrong, {});
  REQUIRE_FALSE(put);
  CHECK(put.error().cls == ErrorClass::kInternal);
  CHECK(f.Stored("flotilla-release-").empty());
}

TEST_CASE("what no record names is collected, with chunks that nobody else has") {
  Fixture f;
  const auto kept = Simple("1");
  const auto gone =
      ReleaseOf({kept->variants[0], VariantOf({ConfigMap("only", "here")})}, {{"canary", 1}});
  f.Put(kept);
  f.Put(gone);
  f.NameInRollout(*kept);
  REQUIRE(f.store->Collect({}));
  CHECK(f.Stored("flotilla-release-").size() == 2);  // young: its Rollout is on its way
  f.runtime.RunFor(11min);
  REQUIRE(f.store->Collect({}));
  CHECK(f.Stored("flotilla-release-").size() == 1);
  CHECK(f.Stored("flotilla-chunk-").size() == 1);
  CHECK(f.disk.files.size() == 2);
  CHECK_FALSE(f.store->Get(gone->id.release_digest, {}));
  f.disk.files.clear();
  f.Restart();
  CheckSame(*f.Get(kept), *kept);
  f.Put(gone);  // and may come again
  f.disk.files.clear();
  f.Restart();
  CheckSame(*f.Get(gone), *gone);
}

TEST_CASE("beyond the budget a release is refused, until others are no longer named") {
  Fixture f({.chunk_bytes = 64 << 10, .budget_bytes = 100 << 10, .memory_bytes = 1 << 20});
  auto large = [&] {
    return ReleaseOf({VariantOf({ConfigMap("large", Noise(f.runtime, 120 << 10))})}, {});
  };
  const auto first = large();
  f.Put(first);
  const auto second = large();
  auto put = f.store->Put(second, {});
  REQUIRE_FALSE(put);
  CHECK(put.error().cls == ErrorClass::kDenied);
  CHECK_THAT(put.error().ToString(), Catch::Contains("kSnapshotBudgetBytes"));
  f.Get(first);
  f.runtime.RunFor(11min);
  f.Put(second);
  CHECK(f.Stored("flotilla-release-").size() == 1);
}

TEST_CASE("two processes that begin at once agree on one key") {
  Fixture f;
  Snapshots other(f.runtime, *f.client, f.disk, Logger());
  const auto release = Simple();
  Status one, two;
  {
    auto a = f.runtime.Spawn("a", [&](std::stop_token stop) { one = f.store->Put(release, stop); });
    auto b =
        f.runtime.Spawn("b", [&](std::stop_token stop) { two = other.Put(Simple("2"), stop); });
    a->Join();
    b->Join();
  }
  REQUIRE(one);
  REQUIRE(two);
  f.disk.files.clear();
  f.Restart();
  CheckSame(*f.Get(release), *release);
  CheckSame(*f.Get(Simple("2")), *Simple("2"));
}

}  // namespace
}  // namespace flotilla::operate
