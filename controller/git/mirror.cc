#include "git/mirror.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/limits.h"
#include "git/commit_tree.h"
#include "git/download.h"
#include "git/ls_refs.h"

namespace flotilla::git {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".git";

// The number of "<number>.git"; 0 for every other name.
int NumberOf(const std::string& name) {
  int number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const auto used = static_cast<size_t>(end - name.data());
  if (error != std::errc() || name.substr(used) != kSuffix) return 0;
  return number;
}

size_t CountPacks(const Generation& generation) {
  size_t count = 0;
  std::error_code ignored;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(generation.path() + "/objects/pack", ignored)) {
    if (entry.path().extension() == ".pack") ++count;
  }
  return count;
}

}  // namespace

// The right to fetch and push, held while this lives.
class Mirror::Turn {
 public:
  static Result<std::unique_ptr<Turn>> Take(Mirror& mirror, const std::stop_token& stop,
                                            TimePoint deadline) {
    while (true) {
      {
        const MutexLock lock(mirror.mutex_);
        if (!std::exchange(mirror.busy_, true)) return std::make_unique<Turn>(mirror);
        mirror.turn_over_->Reset();
      }
      switch (mirror.turn_over_->Wait(deadline, stop)) {
        case WaitResult::kSet:
          break;
        case WaitResult::kStopped:
          return Fail(ErrorClass::kCancelled, "cancelled");
        case WaitResult::kDeadline:
          return Fail(ErrorClass::kTimeout, "another fetch of {} has not ended",
                      CanonicalUrl(mirror.url_));
      }
    }
  }

  explicit Turn(Mirror& mirror) : mirror_(mirror) {}
  ~Turn() {
    {
      const MutexLock lock(mirror_.mutex_);
      mirror_.busy_ = false;
    }
    mirror_.turn_over_->Set();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Mirror& mirror_;
};

Mirror::Mirror(Runtime& runtime, http::HttpClient& client, std::string directory, http::Url url)
    : runtime_(runtime),
      client_(client),
      directory_(std::move(directory)),
      url_(std::move(url)),
      turn_over_(runtime.NewEvent()),
      compact_at_(limits::kGitPacks) {}

Result<std::shared_ptr<Generation>> Mirror::Current() {
  const MutexLock lock(mutex_);
  if (loaded_) return current_;
  std::error_code error;
  fs::create_directories(directory_, error);
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(directory_, error), end; !error && it != end;
       it.increment(error)) {
    entries.push_back(it->path());
  }
  if (error) {
    return Fail(ErrorClass::kUnavailable, "use the directory {}: {}", directory_, error.message());
  }
  for (const fs::path& entry : entries) number_ = std::max(number_, NumberOf(entry.filename()));
  for (const fs::path& entry : entries) {
    // The highest number is complete, since it got its name last; the rest is left over.
    if (number_ > 0 && NumberOf(entry.filename()) == number_) {
      current_ = std::make_shared<Generation>(entry);
    } else {
      fs::remove_all(entry, error);
    }
  }
  loaded_ = true;
  return current_;
}

Result<std::shared_ptr<Generation>> Mirror::CurrentOrNew() {
  Result<std::shared_ptr<Generation>> current = Current();
  if (!current || *current) return current;
  const std::string partial = directory_ + "/new";
  std::error_code error;
  fs::remove_all(partial, error);
  if (Status status = Generation::Create(partial); !status) return Pass(status);
  const MutexLock lock(mutex_);
  const std::string path = fmt::format("{}/{}{}", directory_, number_ + 1, kSuffix);
  fs::rename(partial, path, error);
  if (error) {
    return Fail(ErrorClass::kUnavailable, "name the mirror {}: {}", path, error.message());
  }
  ++number_;
  current_ = std::make_shared<Generation>(path);
  return current_;
}

Result<std::shared_ptr<Generation>> Mirror::Readable() {
  Result<std::shared_ptr<Generation>> current = Current();
  if (current && !*current) {
    return Fail(ErrorClass::kNotFound, "{} was not fetched yet", CanonicalUrl(url_));
  }
  return current;
}

