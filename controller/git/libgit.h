// What this folder's sources share about libgit2: ownership, errors, settings.
//
// libgit2 is told everything once (StartLibgit). A git_repository and all objects read from it
// belong to one thread at a time. libgit2 keeps error texts per thread: LibgitError copies them at
// once.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"

struct git_commit;
struct git_object;
struct git_odb;
struct git_odb_object;
struct git_reference;
struct git_remote;
struct git_repository;
struct git_revwalk;
struct git_signature;
struct git_tree;
struct git_tree_entry;

namespace flotilla::git {

struct LibgitFree {
  void operator()(git_commit* object) const;
  void operator()(git_object* object) const;
  void operator()(git_odb* object) const;
  void operator()(git_odb_object* object) const;
  void operator()(git_reference* object) const;
  void operator()(git_remote* object) const;
  void operator()(git_repository* object) const;
  void operator()(git_revwalk* object) const;
  void operator()(git_signature* object) const;
  void operator()(git_tree* object) const;
  void operator()(git_tree_entry* object) const;
};
template <typename T>
using Owned = std::unique_ptr<T, LibgitFree>;

// The argument for libgit2's `T** out`. The owner has what libgit2 put there after the end of the
// full expression, and not before.
template <typename T>
class Into {
 public:
  explicit Into(Owned<T>& owner) : owner_(owner) {}
  ~Into() { owner_.reset(raw_); }
  Into(const Into&) = delete;
  Into& operator=(const Into&) = delete;
  operator T**() { return &raw_; }

 private:
  Owned<T>& owner_;
  T* raw_ = nullptr;
};

// Starts libgit2 and sets its limits, once per process; every later call returns the same.
Status StartLibgit();

// What libgit2 says about `code`, which the calling thread just got: NotFound, Conflict (not a
// fast-forward), Invalid (malformed names) or Internal, with its text.
Error LibgitError(int code);

// True where `code` says that something is not there, as opposed to cannot be read.
bool IsNotFound(int code);

// 40 lower-case hex digits.
bool IsObjectId(std::string_view text);

}  // namespace flotilla::git
