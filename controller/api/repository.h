// Repository: a Git source (DESIGN section 2).
#pragma once

#include <optional>
#include <string>

#include "api/conditions.h"
#include "api/meta.h"
#include "base/result.h"

namespace flotilla::api {

// At most one is set; none means the remote's HEAD.
struct GitReference {
  std::string branch;
  std::string tag;
  std::string semver;  // a range, over tags
  std::string commit;  // full object id
  bool operator==(const GitReference&) const = default;
};

struct RepositorySpec {
  std::string url;  // https://, http://, ssh:// or user@host:path
  GitReference ref;
  Duration interval = 1min;
  Duration timeout = 60s;
  // Secret in the same namespace: username and password, token, or identity and known_hosts;
  // ca.crt for a private CA.
  std::string secret_name;
  // False: a ref that moves to a commit that does not descend from the last one holds.
  bool allow_non_fast_forward = false;
  bool suspended = false;
  bool operator==(const RepositorySpec&) const = default;
};

struct RepositoryStatus {
  int64_t observed_generation = 0;
  Conditions conditions;  // Ready, Reconciling, Stalled
  std::string commit;     // what the ref meant at last_fetched
  std::string revision;   // "main@sha1:<commit>"
  std::optional<WallTime> last_fetched;
  std::string last_handled_reconcile;  // value of kReconcileAnnotation that was answered
  bool operator==(const RepositoryStatus&) const = default;
};

struct Repository {
  Meta meta;
  RepositorySpec spec;
  RepositoryStatus status;
  bool operator==(const Repository&) const = default;
};

Result<Repository> ParseRepository(value::Ref object);
value::Value ToValue(const Repository& repository);

void Describe(Fields& f, Repository& repository);

}  // namespace flotilla::api
