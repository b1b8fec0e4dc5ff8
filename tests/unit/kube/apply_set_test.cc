#include "kube/apply_set.h"

#include <string>
#include <vector>

#include "base/compress.h"
#include "base/digest.h"
#include "base/encoding.h"
#include "catch.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

using value::Value;

Parent Sample() {
  Parent parent;
  parent.name = ParentName("hub-uid", "web", "shop");
  parent.hub_uid = "hub-uid";
  parent.application_ns = "web";
  parent.application = "shop";
  parent.fence = 9'000'000'000'000;
  parent.target_digest = "d1";
  parent.phase = "Applied";
  parent.applied_at = WallTime(1'800'000'000'123'456us);
  parent.group_kinds = {{"", "Service"}, {"apps", "Deployment"}, {"batch", "Job"}};
  parent.inventory = {
      {{"", "Service", "web", "front"}, "u-1", std::string(64, 'a'), 0, "77"},
      {{"apps", "Deployment", "web", "front"}, "u-2", std::string(64, 'b'), 3, ""},
      {{"rbac.authorization.k8s.io", "ClusterRole", "", "shop: \"read\"\n"}, "u-3", "", 0, "5"}};
  parent.uid = "parent-uid";
  parent.resource_version = "42";
  return parent;
}

// Inventories whose parts do not compress: `count` objects of random-looking digests.
std::vector<InventoryEntry> Many(size_t count) {
  std::vector<InventoryEntry> inventory;
  for (size_t i = 0; i < count; ++i) {
    const std::string digest = DigestOf(std::to_string(i)).Hex();
    inventory.push_back({{"", "ConfigMap", "web", "config-" + digest},
                         digest.substr(0, 36),
                         DigestOf(digest).Hex(),
                         static_cast<int64_t>(i),
                         digest});
  }
  return inventory;
}

Result<Parent> RoundTrip(const Parent& parent) {
  Result<EncodedParent> encoded = Encode(parent);
  if (!encoded) return Pass(encoded);
  Result<ParentHead> head = DecodeHead(encoded->config_map);
  if (!head) return Pass(head);
  return Decode(*std::move(head), encoded->chunks);
}

// What Encode adds and sorts.
void Normalise(Parent& parent) {
  for (const auto& entry : parent.inventory) parent.group_kinds.insert(entry.id.ToGroupKind());
  parent.chunks.clear();
}

TEST_CASE("the id of an ApplySet is the one kubectl computes") {
  // The example of Kubernetes' reference of well-known labels.
  CHECK(ApplySetId("my-set", "test", "Secret", "") ==
        "applyset-0eFHV8ySqp7XoShsGvyWFQD3s96yqwHmzc4e0HR1dsY-v1");
  const std::string id = ParentId(ParentName("hub", "web", "shop"));
  CHECK(id.size() == 55);
  CHECK(id.find_first_of("+/=") == std::string::npos);
}

TEST_CASE("the name of a parent tells hubs and applications apart, and is a DNS label") {
  const std::string name = ParentName("hub", "web", "shop");
  CHECK(name.size() == 49);
  CHECK(name != ParentName("hub2", "web", "shop"));
  CHECK(ParentName("h", "a", "bc") != ParentName("h", "ab", "c"));
  CHECK(name == ParentName("hub", "web", "shop"));
}

TEST_CASE("what is encoded is decoded") {
  Parent parent = Sample();
  const auto decoded = RoundTrip(parent);
  REQUIRE(decoded);
  Normalise(parent);
  CHECK(*decoded == parent);

  SECTION("an empty inventory, too") {
    parent.inventory.clear();
    const auto empty = RoundTrip(parent);
    REQUIRE(empty);
    CHECK(*empty == parent);
  }
  SECTION("a parent that does not exist yet, too") {
    parent.uid.clear();
    parent.resource_version.clear();
    parent.applied_at.reset();
    parent.phase.clear();
    CHECK(*RoundTrip(parent) == parent);
  }
}

TEST_CASE("the parent carries the labels and annotations of the convention") {
  const auto encoded = Encode(Sample());
  REQUIRE(encoded);
  const Value& map = encoded->config_map;
  CHECK(map["kind"].String() == "ConfigMap");
  CHECK(NamespaceOf(map) == "flotilla-system");
  CHECK(LabelOf(map, "applyset.kubernetes.io/id") == ParentId(Sample().name));
  CHECK(AnnotationOf(map, "applyset.kubernetes.io/tooling") == "flotilla/v1");
  CHECK(AnnotationOf(map, "applyset.kubernetes.io/contains-group-kinds") ==
        "ClusterRole.rbac.authorization.k8s.io,Deployment.apps,Job.batch,Service");
  CHECK(AnnotationOf(map, "applyset.kubernetes.io/additional-namespaces") == "web");
  CHECK(UidOf(map) == "parent-uid");
  CHECK(ResourceVersionOf(map) == "42");
  CHECK(map.At("data", "fence").String() == "9000000000000");
}

TEST_CASE("the same parent is always the same bytes, whatever the order of its inventory") {
  Parent shuffled = Sample();
  std::swap(shuffled.inventory[0], shuffled.inventory[2]);
  CHECK(value::ToJson(Encode(shuffled)->config_map) == value::ToJson(Encode(Sample())->config_map));
}

TEST_CASE("an inventory beyond 900 KiB goes on in ConfigMaps named by their content") {
  Parent parent = Sample();
  parent.inventory = Many(12'000);
  const auto encoded = Encode(parent);
  REQUIRE(encoded);
  REQUIRE(encoded->chunks.size() >= 1);
  for (const Value& chunk : encoded->chunks) {
    CHECK(chunk["immutable"].Bool());
    CHECK(NameOf(chunk).starts_with(parent.name + '-'));
    CHECK(chunk.At("binaryData", "inventory").String().size() <= (900u << 10) * 4 / 3 + 4);
  }
  const auto decoded = RoundTrip(parent);
  REQUIRE(decoded);
  CHECK(decoded->inventory.size() == 12'000);
  CHECK(decoded->chunks.size() == encoded->chunks.size());

  SECTION("and is refused where one is missing, another one, or damaged") {
    const auto head = DecodeHead(encoded->config_map);
    REQUIRE(head);
    CHECK_FALSE(Decode(*head, {}));
    std::vector<Value> wrong = encoded->chunks;
    wrong[0] = value::Edited(wrong[0]).Set({"metadata", "name"}, Value("other")).Done();
    CHECK_FALSE(Decode(*head, wrong));
    wrong = encoded->chunks;
    wrong[0] = value::Edited(wrong[0]).Set({"binaryData", "inventory"}, Value("AAAA")).Done();
    CHECK_FALSE(Decode(*head, wrong));
  }
}

TEST_CASE("one object is in an inventory once, and has a kind and a name") {
  Parent parent = Sample();
  parent.inventory.push_back(parent.inventory[0]);
  CHECK_FALSE(Encode(parent));
  parent = Sample();
  parent.inventory[0].id.name.clear();
  CHECK_FALSE(Encode(parent));
}

TEST_CASE("an inventory has no more objects than an application may have") {
  Parent parent = Sample();
  parent.inventory = Many(limits::kObjectsPerApplication + 1);
  const auto encoded = Encode(parent);
  REQUIRE_FALSE(encoded);
  CHECK(encoded.error().message.find("kObjectsPerApplication") != std::string::npos);
}

TEST_CASE("a parent of another tool is a conflict") {
  const Value map = value::Edited(Encode(Sample())->config_map)
                        .Set({"metadata", "annotations", kApplySetTooling}, Value("kubectl/v1.27"))
                        .Done();
  const auto head = DecodeHead(map);
  REQUIRE_FALSE(head);
  CHECK(head.error().cls == ErrorClass::kConflict);
  CHECK(head.error().message.find("kubectl/v1.27") != std::string::npos);
}

TEST_CASE("what is damaged is refused, never read as empty") {
  const Value good = Encode(Sample())->config_map;
  const struct {
    const char* name;
    value::Path path;
    Value value;
  } damages[] = {
      {"id of another object", {"metadata", "labels", kApplySetId}, Value("applyset-x-v1")},
      {"no hub", {"data", "hub"}, Value("")},
      {"no application", {"data", "application"}, Value("shop")},
      {"fence no number", {"data", "fence"}, Value("1x")},
      {"fence negative", {"data", "fence"}, Value("-1")},
      {"no time", {"data", "appliedAt"}, Value("yesterday")},
      {"chunks of somebody else", {"data", "inventoryChunks"}, Value("kube-root-ca.crt")},
      {"no inventory", {"binaryData", "inventory"}, Value()},
      {"inventory no base64", {"binaryData", "inventory"}, Value("!")},
      {"inventory of other bytes", {"binaryData", "inventory"}, Value(EncodeBase64("x"))},
      {"other digest", {"data", "inventorySha256"}, Value(std::string(64, '0'))},
  };
  for (const auto& damage : damages) {
    INFO(damage.name);
    value::Edited edit(good);
    if (damage.value) {
      edit.Set(damage.path, damage.value);
    } else {
      edit.Remove(damage.path);
    }
    const auto head = DecodeHead(edit.Done());
    if (head) CHECK_FALSE(Decode(*head, {}));
  }
}

TEST_CASE("a compressed bomb is refused before it is expanded") {
  const std::string bomb = Compress(std::string(limits::kInventoryBytes + 1, ' '));
  const Value map = value::Edited(Encode(Sample())->config_map)
                        .Set({"binaryData", "inventory"}, Value(EncodeBase64(bomb)))
                        .Set({"data", "inventorySha256"}, Value(DigestOf(bomb).Hex()))
                        .Done();
  const auto head = DecodeHead(map);
  REQUIRE(head);
  CHECK_FALSE(Decode(*head, {}));
}

}  // namespace
}  // namespace flotilla::kube
