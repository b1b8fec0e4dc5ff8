// The references that a remote announces: gitprotocol-v2(5) with a filter on the server where the
// server speaks it, else the whole announcement of gitprotocol-pack(5).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "git/exchange.h"
#include "git/remote.h"

namespace flotilla::git {

// One packet of gitprotocol-common(5). Flush, delimiter and response-end have no data.
struct Packet {
  enum class Kind : unsigned char { kData, kFlush, kDelimiter, kEnd };
  Kind kind = Kind::kFlush;
  std::string_view data;  // without the line end, if it had one
};

// Takes packets off the front of a text.
class PacketReader {
 public:
  explicit PacketReader(std::string_view text) : rest_(text) {}
  // nullopt at the end; Invalid where the text is cut off or malformed.
  Result<std::optional<Packet>> Next();

 private:
  std::string_view rest_;
};

void AppendPacket(std::string& out, std::string_view data);

// What an announcement (GET info/refs) says.
struct Announcement {
  bool protocol2 = false;       // then `refs` is empty: ask with ls-refs
  std::vector<RemoteRef> refs;  // protocol 0 and 1: those that begin with one of the prefixes
};
Result<Announcement> ParseAnnouncement(std::string_view text,
                                       const std::vector<std::string>& prefixes);

// The command ls-refs of protocol 2, and its answer. Servers may ignore the prefixes: so do we not.
std::string LsRefsCommand(const std::vector<std::string>& prefixes);
Result<std::vector<RemoteRef>> ParseLsRefs(std::string_view text,
                                           const std::vector<std::string>& prefixes);

// The references with one of these prefixes. `protocol2` remembers between calls that the server
// speaks version 2, which saves the announcement.
Result<std::vector<RemoteRef>> ListRefs(Exchange& exchange,
                                        const std::vector<std::string>& prefixes, bool& protocol2);

}  // namespace flotilla::git
