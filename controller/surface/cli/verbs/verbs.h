// The verbs of the command line, apart from how their flags are written. Each returns its exit code
// or an error, which ends the program with kError (kTimeOut for a time-out).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kube/config.h"
#include "surface/cli/session.h"

namespace flotilla {
class Tree;
}

namespace flotilla::surface {

// ---- offline: a checkout, no cluster

struct RenderFlags {
  std::string path;  // of the manifests in the tree, where no Application says; "" is its root
  std::optional<api::Application> application;  // whose options apply
  std::string ns = "default";                   // of objects that name none, without an Application
  std::string cluster;                          // whose overrides apply; "": none
  api::Labels labels;                           // of that cluster
};
// Prints what a cluster would get.
Result<int> Render(Console& console, Tree& tree, const RenderFlags& flags);
// Renders, with every override, and judges what a server would refuse: types and fields.
Result<int> Check(Console& console, Tree& tree, const RenderFlags& flags);

// ---- clusters

struct ClusterAddFlags {
  std::string name;
  api::Labels labels;
  std::string region, zone, tier;
  std::string prometheus;  // URL
  std::string profile = "admin";
  bool rotate = false;  // a new credential although there is one that works
};
// `member` is an administrator's access to the cluster; `reach` how the controller is to reach it.
// Doing it again changes nothing.
Result<int> ClusterAdd(Session& session, kube::Client& member, http::HttpClient& http,
                       kube::ClusterConfig reach, const ClusterAddFlags& flags);
Result<int> ClusterList(Session& session);
// Of the hub only: what is deployed on the member stays, also its credential.
Result<int> ClusterRemove(Session& session, const std::string& name);

// ---- looking

struct StatusFlags {
  std::string application;  // "": all
  bool all_namespaces = false;
  bool watch = false;
};
Result<int> ShowStatus(Session& session, const StatusFlags& flags);
Result<int> ShowHistory(Session& session, const std::string& application);
Result<int> ShowWhy(Session& session, const std::string& application);

// ---- acting

struct RollbackFlags {
  std::string application;
  std::string to;  // Rollout, digest, revision or commit; "": last known good
  std::string reason;
  bool force = false;  // also to a quarantined release
  std::optional<Duration> wait;
};
Result<int> RollBack(Session& session, const RollbackFlags& flags);

struct PauseFlags {
  std::string application;
  std::string reason;
  std::optional<Duration> duration;
};
Result<int> Pause(Session& session, const PauseFlags& flags);
Result<int> Resume(Session& session, const std::string& application);

struct ApproveFlags {
  std::string application;
  std::string stage;  // "": the current one
  std::string reason;
  std::optional<Duration> duration;
  bool skip_bake = false;  // `promote`
};
Result<int> Approve(Session& session, const ApproveFlags& flags);

struct ReleaseFlags {
  std::string application;
  std::string rollback;  // name; "": the newest that holds something
  bool all = false;
  std::string reason;
};
Result<int> Release(Session& session, const ReleaseFlags& flags);

}  // namespace flotilla::surface
