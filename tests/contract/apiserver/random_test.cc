// Seeded sequences of operations on a few objects, sent to both servers: what the written cases do
// not think of. FLOTILLA_CONTRACT_SEEDS sets how many (1,000 in scripts/evidence).
#include <unistd.h>

#include <fmt/format.h>
#include <cstdlib>
#include <random>

#include "catch.h"
#include "compare.h"

using namespace flotilla;
using namespace flotilla::contract;

namespace {

// Draws requests. Small domains, so that operations meet.
class Generator {
 public:
  Generator(uint32_t seed, std::string ns) : random_(seed), ns_(std::move(ns)) {}

  Call Next() {
    switch (Pick(3)) {
      case 0:
        return ConfigMapCall();
      case 1:
        return DeploymentCall();
      default:
        return ServiceCall();
    }
  }

 private:
  size_t Pick(size_t count) { return random_() % count; }
  template <size_t N>
  const char* One(const char* const (&texts)[N]) {
    return texts[Pick(N)];
  }
  bool Maybe() { return Pick(2) == 0; }

  std::string Metadata(const std::string& name) {
    std::string text = fmt::format(R"("metadata":{{"name":"{}")", name);
    if (Maybe()) text += fmt::format(R"(,"labels":{{"{}":"{}"}})", Letter(), Digit());
    if (Maybe()) text += fmt::format(R"(,"annotations":{{"{}":"{}"}})", Letter(), Digit());
    if (Pick(4) == 0) text += fmt::format(R"(,"finalizers":["example.com/{}"])", Letter());
    return text + "}";
  }
  std::string Letter() { return One({"a", "b", "c"}); }
  std::string Digit() { return One({"1", "2", "3"}); }
  std::string Manager() { return One({"one", "two", "three"}); }
  std::string Name() { return One({"x", "y"}); }

  Call Write(const std::string& all, const std::string& name, const std::string& type,
             const std::string& body) {
    Call call;
    call.type = "application/json";
    call.body = fmt::format(R"({{{},{}}})", type, body);
    switch (Pick(6)) {
      case 0:
        call.method = http::Method::kPost;
        call.path = all;
        return call;
      case 1:
        call.method = http::Method::kPut;
        call.path = all + "/" + name;
        return call;
      default:
        call.method = http::Method::kPatch;
        call.type = "application/apply-patch+yaml";
        call.path = fmt::format("{}/{}?fieldManager={}{}{}", all, name, Manager(),
                                Maybe() ? "&force=true" : "", Pick(6) == 0 ? "&dryRun=All" : "");
        return call;
    }
  }

  Call Simple(const std::string& all, const std::string& name) {
    Call call;
    call.path = all + "/" + name;
    switch (Pick(5)) {
      case 0:
        call.method = http::Method::kDelete;
        break;
      case 1:
        call.path = all;
        break;
      case 2:
        call.method = http::Method::kPatch;
        call.type = "application/merge-patch+json";
        call.body = fmt::format(R"({{"metadata":{{"labels":{{"{}":{}}}}}}})", Letter(),
                                Maybe() ? "null" : "\"" + Digit() + "\"");
        break;
      case 3:
        call.method = http::Method::kPatch;
        call.type = "application/merge-patch+json";
        call.body = R"({"metadata":{"finalizers":null}})";
        break;
      default:
        break;
    }
    return call;
  }

  Call ConfigMapCall() {
    std::string all = "/api/v1/namespaces/" + ns_ + "/configmaps", name = Name();
    if (Maybe()) return Simple(all, name);
    std::string data;
    for (const char* key : {"a", "b", "c"}) {
      if (Maybe()) data += fmt::format(R"({}"{}":"{}")", data.empty() ? "" : ",", key, Digit());
    }
    return Write(all, name, R"("apiVersion":"v1","kind":"ConfigMap")",
                 Metadata(name) + (data.empty() ? "" : R"(,"data":{)" + data + "}"));
  }

  std::string Container(const std::string& name) {
    std::string text = fmt::format(R"({{"name":"{}","image":"{}:{}")", name, Letter(), Digit());
    if (Maybe()) {
      text += R"(,"env":[)";
      std::string env;
      for (const char* key : {"A", "B", "C"}) {
        if (!Maybe()) continue;
        env +=
            fmt::format(R"({}{{"name":"{}","value":"{}"}})", env.empty() ? "" : ",", key, Digit());
      }
      text += env + "]";
    }
    if (Maybe()) text += fmt::format(R"(,"ports":[{{"containerPort":8{}}}])", Digit());
    if (Maybe()) text += fmt::format(R"(,"args":["{}"])", Digit());
    if (Pick(4) == 0)
      text += fmt::format(R"(,"resources":{{"limits":{{"cpu":"{}00m"}}}})", Digit());
    return text + "}";
  }

