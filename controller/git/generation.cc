#include "git/generation.h"

#include <git2.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/digest.h"
#include "base/limits.h"
#include "base/tree.h"

namespace flotilla::git {
namespace {

constexpr const char* kRefs = "refs/flotilla/";

std::string Hex(const git_oid* id) {
  std::string text(GIT_OID_HEXSZ, '\0');
  git_oid_fmt(text.data(), id);
  return text;
}

Result<git_oid> ParseId(std::string_view text) {
  git_oid id;
  if (!IsObjectId(text) || git_oid_fromstrn(&id, text.data(), text.size()) < 0) {
    return Fail(ErrorClass::kInvalid, "\"{}\" is no commit id", text);
  }
  return id;
}

std::string Text(const char* text) { return text ? text : ""; }

CommitInfo Describe(const git_commit* commit) {
  CommitInfo info;
  info.commit = Hex(git_commit_id(commit));
  for (unsigned int i = 0; i < git_commit_parentcount(commit); ++i) {
    info.parents.push_back(Hex(git_commit_parent_id(commit, i)));
  }
  if (const git_signature* author = git_commit_author(commit)) {
    info.author_name = Text(author->name);
    info.author_email = Text(author->email);
  }
  info.time = WallTime(std::chrono::seconds(git_commit_time(commit)));
  const std::string_view message = git_commit_message(commit) ? git_commit_message(commit) : "";
  info.subject = message.substr(0, message.find('\n'));
  return info;
}

}  // namespace

Generation::~Generation() {
  if (!retired_) return;
  std::error_code ignored;  // what stays is removed when the store is opened next
  std::filesystem::remove_all(path_, ignored);
}

Status Generation::Create(const std::string& path) {
  git_repository_init_options options;
  git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
  options.flags =
      GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH | GIT_REPOSITORY_INIT_NO_REINIT;
  options.initial_head = "flotilla";
  Owned<git_repository> repository;
  const int code = git_repository_init_ext(Into(repository), path.c_str(), &options);
  if (code < 0) return Fail(LibgitError(code), "make the mirror {}", path);
  return {};
}

Result<Owned<git_repository>> Generation::Open() const {
  Owned<git_repository> repository;
  const int code = git_repository_open_bare(Into(repository), path_.c_str());
  if (code < 0) return Fail(LibgitError(code), "open the mirror {}", path_);
  return repository;
}

Result<bool> HasCommit(git_repository* repository, std::string_view commit_id) {
  const Result<git_oid> id = ParseId(commit_id);
  if (!id) return Pass(id);
  Owned<git_commit> commit;
  int code = git_commit_lookup(Into(commit), repository, &*id);
  if (IsNotFound(code)) return false;
  Owned<git_tree> tree;
  if (code == 0) code = git_commit_tree(Into(tree), commit.get());
  if (code < 0) return Fail(LibgitError(code), "read commit {}", commit_id);
  return true;
}

Result<bool> IsAncestor(git_repository* repository, std::string_view ancestor,
                        std::string_view commit) {
  if (ancestor == commit) return true;
  const Result<git_oid> older = ParseId(ancestor);
  if (!older) return Pass(older);
  const Result<git_oid> newer = ParseId(commit);
  if (!newer) return Pass(newer);
  // All that comes before a commit is in the mirror: what is not there does not.
  Owned<git_commit> known;
  if (IsNotFound(git_commit_lookup(Into(known), repository, &*older))) return false;
  const int code = git_graph_descendant_of(repository, &*newer, &*older);
  if (code < 0) return Fail(LibgitError(code), "compare {} with {}", ancestor, commit);
  return code == 1;
}

Status RememberRef(git_repository* repository, std::string_view key, std::string_view commit) {
  return CopyRef(repository, {kRefs + DigestOf(key).Hex(), std::string(commit)});
}

Status CopyRef(git_repository* repository, const KnownRef& ref) {
  const Result<git_oid> id = ParseId(ref.commit);
  if (!id) return Pass(id);
  git_oid current;
  if (git_reference_name_to_id(&current, repository, ref.name.c_str()) == 0 &&
      git_oid_equal(&current, &*id)) {
    return {};
  }
  Owned<git_reference> reference;
  const int code = git_reference_create(Into(reference), repository, ref.name.c_str(), &*id,
                                        /*force=*/1, nullptr);
  if (code < 0) return Fail(LibgitError(code), "keep {} in the mirror", ref.commit);
  return {};
}

Result<std::vector<KnownRef>> KnownRefs(git_repository* repository) {
  std::vector<KnownRef> refs;
  git_strarray names{};
  if (const int code = git_reference_list(&names, repository); code < 0) {
    return Fail(LibgitError(code), "list the references of the mirror");
  }
  for (size_t i = 0; i < names.count; ++i) {
    std::string name = names.strings[i];
    git_oid id;
    if (name.rfind(kRefs, 0) != 0 || git_reference_name_to_id(&id, repository, name.c_str()) != 0) {
      continue;
    }
    refs.push_back({std::move(name), Hex(&id)});
  }
  git_strarray_dispose(&names);
  return refs;
}

Result<std::vector<CommitInfo>> ReadLog(Generation& generation, std::string_view commit_id,
                                        size_t limit) {
  const Result<git_oid> id = ParseId(commit_id);
  if (!id) return Pass(id);
  const Result<Owned<git_repository>> repository = generation.Open();
  if (!repository) return Pass(repository);
  Owned<git_revwalk> walk;
  int code = git_revwalk_new(Into(walk), repository->get());
  if (code == 0) code = git_revwalk_sorting(walk.get(), GIT_SORT_TIME);
  if (code == 0) code = git_revwalk_push(walk.get(), &*id);
  std::vector<CommitInfo> log;
  limit = std::min(limit, limits::kGitLogCommits);
  while (code == 0 && log.size() < limit) {
    git_oid next;
    code = git_revwalk_next(&next, walk.get());
    if (code == GIT_ITEROVER) return log;
    Owned<git_commit> commit;
    if (code == 0) code = git_commit_lookup(Into(commit), repository->get(), &next);
    if (code == 0) log.push_back(Describe(commit.get()));
  }
  if (code < 0) return Fail(LibgitError(code), "read the history of {}", commit_id);
  return log;
}

Result<std::string> WriteCommit(git_repository* repository, const NewCommit& commit, WallTime now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  Owned<git_signature> author;
  if (const int code = git_signature_new(Into(author), commit.author_name.c_str(),
                                         commit.author_email.c_str(), seconds.count(), 0);
      code < 0) {
    return Fail(ErrorClass::kInvalid, "\"{} <{}>\" cannot be the author of a commit",
                commit.author_name, commit.author_email);
  }
  Owned<git_commit> parent;
  Owned<git_tree> baseline;
  if (!commit.parent.empty()) {
    const Result<git_oid> id = ParseId(commit.parent);
    if (!id) return Pass(id);
    int code = git_commit_lookup(Into(parent), repository, &*id);
    if (code == 0) code = git_commit_tree(Into(baseline), parent.get());
    if (code < 0) return Fail(LibgitError(code), "read the parent {}", commit.parent);
  }

  std::vector<std::string> paths;  // that `updates` points into
  paths.reserve(commit.changes.size());
  std::vector<git_tree_update> updates;
  updates.reserve(commit.changes.size());
  for (const FileChange& change : commit.changes) {
    Result<std::string> path = NormalizePath(change.path);
    if (!path) return Pass(path);
    if (path->empty()) return Fail(ErrorClass::kInvalid, "a change without a path");
    paths.push_back(std::move(*path));
    git_tree_update update{};
    update.path = paths.back().c_str();
    update.action = change.contents ? GIT_TREE_UPDATE_UPSERT : GIT_TREE_UPDATE_REMOVE;
    update.filemode = GIT_FILEMODE_BLOB;
    if (baseline) {
      Owned<git_tree_entry> existing;
      const int found = git_tree_entry_bypath(Into(existing), baseline.get(), update.path);
      if (found == 0 && git_tree_entry_filemode(existing.get()) == GIT_FILEMODE_BLOB_EXECUTABLE) {
        update.filemode = GIT_FILEMODE_BLOB_EXECUTABLE;
      }
    }
    if (change.contents) {
      const int code = git_blob_create_from_buffer(&update.id, repository, change.contents->data(),
                                                   change.contents->size());
      if (code < 0) return Fail(LibgitError(code), "write {}", change.path);
    }
    updates.push_back(update);
  }
  git_oid tree_id;
  int code =
      git_tree_create_updated(&tree_id, repository, baseline.get(), updates.size(), updates.data());
  if (code < 0) {
    // Taking away what is not there, or putting a file below another file.
    Error error = LibgitError(code);
    error.cls = ErrorClass::kInvalid;
    return Fail(std::move(error), "the changes do not fit commit {}", commit.parent);
  }
  Owned<git_tree> tree;
  code = git_tree_lookup(Into(tree), repository, &tree_id);
  git_oid id;
  if (code == 0) {
    const git_commit* parents[] = {parent.get()};
    code = git_commit_create(&id, repository, nullptr, author.get(), author.get(), nullptr,
                             commit.message.c_str(), tree.get(), parent ? 1 : 0, parents);
  }
  if (code < 0) return Fail(LibgitError(code), "write the commit");
  return Hex(&id);
}

}  // namespace flotilla::git
