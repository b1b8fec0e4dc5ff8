#include "operate/apply.h"

#include <algorithm>
#include <map>
#include <set>

#include "deliver/health.h"
#include "deliver/phases.h"
#include "operate/live.h"
#include "operate/object_set.h"
#include "operate/parents.h"

namespace flotilla::operate {
namespace {

constexpr int kTriesPerObject = 5;
constexpr Duration kWaveDeadline = 30s;
constexpr Duration kTryAgain = 200ms;
constexpr Duration kEstablishedDeadline = 30s;
constexpr Duration kWaveHealthDeadline = 10min;

constexpr const char* kApplying = "Applying";
constexpr const char* kApplied = "Applied";

// One application of one release to one cluster.
class Application final {
 public:
  Application(Member& member, const Delivery& delivery, std::stop_token stop)
      : member_(member),
        delivery_(delivery),
        runtime_(member.client().runtime()),
        stop_(std::move(stop)),
        parent_id_(kube::ParentId(delivery.ParentName())) {}

  Result<ApplyReport> Run() {
    const render::Variant* variant = delivery_.release->VariantFor(member_.name());
    if (!variant) {
      return Fail(ErrorClass::kInternal, "release {} holds nothing for {}",
                  delivery_.release->id.release_digest, member_.name());
    }
    auto objects = ResolveObjects(member_, delivery_, *variant, stop_);
    if (!objects) return Pass(objects);
    objects_ = std::move(*objects);
    if (Status taken = TakeCharge(); !taken) return Pass(taken);
    if (Status listed = ListObjects(); !listed) return Pass(listed);
    if (Status written = WritePhases(); !written) return Pass(written);
    if (Status recorded = Record(); !recorded) return Pass(recorded);
    report_.parent = std::move(parent_);
    return std::move(report_);
  }

 private:
  Status TakeCharge() {
    auto stored = ReadParent(member_, delivery_.lane, delivery_.ParentName(), stop_);
    if (!stored) return Pass(stored);
    if (*stored) parent_ = std::move(**stored);
    if (!parent_.hub_uid.empty() && parent_.hub_uid != delivery_.hub_uid) {
      return Fail(ErrorClass::kDenied,
                  "{}/{} on {} belongs to the hub {}: remove it there, or take it over", delivery_.ns,
                  delivery_.name, member_.name(), parent_.hub_uid);
    }
    if (parent_.fence > delivery_.fence) {
      return Fail(ErrorClass::kConflict, "fence {} is in charge on {}, ours is {}", parent_.fence,
                  member_.name(), delivery_.fence);
    }
    others_in_flight_ = parent_.fence < delivery_.fence && parent_.phase == kApplying;
    parent_.name = delivery_.ParentName();
    parent_.hub_uid = delivery_.hub_uid;
    parent_.application_ns = delivery_.ns;
    parent_.application = delivery_.name;
    parent_.fence = delivery_.fence;
    parent_.target_digest = delivery_.release->id.release_digest;
    parent_.phase = kApplying;
    for (const kube::InventoryEntry& entry : parent_.inventory) known_.emplace(entry.id, entry);
    // What we are about to create is in the record before it exists.
    for (const SetObject& object : objects_) {
      parent_.group_kinds.insert(object.Id().ToGroupKind());
      if (known_.count(object.Id())) continue;
      kube::InventoryEntry entry;
      entry.id = object.Id();
      parent_.inventory.push_back(std::move(entry));
    }
    return Swap();
  }

  Status Swap() {
    if (!delivery_.leader.Valid()) return Fail(ErrorClass::kCancelled, "leadership was lost");
    auto swapped = SwapParent(member_, delivery_.lane, parent_, stop_);
    if (!swapped) return Pass(swapped);
    parent_ = std::move(*swapped);
    return {};
  }

  Status ListObjects() {
    auto live = ListLive(member_, delivery_.lane, parent_id_, ScopesOf(objects_), stop_);
    if (!live) return Pass(live);
    live_ = std::move(*live);
    return {};
  }

