#include "git/libgit.h"

#include <git2.h>

#include <algorithm>

#include "base/limits.h"

namespace flotilla::git {

void LibgitFree::operator()(git_commit* object) const { git_commit_free(object); }
void LibgitFree::operator()(git_object* object) const { git_object_free(object); }
void LibgitFree::operator()(git_odb* object) const { git_odb_free(object); }
void LibgitFree::operator()(git_odb_object* object) const { git_odb_object_free(object); }
void LibgitFree::operator()(git_reference* object) const { git_reference_free(object); }
void LibgitFree::operator()(git_remote* object) const { git_remote_free(object); }
void LibgitFree::operator()(git_repository* object) const { git_repository_free(object); }
void LibgitFree::operator()(git_revwalk* object) const { git_revwalk_free(object); }
void LibgitFree::operator()(git_signature* object) const { git_signature_free(object); }
void LibgitFree::operator()(git_tree* object) const { git_tree_free(object); }
void LibgitFree::operator()(git_tree_entry* object) const { git_tree_entry_free(object); }

namespace {

Status Configure() {
  if (const int code = git_libgit2_init(); code < 0) {
    return Fail(LibgitError(code), "start libgit2");
  }
  // Mirrors are ours whoever owns the volume they are on: no hook, filter or configuration in them
  // is ever run or obeyed, which is what the check of the owner protects from.
  int code = git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  // No configuration but that of the mirror itself: a machine's url.insteadOf or http.proxy must
  // not decide what is deployed.
  for (const int level : {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
                          GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL}) {
    if (code == 0) code = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
  }
  const auto set = [&code](int option, size_t value) {
    if (code == 0) code = git_libgit2_opts(option, value);
  };
  set(GIT_OPT_SET_MWINDOW_SIZE, limits::kGitWindowBytes);
  set(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, limits::kGitMappedBytes);
  set(GIT_OPT_SET_CACHE_MAX_SIZE, limits::kGitCacheBytes);
  set(GIT_OPT_SET_PACK_MAX_OBJECTS, limits::kGitPackObjects);
  set(GIT_OPT_SET_PACK_MAX_OBJECT_SIZE, limits::kGitObjectBytes);
  if (code < 0) return Fail(LibgitError(code), "set the limits of libgit2");
  return {};
}

}  // namespace

Status StartLibgit() {
  static const Status status = Configure();
  return status;
}

Error LibgitError(int code) {
  Error error;
  switch (code) {
    case GIT_ENOTFOUND:
      error.cls = ErrorClass::kNotFound;
      break;
    case GIT_ENONFASTFORWARD:
      error.cls = ErrorClass::kConflict;
      break;
    case GIT_EINVALIDSPEC:
      error.cls = ErrorClass::kInvalid;
      break;
    default:
      error.cls = ErrorClass::kInternal;
  }
  const git_error* last = git_error_last();
  error.message = last && last->message ? last->message : fmt::format("libgit2 error {}", code);
  git_error_clear();
  return error;
}

bool IsNotFound(int code) { return code == GIT_ENOTFOUND; }

bool IsObjectId(std::string_view text) {
  return text.size() == GIT_OID_HEXSZ && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace flotilla::git
