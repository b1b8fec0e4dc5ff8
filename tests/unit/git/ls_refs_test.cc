#include "git/ls_refs.h"

#include <string>
#include <vector>

#include "catch.h"

using namespace flotilla;
using namespace flotilla::git;

namespace {

const std::string kA(40, 'a');
const std::string kB(40, 'b');
const std::string kC(40, 'c');

std::string Packets(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    if (line == "0000" || line == "0001") {
      text += line;
    } else {
      AppendPacket(text, line);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("A packet has its length in front, in hex, with itself counted") {
  std::string text;
  AppendPacket(text, "hello\n");
  CHECK(text == "000ahello\n");
  text +=
      "0001"
      "0005a"
      "0004"
      "0002"
      "0000";
  PacketReader reader(text);
  const auto next = [&reader] { return reader.Next()->value(); };
  CHECK(next().data == "hello");
  CHECK(next().kind == Packet::Kind::kDelimiter);
  CHECK(next().data == "a");
  const Packet empty = next();
  CHECK(empty.kind == Packet::Kind::kData);
  CHECK(empty.data.empty());
  CHECK(next().kind == Packet::Kind::kEnd);
  CHECK(next().kind == Packet::Kind::kFlush);
  CHECK_FALSE(reader.Next()->has_value());
}

TEST_CASE("A packet that is cut off or has no length is an error") {
  for (const char* text : {"0", "000", "0003", "000ahell", "zzzz", "-001", "+005a", "0x05a",
                           " 005a", "fff1aaaa", "<htm"}) {
    INFO(text);
    PacketReader reader(text);
    CHECK_FALSE(reader.Next());
  }
}

TEST_CASE("An announcement of protocol 0 lists references, tags with what they point at") {
  const std::string text =
      Packets({"# service=git-upload-pack\n", "0000",
               kA + " HEAD" + std::string(1, '\0') + "multi_ack agent=git/2\n",
               kA + " refs/heads/main\n", kB + " refs/tags/v1\n", kC + " refs/tags/v1^{}\n",
               kC + " refs/tags/v2\n", kC + " refs/pull/1/head\n", "0000"});
  const auto announcement = ParseAnnouncement(text, {"refs/heads/main", "refs/tags/"});
  REQUIRE(announcement);
  CHECK_FALSE(announcement->protocol2);
  const auto& refs = announcement->refs;
  REQUIRE(refs.size() == 3);
  CHECK(refs[0].name == "refs/heads/main");
  CHECK(refs[0].id == kA);
  CHECK(refs[1].id == kB);
  CHECK(refs[1].commit() == kC);
  CHECK(refs[2].commit() == kC);
}

TEST_CASE("An empty repository announces nothing") {
  const std::string text = Packets(
      {"# service=git-upload-pack\n", "0000",
       std::string(40, '0') + " capabilities^{}" + std::string(1, '\0') + "agent=git/2\n", "0000"});
  const auto announcement = ParseAnnouncement(text, {"refs/"});
  REQUIRE(announcement);
  CHECK(announcement->refs.empty());
}

TEST_CASE("An announcement that is cut off is an error, not an empty repository") {
  const std::string whole = Packets({"# service=git-upload-pack\n", "0000",
                                     kA + " refs/heads/main" + std::string(1, '\0') + "x\n",
                                     kB + " refs/heads/side\n", "0000"});
  REQUIRE(ParseAnnouncement(whole, {"refs/"})->refs.size() == 2);
  for (size_t size = 0; size < whole.size(); ++size) {
    INFO(whole.substr(0, size));
    const auto announcement = ParseAnnouncement(whole.substr(0, size), {"refs/"});
    REQUIRE_FALSE(announcement);
    CHECK(announcement.error().cls == ErrorClass::kUnavailable);
  }
}

TEST_CASE("An announcement of protocol 2 says only that") {
  for (const bool service_line : {false, true}) {
    std::vector<std::string> lines = {"version 2\n",     "agent=git/2.39\n",     "ls-refs=unborn\n",
                                      "fetch=shallow\n", "object-format=sha1\n", "0000"};
    if (service_line) lines.insert(lines.begin(), {"# service=git-upload-pack\n", "0000"});
    const auto announcement = ParseAnnouncement(Packets(lines), {"refs/"});
    REQUIRE(announcement);
    CHECK(announcement->protocol2);
    CHECK(announcement->refs.empty());
  }
}

TEST_CASE("A repository with SHA-256 ids is refused by name") {
  const std::string id(64, 'a');
  for (const std::string& text : {Packets({"version 2\n", "object-format=sha256\n", "0000"}),
                                  Packets({id + " HEAD" + std::string(1, '\0') +
                                           "agent=x object-format=sha256 symref=a:b\n"})}) {
    const auto announcement = ParseAnnouncement(text, {"refs/"});
    REQUIRE_FALSE(announcement);
    CHECK(announcement.error().cls == ErrorClass::kInvalid);
    CHECK_THAT(announcement.error().ToString(), Catch::Contains("sha256"));
  }
}

TEST_CASE("An error that the server reports is passed on") {
  const std::string text = Packets({"ERR upload-pack: not our ref\n"});
  CHECK_THAT(ParseAnnouncement(text, {}).error().ToString(), Catch::Contains("not our ref"));
  CHECK_THAT(ParseLsRefs(text, {}).error().ToString(), Catch::Contains("not our ref"));
}

TEST_CASE("ls-refs asks for prefixes, and for what tags point at") {
  CHECK(LsRefsCommand({"refs/heads/main"}) ==
        "0014command=ls-refs\n"
        "0001"
        "0009peel\n"
        "001fref-prefix refs/heads/main\n"
        "0000");
}

TEST_CASE("The answer of ls-refs is filtered again, since a server may ignore the prefixes") {
  const std::string text =
      Packets({kA + " HEAD symref-target:refs/heads/main\n", kA + " refs/heads/main\n",
               "unborn refs/heads/x\n", kB + " refs/tags/v1 peeled:" + kC + "\n", "0000"});
  const auto refs = ParseLsRefs(text, {"refs/tags/"});
  REQUIRE(refs);
  REQUIRE(refs->size() == 1);
  CHECK(refs->front().name == "refs/tags/v1");
  CHECK(refs->front().id == kB);
  CHECK(refs->front().commit() == kC);
}

TEST_CASE("A malformed list of references is an error, not a shorter list") {
  for (const std::string& text :
       {Packets({kA + " refs/heads/main\n"}), Packets({"refs/heads/main\n", "0000"}),
        Packets({std::string(40, 'A') + " refs/heads/main\n", "0000"}),
        Packets({kA + " \n", "0000"}), Packets({kA + " refs/heads/a peeled:12\n", "0000"}),
        std::string("0000").substr(0, 3)}) {
    INFO(text);
    CHECK_FALSE(ParseLsRefs(text, {"refs/"}));
  }
}