  Call DeploymentCall() {
    std::string all = "/apis/apps/v1/namespaces/" + ns_ + "/deployments", name = Name();
    if (Pick(3) == 0) return Simple(all, name);
    if (Pick(6) == 0) {
      Call scale;
      scale.method = http::Method::kPatch;
      scale.path = all + "/" + name + "/scale";
      scale.type = "application/merge-patch+json";
      // Always another number: after a scale that changes nothing, a real server forgets an
      // updater's claim to the replicas at the next write.
      scale.body = fmt::format(R"({{"spec":{{"replicas":{}}}}})", ++scaled_);
      return scale;
    }
    if (Pick(5) == 0) {
      Call merge;
      merge.method = http::Method::kPatch;
      merge.path = all + "/" + name;
      merge.type = "application/strategic-merge-patch+json";
      merge.body = fmt::format(R"({{"spec":{{"template":{{"spec":{{"containers":[{}]}}}}}}}})",
                               Container(Letter()));
      return merge;
    }
    std::string containers = Container("a");
    if (Maybe())
      containers = Maybe() ? Container("b") + "," + containers : containers + "," + Container("b");
    std::string spec = fmt::format(
        R"("selector":{{"matchLabels":{{"app":"x"}}}},"template":{{"metadata":{{"labels":{{"app":"x"}}}},"spec":{{"containers":[{}]}}}})",
        containers);
    if (Maybe()) spec += fmt::format(R"(,"replicas":{})", Digit());
    return Write(all, name, R"("apiVersion":"apps/v1","kind":"Deployment")",
                 Metadata(name) + R"(,"spec":{)" + spec + "}");
  }

  Call ServiceCall() {
    std::string all = "/api/v1/namespaces/" + ns_ + "/services", name = Name();
    if (Pick(3) == 0) return Simple(all, name);
    std::string ports;
    for (const char* digit : {"1", "2", "3"}) {
      if (!Maybe()) continue;
      ports +=
          fmt::format(R"({}{{"name":"p{}","port":8{}}})", ports.empty() ? "" : ",", digit, digit);
    }
    if (ports.empty()) ports = R"({"name":"p1","port":81})";
    return Write(all, name, R"("apiVersion":"v1","kind":"Service")",
                 Metadata(name) + fmt::format(R"(,"spec":{{"selector":{{"a":"{}"}},"ports":[{}]}})",
                                              Digit(), ports));
  }

  std::mt19937 random_;
  int scaled_ = 10;
  std::string ns_;
};

}  // namespace

TEST_CASE("random sequences have the same outcome on both servers") {
  constexpr int kLength = 25;
  const char* asked = std::getenv("FLOTILLA_CONTRACT_SEEDS");
  int seeds = asked ? std::atoi(asked) : 20;
  const char* first = std::getenv("FLOTILLA_CONTRACT_FIRST_SEED");
  int start = first ? std::atoi(first) : 1;
  std::unique_ptr<Target> embedded = NewEmbedded();
  for (int seed = start; seed < start + seeds; ++seed) {
    std::string ns = fmt::format("seed-{}-{}", getpid(), seed);
    Call create;
    create.method = http::Method::kPost;
    create.path = "/api/v1/namespaces";
    create.type = "application/json";
    create.body = R"({"metadata":{"name":")" + ns + "\"}}";
    REQUIRE(Real().Send(create).status == 201);
    REQUIRE(embedded->Send(create).status == 201);
    Generator generator(static_cast<uint32_t>(seed), ns);
    Mask ours, theirs;
    for (int step = 0; step < kLength; ++step) {
      Call call = generator.Next();
      Answer real = Real().Send(call);
      std::string difference = Difference(embedded->Send(call), ours, real, theirs);
      INFO("seed " << seed << " step " << step << ": " << http::ToString(call.method) << " "
                   << call.path << "\n"
                   << call.body);
      CHECK(difference == "");
      if (!difference.empty()) break;
    }
  }
}
