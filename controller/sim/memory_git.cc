#include "sim/memory_git.h"

#include <fmt/format.h>

#include "base/digest.h"

namespace flotilla::sim {
namespace {

std::string ShortHex(std::string_view bytes) { return DigestOf(bytes).Hex().substr(0, 40); }

class MapTree final : public Tree {
 public:
  explicit MapTree(Files files) : files_(std::move(files)) {}

  Result<std::optional<TreeEntry>> Find(std::string_view path) override {
    auto file = files_.find(std::string(path));
    if (file != files_.end()) {
      return std::optional<TreeEntry>(TreeEntry{Base(path), EntryKind::kFile, ShortHex(file->second)});
    }
    std::string all;
    bool any = path.empty();
    for (const auto& [name, content] : Below(path)) {
      any = true;
      all += name + ":" + ShortHex(content) + "\n";
    }
    if (!any) return std::optional<TreeEntry>();
    return std::optional<TreeEntry>(TreeEntry{Base(path), EntryKind::kDirectory, ShortHex(all)});
  }

  Result<std::vector<TreeEntry>> List(std::string_view directory) override {
    std::map<std::string, TreeEntry> entries;
    for (const auto& [name, content] : Below(directory)) {
      const std::string rest = name.substr(directory.empty() ? 0 : directory.size() + 1);
      const std::string first = rest.substr(0, rest.find('/'));
      if (entries.count(first)) continue;
      auto found = Find(directory.empty() ? first : fmt::format("{}/{}", directory, first));
      entries.emplace(first, **found);
    }
    std::vector<TreeEntry> list;
    for (auto& [name, entry] : entries) list.push_back(std::move(entry));
    return list;
  }

  Result<std::string> Read(std::string_view file) override {
    auto it = files_.find(std::string(file));
    if (it == files_.end()) return Fail(ErrorClass::kNotFound, "there is no file {}", file);
    return it->second;
  }

 private:
  static std::string Base(std::string_view path) {
    const size_t slash = path.rfind('/');
    return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
  }
  Files Below(std::string_view directory) const {
    if (directory.empty()) return files_;
    const std::string prefix = std::string(directory) + "/";
    Files below;
    for (auto it = files_.lower_bound(prefix); it != files_.end() && it->first.rfind(prefix, 0) == 0; ++it) {
      below.insert(*it);
    }
    return below;
  }

  const Files files_;
};

}  // namespace

std::unique_ptr<Tree> TreeOf(Files files) { return std::make_unique<MapTree>(std::move(files)); }

std::string MemoryGit::Commit(const std::string& url, const std::string& branch, Files files,
                              bool rewrite) {
  MutexLock lock(mutex_);
  std::string& head = heads_[url][branch];
  Stored commit;
  commit.parent = rewrite ? std::string() : head;
  std::string content = commit.parent;
  for (const auto& [name, text] : files) content += "\n" + name + "\n" + text;
  commit.id = ShortHex(fmt::format("{}{}", content, commits_[url].size()));
  commit.files = std::move(files);
  commit.time = runtime_.WallNow();
  head = commit.id;
  return (commits_[url][head] = std::move(commit)).id;
}

void MemoryGit::SetReachable(bool reachable) {
  MutexLock lock(mutex_);
  reachable_ = reachable;
}

const MemoryGit::Stored* MemoryGit::FindCommit(std::string_view url, std::string_view id) const {
  auto repository = commits_.find(std::string(url));
  if (repository == commits_.end()) return nullptr;
  auto commit = repository->second.find(std::string(id));
  return commit == repository->second.end() ? nullptr : &commit->second;
}

Result<git::Revision> MemoryGit::Fetch(const git::RemoteSpec& remote, std::string_view last_seen,
                                       std::stop_token, TimePoint) {
  MutexLock lock(mutex_);
  if (!reachable_) return Fail(ErrorClass::kUnavailable, "{} does not answer", remote.url);
  auto repository = heads_.find(remote.url);
  if (repository == heads_.end()) return Fail(ErrorClass::kNotFound, "there is no repository {}", remote.url);
  git::Revision revision;
  if (remote.ref.kind == git::RefKind::kCommit) {
    revision.commit = remote.ref.value;
  } else {
    auto head = repository->second.find(remote.ref.value);
    if (head == repository->second.end()) {
      return Fail(ErrorClass::kNotFound, "{} has no {}", remote.url, remote.ref.ToString());
    }
    revision.commit = head->second;
    revision.ref_name = "refs/heads/" + remote.ref.value;
  }
  revision.fetched = revision.commit != last_seen;
  revision.rewritten = !last_seen.empty();
  for (const Stored* at = FindCommit(remote.url, revision.commit); at; at = FindCommit(remote.url, at->parent)) {
    if (at->id == last_seen) revision.rewritten = false;
  }
  return revision;
}

Result<std::unique_ptr<Tree>> MemoryGit::OpenTree(std::string_view url, std::string_view commit) {
  MutexLock lock(mutex_);
  const Stored* found = FindCommit(url, commit);
  if (!found) return Fail(ErrorClass::kNotFound, "{} has no commit {}", url, commit);
  return TreeOf(found->files);
}

Result<std::vector<git::CommitInfo>> MemoryGit::Log(std::string_view url, std::string_view commit,
                                                    size_t limit) {
  MutexLock lock(mutex_);
  std::vector<git::CommitInfo> log;
  for (const Stored* at = FindCommit(url, commit); at && log.size() < limit; at = FindCommit(url, at->parent)) {
    git::CommitInfo info;
    info.commit = at->id;
    if (!at->parent.empty()) info.parents.push_back(at->parent);
    info.time = at->time;
    log.push_back(std::move(info));
  }
  return log;
}

Result<std::string> MemoryGit::Push(const git::RemoteSpec& remote, const git::NewCommit& commit,
                                    std::stop_token, TimePoint) {
  Files files;
  {
    MutexLock lock(mutex_);
    const std::string& head = heads_[remote.url][remote.ref.value];
    if (head != commit.parent) return Fail(ErrorClass::kConflict, "the branch moved to {}", head);
    if (const Stored* parent = FindCommit(remote.url, head)) files = parent->files;
  }
  for (const git::FileChange& change : commit.changes) {
    if (change.contents) {
      files[change.path] = *change.contents;
    } else {
      files.erase(change.path);
    }
  }
  return Commit(remote.url, remote.ref.value, std::move(files));
}

}  // namespace flotilla::sim