Result<std::unique_ptr<Tree>> Mirror::OpenTree(std::string_view commit) {
  Result<std::shared_ptr<Generation>> generation = Readable();
  if (!generation) return Pass(generation);
  return OpenCommitTree(std::move(*generation), commit);
}

Result<std::vector<CommitInfo>> Mirror::Log(std::string_view commit, size_t limit) {
  const Result<std::shared_ptr<Generation>> generation = Readable();
  if (!generation) return Pass(generation);
  Result<std::vector<CommitInfo>> log = ReadLog(**generation, commit, limit);
  if (!log && log.error().cls == ErrorClass::kInternal) {
    log.error().cls = ErrorClass::kUnavailable;
    (*generation)->ReportDamage();
  }
  return log;
}

Result<Revision> Mirror::Fetch(const RemoteSpec& remote, std::string_view last_seen,
                               std::stop_token stop, TimePoint deadline) {
  const auto turn = Turn::Take(*this, stop, deadline);
  if (!turn) return Pass(turn);
  Exchange exchange(runtime_, client_, url_, remote, std::move(stop), deadline);
  Result<Revision> revision = FetchInTurn(remote, last_seen, exchange);
  if (!revision) return Failed(revision.error(), "fetch", remote);
  return revision;
}

tl::unexpected<Error> Mirror::Failed(Error below, std::string_view doing,
                                     const RemoteSpec& remote) const {
  // Internal was about the repository on our disk. The disk may be full or broken, which is no
  // defect of the program and may pass.
  if (below.cls == ErrorClass::kInternal) below.cls = ErrorClass::kUnavailable;
  return Fail(std::move(below), "{} {} of {}", doing, remote.ref.ToString(), CanonicalUrl(url_));
}

Result<Mirror::Target> Mirror::Locate(const RefSpec& ref, Generation* generation,
                                      Exchange& exchange) {
  if (ref.kind != RefKind::kCommit) {
    const auto refs = ListRefs(exchange, PrefixesOf(ref), protocol2_);
    if (!refs) return Pass(refs);
    return Resolve(ref, *refs);
  }
  Target target{"", ref.value, ""};
  bool present = false;
  if (generation) {
    const Result<Owned<git_repository>> repository = generation->Open();
    const Result<bool> has =
        repository ? HasCommit(repository->get(), ref.value) : Result<bool>(false);
    present = has && *has;
  }
  // Nothing needs to be asked about a commit that is here, but whether these credentials may still
  // see the repository: the mirror is shared with others who may.
  if (present) {
    if (const auto refs = ListRefs(exchange, {"HEAD"}, protocol2_); !refs) return Pass(refs);
  }
  return target;
}

Result<Revision> Mirror::FetchInTurn(const RemoteSpec& remote, std::string_view last_seen,
                                     Exchange& exchange) {
  if (!last_seen.empty() && !IsObjectId(last_seen)) {
    return Fail(ErrorClass::kInvalid, "\"{}\" is no commit id", last_seen);
  }
  Result<std::shared_ptr<Generation>> current = Current();
  if (!current) return Pass(current);
  Result<Target> target = Locate(remote.ref, current->get(), exchange);
  if (!target) return Pass(target);

  // From here on something may be made on disk: the remote exists and has what is asked for.
  current = CurrentOrNew();
  if (!current) return Pass(current);
  std::shared_ptr<Generation> generation = std::move(*current);
  Revision revision;
  bool replace = generation->damaged();
  if (!replace) {
    Result<Owned<git_repository>> repository = generation->Open();
    Result<bool> has =
        repository ? HasCommit(repository->get(), target->commit()) : Pass(repository);
    if (!has) {
      generation->ReportDamage();
      replace = true;
    }
    if (has && !*has) {
      Result<Target> brought = Download(repository->get(), remote.ref, *target, exchange);
      if (brought) {
        target = std::move(brought);
        revision.fetched = true;
      } else if (brought.error().cls == ErrorClass::kInternal) {
        replace = true;  // the pack does not fit what is here, or is bad: a new mirror tells
      } else {
        return Pass(brought);
      }
    }
    const size_t packs = replace ? 0 : CountPacks(*generation);
    if (packs > compact_at_) {
      // Many packs make every read slower. An idle moment is the time to begin anew; when none
      // comes, so be it.
      if (!revision.fetched || packs > 2 * compact_at_) {
        compact_at_ = packs + limits::kGitPacks;
        if (Result<Target> again = Replace(remote.ref, *target, exchange); again) {
          target = std::move(again);
          compact_at_ = limits::kGitPacks;
        }
      }
    }
  }
  if (replace) {
    target = Replace(remote.ref, *target, exchange);
    if (!target) return Pass(target);
    revision.fetched = true;
  }

  current = Current();
  if (!current) return Pass(current);
  const Result<Owned<git_repository>> repository = (*current)->Open();
  if (!repository) return Pass(repository);
  revision.commit = target->commit();
  revision.ref_name = target->name;
  if (Status kept = RememberRef(repository->get(), remote.ref.ToString(), revision.commit); !kept) {
    return Pass(kept);
  }
  const bool one_line = remote.ref.kind == RefKind::kBranch || remote.ref.kind == RefKind::kTag;
  if (one_line && !last_seen.empty()) {
    const Result<bool> ahead = IsAncestor(repository->get(), last_seen, revision.commit);
    if (!ahead) return Pass(ahead);
    revision.rewritten = !*ahead;
  }
  return revision;
}

