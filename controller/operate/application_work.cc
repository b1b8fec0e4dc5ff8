// The jobs of an ApplicationLoop: what waits for members, Git or the renderer, and answers by an event.
#include <fmt/format.h>

#include <set>

#include "operate/application.h"
#include "operate/apply.h"
#include "operate/drift.h"
#include "operate/dry_run.h"
#include "operate/parents.h"
#include "operate/prune.h"

namespace flotilla::operate {
namespace {

constexpr int kForwardPerCluster = 8;
constexpr int kRollbacksPerCluster = 32;
constexpr int kPreparations = 4;
constexpr Duration kPrepareAgain = 10s;
constexpr int kTries = 10;

// How long to wait after try number `attempt` (from 0) of something that nothing else repeats.
Duration TryAgainAfter(int attempt, const Error& error) {
  Duration wait = std::min<Duration>(500ms * (1 << std::min(attempt, 5)), 10s);
  if (error.retry_after) wait = std::max<Duration>(wait, *error.retry_after);
  return wait;
}

std::set<kube::ObjectId> IdsOf(const render::Variant& variant) {
  std::set<kube::ObjectId> ids;
  for (const render::Object& object : variant.objects) {
    ids.insert(object.Id());
    // The key of a cluster-scoped object may carry the target namespace; the record's does not.
    kube::ObjectId without_namespace = object.Id();
    without_namespace.ns.clear();
    ids.insert(std::move(without_namespace));
  }
  return ids;
}

std::string LaneGroup(const std::string& cluster, deliver::Lane lane) {
  return cluster + (lane == deliver::Lane::kRollback ? " rollback" : " forward");
}

}  // namespace

Result<Delivery> ApplicationLoop::DeliveryOf(const deliver::ReleaseId& release,
                                             deliver::Fence fence, deliver::Lane lane,
                                             std::stop_token stop) {
  auto stored = shell_.releases.Get(release.release_digest, stop);
  if (!stored) return Fail(stored, "find release {}", release.release_digest);
  return Deliver(application_, std::move(*stored), fence, lane);
}

Delivery ApplicationLoop::Deliver(const std::shared_ptr<const api::Application>& application,
                                  std::shared_ptr<const Release> release, deliver::Fence fence,
                                  deliver::Lane lane) const {
  return {shell_.hub_uid,
          application->meta.ns,
          application->meta.name,
          fence,
          lane,
          std::move(release),
          std::shared_ptr<const api::ApplicationSpec>(application, &application->spec),
          shell_.leader};
}

void ApplicationLoop::StartPrepare(const deliver::Prepare& command) {
  auto self = shared_from_this();
  shell_.jobs.Start("prepare", kPreparations,
                    [self, id = command.id, application = application_](std::stop_token stop) {
                      auto made = self->shell_.preparer.Prepare(*application, stop);
                      if (made) {
                        {
                          MutexLock lock(self->mutex_);
                          // Only what a command may still ask for is kept.
                          if (self->prepared_.size() > 4) self->prepared_.clear();
                          self->prepared_[made->release->id.release_digest] = made->release;
                        }
                        self->Post(deliver::Prepared{id, std::move(made->prepared)});
                        return;
                      }
                      if (made.error().cls == ErrorClass::kCancelled) return;
                      if (IsTransient(made.error().cls)) {
                        const TimePoint again = self->shell_.runtime.Now() + kPrepareAgain;
                        {
                          MutexLock lock(self->mutex_);
                          self->prepare_again_ = again;
                        }
                        self->shell_.wake_at(self->name_, again);
                      }
                      self->Post(deliver::PrepareFailed{id, made.error()});
                    });
}

void ApplicationLoop::StartDryRun(const deliver::DryRun& command) {
  auto self = shared_from_this();
  const deliver::AppState& state = state_;
  std::shared_ptr<const Release> release;
  {
    MutexLock lock(mutex_);
    auto it = prepared_.find(state.run->release.release_digest);
    if (it != prepared_.end()) release = it->second;
  }
  shell_.jobs.Start(
      LaneGroup(command.cluster, deliver::Lane::kForward), kForwardPerCluster,
      [self, command, release, application = application_](std::stop_token stop) {
        deliver::DryRunDone done{command.cluster, command.fence,
                                 deliver::DryRunAnswer::kUnavailable, {}};
        std::shared_ptr<Member> member = self->shell_.fleet.Find(command.cluster);
        std::shared_ptr<const Release> found = release;
        if (!found) {
          auto stored = self->shell_.releases.Get(command.release.release_digest, stop);
          if (stored) found = std::move(*stored);
        }
        if (!member || !found) {
          done.message = member ? "its release is not stored" : "it cannot be connected to";
        } else {
          const Delivery delivery =
            self->Deliver(application, found, command.fence, deliver::Lane::kForward);
          auto parent = ReadParent(*member, deliver::Lane::kForward, delivery.ParentName(), stop);
          if (parent && *parent) done.held_fence = (*parent)->fence;
          if (parent) {
            DryRunReport report = DryRunRelease(*member, delivery, stop);
            done.answer = report.answer;
            done.message = std::move(report.message);
          } else {
            done.message = parent.error().ToString();
          }
        }
        if (stop.stop_requested()) return;
        if (done.answer == deliver::DryRunAnswer::kUnavailable) {
          self->shell_.fleet.Suspect(command.cluster);
        }
        self->Post(std::move(done));
      });
}

void ApplicationLoop::StartApply(const deliver::Apply& command, std::stop_token stop) {
  if (const deliver::Quarantine* held = deliver::FindQuarantine(state_, command.release);
      held && !(state_.rollback && state_.rollback->fence == command.fence)) {
    log_.Error("a quarantined release was about to be applied",
               {{"release", command.release.release_digest}, {"rollback", held->rollback}});
    return;
  }
  auto delivery = DeliveryOf(command.release, command.fence, command.lane, stop);
  if (!delivery) {
    Post(deliver::ApplyFailed{command.cluster, command.fence, delivery.error()});
    return;
  }
  auto writing = std::make_shared<Writing>();
  writing->fence = command.fence;
  writing->done = shell_.runtime.NewEvent();
  {
    MutexLock lock(mutex_);
    auto& slot = writing_[command.cluster];
    writing->before = std::exchange(slot, writing);
  }
  if (writing->before) writing->before->stop.request_stop();
  auto self = shared_from_this();
  const int limit =
      command.lane == deliver::Lane::kRollback ? kRollbacksPerCluster : kForwardPerCluster;
  shell_.jobs.Start(LaneGroup(command.cluster, command.lane), limit,
                    [self, cluster = command.cluster, delivery = std::move(*delivery),
                     writing](std::stop_token job_stop) {
                      self->ApplyOn(cluster, delivery, *writing, job_stop);
                      writing->before.reset();
                      writing->done->Set();
                    });
}

void ApplicationLoop::ApplyOn(const std::string& cluster, const Delivery& delivery,
                              Writing& writing, std::stop_token stop) {
  std::stop_callback passed_on(stop, [&writing] { writing.stop.request_stop(); });
  const std::stop_token either = writing.stop.get_token();
  // One writer per cluster: the one before us was asked to stop, and ends within moments.
  if (writing.before) writing.before->done->Wait(kForever, stop);
  if (either.stop_requested()) return;
  std::shared_ptr<Member> member = shell_.fleet.Find(cluster);
  if (!member) {
    Error error;
    error.cls = ErrorClass::kUnavailable;
    error.outcome = Outcome::kNotSent;
    error.message = cluster + " cannot be connected to";
    Post(deliver::ApplyFailed{cluster, delivery.fence, std::move(error)});
    return;
  }
  std::shared_ptr<Observer> observer = shell_.observer(cluster);
  if (observer) observer->Pause(name_);
  auto applied = ApplyRelease(*member, delivery, either);
  if (either.stop_requested()) return;
  if (!applied) {
    log_.Warning("apply failed",
                 {{"cluster", cluster}, {"fence", delivery.fence}, {"error", applied.error()}});
    if (IsTransient(applied.error().cls)) shell_.fleet.Suspect(cluster);
    Post(deliver::ApplyFailed{cluster, delivery.fence, applied.error()});
    return;
  }
  log_.Info("applied", {{"cluster", cluster},
                        {"fence", delivery.fence},
                        {"release", delivery.release->id.release_digest},
                        {"written", applied->written},
                        {"unchanged", applied->unchanged}});
  // When the last object was accepted; the record was written after that.
  Post(deliver::Applied{cluster, delivery.fence, applied->written,
                        applied->parent.applied_at.value_or(shell_.runtime.WallNow())});
  Expect(cluster, delivery, applied->parent, either);
}

void ApplicationLoop::Expect(const std::string& cluster, const Delivery& delivery,
                             const kube::Parent& parent, std::stop_token stop) {
  std::shared_ptr<Observer> observer = shell_.observer(cluster);
  std::shared_ptr<Member> member = shell_.fleet.Find(cluster);
  const render::Variant* variant = delivery.release->VariantFor(cluster);
  if (!observer || !member || !variant) return;
  Observer::Expectation expectation;
  expectation.application = name_;
  expectation.fence = delivery.fence;
  expectation.parent_id = kube::ParentId(parent.name);
  const std::set<kube::ObjectId> wanted = IdsOf(*variant);
  std::map<kube::GroupKind, kube::ApiResource> kinds;
  for (const kube::InventoryEntry& entry : parent.inventory) {
    if (!wanted.count(entry.id) || entry.uid.empty()) continue;
    expectation.inventory.push_back(entry);
    if (kinds.count(entry.id.ToGroupKind())) continue;
    auto resource = member->discovery().Resolve(entry.id.ToGroupKind(), stop);
    if (resource) kinds.emplace(entry.id.ToGroupKind(), std::move(*resource));
  }
  for (auto& [kind, resource] : kinds) expectation.kinds.push_back(std::move(resource));
  observer->Expect(std::move(expectation));
}

void ApplicationLoop::StartPrune(const deliver::Prune& command, std::stop_token stop) {
  auto delivery = DeliveryOf(command.release, command.fence, command.lane, stop);
  auto self = shared_from_this();
  if (!delivery) {
    Post(deliver::Pruned{command.cluster, command.fence, 0, delivery.error().ToString()});
    return;
  }
  shell_.jobs.Start(
      LaneGroup(command.cluster, command.lane), kForwardPerCluster,
      [self, command, delivery = std::move(*delivery)](std::stop_token job_stop) {
        deliver::Pruned done{command.cluster, command.fence, 0, {}};
        for (int attempt = 0; attempt < kTries; ++attempt) {
          std::shared_ptr<Member> member = self->shell_.fleet.Find(command.cluster);
          if (!member) {
            done.blocked = "it cannot be connected to";
            break;
          }
          auto pruned = PruneRelease(*member, delivery, job_stop);
          if (pruned) {
            done.deleted = pruned->deleted;
            done.blocked = pruned->blocked;
            break;
          }
          done.blocked = pruned.error().ToString();
          // Whoever returns from absence is pruned when its record is read.
          if (!IsTransient(pruned.error().cls) || !member->reachable()) break;
          const auto wait = TryAgainAfter(attempt, pruned.error());
          if (!self->shell_.runtime.SleepFor(wait, job_stop)) return;
          if (self->WantedNow(command.cluster).fence != command.fence) break;
        }
        if (!job_stop.stop_requested()) self->Post(std::move(done));
      });
}

void ApplicationLoop::Watch(const deliver::Watch& command) {
  std::vector<GateCluster> clusters;
  auto applied_at = [&](const std::string& name) {
    auto find = [&](const std::vector<deliver::ClusterRun>& list) -> const deliver::ClusterRun* {
      for (const deliver::ClusterRun& cluster : list) {
        if (cluster.name == name) return &cluster;
      }
      return nullptr;
    };
    const deliver::ClusterRun* cluster = nullptr;
    if (state_.rollback && state_.rollback->fence == command.fence) {
      cluster = find(state_.rollback->clusters);
    } else if (state_.run && state_.run->fence == command.fence) {
      cluster = find(state_.run->clusters);
    }
    return cluster ? cluster->applied_at : WallTime{};
  };
  for (const std::string& name : command.clusters) clusters.push_back({name, applied_at(name)});
  std::vector<api::ServiceLevelObjective> slos;
  for (const std::string& name : application_->spec.slos) {
    if (auto slo = shell_.hub.slos().Find(NameOf(application_->meta.ns, name))) slos.push_back(*slo);
  }
  shell_.gate.Set(name_, command.fence, std::move(clusters), std::move(slos));
}

deliver::Wanted ApplicationLoop::WantedNow(const std::string& cluster) {
  std::shared_ptr<const deliver::AppState> state;
  {
    MutexLock lock(mutex_);
    state = snapshot_;
  }
  return state ? deliver::WantedOf(*state, cluster) : deliver::Wanted{};
}

void ApplicationLoop::Cancel(deliver::Fence below) {
  MutexLock lock(mutex_);
  for (auto& [cluster, writing] : writing_) {
    if (writing->fence < below) writing->stop.request_stop();
  }
}

void ApplicationLoop::Attach(const std::string& cluster) {
  auto self = shared_from_this();
  shell_.jobs.Start(
      LaneGroup(cluster, deliver::Lane::kForward), kForwardPerCluster,
      [self, cluster](std::stop_token stop) {
        std::shared_ptr<Member> member = self->shell_.fleet.Find(cluster);
        std::shared_ptr<const deliver::AppState> state;
        std::shared_ptr<const api::Application> application =
            self->shell_.hub.applications().Find(self->name_);
        {
          MutexLock lock(self->mutex_);
          state = self->snapshot_;
        }
        if (!member || !member->reachable() || !application || !state) return;
        const std::string name = kube::ParentName(self->shell_.hub_uid, application->meta.ns,
                                                  application->meta.name);
        auto parent = ReadParent(*member, deliver::Lane::kForward, name, stop);
        for (int attempt = 0; !parent; ++attempt) {
          self->log_.Warning("cannot read what a cluster holds",
                             {{"cluster", cluster}, {"error", parent.error()}});
          if (!IsTransient(parent.error().cls)) return;
          self->shell_.fleet.Suspect(cluster);
          if (!self->shell_.runtime.SleepFor(TryAgainAfter(attempt, parent.error()), stop)) return;
          // One that went away, or was connected anew, is attached to again.
          if (!member->reachable() || self->shell_.fleet.Find(cluster) != member) return;
          parent = ReadParent(*member, deliver::Lane::kForward, name, stop);
        }
        {
          MutexLock lock(self->mutex_);
          state = self->snapshot_;
        }
        deliver::HeldSeen held;
        held.cluster = cluster;
        if (*parent) {
          held.fence = (*parent)->fence;
          held.release_digest = (*parent)->target_digest;
          held.complete = (*parent)->phase == "Applied";
        }
        const deliver::Wanted wanted = deliver::WantedOf(*state, cluster);
        // The fence of a cluster that no later run or rollback had to write to stays behind.
        const bool as_wanted = held.complete && wanted.fence >= held.fence &&
                               wanted.release.release_digest == held.release_digest;
        if (!as_wanted) return self->Post(held);
        auto release = self->shell_.releases.Get(wanted.release.release_digest, stop);
        const render::Variant* variant = release ? (*release)->VariantFor(cluster) : nullptr;
        if (variant) {
          const std::set<kube::ObjectId> ids = IdsOf(*variant);
          for (const kube::InventoryEntry& entry : (*parent)->inventory) {
            held.surplus |= ids.count(entry.id) == 0;
          }
        }
        self->Post(held);
        if (!variant) return;
        const Delivery delivery =
            self->Deliver(application, std::move(*release), held.fence, deliver::Lane::kForward);
        self->Expect(cluster, delivery, **parent, stop);
      });
}

void ApplicationLoop::OnSuspects(const std::string& cluster, deliver::Fence fence,
                                 std::vector<kube::ObjectId> suspects) {
  auto self = shared_from_this();
  shell_.jobs.Start(
      LaneGroup(cluster, deliver::Lane::kForward), kForwardPerCluster,
      [self, cluster, fence, suspects = std::move(suspects)](std::stop_token stop) {
        std::shared_ptr<Observer> observer = self->shell_.observer(cluster);
        Result<DriftReport> report = DriftReport{};
        for (int attempt = 0;; ++attempt) {
          auto application = self->shell_.hub.applications().Find(self->name_);
          std::shared_ptr<Member> member = self->shell_.fleet.Find(cluster);
          if (!application || !member || !observer) return;
          const deliver::Wanted wanted = self->WantedNow(cluster);
          if (wanted.fence < fence || wanted.release.empty()) return;
          auto release = self->shell_.releases.Get(wanted.release.release_digest, stop);
          if (!release) return;
          const Delivery delivery = self->Deliver(application, std::move(*release), wanted.fence,
                                                  deliver::Lane::kForward);
          auto removed = RemoveLateCreates(*member, delivery, suspects, stop);
          report = removed ? CheckDrift(*member, delivery, suspects, stop)
                           : Result<DriftReport>(Pass(removed));
          for (const std::string& object : removed.value_or(std::vector<std::string>{})) {
            self->log_.Info("removed a late create", {{"cluster", cluster}, {"object", object}});
          }
          if (report) break;
          self->log_.Warning("cannot check drift", {{"cluster", cluster}, {"error", report.error()}});
          // Nobody else brings it up again; one that went away is read when it returns.
          if (!IsTransient(report.error().cls) || !member->reachable() || attempt == kTries) return;
          if (!self->shell_.runtime.SleepFor(TryAgainAfter(attempt, report.error()), stop)) return;
        }
        for (const kube::ObjectId& id : report->accepted) observer->Accept(self->name_, id);
        if (report->drifted.empty()) return;
        std::string what;
        for (const std::string& item : report->drifted) {
          if (!what.empty()) what += "; ";
          what += item;
        }
        self->Post(deliver::Drifted{cluster, std::move(what)});
      });
}

}  // namespace flotilla::operate
