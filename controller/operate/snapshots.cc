#include "operate/snapshots.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/names.h"
#include "base/compress.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "operate/hub.h"
#include "render/canonical.h"
#include "value/json.h"

namespace flotilla::operate {
namespace {

constexpr Duration kYoung = 10min;
constexpr int kTries = 4;
constexpr size_t kSealOverhead = 64;  // at most
constexpr const char* kIndexDirectory = "releases/index";
constexpr const char* kChunkDirectory = "releases/chunks";
constexpr const char* kKeyField = "key";
constexpr const char* kSealedField = "sealed";
// Labels and annotations of our Secrets.
constexpr const char* kPartLabel = "flotilla.dev/snapshot";  // index | chunk
constexpr const char* kReleaseLabel = "flotilla.dev/release";
constexpr const char* kDigestAnnotation = "flotilla.dev/release-digest";
constexpr const char* kChunksAnnotation = "flotilla.dev/chunks";
constexpr const char* kBytesAnnotation = "flotilla.dev/sealed-bytes";

const kube::GroupVersionResource kSecrets{"", "v1", "secrets"};

kube::ObjectKey InSystem(std::string name) {
  return {std::string(api::kSystemNamespace), std::move(name)};
}

// "sha256:" and 64 digits → the digits; "" where it is something else.
std::string_view HexOf(std::string_view digest) {
  constexpr std::string_view kPrefix = "sha256:";
  if (digest.substr(0, kPrefix.size()) != kPrefix) return {};
  digest.remove_prefix(kPrefix.size());
  return Digest::FromHex(digest) ? digest : std::string_view();
}
std::string IndexSecret(std::string_view hex) {
  return fmt::format("flotilla-release-{}", hex.substr(0, 16));
}
std::string ChunkSecret(std::string_view name) { return fmt::format("flotilla-chunk-{}", name); }
std::string IndexFile(std::string_view hex) { return fmt::format("{}/{}", kIndexDirectory, hex); }
std::string ChunkFile(std::string_view name) { return fmt::format("{}/{}", kChunkDirectory, name); }
std::string ChunkContext(std::string_view name) {
  return fmt::format("flotilla snapshot chunk {}", name);
}

value::Value SecretObject(const std::string& name, std::string_view part, std::string_view sealed,
                          std::vector<std::pair<std::string, value::Value>> labels,
                          std::vector<std::pair<std::string, value::Value>> annotations) {
  labels.emplace_back(kPartLabel, part);
  annotations.emplace_back(kBytesAnnotation, std::to_string(sealed.size()));
  return value::Value::Map(
      {{"apiVersion", "v1"},
       {"kind", "Secret"},
       {"metadata", value::Value::Map({{"name", name},
                                       {"namespace", api::kSystemNamespace},
                                       {"labels", value::Value::Map(labels)},
                                       {"annotations", value::Value::Map(annotations)}})},
       {"type", "Opaque"},
       {"data", value::Value::Map({{kSealedField, EncodeBase64(sealed)}})}});
}

std::vector<std::string> SplitNames(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const size_t end = text.find(',');
    names.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return names;
}

bool IsReason(const Error& error, kube::Reason reason) { return kube::ReasonOf(error) == reason; }

}  // namespace

SnapshotLimits SnapshotLimits::Default() {
  return {limits::kSnapshotChunkBytes, limits::kSnapshotBudgetBytes, limits::kSnapshotMemoryBytes};
}

// What the hub holds, by metadata alone.
struct Snapshots::Inventory {
  struct Stored {
    std::string digest;  // of the release
    std::vector<std::string> chunks;
    std::string uid;
    size_t bytes = 0;
  };
  std::map<std::string, Stored> indices;  // by name of the Secret
  std::map<std::string, size_t> chunks;   // name of the chunk → bytes
};

Snapshots::Snapshots(Runtime& runtime, kube::Client& hub, Disk& disk, Logger log,
                     SnapshotLimits limits)
    : runtime_(runtime),
      hub_(hub),
      disk_(disk),
      log_(std::move(log)),
      limits_(limits),
      turn_over_(runtime.NewEvent()) {}
Snapshots::~Snapshots() = default;

// A chunk that nobody needs may be needed by the release that is put next: neither may run while
// the other does.
class Snapshots::Turn {
 public:
  enum Kind { kPut, kCollect };
  Turn(Snapshots& snapshots, Kind kind) : snapshots_(snapshots), kind_(kind) {}
  ~Turn() {
    if (!taken_) return;
    {
      MutexLock lock(snapshots_.mutex_);
      if (kind_ == kPut) {
        --snapshots_.putting_;
      } else {
        snapshots_.collecting_ = false;
      }
    }
    snapshots_.turn_over_->Set();
  }
  Status Take(std::stop_token stop) {
    for (;;) {
      snapshots_.turn_over_->Reset();
      {
        MutexLock lock(snapshots_.mutex_);
        if (!snapshots_.collecting_ && (kind_ == kPut || snapshots_.putting_ == 0)) {
          taken_ = true;
          if (kind_ == kPut) {
            ++snapshots_.putting_;
          } else {
            snapshots_.collecting_ = true;
          }
          return {};
        }
      }
      if (snapshots_.turn_over_->Wait(kForever, stop) == WaitResult::kStopped) {
        return Fail(ErrorClass::kCancelled, "stopped");
      }
    }
  }

