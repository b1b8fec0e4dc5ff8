// One bare repository on disk. A mirror has one at a time; one that is damaged or has become slow
// is replaced by a new one, and lives on for those who still read from it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "git/libgit.h"
#include "git/store.h"

namespace flotilla::git {

class Generation {
 public:
  explicit Generation(std::string path) : path_(std::move(path)) {}
  ~Generation();  // removes the repository, if it was retired
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  const std::string& path() const { return path_; }

  // An empty bare repository at `path`, which must not exist.
  static Status Create(const std::string& path);

  // A handle for the calling thread.
  Result<Owned<git_repository>> Open() const;

  // Nobody will ask for it any more: the last reader removes it from the disk.
  void Retire() { retired_ = true; }
  // Something in it cannot be read: the next Fetch replaces it.
  void ReportDamage() { damaged_ = true; }
  bool damaged() const { return damaged_; }

 private:
  const std::string path_;
  std::atomic<bool> retired_ = false;
  std::atomic<bool> damaged_ = false;
};

// True where the repository has this commit and the listing of its files; an error where what it
// has cannot be read.
Result<bool> HasCommit(git_repository* repository, std::string_view commit);

// True where `ancestor` is `commit` or comes before it.
Result<bool> IsAncestor(git_repository* repository, std::string_view ancestor,
                        std::string_view commit);

// References under refs/flotilla/ keep what is known about a remote; `key` is any text. They are
// what a fetch tells the server that it has.
Status RememberRef(git_repository* repository, std::string_view key, std::string_view commit);
struct KnownRef {
  std::string name;  // in the mirror
  std::string commit;
};
Result<std::vector<KnownRef>> KnownRefs(git_repository* repository);
Status CopyRef(git_repository* repository, const KnownRef& ref);

// Reads one commit and those before it; see GitStore::Log.
Result<std::vector<CommitInfo>> ReadLog(Generation& generation, std::string_view commit,
                                        size_t limit);

// Writes the objects of a commit; returns its id. Nothing refers to it yet.
Result<std::string> WriteCommit(git_repository* repository, const NewCommit& commit, WallTime now);

}  // namespace flotilla::git
