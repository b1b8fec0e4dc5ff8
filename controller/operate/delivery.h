// What one application wants on one cluster, as the executors (apply, dry-run, prune) need it.
#pragma once

#include <memory>
#include <string>

#include "api/application.h"
#include "deliver/machine.h"
#include "kube/access.h"
#include "kube/apply_set.h"
#include "kube/lease.h"
#include "operate/member.h"
#include "operate/release.h"

namespace flotilla::operate {

struct Delivery {
  std::string hub_uid;  // of the hub's kube-system namespace
  std::string ns;       // of the Application, on the hub
  std::string name;
  deliver::Fence fence = 0;
  deliver::Lane lane = deliver::Lane::kForward;
  std::shared_ptr<const Release> release;
  std::shared_ptr<const api::ApplicationSpec> spec;
  kube::LeaderToken leader;  // no write is sent once it is not valid

  std::string ParentName() const { return kube::ParentName(hub_uid, ns, name); }
  // Of requests for the application's own objects; parents are written as the controller itself.
  std::optional<kube::Impersonation> As() const {
    if (release->impersonate.empty()) return std::nullopt;
    kube::Impersonation as;
    as.user = release->impersonate;
    return as;
  }
};

}  // namespace flotilla::operate