 private:
  Snapshots& snapshots_;
  const Kind kind_;
  bool taken_ = false;
};

// ---------------------------------------------------------------------------------------------
// The key.

Result<const Sealer*> Snapshots::Key(std::stop_token stop) {
  {
    MutexLock lock(mutex_);
    if (sealer_) return sealer_.get();
  }
  auto key = ReadKey(stop);
  if (!key) return Fail(key, "key of the snapshots (Secret {})", api::kArtifactKeySecret);
  return key;
}

Result<const Sealer*> Snapshots::ReadKey(std::stop_token stop) {
  const kube::ObjectKey name = InSystem(std::string(api::kArtifactKeySecret));
  auto stored = hub_.Find(kSecrets, name, stop);
  if (!stored) return Pass(stored);
  if (!*stored) {
    const Secret fresh = NewSealKey(runtime_);
    const value::Value secret = value::Value::Map(
        {{"apiVersion", "v1"},
         {"kind", "Secret"},
         {"metadata", value::Value::Map({{"name", name.name}, {"namespace", name.ns}})},
         {"type", "Opaque"},
         {"data", value::Value::Map({{kKeyField, EncodeBase64(fresh.Reveal())}})}});
    auto created = hub_.Do(kube::CreateRequest(kSecrets, name.ns, value::ToJson(secret)), stop);
    if (!created && !IsReason(created.error(), kube::Reason::kAlreadyExists)) return Pass(created);
    // What is stored decides: another process may have been first.
    stored = hub_.Find(kSecrets, name, stop);
    if (!stored) return Pass(stored);
    if (!*stored) return Fail(ErrorClass::kConflict, "it was removed as soon as it was made");
  }
  auto bytes = DecodeBase64((**stored).At("data", kKeyField).String());
  if (!bytes) return Fail(ErrorClass::kInvalid, "data.{} is no base64", kKeyField);
  auto sealer = Sealer::Make(Secret(std::move(*bytes)));
  if (!sealer) return Pass(sealer);
  MutexLock lock(mutex_);
  if (!sealer_) sealer_ = std::make_unique<const Sealer>(std::move(*sealer));
  return sealer_.get();
}

// ---------------------------------------------------------------------------------------------
// Writing.

Status Snapshots::Put(std::shared_ptr<const Release> release, std::stop_token stop) {
  const std::string& digest = release->id.release_digest;
  if (RootOf(*release) != digest) {
    return Fail(ErrorClass::kInternal, "release {} is not what its variants digest to ({})", digest,
                RootOf(*release));
  }
  size_t json_bytes = 0;
  auto put = TryPut(*release, json_bytes, stop);
  if (put && !*put) {
    if (Status collected = Collect(stop); !collected) return collected;
    put = TryPut(*release, json_bytes, stop);
  }
  if (!put) return Fail(put, "store release {}", digest);
  if (!*put) {
    return Fail(ErrorClass::kDenied,
                "store release {}: the snapshots on the hub would exceed their budget of {} bytes "
                "(kSnapshotBudgetBytes): lower historyLimit of Applications, or delete Rollouts",
                digest, limits_.budget_bytes);
  }
  Keep(std::move(release), json_bytes);
  return {};
}

// False where it does not fit into the budget.
Result<bool> Snapshots::TryPut(const Release& release, size_t& json_bytes, std::stop_token stop) {
  auto sealer = Key(stop);
  if (!sealer) return Pass(sealer);
  SnapshotIndex index;
  index.id = release.id;
  index.impersonate = release.impersonate;
  index.clusters = release.clusters;
  std::map<std::string, std::string> chunks;  // name → compressed content
  std::map<const render::Variant*, size_t> done;
  json_bytes = 0;
  for (const auto& variant : release.variants) {
    if (auto it = done.find(variant.get()); it != done.end()) {
      index.variants.push_back(index.variants[it->second]);
      continue;
    }
    done.emplace(variant.get(), index.variants.size());
    SnapshotIndex::Part& part = index.variants.emplace_back();
    part.digest = render::ToString(variant->digest);
    const std::string text = WriteVariant(*variant);
    json_bytes += text.size();
    const std::string frame = Compress(text);
    const size_t piece = limits_.chunk_bytes - kSealOverhead;
    for (size_t at = 0; at < frame.size(); at += piece) {
      std::string content = frame.substr(at, piece);
      std::string name = ChunkName(**sealer, content);
      part.chunks.push_back(name);
      chunks.emplace(std::move(name), std::move(content));
    }
  }

  Turn turn(*this, Turn::kPut);
  if (Status mine = turn.Take(stop); !mine) return tl::unexpected(mine.error());
  if (Status loaded = LoadInventory(stop); !loaded) return tl::unexpected(loaded.error());
  std::map<std::string, std::string> sealed;
  size_t wanted = 0;
  for (const std::string& name : MissingChunks(chunks)) {
    std::string bytes = (*sealer)->Seal(runtime_, chunks.at(name), ChunkContext(name));
    wanted += bytes.size();
    sealed.emplace(name, std::move(bytes));
  }
  {
    MutexLock lock(mutex_);
    if (hub_bytes_ + wanted > limits_.budget_bytes) return false;
    put_[release.id.release_digest] = runtime_.Now();
  }
  for (const auto& [name, bytes] : sealed) {
    if (Status put = PutChunk(name, bytes, stop); !put) return tl::unexpected(put.error());
  }
  if (Status put = PutIndex(**sealer, index, stop); !put) return tl::unexpected(put.error());
  return true;
}

std::set<std::string> Snapshots::MissingChunks(
    const std::map<std::string, std::string>& chunks) const {
  std::set<std::string> missing;
  MutexLock lock(mutex_);
  for (const auto& [name, content] : chunks) {
    if (!chunks_->contains(name)) missing.insert(name);
  }
  return missing;
}

Status Snapshots::PutChunk(const std::string& name, const std::string& sealed,
                           std::stop_token stop) {
  WriteDisk(ChunkFile(name), sealed);
  const value::Value secret = SecretObject(ChunkSecret(name), "chunk", sealed, {}, {});
  auto created = hub_.Do(
      kube::CreateRequest(kSecrets, std::string(api::kSystemNamespace), value::ToJson(secret)),
      stop);
  if (!created && !IsReason(created.error(), kube::Reason::kAlreadyExists)) return Pass(created);
  MutexLock lock(mutex_);
  if (chunks_->emplace(name, sealed.size()).second) hub_bytes_ += sealed.size();
  return {};
}

Status Snapshots::PutIndex(const Sealer& sealer, const SnapshotIndex& index, std::stop_token stop) {
  const std::string& digest = index.id.release_digest;
  const std::string_view hex = HexOf(digest);
  const kube::ObjectKey key = InSystem(IndexSecret(hex));
  const std::string sealed = index.Seal(runtime_, sealer);
  if (sealed.size() > limits_.chunk_bytes) {
    return Fail(ErrorClass::kInvalid, "its index has {} bytes, more than {} (kSnapshotChunkBytes)",
                sealed.size(), limits_.chunk_bytes);
  }
  std::string names;
  for (const std::string& name : index.Chunks()) names += (names.empty() ? "" : ",") + name;
  const value::Value secret =
      SecretObject(key.name, "index", sealed, {{kReleaseLabel, hex.substr(0, 16)}},
                   {{kDigestAnnotation, digest}, {kChunksAnnotation, names}});

  auto stored = hub_.Do(kube::CreateRequest(kSecrets, key.ns, value::ToJson(secret)), stop);
  if (!stored && !IsReason(stored.error(), kube::Reason::kAlreadyExists)) return Pass(stored);
  for (int attempt = 0; !stored && attempt < kTries; ++attempt) {
    auto live = hub_.Get(kSecrets, key, stop);
    if (!live) return Pass(live);
    if (auto bytes = DecodeBase64(live->At("data", kSealedField).String())) {
      auto old = SnapshotIndex::Open(sealer, digest, *bytes);
      if (old && old->Same(index)) {
        WriteDisk(IndexFile(hex), *bytes);
        return {};
      }
    }
    const value::Value body =
        value::Edited(secret)
            .Set({"metadata", "resourceVersion"}, kube::ResourceVersionOf(*live))
            .Done();
    stored = hub_.Do(kube::UpdateRequest(kSecrets, key, value::ToJson(body)), stop);
    if (!stored && stored.error().cls != ErrorClass::kConflict) break;
  }
  if (!stored) return Pass(stored);
  WriteDisk(IndexFile(hex), sealed);
  return {};
}

void Snapshots::WriteDisk(const std::string& path, std::string_view content) {
  Status written = disk_.MakeDirectories(path.substr(0, path.rfind('/')));
  if (written) written = disk_.WriteDurable(path, content);
  if (!written) {
    log_.Warning("cannot keep a snapshot on disk", {{"path", path}, {"error", written.error()}});
  }
}

// ---------------------------------------------------------------------------------------------
// Reading.

Result<std::shared_ptr<const Release>> Snapshots::Get(const std::string& release_digest,
                                                      std::stop_token stop) {
  if (auto release = AtHand(release_digest)) return release;
  size_t bytes = 0;
  auto loaded = Load(release_digest, bytes, stop);
  if (!loaded) return Fail(loaded, "read release {}", release_digest);
  Keep(*loaded, bytes);
  return loaded;
}

Result<std::shared_ptr<const Release>> Snapshots::Load(const std::string& digest, size_t& bytes,
                                                       std::stop_token stop) {
  if (HexOf(digest).empty()) return Fail(ErrorClass::kNotFound, "that is no digest of a release");
  auto sealer = Key(stop);
  if (!sealer) return Pass(sealer);
  auto index = GetIndex(**sealer, digest, stop);
  if (!index) return Pass(index);

  auto release = std::make_shared<Release>();
  release->id = index->id;
  release->impersonate = index->impersonate;
  release->clusters = std::move(index->clusters);
  std::map<std::string, std::shared_ptr<const render::Variant>> read;
  for (const SnapshotIndex::Part& part : index->variants) {
    auto& variant = read[part.digest];
    if (!variant) {
      std::string frame;
      for (const std::string& name : part.chunks) {
        auto chunk = GetChunk(**sealer, name, stop);
        if (!chunk) return Pass(chunk);
        frame += *chunk;
      }
      auto text = Decompress(frame, limits::kSnapshotVariantBytes);
      if (!text) return Fail(text, "variant {}", part.digest);
      bytes += text->size();
      auto made = ReadVariant(*text);
      if (!made) return Fail(made, "variant {}", part.digest);
      if (render::ToString((*made)->digest) != part.digest) {
        return Fail(ErrorClass::kInvalid, "variant {} digests to {}", part.digest,
                    render::ToString((*made)->digest));
      }
      variant = std::move(*made);
    }
    release->variants.push_back(variant);
  }
  if (release->id.release_digest != digest || RootOf(*release) != digest) {
    return Fail(ErrorClass::kInvalid, "what is stored digests to {}", RootOf(*release));
  }
  return std::shared_ptr<const Release>(std::move(release));
}

Result<std::string> Snapshots::ReadSealed(const std::string& secret, std::stop_token stop) {
  auto object = hub_.Get(kSecrets, InSystem(secret), stop);
  if (!object) return Pass(object);
  auto bytes = DecodeBase64(object->At("data", kSealedField).String());
  if (!bytes)
    return Fail(ErrorClass::kInvalid, "Secret {}: data.{} is no base64", secret, kSealedField);
  return std::move(*bytes);
}

// The hub first: who led before us may have assigned clusters anew, and our disk would not know.
Result<SnapshotIndex> Snapshots::GetIndex(const Sealer& sealer, const std::string& digest,
                                          std::stop_token stop) {
  const std::string file = IndexFile(HexOf(digest));
  auto sealed = ReadSealed(IndexSecret(HexOf(digest)), stop);
  Result<SnapshotIndex> index =
      sealed ? SnapshotIndex::Open(sealer, digest, *sealed) : Result<SnapshotIndex>(Pass(sealed));
  if (index) {
    WriteDisk(file, *sealed);
    return index;
  }
  if (auto kept = disk_.Read(file)) {
    auto old = SnapshotIndex::Open(sealer, digest, *kept);
    if (old) {
      log_.Warning("the index of a release is read from disk",
                   {{"release", digest}, {"error", index.error()}});
      return old;
    }
  }
  return Fail(index, "index (Secret {})", IndexSecret(HexOf(digest)));
}

Result<std::string> Snapshots::GetChunk(const Sealer& sealer, const std::string& name,
                                        std::stop_token stop) {
  if (auto kept = disk_.Read(ChunkFile(name))) {
    auto content = sealer.Open(*kept, ChunkContext(name));
    if (content) return content;
    log_.Warning("a snapshot on disk is damaged: reading it from the hub", {{"chunk", name}});
  }
  auto sealed = ReadSealed(ChunkSecret(name), stop);
  if (!sealed) return Fail(sealed, "chunk (Secret {})", ChunkSecret(name));
  auto content = sealer.Open(*sealed, ChunkContext(name));
  if (!content) return Fail(content, "chunk (Secret {}) is damaged", ChunkSecret(name));
  WriteDisk(ChunkFile(name), *sealed);
  return content;
}

// ---------------------------------------------------------------------------------------------
// Memory.

void Snapshots::Keep(std::shared_ptr<const Release> release, size_t bytes) {
  Drop(release->id.release_digest);
  std::list<Kept> dropped;  // destroyed without the lock
  MutexLock lock(mutex_);
  kept_.push_front({std::move(release), bytes});
  kept_bytes_ += bytes;
  while (kept_bytes_ > limits_.memory_bytes && kept_.size() > 1) {
    kept_bytes_ -= kept_.back().bytes;
    dropped.splice(dropped.end(), kept_, std::prev(kept_.end()));
  }
}

std::shared_ptr<const Release> Snapshots::AtHand(const std::string& digest) {
  MutexLock lock(mutex_);
  auto it = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) {
    return kept.release->id.release_digest == digest;
  });
  if (it == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, it);
  return it->release;
}