  // The record says that the live object is what we want.
  bool IsAsRecorded(const SetObject& object, const LiveObject& live) const {
    auto entry = known_.find(object.Id());
    if (entry == known_.end() || entry->second.digest != object.digest) return false;
    if (entry->second.uid != live.uid || live.deleting) return false;
    return live.generation != 0 ? entry->second.generation == live.generation
                                : entry->second.resource_version == live.resource_version;
  }

  Status WritePhases() {
    std::vector<value::Ref> refs;
    refs.reserve(objects_.size());
    for (const SetObject& object : objects_) refs.push_back(object.object->value);
    const bool back = delivery_.lane == deliver::Lane::kRollback;
    for (const deliver::Phase& phase : deliver::PlanPhases(refs, back)) {
      std::vector<size_t> to_write;
      for (size_t index : phase.objects) {
        const SetObject& object = objects_[index];
        auto live = live_.find(object.Id());
        if (live != live_.end() && !others_in_flight_ && IsAsRecorded(object, live->second)) {
          entries_[object.Id()] = known_.at(object.Id());
          ++report_.unchanged;
        } else {
          to_write.push_back(index);
        }
      }
      if (!back) {
        if (Status accepted = DryRunDeferred(); !accepted) return accepted;
      }
      if (Status written = Write(to_write); !written) return written;
      for (size_t index : to_write) {
        const SetObject& object = objects_[index];
        if (object.object->gvk.kind != "Namespace" || live_.count(object.Id())) continue;
        for (size_t i = 0; i < objects_.size(); ++i) {
          if (objects_[i].key.ns == object.key.name) unasked_.insert(i);
        }
      }
      if (phase.wait == deliver::PhaseWait::kEstablished) {
        if (Status ready = AwaitHealth(phase, kEstablishedDeadline); !ready) return ready;
        if (Status resolved = LearnDeferred(); !resolved) return resolved;
      } else if (phase.wait == deliver::PhaseWait::kHealthy) {
        if (Status ready = AwaitHealth(phase, kWaveHealthDeadline); !ready) return ready;
      }
    }
    return {};
  }

  // What could not be asked about before its namespace or its CRD was there is asked about now: if
  // anything of it is refused, none of it is written.
  Status DryRunDeferred() {
    kube::WriteOptions options;
    options.dry_run = true;
    options.force = true;
    options.impersonation = delivery_.As();
    std::optional<Error> last;
    for (int attempt = 0; attempt < kTriesPerObject; ++attempt) {
      std::vector<size_t> asked;
      std::vector<kube::ApiRequest> requests;
      for (size_t index : unasked_) {
        const SetObject& object = objects_[index];
        if (object.deferred()) continue;
        asked.push_back(index);
        requests.push_back(kube::ApplyRequest(object.resource.gvr, object.key,
                                              BodyOf(object, delivery_, parent_id_, nullptr, {}), options));
        requests.back().target = object.Describe();
      }
      if (asked.empty()) return {};
      if (attempt > 0 && !runtime_.SleepFor(kTryAgain * attempt, stop_)) {
        return Fail(ErrorClass::kCancelled, "stopped while asking {}", member_.name());
      }
      auto answers = member_.window(delivery_.lane)
                         .RunWave(std::move(requests), runtime_.Now() + kWaveDeadline, stop_);
      for (size_t i = 0; i < answers.size(); ++i) {
        const SetObject& object = objects_[asked[i]];
        if (answers[i]) {
          unasked_.erase(asked[i]);
        } else if (Repeatable(answers[i].error())) {
          last = answers[i].error();
        } else {
          return Fail(answers[i], "{} ({}) on {}", object.Describe(), object.object->Source(), member_.name());
        }
      }
    }
    return tl::unexpected<Error>(std::move(*last));
  }

  Status LearnDeferred() {
    bool any = false;
    for (size_t i = 0; i < objects_.size(); ++i) {
      if (!objects_[i].deferred()) continue;
      any = true;
      unasked_.insert(i);
    }
    if (!any) return {};
    if (Status resolved = ResolveDeferred(member_, objects_, stop_); !resolved) return resolved;
    return ListObjects();
  }

