#include "sim/memory_releases.h"

#include "base/runtime.h"

namespace flotilla::sim {
namespace {

class MemoryReleases final : public operate::ReleaseStore {
 public:
  Status Put(std::shared_ptr<const operate::Release> release, std::stop_token) override {
    MutexLock lock(mutex_);
    releases_[release->id.release_digest] = std::move(release);
    return {};
  }
  Result<std::shared_ptr<const operate::Release>> Get(const std::string& release_digest,
                                                      std::stop_token) override {
    MutexLock lock(mutex_);
    auto it = releases_.find(release_digest);
    if (it == releases_.end()) return Fail(ErrorClass::kNotFound, "there is no release {}", release_digest);
    return it->second;
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<const operate::Release>> releases_;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<operate::ReleaseStore> NewMemoryReleases() { return std::make_unique<MemoryReleases>(); }

}  // namespace flotilla::sim
