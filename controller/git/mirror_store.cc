#include "git/mirror_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "base/digest.h"
#include "git/libgit.h"
#include "git/mirror.h"
#include "git/remote.h"

namespace flotilla::git {
namespace {

class MirrorStore final : public GitStore {
 public:
  MirrorStore(Runtime& runtime, http::HttpClient& client, std::string directory, int lock)
      : runtime_(runtime), client_(client), directory_(std::move(directory)), lock_(lock) {}
  ~MirrorStore() override { close(lock_); }

  Result<Revision> Fetch(const RemoteSpec& remote, std::string_view last_seen, std::stop_token stop,
                         TimePoint deadline) override {
    Result<std::shared_ptr<Mirror>> mirror = Checked(remote);
    if (!mirror) return Pass(mirror);
    return (*mirror)->Fetch(remote, last_seen, std::move(stop), deadline);
  }

  Result<std::unique_ptr<Tree>> OpenTree(std::string_view url, std::string_view commit) override {
    Result<std::shared_ptr<Mirror>> mirror = Of(url);
    if (!mirror) return Pass(mirror);
    return (*mirror)->OpenTree(commit);
  }

  Result<std::vector<CommitInfo>> Log(std::string_view url, std::string_view commit,
                                      size_t limit) override {
    Result<std::shared_ptr<Mirror>> mirror = Of(url);
    if (!mirror) return Pass(mirror);
    return (*mirror)->Log(commit, limit);
  }

  Result<std::string> Push(const RemoteSpec& remote, const NewCommit& commit, std::stop_token stop,
                           TimePoint deadline) override {
    Result<std::shared_ptr<Mirror>> mirror = Checked(remote);
    if (!mirror) return Pass(mirror);
    return (*mirror)->Push(remote, commit, std::move(stop), deadline);
  }

 private:
  Result<std::shared_ptr<Mirror>> Checked(const RemoteSpec& remote) {
    const Result<http::Url> url = CheckUrl(remote.url);
    if (!url) return Pass(url);
    if (Status status = CheckCredentials(*url, remote.credentials); !status) return Pass(status);
    if (Status status = CheckRef(remote.ref); !status) return Pass(status);
    return Of(*url);
  }

  Result<std::shared_ptr<Mirror>> Of(std::string_view text) {
    const Result<http::Url> url = CheckUrl(text);
    if (!url) return Pass(url);
    return Of(*url);
  }

  std::shared_ptr<Mirror> Of(const http::Url& url) {
    const std::string name = CanonicalUrl(url);
    const MutexLock lock(mutex_);
    std::shared_ptr<Mirror>& mirror = mirrors_[name];
    if (!mirror) {
      mirror = std::make_shared<Mirror>(runtime_, client_,
                                        directory_ + "/" + DigestOf(name).Hex().substr(0, 32), url);
    }
    return mirror;
  }

  Runtime& runtime_;
  http::HttpClient& client_;
  const std::string directory_;
  const int lock_;  // file descriptor

  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Mirror>> mirrors_;  // by canonical URL
};

}  // namespace

Result<std::unique_ptr<GitStore>> OpenMirrorStore(Runtime& runtime, http::HttpClient& client,
                                                  MirrorStoreOptions options) {
  if (Status status = StartLibgit(); !status) return Pass(status);
  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  const std::string lock_path = options.directory + "/LOCK";
  const int lock = error ? -1 : open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) {
    if (!error) error.assign(errno, std::generic_category());
    return Fail(ErrorClass::kUnavailable, "open {}: {}", lock_path, error.message());
  }
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    close(lock);
    return Fail(ErrorClass::kConflict, "{} is in use by another process", options.directory);
  }
  return std::make_unique<MirrorStore>(runtime, client, std::move(options.directory), lock);
}

}  // namespace flotilla::git