// ---------------------------------------------------------------------------------------------
// What the hub holds, and what of it is needed.

Result<Snapshots::Inventory> Snapshots::List(std::stop_token stop) {
  kube::ListOptions options;
  options.label_selector = kPartLabel;
  options.metadata_only = true;
  auto list = hub_.List(kSecrets, "Secret", api::kSystemNamespace, options, std::move(stop));
  if (!list) return Fail(list, "list the snapshots of the hub");
  Inventory inventory;
  for (const value::Value& secret : list->items) {
    const std::string name(kube::NameOf(secret));
    const std::string bytes(kube::AnnotationOf(secret, kBytesAnnotation));
    const size_t size = std::strtoull(bytes.c_str(), nullptr, 10);
    if (kube::LabelOf(secret, kPartLabel) == "chunk") {
      inventory.chunks.emplace(name.substr(ChunkSecret("").size()), size);
    } else {
      inventory.indices.emplace(
          name, Inventory::Stored{std::string(kube::AnnotationOf(secret, kDigestAnnotation)),
                                  SplitNames(kube::AnnotationOf(secret, kChunksAnnotation)),
                                  std::string(kube::UidOf(secret)), size});
    }
  }
  return inventory;
}

Status Snapshots::LoadInventory(std::stop_token stop) {
  {
    MutexLock lock(mutex_);
    if (chunks_) return {};
  }
  auto inventory = List(std::move(stop));
  if (!inventory) return Pass(inventory);
  MutexLock lock(mutex_);
  if (chunks_) return {};
  hub_bytes_ = 0;
  for (const auto& [name, bytes] : inventory->chunks) hub_bytes_ += bytes;
  chunks_ = std::move(inventory->chunks);
  return {};
}