  // Writes these objects, each again after a conflict or a passing failure.
  Status Write(std::vector<size_t> indices) {
    std::optional<Error> last;
    for (int attempt = 0; !indices.empty(); ++attempt) {
      if (attempt == kTriesPerObject) return tl::unexpected<Error>(std::move(*last));
      if (attempt > 0 && !runtime_.SleepFor(kTryAgain * attempt, stop_)) {
        return Fail(ErrorClass::kCancelled, "stopped while writing to {}", member_.name());
      }
      if (!delivery_.leader.Valid()) return Fail(ErrorClass::kCancelled, "leadership was lost");
      auto requests = RequestsFor(indices);
      if (!requests) return Pass(requests);
      auto answers = member_.window(delivery_.lane)
                         .RunWave(std::move(*requests), runtime_.Now() + kWaveDeadline, stop_);
      std::vector<size_t> again;
      for (size_t i = 0; i < answers.size(); ++i) {
        Status noted = Note(objects_[indices[i]], answers[i]);
        if (noted) continue;
        if (!Repeatable(noted.error())) {
          return Fail(std::move(noted.error()), "{} ({}) on {}", objects_[indices[i]].Describe(),
                      objects_[indices[i]].object->Source(), member_.name());
        }
        again.push_back(indices[i]);
        last = std::move(noted.error());
      }
      if (!again.empty()) {
        if (Status refreshed = Refresh(again); !refreshed) return refreshed;
      }
      indices = std::move(again);
    }
    return {};
  }

  static bool Repeatable(const Error& error) {
    return IsTransient(error.cls) || error.cls == ErrorClass::kNotFound;
  }

  Result<std::vector<kube::ApiRequest>> RequestsFor(const std::vector<size_t>& indices) {
    std::map<size_t, value::Value> whole;
    if (Status read = ReadWhole(indices, whole); !read) return Pass(read);
    kube::WriteOptions options;
    options.force = true;
    options.impersonation = delivery_.As();
    std::vector<kube::ApiRequest> requests;
    requests.reserve(indices.size());
    for (size_t index : indices) {
      const SetObject& object = objects_[index];
      auto live = live_.find(object.Id());
      auto full = whole.find(index);
      requests.push_back(kube::ApplyRequest(
          object.resource.gvr, object.key,
          BodyOf(object, delivery_, parent_id_, live == live_.end() ? nullptr : &live->second,
                 full == whole.end() ? value::Ref() : full->second.ref()),
          options));
      requests.back().target = object.Describe();
    }
    return requests;
  }

  // Objects of which somebody else owns fields are needed whole.
  Status ReadWhole(const std::vector<size_t>& indices, std::map<size_t, value::Value>& whole) {
    std::vector<size_t> wanted;
    std::vector<kube::ApiRequest> requests;
    for (size_t index : indices) {
      const SetObject& object = objects_[index];
      if (object.ignored.empty() || !live_.count(object.Id())) continue;
      wanted.push_back(index);
      requests.push_back(kube::GetRequest(object.resource.gvr, object.key));
    }
    auto answers = member_.window(delivery_.lane)
                       .RunWave(std::move(requests), runtime_.Now() + kWaveDeadline, stop_);
    for (size_t i = 0; i < answers.size(); ++i) {
      const SetObject& object = objects_[wanted[i]];
      if (!answers[i] && answers[i].error().cls == ErrorClass::kNotFound) {
        live_.erase(object.Id());
        continue;
      }
      if (!answers[i]) return Fail(answers[i], "read {} on {}", object.Describe(), member_.name());
      auto read = answers[i]->Object();
      if (!read) return Pass(read);
      live_[object.Id()] = ToLive(*read);
      whole[wanted[i]] = std::move(*read);
    }
    return {};
  }

  Status Note(const SetObject& object, const Result<kube::ApiResponse>& answer) {
    if (!answer) return Pass(answer);
    auto stored = answer->Object();
    if (!stored) return Pass(stored);
    kube::InventoryEntry entry;
    entry.id = object.Id();
    entry.uid = kube::UidOf(*stored);
    entry.digest = object.digest;
    entry.generation = kube::GenerationOf(*stored);
    if (entry.generation == 0) entry.resource_version = kube::ResourceVersionOf(*stored);
    entries_[entry.id] = std::move(entry);
    ++report_.written;
    return {};
  }

