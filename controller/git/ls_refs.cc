#include "git/ls_refs.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/limits.h"
#include "git/libgit.h"

namespace flotilla::git {
namespace {

constexpr size_t kMaxPacket = 65520;
constexpr std::string_view kPeeledSuffix = "^{}";

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool Wanted(std::string_view name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return StartsWith(name, prefix); });
}

// A fault of the way here more often than of the server: worth another try.
tl::unexpected<Error> Malformed(std::string_view what) {
  return Fail(ErrorClass::kUnavailable, "the Git server's answer is malformed: {}", what);
}

// An object format other than SHA-1 among the blank-separated capabilities is more than we can do.
Status CheckObjectFormat(std::string_view capabilities) {
  constexpr std::string_view kKey = "object-format=";
  const size_t at = capabilities.find(kKey);
  if (at == capabilities.npos) return {};
  std::string_view format = capabilities.substr(at + kKey.size());
  format = format.substr(0, format.find(' '));
  if (format == "sha1") return {};
  return Fail(ErrorClass::kInvalid,
              "the repository has {} ids, which are not supported: only SHA-1 is", format);
}

// "<id> <rest>"
Result<std::pair<std::string_view, std::string_view>> SplitId(std::string_view line) {
  const std::string_view id = line.substr(0, 40);
  if (line.size() < 42 || line[40] != ' ' || !IsObjectId(id)) {
    return Malformed("a reference without an id");
  }
  return std::pair(id, line.substr(41));
}

Status Add(std::vector<RemoteRef>& refs, RemoteRef ref) {
  if (refs.size() == limits::kGitRefs) {
    return Fail(ErrorClass::kInvalid, "the repository has more than {} references",
                limits::kGitRefs);
  }
  refs.push_back(std::move(ref));
  return {};
}

}  // namespace

Result<std::optional<Packet>> PacketReader::Next() {
  if (rest_.empty()) return std::nullopt;
  size_t length = 0;
  const std::string_view digits = rest_.substr(0, 4);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), length, 16);
  if (digits.size() != 4 || error != std::errc() || end != digits.data() + 4) {
    return Malformed("a packet without a length");
  }
  Packet packet;
  if (length < 4) {
    if (length == 3) return Malformed("a packet of length 3");
    packet.kind = length == 0   ? Packet::Kind::kFlush
                  : length == 1 ? Packet::Kind::kDelimiter
                                : Packet::Kind::kEnd;
    rest_.remove_prefix(4);
    return packet;
  }
  if (length > kMaxPacket || length > rest_.size()) return Malformed("a packet is cut off");
  packet.kind = Packet::Kind::kData;
  packet.data = rest_.substr(4, length - 4);
  if (!packet.data.empty() && packet.data.back() == '\n') packet.data.remove_suffix(1);
  rest_.remove_prefix(length);
  return packet;
}

void AppendPacket(std::string& out, std::string_view data) {
  fmt::format_to(std::back_inserter(out), "{:04x}", data.size() + 4);
  out += data;
}

