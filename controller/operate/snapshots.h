// The ReleaseStore of production: releases in memory, on disk, and in Secrets of the hub
// (DESIGN section 2, "Snapshots").
//
// A release is an index (its digests, which cluster gets which variant) and its variants, each cut
// into chunks that are named by their content and shared by every release that has them. Both are
// compressed and sealed with AES-256-GCM under the key in the Secret flotilla-artifact-key, so that
// neither the disk nor whoever can read the other Secrets of the namespace sees an object. The hub
// is what counts: Put returns when everything is there. Disk and memory only save time; what is
// found damaged there is read from the hub and written again.
//
//   flotilla-system/flotilla-release-<16 digits of the digest>   one per release
//   flotilla-system/flotilla-chunk-<32 digits>                   at most 512 KiB each
//
// Get checks what it read: digests of objects, variants and release are computed again.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/log.h"
#include "base/runtime.h"
#include "base/seal.h"
#include "kube/client.h"
#include "operate/release.h"
#include "operate/snapshot_form.h"

namespace flotilla::operate {

struct SnapshotLimits {
  size_t chunk_bytes;   // of one chunk, sealed
  size_t budget_bytes;  // of all chunks in the hub, sealed
  size_t memory_bytes;  // of the JSON of the releases that are kept at hand
  static SnapshotLimits Default();
};

// Safe for concurrent use. One process at a time puts and collects: the leader.
class Snapshots final : public ReleaseStore {
 public:
  // All outlive the Snapshots. Nothing is asked before the first call of a function.
  Snapshots(Runtime& runtime, kube::Client& hub, Disk& disk, Logger log,
            SnapshotLimits limits = SnapshotLimits::Default());
  ~Snapshots() override;

  // Internal where the digest of the release is not that of its variants. Denied where the budget
  // of the hub is used up, after everything that no Rollout names was removed.
  Status Put(std::shared_ptr<const Release> release, std::stop_token stop) override;
  // NotFound where there is no such release; Invalid where its snapshot is damaged in every place.
  Result<std::shared_ptr<const Release>> Get(const std::string& release_digest,
                                             std::stop_token stop) override;

  // Removes, from hub and disk, the releases that no Rollout, Rollback or Application names, except
  // those that were put in the last ten minutes: their Rollout is on its way.
  Status Collect(std::stop_token stop);

 private:
  struct Inventory;
  class Turn;  // many may put at once; who collects is alone
  struct Kept {
    std::shared_ptr<const Release> release;
    size_t bytes = 0;
  };

  Result<const Sealer*> Key(std::stop_token stop);
  Result<const Sealer*> ReadKey(std::stop_token stop);
  Result<Inventory> List(std::stop_token stop);
  Status LoadInventory(std::stop_token stop);
  std::set<std::string> MissingChunks(const std::map<std::string, std::string>& chunks) const;
  Result<bool> TryPut(const Release& release, size_t& json_bytes, std::stop_token stop);
  Status PutChunk(const std::string& name, const std::string& sealed, std::stop_token stop);
  Status PutIndex(const Sealer& sealer, const SnapshotIndex& index, std::stop_token stop);
  Result<std::string> ReadSealed(const std::string& secret, std::stop_token stop);
  Result<SnapshotIndex> GetIndex(const Sealer& sealer, const std::string& digest,
                                 std::stop_token stop);
  Result<std::string> GetChunk(const Sealer& sealer, const std::string& name, std::stop_token stop);
  Result<std::shared_ptr<const Release>> Load(const std::string& digest, size_t& bytes,
                                              std::stop_token stop);
  void Keep(std::shared_ptr<const Release> release, size_t bytes);
  std::shared_ptr<const Release> AtHand(const std::string& digest);
  void WriteDisk(const std::string& path, std::string_view content);
  Result<std::set<std::string>> Needed(std::stop_token stop);
  Status CollectIndices(Inventory& inventory, std::stop_token stop);
  Status CollectChunks(Inventory& inventory, std::stop_token stop);
  void Drop(const std::string& digest);
  void CollectDisk(const Inventory& left);

  Runtime& runtime_;
  kube::Client& hub_;
  Disk& disk_;
  const Logger log_;
  const SnapshotLimits limits_;

  const std::unique_ptr<Event> turn_over_;
  mutable Mutex mutex_;  // guards all below
  int putting_ = 0;
  bool collecting_ = false;
  std::unique_ptr<const Sealer> sealer_;
  std::list<Kept> kept_;  // newest use first
  size_t kept_bytes_ = 0;
  std::optional<std::map<std::string, size_t>>
      chunks_;  // that the hub is known to hold, with sizes
  size_t hub_bytes_ = 0;
  std::map<std::string, TimePoint> put_;  // when each release was put by this process
};

}  // namespace flotilla::operate
