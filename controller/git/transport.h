// libgit2's smart protocol carried by our own HTTP client: no second TLS stack, certificates per
// remote, deadlines, and cancellation while the server is silent.
#pragma once

#include <optional>

#include "base/result.h"
#include "git/exchange.h"

struct git_indexer_progress;
struct git_remote_callbacks;
struct git_transport;

namespace flotilla::git {

// One conversation of libgit2 with a remote. Attach it to the callbacks of every call that may use
// the network; after a call that failed, Explain says why. Must outlive the git_remote.
class Conversation {
 public:
  explicit Conversation(Exchange& exchange) : exchange_(exchange) {}
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void Attach(git_remote_callbacks& callbacks);

  // The error that made a call of libgit2 return `code`: the one met on the network, or one that
  // the server reported, else what libgit2 says. Internal only where it is about the repository on
  // disk, or about a pack that could not be put into it.
  Error Explain(int code) const;
  // True where something failed, even if libgit2 returned success: the server refused a push.
  bool failed() const { return error_.has_value(); }

  // For the callbacks.
  Exchange& exchange() { return exchange_; }
  int Failed(Error error);  // keeps the first error; returns what makes libgit2 give up
  Status CountReceived(size_t bytes);

 private:
  Exchange& exchange_;
  std::optional<Error> error_;
  size_t received_ = 0;
};

}  // namespace flotilla::git
