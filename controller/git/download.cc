#include "git/download.h"

#include <git2.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/limits.h"
#include "git/transport.h"

namespace flotilla::git {
namespace {

constexpr std::string_view kPeeledSuffix = "^{}";

std::string Hex(const git_oid* id) {
  std::string text(GIT_OID_HEXSZ, '\0');
  git_oid_fmt(text.data(), id);
  return text;
}

// A git_remote connected through our transport.
class Connection {
 public:
  explicit Connection(Exchange& exchange) : conversation_(exchange) {}

  Status Connect(git_repository* repository, git_direction direction) {
    // The transport knows where to go; libgit2 needs some URL to name. No url.insteadOf applies,
    // and looking for one leaks 20 KB per entry of the configuration in libgit2 1.5 (a regular
    // expression that does not match keeps its memory).
    git_remote_create_options create;
    git_remote_create_options_init(&create, GIT_REMOTE_CREATE_OPTIONS_VERSION);
    create.repository = repository;
    create.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
    int code = git_remote_create_with_opts(Into(remote_), "https://remote", &create);
    if (code < 0) return tl::unexpected<Error>(LibgitError(code));
    git_remote_connect_options options;
    git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    conversation_.Attach(options.callbacks);
    code = git_remote_connect_ext(remote_.get(), direction, &options);
    if (code < 0) return tl::unexpected<Error>(conversation_.Explain(code));
    code = git_remote_ls(&heads_, &head_count_, remote_.get());
    if (code < 0) return tl::unexpected<Error>(conversation_.Explain(code));
    return {};
  }

  // What is announced with one of these prefixes.
  std::vector<RemoteRef> Refs(const std::vector<std::string>& prefixes) const {
    std::vector<RemoteRef> refs;
    for (size_t i = 0; i < head_count_; ++i) {
      std::string_view name = heads_[i]->name;
      const bool peeled = name.size() > kPeeledSuffix.size() &&
                          name.substr(name.size() - kPeeledSuffix.size()) == kPeeledSuffix;
      if (peeled) {
        name.remove_suffix(kPeeledSuffix.size());
        if (!refs.empty() && refs.back().name == name) refs.back().peeled = Hex(&heads_[i]->oid);
        continue;
      }
      if (std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& prefix) {
            return name.substr(0, prefix.size()) == prefix;
          })) {
        refs.push_back({std::string(name), Hex(&heads_[i]->oid), ""});
      }
    }
    return refs;
  }

  Status Fetch(std::vector<std::string> refspecs) {
    std::sort(refspecs.begin(), refspecs.end());
    refspecs.erase(std::unique(refspecs.begin(), refspecs.end()), refspecs.end());
    git_fetch_options options;
    git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
    conversation_.Attach(options.callbacks);
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;
    std::vector<char*> raw;
    raw.reserve(refspecs.size());
    for (std::string& refspec : refspecs) raw.push_back(refspec.data());
    const git_strarray array{raw.data(), raw.size()};
    const int code = git_remote_download(remote_.get(), &array, &options);
    if (code < 0) return tl::unexpected<Error>(conversation_.Explain(code));
    return {};
  }

  Status Push(std::string refspec) {
    git_push_options options;
    git_push_options_init(&options, GIT_PUSH_OPTIONS_VERSION);
    conversation_.Attach(options.callbacks);
    options.pb_parallelism = 1;
    char* raw = refspec.data();
    const git_strarray array{&raw, 1};
    const int code = git_remote_upload(remote_.get(), &array, &options);
    if (code < 0 || conversation_.failed()) {
      return tl::unexpected<Error>(conversation_.Explain(code));
    }
    return {};
  }

 private:
  Conversation conversation_;  // outlives the remote, which uses it
  Owned<git_remote> remote_;
  const git_remote_head** heads_ = nullptr;
  size_t head_count_ = 0;
};

// The commit that the target's object is or points at: only annotated tags need a look.
Result<RemoteRef> Peel(git_repository* repository, RemoteRef target) {
  git_oid id;
  git_oid_fromstr(&id, target.id.c_str());
  Owned<git_object> object;
  int code = git_object_lookup(Into(object), repository, &id, GIT_OBJECT_ANY);
  if (IsNotFound(code)) {
    return Fail(ErrorClass::kUnavailable, "the Git server did not send {}", target.id);
  }
  Owned<git_object> commit;
  if (code == 0) {
    code = git_object_peel(Into(commit), object.get(), GIT_OBJECT_COMMIT);
    if (code == GIT_EPEEL || code == GIT_EINVALIDSPEC || IsNotFound(code)) {
      return Fail(ErrorClass::kInvalid, "{} is no commit, and no tag of one",
                  target.name.empty() ? target.id : target.name);
    }
  }
  if (code < 0) return tl::unexpected<Error>(LibgitError(code));
  std::string commit_id = Hex(git_object_id(commit.get()));
  if (commit_id != target.id) target.peeled = std::move(commit_id);
  const Result<bool> has = HasCommit(repository, target.commit());
  if (!has) return Pass(has);
  if (!*has) return Fail(ErrorClass::kUnavailable, "the Git server did not send {}", target.id);
  return target;
}

