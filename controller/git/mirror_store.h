// The store over libgit2: bare mirrors below a directory, and HTTP over our own client.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/runtime.h"
#include "git/store.h"
#include "http/http.h"

namespace flotilla::git {

struct MirrorStoreOptions {
  // Created if missing, and owned by one store at a time: a second one gets Conflict. Losing it
  // costs a clone of every repository, nothing else.
  std::string directory;
};

// `runtime` and `client` must outlive the store; the store outlives its Trees.
Result<std::unique_ptr<GitStore>> OpenMirrorStore(Runtime& runtime, http::HttpClient& client,
                                                  MirrorStoreOptions options);

}  // namespace flotilla::git