  // What these objects are now: somebody else changed, made or removed them meanwhile.
  Status Refresh(const std::vector<size_t>& indices) {
    std::vector<kube::ApiRequest> requests;
    for (size_t index : indices) {
      kube::ApiRequest request =
          kube::GetRequest(objects_[index].resource.gvr, objects_[index].key);
      request.metadata_only = true;
      requests.push_back(std::move(request));
    }
    auto answers = member_.window(delivery_.lane)
                       .RunWave(std::move(requests), runtime_.Now() + kWaveDeadline, stop_);
    for (size_t i = 0; i < answers.size(); ++i) {
      const SetObject& object = objects_[indices[i]];
      if (answers[i]) {
        auto read = answers[i]->Object();
        if (!read) return Pass(read);
        live_[object.Id()] = ToLive(*read);
      } else if (answers[i].error().cls == ErrorClass::kNotFound) {
        live_.erase(object.Id());
      } else if (!IsTransient(answers[i].error().cls)) {
        return Fail(answers[i], "read {} on {}", object.Describe(), member_.name());
      }
    }
    return {};
  }

  Status AwaitHealth(const deliver::Phase& phase, Duration patience) {
    const TimePoint deadline = runtime_.Now() + patience;
    std::vector<size_t> waiting = phase.objects;
    std::string last;
    while (true) {
      std::vector<kube::ApiRequest> requests;
      for (size_t index : waiting) {
        requests.push_back(kube::GetRequest(objects_[index].resource.gvr, objects_[index].key));
      }
      auto answers = member_.window(delivery_.lane)
                         .RunWave(std::move(requests), runtime_.Now() + kWaveDeadline, stop_);
      std::vector<size_t> left;
      for (size_t i = 0; i < answers.size(); ++i) {
        const SetObject& object = objects_[waiting[i]];
        deliver::ObjectHealth health;
        if (answers[i]) {
          if (auto read = answers[i]->Object()) health = deliver::HealthOf(*read, runtime_.WallNow());
        } else if (!Repeatable(answers[i].error())) {
          return Fail(answers[i], "read {} on {}", object.Describe(), member_.name());
        } else {
          health.message = answers[i].error().ToString();
        }
        if (health.health == deliver::Health::kFailed) {
          return Fail(ErrorClass::kInvalid, "{} on {}: {}", object.Describe(), member_.name(),
                      health.message);
        }
        if (health.health == deliver::Health::kHealthy) continue;
        left.push_back(waiting[i]);
        last = object.Describe() + ": " + health.message;
      }
      if (left.empty()) return {};
      if (runtime_.Now() >= deadline) {
        return Fail(ErrorClass::kTimeout, "waited {} on {} for {}", FormatDuration(patience),
                    member_.name(), last);
      }
      if (!runtime_.SleepFor(500ms, stop_)) {
        return Fail(ErrorClass::kCancelled, "stopped while waiting on {}", member_.name());
      }
      waiting = std::move(left);
    }
  }

  Status Record() {
    // What left the set stays in the record until it is pruned.
    std::vector<kube::InventoryEntry> inventory;
    for (const auto& [id, entry] : known_) {
      if (!entries_.count(id)) inventory.push_back(entry);
    }
    for (auto& [id, entry] : entries_) inventory.push_back(entry);
    std::sort(inventory.begin(), inventory.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    parent_.inventory = std::move(inventory);
    parent_.phase = kApplied;
    parent_.applied_at = runtime_.WallNow();
    return Swap();
  }

  Member& member_;
  const Delivery& delivery_;
  Runtime& runtime_;
  const std::stop_token stop_;
  const std::string parent_id_;
  std::vector<SetObject> objects_;
  kube::Parent parent_;
  std::map<kube::ObjectId, kube::InventoryEntry> known_;    // of the record as we found it
  std::map<kube::ObjectId, kube::InventoryEntry> entries_;  // as we leave it
  LiveSet live_;
  std::set<size_t> unasked_;  // objects that no dry run has seen, since what they need was missing
  bool others_in_flight_ = false;  // a write of an older target may still arrive
  ApplyReport report_;
};

}  // namespace

Result<ApplyReport> ApplyRelease(Member& member, const Delivery& delivery, std::stop_token stop) {
  return Application(member, delivery, std::move(stop)).Run();
}

}  // namespace flotilla::operate
