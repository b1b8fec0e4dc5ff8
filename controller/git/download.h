// What moves objects between a repository on disk and a remote, by libgit2.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "git/exchange.h"
#include "git/generation.h"
#include "git/remote.h"

namespace flotilla::git {

// Brings the commit that `ref` means, with all that comes before it. `target` is where it was found
// a moment ago (a commit that was named has no ref name); the result is what was brought, which is
// newer where the remote moved meanwhile. Internal means that the disk or the repository on it
// failed, every other class that the remote did.
Result<RemoteRef> Download(git_repository* repository, const RefSpec& ref, const RemoteRef& target,
                           Exchange& exchange);

// The same into an empty repository, with everything of `known` that the remote still announces.
Result<RemoteRef> DownloadAnew(git_repository* repository, const RefSpec& ref,
                               const RemoteRef& target, const std::vector<KnownRef>& known,
                               Exchange& exchange);

// Moves a branch of the remote from `expected` ("" where it must not exist) to `commit`. Conflict
// where it is elsewhere.
Status Upload(git_repository* repository, std::string_view branch, std::string_view expected,
              std::string_view commit, Exchange& exchange);

}  // namespace flotilla::git
