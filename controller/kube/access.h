// How to reach one API server and prove who we are: what kubeconfig and in-cluster configuration
// produce and the Client consumes.
//
// Proofs change while we run: token files rotate, exec plugins' tokens expire. Current() gives the
// proof at hand without blocking; where it is stale, somebody runs Refresh(), which may read files
// or start a process. The Client does both by itself.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/http.h"

namespace flotilla::kube {

struct Proof {
  http::Headers headers{};                             // Authorization, or none
  std::shared_ptr<const http::Transport> transport{};  // trust and client certificate
};

// Thread-safe.
class Credentials {
 public:
  virtual ~Credentials() = default;
  // Null where Refresh must run first. Never blocks.
  virtual std::shared_ptr<const Proof> Current() = 0;
  // Blocks: reads files, or runs a plugin for at most a minute.
  virtual Result<std::shared_ptr<const Proof>> Refresh(std::stop_token stop) = 0;
  // The server answered 401 to this proof. True where another Refresh may help.
  virtual bool Refused(const std::shared_ptr<const Proof>& proof) = 0;
};

// A proof that never changes.
std::shared_ptr<Credentials> FixedCredentials(Proof proof);

// On whose behalf a request is made (the Impersonate-* headers).
struct Impersonation {
  std::string user{};
  std::string uid{};
  std::vector<std::string> groups{};
  std::map<std::string, std::vector<std::string>> extra;
  bool empty() const { return user.empty(); }
  bool operator==(const Impersonation&) const = default;
};
// "system:serviceaccount:<ns>:<name>" with the groups a service account has.
Impersonation ServiceAccount(const std::string& ns, const std::string& name);
// The headers, in a fixed order.
http::Headers ToHeaders(const Impersonation& impersonation);

struct Access {
  std::string base_url{};  // "https://10.0.0.1:6443", possibly with a path; no trailing slash
  std::shared_ptr<Credentials> credentials{};
  Impersonation impersonation{};    // of every request that names no other
  std::string default_namespace{};  // "default" where nothing says otherwise
};

}  // namespace flotilla::kube
