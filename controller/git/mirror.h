// The mirror of one URL: its repository on disk, and how it follows the remote.
//
// Fetch and Push of one mirror take turns; reading goes on meanwhile. A fetch first asks where the
// references stand, and downloads only what is missing. libgit2 puts a pack in place when it is
// complete, and references are set after that: what a fetch leaves behind when it fails, or the
// process dies, is never seen.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "git/exchange.h"
#include "git/generation.h"
#include "git/remote.h"
#include "git/store.h"

namespace flotilla::git {

class Mirror {
 public:
  // `directory` is the mirror's own; generations in it are named 1.git, 2.git, ...
  Mirror(Runtime& runtime, http::HttpClient& client, std::string directory, http::Url url);

  // See GitStore.
  Result<Revision> Fetch(const RemoteSpec& remote, std::string_view last_seen, std::stop_token stop,
                         TimePoint deadline);
  Result<std::unique_ptr<Tree>> OpenTree(std::string_view commit);
  Result<std::vector<CommitInfo>> Log(std::string_view commit, size_t limit);
  Result<std::string> Push(const RemoteSpec& remote, const NewCommit& commit, std::stop_token stop,
                           TimePoint deadline);

 private:
  class Turn;
  using Target = RemoteRef;  // a commit that was named has no ref name

  Result<Revision> FetchInTurn(const RemoteSpec& remote, std::string_view last_seen,
                               Exchange& exchange);
  Result<std::string> PushInTurn(const RemoteSpec& remote, const NewCommit& commit,
                                 Exchange& exchange);
  Result<Target> Locate(const RefSpec& ref, Generation* generation, Exchange& exchange);
  // Makes a new generation that has the target and all that the old one knows and the remote still
  // has, and puts it in place of the old one. On failure the old one stays.
  Result<Target> Replace(const RefSpec& ref, const Target& target, Exchange& exchange);

  tl::unexpected<Error> Failed(Error below, std::string_view doing, const RemoteSpec& remote) const;

  // The generation in use, null where there is none yet.
  Result<std::shared_ptr<Generation>> Current();
  Result<std::shared_ptr<Generation>> CurrentOrNew();
  Result<std::shared_ptr<Generation>> Readable();

  Runtime& runtime_;
  http::HttpClient& client_;
  const std::string directory_;
  const http::Url url_;
  const std::unique_ptr<Event> turn_over_;

  Mutex mutex_;
  bool busy_ = false;    // somebody has the turn
  bool loaded_ = false;  // the directory was looked at
  int number_ = 0;       // of the current generation
  std::shared_ptr<Generation> current_;

  // Used by whoever has the turn.
  bool protocol2_ = false;
  size_t compact_at_;  // packs
};

}  // namespace flotilla::git