// Brings the target and `more` references, over a connection that is open.
Result<RemoteRef> Bring(git_repository* repository, Connection& connection, const RefSpec& ref,
                        RemoteRef target, std::vector<std::string> more) {
  if (ref.kind != RefKind::kCommit) {
    Result<RemoteRef> now = Resolve(ref, connection.Refs(PrefixesOf(ref)));
    if (!now) return now;
    target = std::move(*now);
    more.push_back(target.name);
    if (Status status = connection.Fetch(std::move(more)); !status) return Pass(status);
    return Peel(repository, std::move(target));
  }

  // A commit that a branch or tag points at is fetched by that name, which every server allows.
  const std::vector<RemoteRef> refs = connection.Refs(PrefixesOf(ref));
  const auto tip = std::find_if(refs.begin(), refs.end(),
                                [&](const RemoteRef& r) { return r.commit() == target.id; });
  if (tip != refs.end()) {
    more.push_back(tip->name);
    if (Status status = connection.Fetch(std::move(more)); !status) return Pass(status);
    return Peel(repository, std::move(target));
  }
  // Any other one is looked for behind all tips. It is never asked for by id: servers that answer
  // that also hand out commits of forks, which nobody with a right to this repository ever saw.
  for (const RemoteRef& r : refs) more.push_back(r.name);
  if (more.empty()) return Fail(ErrorClass::kNotFound, "the repository is empty");
  if (Status status = connection.Fetch(std::move(more)); !status) return Pass(status);
  const Result<bool> has = HasCommit(repository, target.id);
  if (!has) return Pass(has);
  if (!*has) {
    return Fail(ErrorClass::kNotFound, "no branch or tag of the repository contains commit {}",
                target.id);
  }
  return target;
}

}  // namespace

Result<RemoteRef> Download(git_repository* repository, const RefSpec& ref, const RemoteRef& target,
                           Exchange& exchange) {
  Connection connection(exchange);
  if (Status status = connection.Connect(repository, GIT_DIRECTION_FETCH); !status) {
    return Pass(status);
  }
  return Bring(repository, connection, ref, target, {});
}

Result<RemoteRef> DownloadAnew(git_repository* repository, const RefSpec& ref,
                               const RemoteRef& target, const std::vector<KnownRef>& known,
                               Exchange& exchange) {
  Connection connection(exchange);
  if (Status status = connection.Connect(repository, GIT_DIRECTION_FETCH); !status) {
    return Pass(status);
  }
  std::vector<std::pair<std::string, const KnownRef*>> kept;  // by name of the remote
  std::vector<std::string> names;
  for (const RemoteRef& announced : connection.Refs({"refs/heads/", "refs/tags/"})) {
    for (const KnownRef& old : known) {
      if (old.commit != announced.commit()) continue;
      kept.emplace_back(announced.name, &old);
      names.push_back(announced.name);
    }
  }
  Result<RemoteRef> brought = Bring(repository, connection, ref, target, std::move(names));
  if (!brought) return brought;
  for (const auto& [name, old] : kept) {
    if (Status status = CopyRef(repository, *old); !status) return Pass(status);
  }
  return brought;
}

Status Upload(git_repository* repository, std::string_view branch, std::string_view expected,
              std::string_view commit, Exchange& exchange) {
  Connection connection(exchange);
  if (Status status = connection.Connect(repository, GIT_DIRECTION_PUSH); !status) return status;
  const std::string remote_name = fmt::format("refs/heads/{}", branch);
  std::string there;
  for (const RemoteRef& ref : connection.Refs({remote_name})) {
    if (ref.name == remote_name) there = ref.id;
  }
  if (there != expected) {
    return Fail(ErrorClass::kConflict, "the branch is at {}, not at {}: fetch and decide again",
                there.empty() ? "nothing" : there, expected.empty() ? "nothing" : expected);
  }
  // libgit2 pushes references, not ids.
  const KnownRef temporary{fmt::format("refs/flotilla-push/{}", commit), std::string(commit)};
  if (Status status = CopyRef(repository, temporary); !status) return status;
  Status pushed = connection.Push(fmt::format("{}:{}", temporary.name, remote_name));
  git_reference_remove(repository, temporary.name.c_str());
  return pushed;
}

}  // namespace flotilla::git
