// From an Application and the head of its repository to a release, rendered and checked.
//
// Renders again only what a commit touched: the read-set of the last render tells.
#pragma once

#include <map>
#include <memory>
#include <stop_token>

#include "api/application.h"
#include "api/cluster.h"
#include "deliver/machine.h"
#include "git/store.h"
#include "operate/hub.h"
#include "operate/release.h"
#include "operate/sources.h"

namespace flotilla::operate {

class Fleet;

struct Preparation {
  std::shared_ptr<const Release> release;
  deliver::PreparedRelease prepared;
};

class Preparer {
 public:
  // All outlive the Preparer. Safe for concurrent use.
  Preparer(Hub& hub, Fleet& fleet, Sources& sources, git::GitStore& store)
      : hub_(hub), fleet_(fleet), sources_(sources), store_(store) {}

  Result<Preparation> Prepare(const api::Application& application, std::stop_token stop);

 private:
  struct Rendered {
    render::RenderRequest request;
    std::shared_ptr<const render::RenderOutput> output;
  };
  Result<std::shared_ptr<const render::RenderOutput>> RenderOnce(const ObjectName& application,
                                                                 const SourceRevision& source,
                                                                 const render::RenderRequest& request);

  Hub& hub_;
  Fleet& fleet_;
  Sources& sources_;
  git::GitStore& store_;
  Mutex mutex_;
  std::map<ObjectName, Rendered> rendered_;  // guarded by mutex_
};

}  // namespace flotilla::operate