// Digests of the releases that somebody may want to go back to, is at, or is about to begin.
Result<std::set<std::string>> Snapshots::Needed(std::stop_token stop) {
  static const value::Path kPlaces[] = {{"spec", "release", "releaseDigest"},
                                        {"spec", "previous", "releaseDigest"},
                                        {"spec", "from", "releaseDigest"},
                                        {"spec", "to", "releaseDigest"},
                                        {"status", "resolved", "releaseDigest"},
                                        {"status", "target", "releaseDigest"},
                                        {"status", "lastKnownGood", "releaseDigest"},
                                        {"status", "pin", "releaseDigest"}};
  std::set<std::string> digests;
  {
    MutexLock lock(mutex_);
    const TimePoint now = runtime_.Now();
    std::erase_if(put_, [&](const auto& entry) { return now - entry.second >= kYoung; });
    for (const auto& [digest, when] : put_) digests.insert(digest);
  }
  for (const api::KindInfo* kind :
       {&api::kRolloutKind, &api::kRollbackKind, &api::kApplicationKind}) {
    auto list = hub_.List(ResourceOf(*kind), kind->kind, "", {}, stop);
    if (!list) return Fail(list, "list {}", kind->plural);
    for (const value::Value& object : list->items) {
      for (const value::Path& place : kPlaces) digests.insert(value::Find(object, place).Text());
    }
  }
  return digests;
}

