// Git as the rest of the code sees it: revisions of remote repositories, read without a checkout.
//
// A store keeps one bare mirror per URL, shared by everybody who names that URL. Fetch makes the
// commit that a reference names available in the mirror, and downloads nothing when the reference
// did not move. What a Fetch brought becomes visible as a whole or not at all. Trees are
// read from the object database: nothing is ever checked out, symbolic links and submodules are
// reported as what they are and never followed, hooks and filters never run, and no Git
// configuration of the machine is consulted.
//
// All calls block; they are made from a task of the Runtime. A store is used by any number of
// tasks at once, fetches of one URL take turns. A Tree belongs to one task at a time.
//
// libgit2 is behind this interface (git/mirror_store.h). It is not simulated: the simulation has a
// store of its own.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"
#include "base/tree.h"
#include "http/http.h"

namespace flotilla::git {

// What of a repository is wanted.
enum class RefKind : unsigned char {
  kBranch,  // "main"
  kTag,     // "v1.4.0"
  kSemver,  // a range, as git/semver.h reads it: the highest version among the tags
  kCommit,  // 40 hex digits; a branch or tag must contain it
};
struct RefSpec {
  RefKind kind = RefKind::kBranch;
  std::string value = "main";

  // "branch main", "tag v1.4.0", "semver ^1.4", "commit 4b825dc...": for messages.
  std::string ToString() const;
};

// How to authenticate. A secret goes to the host of the URL only, and over plain http only to a
// loopback address: elsewhere it would travel in the clear, and Fetch refuses.
struct NoCredentials {};
struct BasicCredentials {
  std::string username;
  Secret password;
};
struct BearerCredentials {
  Secret token;
};
using Credentials = std::variant<NoCredentials, BasicCredentials, BearerCredentials>;

struct RemoteSpec {
  std::string url;  // https or http, without user and password in it
  RefSpec ref;
  Credentials credentials;
  // Certificate authorities and client certificate; null: the system's authorities. Keep one object
  // per remote, since connections are pooled per Transport.
  std::shared_ptr<const http::Transport> transport;
};

// Where a reference stands.
struct Revision {
  std::string commit;    // 40 hex digits
  std::string ref_name;  // "refs/heads/main", "refs/tags/v1.4.0"; of a commit that was named: ""
  bool fetched = false;  // something was downloaded; false: the mirror had it already
  // The commit seen last is no ancestor of this one: history was rewritten (a force push or a moved
  // tag). Always false for kSemver, where another tag is another line of history.
  bool rewritten = false;
};

struct CommitInfo {
  std::string commit;
  std::vector<std::string> parents;
  std::string author_name;
  std::string author_email;
  WallTime time;        // of the commit, by the committer's clock
  std::string subject;  // first line of the message
};

// One file of a commit to make: new contents, or nothing to delete it.
struct FileChange {
  std::string path;
  std::optional<std::string> contents;
};
struct NewCommit {
  std::string parent;  // "" makes the first commit of an empty repository
  std::vector<FileChange> changes;
  std::string author_name;
  std::string author_email;
  std::string message;
};

class GitStore {
 public:
  virtual ~GitStore() = default;

  // Asks the remote where the reference stands and makes that commit available. `last_seen` is the
  // commit that the caller knew ("" for none). Errors: Invalid (URL, reference or answer is wrong),
  // Unauthenticated, Denied, NotFound (no such repository, reference or version), Unavailable,
  // Timeout, Cancelled; the message says what to do. The mirror is as before after an error. The
  // deadline must be finite.
  virtual Result<Revision> Fetch(const RemoteSpec& remote, std::string_view last_seen,
                                 std::stop_token stop, TimePoint deadline) = 0;

  // The files of a commit that was fetched. NotFound where the mirror does not have it (any more):
  // fetch again. Ids of entries are Git's object ids. Find("") is the id of the commit's tree, and
  // OpenTree(...)->Find(path) is how to ask for the id of a path at a commit.
  virtual Result<std::unique_ptr<Tree>> OpenTree(std::string_view url, std::string_view commit) = 0;

  // The commit and at most `limit - 1` of those before it, newest first.
  virtual Result<std::vector<CommitInfo>> Log(std::string_view url, std::string_view commit,
                                              size_t limit) = 0;

  // Makes a commit and pushes it to the branch that `remote.ref` names. Conflict when the branch is
  // not where `commit.parent` says any more: fetch and decide again. Returns the new commit's id.
  virtual Result<std::string> Push(const RemoteSpec& remote, const NewCommit& commit,
                                   std::stop_token stop, TimePoint deadline) = 0;
};

}  // namespace flotilla::git