Result<Announcement> ParseAnnouncement(std::string_view text,
                                       const std::vector<std::string>& prefixes) {
  Announcement announcement;
  PacketReader packets(text);
  bool first_ref = true;
  bool complete = false;  // a flush packet ends the list, and one more the line of the service
  bool after_service = false;
  while (true) {
    Result<std::optional<Packet>> next = packets.Next();
    if (!next) return Pass(next);
    if (!*next) {
      if (!complete) return Malformed("the announcement of references has no end");
      return announcement;
    }
    complete = (*next)->kind == Packet::Kind::kFlush && !std::exchange(after_service, false);
    if ((*next)->kind != Packet::Kind::kData) continue;
    std::string_view line = (*next)->data;
    if (StartsWith(line, "# service=")) {
      after_service = true;
      continue;
    }
    if (line == "version 1") continue;
    if (StartsWith(line, "ERR ")) {
      return Fail(ErrorClass::kUnavailable, "the Git server says: {}", line.substr(4, 500));
    }
    if (line == "version 2") announcement.protocol2 = true;
    if (announcement.protocol2) {
      if (Status status = CheckObjectFormat(line); !status) return Pass(status);
      continue;
    }
    if (StartsWith(line, "shallow ")) continue;
    if (first_ref) {
      // The capabilities follow the first reference, or a stand-in for it in an empty repository.
      first_ref = false;
      const size_t zero = line.find('\0');
      if (zero != line.npos) {
        if (Status status = CheckObjectFormat(line.substr(zero + 1)); !status) return Pass(status);
        line = line.substr(0, zero);
      }
    }
    auto split = SplitId(line);
    if (!split) return Pass(split);
    auto [id, name] = *split;
    if (name.size() > kPeeledSuffix.size() &&
        name.substr(name.size() - kPeeledSuffix.size()) == kPeeledSuffix) {
      name.remove_suffix(kPeeledSuffix.size());
      if (!announcement.refs.empty() && announcement.refs.back().name == name) {
        announcement.refs.back().peeled = id;
      }
      continue;
    }
    if (!Wanted(name, prefixes)) continue;
    Status added = Add(announcement.refs, {std::string(name), std::string(id), ""});
    if (!added) return Pass(added);
  }
}

std::string LsRefsCommand(const std::vector<std::string>& prefixes) {
  std::string command;
  AppendPacket(command, "command=ls-refs\n");
  command += "0001";
  AppendPacket(command, "peel\n");
  for (const std::string& prefix : prefixes) AppendPacket(command, "ref-prefix " + prefix + "\n");
  command += "0000";
  return command;
}

Result<std::vector<RemoteRef>> ParseLsRefs(std::string_view text,
                                           const std::vector<std::string>& prefixes) {
  std::vector<RemoteRef> refs;
  PacketReader packets(text);
  while (true) {
    Result<std::optional<Packet>> next = packets.Next();
    if (!next) return Pass(next);
    if (!*next) return Malformed("the list of references has no end");
    if ((*next)->kind == Packet::Kind::kFlush) return refs;
    const std::string_view line = (*next)->data;
    if (StartsWith(line, "ERR ")) {
      return Fail(ErrorClass::kUnavailable, "the Git server says: {}", line.substr(4, 500));
    }
    if (StartsWith(line, "unborn ")) continue;
    auto split = SplitId(line);
    if (!split) return Pass(split);
    const std::string_view rest = split->second;
    const size_t blank = rest.find(' ');
    const std::string_view name = rest.substr(0, blank);
    if (!Wanted(name, prefixes)) continue;
    RemoteRef ref{std::string(name), std::string(split->first), ""};
    constexpr std::string_view kPeeled = " peeled:";
    const size_t peeled = rest.find(kPeeled);
    if (peeled != rest.npos) {
      ref.peeled = rest.substr(peeled + kPeeled.size(), 40);
      if (!IsObjectId(ref.peeled)) return Malformed("a tag without the id that it points at");
    }
    if (Status added = Add(refs, std::move(ref)); !added) return Pass(added);
  }
}

Result<std::vector<RemoteRef>> ListRefs(Exchange& exchange,
                                        const std::vector<std::string>& prefixes, bool& protocol2) {
  if (!std::exchange(protocol2, false)) {
    Result<std::string> text = exchange.Announcement(Service::kUploadPack, 2);
    if (!text) return Pass(text);
    Result<Announcement> announcement = ParseAnnouncement(*text, prefixes);
    if (!announcement) return Pass(announcement);
    if (!announcement->protocol2) return std::move(announcement->refs);
  }
  // Until this succeeds, the next call begins with the announcement again: the server may have
  // been replaced by one that does not speak version 2.
  Result<std::string> text = exchange.Post(Service::kUploadPack, LsRefsCommand(prefixes), 2);
  if (!text) return Pass(text);
  Result<std::vector<RemoteRef>> refs = ParseLsRefs(*text, prefixes);
  if (refs) protocol2 = true;
  return refs;
}

}  // namespace flotilla::git