Result<Mirror::Target> Mirror::Replace(const RefSpec& ref, const Target& target,
                                       Exchange& exchange) {
  const Result<std::shared_ptr<Generation>> old = Current();
  if (!old) return Pass(old);
  // What cannot be listed any more is not missed: it is fetched again when it is asked for.
  std::vector<KnownRef> known;
  if (*old) {
    if (const auto repository = (*old)->Open()) {
      if (auto refs = KnownRefs(repository->get())) known = std::move(*refs);
    }
  }

  const std::string partial = directory_ + "/new";
  std::error_code error;
  fs::remove_all(partial, error);
  if (Status status = Generation::Create(partial); !status) return Pass(status);
  Generation fresh(partial);
  fresh.Retire();  // unless it gets another name
  Result<Target> brought = [&]() -> Result<Target> {
    const Result<Owned<git_repository>> repository = fresh.Open();
    if (!repository) return Pass(repository);
    return DownloadAnew(repository->get(), ref, target, known, exchange);
  }();
  if (!brought) return brought;

  const MutexLock lock(mutex_);
  const std::string path = fmt::format("{}/{}{}", directory_, number_ + 1, kSuffix);
  fs::rename(partial, path, error);
  if (error) {
    return Fail(ErrorClass::kUnavailable, "name the mirror {}: {}", path, error.message());
  }
  ++number_;
  if (current_) current_->Retire();
  current_ = std::make_shared<Generation>(path);
  return brought;
}

Result<std::string> Mirror::Push(const RemoteSpec& remote, const NewCommit& commit,
                                 std::stop_token stop, TimePoint deadline) {
  const auto turn = Turn::Take(*this, stop, deadline);
  if (!turn) return Pass(turn);
  Exchange exchange(runtime_, client_, url_, remote, std::move(stop), deadline);
  Result<std::string> id = PushInTurn(remote, commit, exchange);
  if (!id) return Failed(id.error(), "push to", remote);
  return id;
}

Result<std::string> Mirror::PushInTurn(const RemoteSpec& remote, const NewCommit& commit,
                                       Exchange& exchange) {
  if (remote.ref.kind != RefKind::kBranch) {
    return Fail(ErrorClass::kInvalid, "only a branch can be pushed to");
  }
  const Result<std::shared_ptr<Generation>> generation = CurrentOrNew();
  if (!generation) return Pass(generation);
  const Result<Owned<git_repository>> repository = (*generation)->Open();
  if (!repository) return Pass(repository);
  if (!commit.parent.empty()) {
    const Result<bool> has = HasCommit(repository->get(), commit.parent);
    if (!has) return Pass(has);
    if (!*has) {
      return Fail(ErrorClass::kNotFound, "the mirror has no commit {}: fetch it", commit.parent);
    }
  }
  Result<std::string> id = WriteCommit(repository->get(), commit, runtime_.WallNow());
  if (!id) return id;
  if (Status status = Upload(repository->get(), remote.ref.value, commit.parent, *id, exchange);
      !status) {
    return Pass(status);
  }
  return id;
}

}  // namespace flotilla::git
