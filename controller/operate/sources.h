// Follows the Git repositories: fetches each on its interval, and at once when asked to.
//
// A Repository that nobody's Application names is not fetched.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "api/repository.h"
#include "base/log.h"
#include "base/work_queue.h"
#include "git/store.h"
#include "operate/hub.h"

namespace flotilla::operate {

struct SourceRevision {
  std::string url;
  std::string commit;
  std::string revision;  // "main@sha1:<commit>"
};

class Sources {
 public:
  // The head of a repository moved, or is known for the first time, or could not be fetched.
  using OnChange = std::function<void(const ObjectName& repository)>;

  // All outlive the Sources. `on_change` is called from its workers, without a lock.
  Sources(Runtime& runtime, Hub& hub, git::GitStore& store, Logger log, kube::LeaderToken leader,
          OnChange on_change);
  ~Sources();

  // The Repository objects, or who uses them, may have changed.
  void Refresh();
  // Fetch now (a webhook, a request by hand).
  void Poke(const ObjectName& repository);

  // What was fetched last; the error where nothing could be fetched yet.
  Result<SourceRevision> Current(const ObjectName& repository) const;

 private:
  struct Entry {
    std::optional<SourceRevision> revision;
    std::optional<Error> error;
    std::string url;
    std::shared_ptr<const http::Transport> transport;
    std::string secret_version;
  };
  void Work(std::stop_token stop);
  Result<git::RemoteSpec> RemoteOf(const api::Repository& repository, std::stop_token stop);
  Result<SourceRevision> Fetch(const ObjectName& name, const api::Repository& repository,
                               std::stop_token stop);

  Runtime& runtime_;
  Hub& hub_;
  git::GitStore& store_;
  Logger log_;
  const kube::LeaderToken leader_;
  const OnChange on_change_;
  WorkQueue queue_;
  mutable Mutex mutex_;
  std::map<ObjectName, Entry> entries_;  // guarded by mutex_
  std::vector<std::unique_ptr<Task>> workers_;
};

}  // namespace flotilla::operate