Status Snapshots::Collect(std::stop_token stop) {
  Turn turn(*this, Turn::kCollect);
  if (Status mine = turn.Take(stop); !mine) return mine;
  auto inventory = List(stop);
  if (!inventory) return Pass(inventory);
  if (Status done = CollectIndices(*inventory, stop); !done) return done;
  if (Status done = CollectChunks(*inventory, stop); !done) return done;
  CollectDisk(*inventory);
  return {};
}

Status Snapshots::CollectIndices(Inventory& inventory, std::stop_token stop) {
  auto needed = Needed(stop);
  if (!needed) return Fail(needed, "collect snapshots");
  for (auto it = inventory.indices.begin(); it != inventory.indices.end();) {
    if (needed->contains(it->second.digest)) {
      ++it;
      continue;
    }
    kube::DeleteOptions options;
    options.uid = it->second.uid;
    auto gone = hub_.Do(kube::DeleteRequest(kSecrets, InSystem(it->first), options), stop);
    if (!gone && gone.error().cls != ErrorClass::kNotFound) return Fail(gone, "collect snapshots");
    Drop(it->second.digest);
    it = inventory.indices.erase(it);
  }
  return {};
}

Status Snapshots::CollectChunks(Inventory& inventory, std::stop_token stop) {
  std::set<std::string> used;
  for (const auto& [name, index] : inventory.indices) {
    used.insert(index.chunks.begin(), index.chunks.end());
  }
  size_t left = 0;
  for (auto it = inventory.chunks.begin(); it != inventory.chunks.end();) {
    if (used.contains(it->first)) {
      left += it->second;
      ++it;
      continue;
    }
    {
      // First: a delete whose answer is lost may have happened.
      MutexLock lock(mutex_);
      if (chunks_) chunks_->erase(it->first);
    }
    auto gone = hub_.Do(kube::DeleteRequest(kSecrets, InSystem(ChunkSecret(it->first))), stop);
    if (!gone && gone.error().cls != ErrorClass::kNotFound) return Fail(gone, "collect snapshots");
    it = inventory.chunks.erase(it);
  }
  MutexLock lock(mutex_);
  chunks_ = inventory.chunks;
  hub_bytes_ = left;
  return {};
}

void Snapshots::Drop(const std::string& digest) {
  std::list<Kept> dropped;  // destroyed without the lock
  MutexLock lock(mutex_);
  for (auto it = kept_.begin(); it != kept_.end();) {
    const auto next = std::next(it);
    if (it->release->id.release_digest == digest) {
      kept_bytes_ -= it->bytes;
      dropped.splice(dropped.end(), kept_, it);
    }
    it = next;
  }
}

void Snapshots::CollectDisk(const Inventory& left) {
  if (auto names = disk_.List(kChunkDirectory)) {
    for (const std::string& name : *names) {
      if (!left.chunks.contains(name)) (void)disk_.Remove(ChunkFile(name));
    }
  }
  if (auto names = disk_.List(kIndexDirectory)) {
    for (const std::string& name : *names) {
      if (!left.indices.contains(IndexSecret(name))) (void)disk_.Remove(IndexFile(name));
    }
  }
}

}  // namespace flotilla::operate
