// Which remotes are accepted, and which of the references that one announces a RefSpec means.
// Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "git/store.h"
#include "http/url.h"

namespace flotilla::git {

// The URL of a mirror: https or http, a path, and nothing else. Invalid otherwise; the message says
// what to write instead and never repeats a password.
Result<http::Url> CheckUrl(std::string_view url);

// The text that names the mirror of a URL: two spellings of one URL share a mirror.
std::string CanonicalUrl(const http::Url& url);

// Invalid where credentials would travel in the clear or cannot be written as a header.
Status CheckCredentials(const http::Url& url, const Credentials& credentials);

// Invalid where the text cannot be the name of a branch or tag (git-check-ref-format), a range, or
// a full commit id.
Status CheckRef(const RefSpec& ref);

// A reference as the remote announces it.
struct RemoteRef {
  std::string name;    // "refs/tags/v1.0.0"
  std::string id;      // of the object: a commit, or an annotated tag
  std::string peeled;  // of the object that an annotated tag points at, else ""

  const std::string& commit() const { return peeled.empty() ? id : peeled; }
};

// References outside of these prefixes do not matter for finding `ref`.
std::vector<std::string> PrefixesOf(const RefSpec& ref);

// The reference that is meant, for every kind but kCommit. NotFound names what is there instead
// where that helps. Of tags of equal precedence (v1.0.0 and 1.0.0+b1) the one whose name sorts last
// wins, so that the order in which they are announced does not matter.
Result<RemoteRef> Resolve(const RefSpec& ref, const std::vector<RemoteRef>& refs);

}  // namespace flotilla::git
