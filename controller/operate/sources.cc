#include "operate/sources.h"

#include <fmt/format.h>

#include <set>

#include "api/conditions.h"

namespace flotilla::operate {
namespace {

constexpr int kWorkers = 2;

git::RefSpec RefOf(const api::GitReference& reference) {
  if (!reference.commit.empty()) return {git::RefKind::kCommit, reference.commit};
  if (!reference.semver.empty()) return {git::RefKind::kSemver, reference.semver};
  if (!reference.tag.empty()) return {git::RefKind::kTag, reference.tag};
  return {git::RefKind::kBranch, reference.branch.empty() ? "main" : reference.branch};
}

// "main@sha1:4b825d...", "v1.4.0@sha1:...".
std::string RevisionText(const git::Revision& revision) {
  std::string_view name = revision.ref_name;
  for (std::string_view prefix : {"refs/heads/", "refs/tags/"}) {
    if (name.substr(0, prefix.size()) == prefix) name.remove_prefix(prefix.size());
  }
  return name.empty() ? fmt::format("sha1:{}", revision.commit)
                      : fmt::format("{}@sha1:{}", name, revision.commit);
}

}  // namespace

Sources::Sources(Runtime& runtime, Hub& hub, git::GitStore& store, Logger log,
                 kube::LeaderToken leader, OnChange on_change)
    : runtime_(runtime),
      hub_(hub),
      store_(store),
      log_(std::move(log)),
      leader_(std::move(leader)),
      on_change_(std::move(on_change)),
      queue_(runtime) {
  for (int i = 0; i < kWorkers; ++i) {
    workers_.push_back(runtime_.Spawn("source", [this](std::stop_token stop) { Work(stop); }));
  }
}

Sources::~Sources() {
  queue_.ShutDown();
  workers_.clear();
}

void Sources::Refresh() {
  std::set<ObjectName> used;
  for (const auto& [name, application] : hub_.applications().All()) {
    for (const api::Source& source : application->spec.sources) {
      used.insert(NameOf(application->meta.ns, source.repository));
    }
  }
  std::vector<ObjectName> due;
  {
    MutexLock lock(mutex_);
    std::erase_if(entries_, [&](const auto& entry) { return !used.count(entry.first); });
    for (const ObjectName& name : used) {
      auto repository = hub_.repositories().Find(name);
      auto [it, added] = entries_.try_emplace(name);
      const std::string url = repository ? repository->spec.url : std::string();
      if (added || it->second.url != url) due.push_back(name);
      it->second.url = url;
    }
  }
  for (const ObjectName& name : due) queue_.Add(name);
}

void Sources::Poke(const ObjectName& repository) { queue_.Add(repository); }

Result<SourceRevision> Sources::Current(const ObjectName& repository) const {
  MutexLock lock(mutex_);
  auto it = entries_.find(repository);
  if (it == entries_.end()) {
    return Fail(ErrorClass::kUnavailable, "Repository {} was not fetched yet", repository);
  }
  if (it->second.revision) return *it->second.revision;
  if (it->second.error) return tl::unexpected<Error>(*it->second.error);
  return Fail(ErrorClass::kUnavailable, "Repository {} was not fetched yet", repository);
}

void Sources::Work(std::stop_token stop) {
  while (auto name = queue_.Take(stop)) {
    auto repository = hub_.repositories().Find(*name);
    bool changed = false;
    bool used;
    {
      MutexLock lock(mutex_);
      used = entries_.count(*name) > 0;
    }
    if (used && !(repository && repository->spec.suspended)) {
      Result<SourceRevision> fetched =
          repository ? Fetch(*name, *repository, stop)
                     : Result<SourceRevision>(Fail(ErrorClass::kNotFound,
                                                   "there is no Repository {}", *name));
      {
        MutexLock lock(mutex_);
        auto it = entries_.find(*name);
        if (it != entries_.end() && fetched) {
          changed = !it->second.revision || it->second.revision->commit != fetched->commit ||
                    it->second.revision->revision != fetched->revision || it->second.error;
          it->second.revision = *fetched;
          it->second.error.reset();
        } else if (it != entries_.end() && fetched.error().cls != ErrorClass::kCancelled) {
          changed = !it->second.error || it->second.error->ToString() != fetched.error().ToString();
          it->second.error = fetched.error();
        }
      }
      if (fetched) {
        queue_.Forget(*name);
        queue_.AddAfter(*name, repository->spec.interval);
      } else if (repository) {
        queue_.AddRateLimited(*name);
      }
      if (changed && !fetched) {
        log_.Warning("cannot fetch", {{"repository", *name}, {"error", fetched.error()}});
      }
    }
    queue_.Done(*name);
    if (changed) on_change_(*name);
  }
}

Result<git::RemoteSpec> Sources::RemoteOf(const api::Repository& repository, std::stop_token stop) {
  git::RemoteSpec remote;
  remote.url = repository.spec.url;
  remote.ref = RefOf(repository.spec.ref);
  if (repository.spec.secret_name.empty()) return remote;
  auto values = hub_.ReadSecret({repository.meta.ns, repository.spec.secret_name}, stop);
  if (!values) return Pass(values);
  auto text = [&](const char* key) {
    auto it = values->find(key);
    return it == values->end() ? std::string() : std::string(it->second.Reveal());
  };
  if (!text("token").empty()) {
    remote.credentials = git::BearerCredentials{Secret(text("token"))};
  } else if (!text("username").empty() || !text("password").empty()) {
    remote.credentials = git::BasicCredentials{text("username"), Secret(text("password"))};
  }
  if (const std::string ca = text("ca.crt"); !ca.empty()) {
    // One Transport per remote, so that connections are pooled: kept while the CA is the same.
    MutexLock lock(mutex_);
    Entry& entry = entries_[repository.meta.Key()];
    if (!entry.transport || entry.transport->ca_pem != ca) {
      auto transport = std::make_shared<http::Transport>();
      transport->ca_pem = ca;
      entry.transport = std::move(transport);
    }
    remote.transport = entry.transport;
  }
  return remote;
}

Result<SourceRevision> Sources::Fetch(const ObjectName& name, const api::Repository& repository,
                                      std::stop_token stop) {
  auto remote = RemoteOf(repository, stop);
  if (!remote) return Pass(remote);
  std::string last;
  {
    MutexLock lock(mutex_);
    auto it = entries_.find(name);
    if (it != entries_.end() && it->second.revision) last = it->second.revision->commit;
  }
  if (last.empty()) last = repository.status.commit;
  auto revision = store_.Fetch(*remote, last, stop, runtime_.Now() + repository.spec.timeout);
  if (!revision) return Fail(revision, "fetch Repository {}", name);
  if (revision->rewritten && !repository.spec.allow_non_fast_forward) {
    return Fail(ErrorClass::kDenied,
                "Repository {}: {} moved to {}, which does not descend from {}: history was rewritten. "
                "Set allowNonFastForward to accept it",
                name, remote->ref.ToString(), revision->commit, last);
  }
  SourceRevision source{repository.spec.url, revision->commit, RevisionText(*revision)};
  if (repository.status.commit != source.commit) {
    api::Repository next = repository;
    next.status.observed_generation = repository.meta.generation;
    next.status.commit = source.commit;
    next.status.revision = source.revision;
    next.status.last_fetched = runtime_.WallNow();
    api::SetCondition(next.status.conditions, api::condition::kReady, api::ConditionStatus::kTrue,
                      "Fetched", source.revision, repository.meta.generation, runtime_.WallNow());
    if (Status saved = hub_.SaveStatus(next, leader_, stop); !saved) {
      log_.Warning("cannot save status", {{"repository", name}, {"error", saved.error()}});
    }
  }
  return source;
}

}  // namespace flotilla::operate
