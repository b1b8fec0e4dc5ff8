// Reading Kubernetes' protobuf, with messages written by hand after the specification of the wire
// format; tests/contract and kubectl itself show that real clients agree.
#include "catch.h"
#include "kube/schema/protobuf.h"
#include "value/json.h"

using namespace flotilla;
using kube::schema::ParseProtobuf;

namespace {

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}
std::string Field(uint64_t number, const std::string& payload) {
  return Varint(number << 3 | 2) + Varint(payload.size()) + payload;
}
std::string Field(uint64_t number, uint64_t value) { return Varint(number << 3) + Varint(value); }

std::string Envelope(const std::string& version, const std::string& kind, const std::string& raw) {
  return std::string("k8s\0", 4) + Field(1, Field(1, version) + Field(2, kind)) + Field(2, raw) +
         Field(3, "") + Field(4, "");
}

std::string Parsed(const std::string& version, const std::string& kind, const std::string& raw) {
  auto object = ParseProtobuf(Envelope(version, kind, raw));
  REQUIRE(object);
  return value::ToJson(*object);
}

}  // namespace

TEST_CASE("strings, maps, integers and messages are read") {
  std::string metadata = Field(1, "web") + Field(11, Field(1, "a") + Field(2, "b")) +
                         Field(11, Field(1, "c") + Field(2, "d")) +
                         Field(8, Field(1, uint64_t{1700000000}));
  CHECK(
      Parsed("v1", "ConfigMap", Field(1, metadata) + Field(2, Field(1, "k") + Field(2, "v"))) ==
      R"({"metadata":{"name":"web","labels":{"a":"b","c":"d"},"creationTimestamp":"2023-11-14T22:13:20Z"},"data":{"k":"v"},"apiVersion":"v1","kind":"ConfigMap"})");
}

TEST_CASE("lists, quantities, int-or-string, bytes and negative numbers are read") {
  std::string port =
      Field(1, "http") + Field(3, uint64_t{80}) + Field(4, Field(1, uint64_t{1}) + Field(3, "web"));
  CHECK(
      Parsed("v1", "Service", Field(2, Field(1, port) + Field(1, Field(3, uint64_t{81})))) ==
      R"({"spec":{"ports":[{"name":"http","port":80,"targetPort":"web"},{"port":81}]},"apiVersion":"v1","kind":"Service"})");
  CHECK(Parsed("v1", "Secret", Field(2, Field(1, "k") + Field(2, "v"))) ==
        R"({"data":{"k":"dg=="},"apiVersion":"v1","kind":"Secret"})");
  CHECK(Parsed("v1", "ResourceQuota",
               Field(2, Field(1, Field(1, "pods") + Field(2, Field(1, "10"))))) ==
        R"({"spec":{"hard":{"pods":"10"}},"apiVersion":"v1","kind":"ResourceQuota"})");
  CHECK(Parsed("scheduling.k8s.io/v1", "PriorityClass", Field(2, static_cast<uint64_t>(-5))) ==
        R"({"value":-5,"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass"})");
}

TEST_CASE("what JSON shows inlined is a message of its own") {
  std::string volume = Field(1, "v") + Field(2, Field(6, Field(1, "s")));
  CHECK(
      Parsed("v1", "Pod", Field(2, Field(1, volume))) ==
      R"({"spec":{"volumes":[{"name":"v","secret":{"secretName":"s"}}]},"apiVersion":"v1","kind":"Pod"})");
}

TEST_CASE("unknown fields are skipped, and what is malformed is refused") {
  CHECK(Parsed("v1", "ConfigMap", Field(99, "x") + Field(98, uint64_t{1})) ==
        R"({"apiVersion":"v1","kind":"ConfigMap"})");
  std::string good = Envelope("v1", "ConfigMap", Field(1, Field(1, "web")));
  CHECK_FALSE(ParseProtobuf(""));
  CHECK_FALSE(ParseProtobuf("{}"));
  for (size_t cut = 4; cut + 4 < good.size(); ++cut) {
    CAPTURE(cut);
    (void)ParseProtobuf(good.substr(0, cut));  // must not crash; some cuts are valid messages
  }
  CHECK_FALSE(ParseProtobuf(Envelope("v1", "ConfigMap", Field(1, "\xff\xff"))));
  CHECK_FALSE(ParseProtobuf(Envelope("v1", "Nothing", "")));
}
