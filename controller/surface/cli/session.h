// What the verbs work with: the hub's API, a namespace, and the console.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/application.h"
#include "api/rollback.h"
#include "api/rollout.h"
#include "base/runtime.h"
#include "kube/client.h"
#include "surface/cli/console.h"
#include "surface/cli/exit_code.h"

namespace flotilla::surface {

struct Session {
  Runtime& runtime;
  kube::Client& hub;
  std::string ns;
  Console& console;
  std::stop_token stop;
};

kube::GroupVersionResource ResourceOf(const api::KindInfo& kind);

// The user that the hub takes us for: what requestedBy has to say.
Result<std::string> UserName(Session& session);

template <typename T>
struct Fetched {
  value::Value object;  // as served
  T parsed;
};

Result<Fetched<api::Application>> GetApplication(Session& session, const std::string& name);
// Newest (highest fence) first.
Result<std::vector<Fetched<api::Rollout>>> RolloutsOf(Session& session,
                                                      const std::string& application);
Result<std::vector<Fetched<api::Rollback>>> RollbacksOf(Session& session,
                                                        const std::string& application);
// That which Application.status names; nullopt where there is none.
Result<std::optional<Fetched<api::Rollout>>> CurrentRollout(Session& session,
                                                            const api::Application& application);

// Every object of a kind, of the session's namespace where the kind has one.
Result<std::vector<value::Value>> ListAll(Session& session, const api::KindInfo& kind,
                                          bool all_namespaces = false);
Result<value::Value> CreateObject(Session& session, const api::KindInfo& kind, value::Ref object);

// "3m12s", "2d4h": how long ago, for tables.
std::string Age(WallTime now, std::optional<WallTime> then);

}  // namespace flotilla::surface
