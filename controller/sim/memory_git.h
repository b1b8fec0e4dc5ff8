// Git repositories in memory: the GitStore of the simulation and of tests.
//
// A commit is a whole set of files. Ids are content hashes, so that equal files have equal ids, as
// in Git. Faults: a repository can be made unreachable, and its history rewritten.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "git/store.h"

namespace flotilla::sim {

using Files = std::map<std::string, std::string>;  // path → content

class MemoryGit final : public git::GitStore {
 public:
  explicit MemoryGit(Runtime& runtime) : runtime_(runtime) {}

  // A new head of `branch`; returns its id. `rewrite`: not a descendant of the last one.
  std::string Commit(const std::string& url, const std::string& branch, Files files,
                     bool rewrite = false);
  void SetReachable(bool reachable);

  Result<git::Revision> Fetch(const git::RemoteSpec& remote, std::string_view last_seen,
                              std::stop_token stop, TimePoint deadline) override;
  Result<std::unique_ptr<Tree>> OpenTree(std::string_view url, std::string_view commit) override;
  Result<std::vector<git::CommitInfo>> Log(std::string_view url, std::string_view commit,
                                           size_t limit) override;
  Result<std::string> Push(const git::RemoteSpec& remote, const git::NewCommit& commit,
                           std::stop_token stop, TimePoint deadline) override;

 private:
  struct Stored {
    std::string id;
    std::string parent;
    Files files;
    WallTime time;
  };
  const Stored* FindCommit(std::string_view url, std::string_view id) const;

  Runtime& runtime_;
  mutable Mutex mutex_;
  bool reachable_ = true;                                     // all guarded by mutex_
  std::map<std::string, std::map<std::string, std::string>> heads_;  // url → branch → id
  std::map<std::string, std::map<std::string, Stored>> commits_;     // url → id → commit
};

// The files of a map as a Tree.
std::unique_ptr<Tree> TreeOf(Files files);

}  // namespace flotilla::sim
