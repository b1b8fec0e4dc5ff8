// The life of one Application: feeds its delivery machine with what happens, and executes what the
// machine answers.
//
// Events are posted from anywhere and worked off by one worker at a time. Commands that record
// something are carried out at once, and repeated until they succeed; whatever follows them waits.
// All others become jobs whose results come back as events.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "deliver/machine.h"
#include "operate/delivery.h"
#include "operate/fleet.h"
#include "operate/gate_watch.h"
#include "operate/hub.h"
#include "operate/jobs.h"
#include "operate/observer.h"
#include "operate/prepare.h"
#include "operate/release.h"

namespace flotilla::operate {

// What all applications share. Owned by the Controller; outlives every ApplicationLoop.
struct Shell {
  Runtime& runtime;
  Hub& hub;
  Fleet& fleet;
  GateWatch& gate;
  ReleaseStore& releases;
  Preparer& preparer;
  Jobs& jobs;
  Logger log;
  kube::LeaderToken leader;
  std::string hub_uid;
  std::string identity;  // our user name on the hub
  std::function<void(const ObjectName& application)> wake;
  std::function<void(const ObjectName& application, TimePoint when)> wake_at;
  // Of the cluster as it is connected now; null where it is not.
  std::function<std::shared_ptr<Observer>(const std::string& cluster)> observer;
};

class ApplicationLoop : public std::enable_shared_from_this<ApplicationLoop> {
 public:
  ApplicationLoop(Shell& shell, ObjectName name);

  // From any thread.
  void Post(deliver::Event event);
  // A cluster was (re)connected: read what it holds.
  void Attach(const std::string& cluster);
  void OnSuspects(const std::string& cluster, deliver::Fence fence,
                  std::vector<kube::ObjectId> suspects);
  // Rollbacks, Approvals of this application changed on the hub.
  void OnRecordsChanged();

  // Works off what was posted, and what time has brought. Only the worker that took the key calls it.
  void Run(std::stop_token stop);

 private:
  struct Writing {  // the apply under way on one cluster
    deliver::Fence fence = 0;
    std::stop_source stop;
    std::shared_ptr<Event> done;
    std::shared_ptr<Writing> before;  // asked to stop; ours begins when it has
  };

  void Begin();  // restores the state from what is recorded
  void Renew(const deliver::Prepared& prepared, std::stop_token stop);
  bool Execute(const deliver::Commands& commands, std::stop_token stop);
  bool Persist(const deliver::Command& command, std::stop_token stop);
  Status PersistOnce(const deliver::Command& command, std::stop_token stop);
  Status CreateRollout(std::stop_token stop);
  Status SaveRollout(std::stop_token stop);
  Status CloseRollout(const deliver::CloseRollout& command, std::stop_token stop);
  Status SaveRollback(std::stop_token stop);
  Status CreateRollback(const deliver::CreateRollback& command, std::stop_token stop);
  Status RefuseRollback(const deliver::RefuseRollback& command, std::stop_token stop);
  Status SaveApplication(std::stop_token stop);
  Status Freeze(const std::string& reason, std::stop_token stop);
  void StartPrepare(const deliver::Prepare& command);
  void StartDryRun(const deliver::DryRun& command);
  void StartApply(const deliver::Apply& command, std::stop_token stop);
  void StartPrune(const deliver::Prune& command, std::stop_token stop);
  void Watch(const deliver::Watch& command);
  void Cancel(deliver::Fence below);

  Result<Delivery> DeliveryOf(const deliver::ReleaseId& release, deliver::Fence fence,
                              deliver::Lane lane, std::stop_token stop);
  Delivery Deliver(const std::shared_ptr<const api::Application>& application,
                   std::shared_ptr<const Release> release, deliver::Fence fence,
                   deliver::Lane lane) const;
  void Expect(const std::string& cluster, const Delivery& delivery, const kube::Parent& parent,
              std::stop_token stop);
  void ApplyOn(const std::string& cluster, const Delivery& delivery, Writing& writing,
               std::stop_token stop);
  deliver::Wanted WantedNow(const std::string& cluster);  // as of the last step
  deliver::FleetView View() const;
  deliver::Moment Now() const { return {shell_.runtime.Now(), shell_.runtime.WallNow()}; }
  deliver::Event SeenOf(const api::Rollback& rollback) const;

  Shell& shell_;
  const ObjectName name_;
  Logger log_;

  Mutex mutex_;
  std::deque<deliver::Event> mailbox_;  // guarded by mutex_
  std::shared_ptr<const deliver::AppState> snapshot_;  // as of the last step; guarded by mutex_
  TimePoint prepare_again_ = kForever;  // after a failure that may pass; guarded by mutex_
  std::map<std::string, std::shared_ptr<Writing>> writing_;  // by cluster; guarded by mutex_
  std::map<std::string, std::shared_ptr<const Release>> prepared_;  // by digest; guarded by mutex_

  // Of the worker alone.
  std::shared_ptr<const api::Application> application_;
  bool begun_ = false;
  int64_t generation_ = 0;  // of the spec that was prepared last
  deliver::AppState state_;
  std::optional<api::Rollout> rollout_;    // of state_.run, as we saved it last
  std::optional<api::Rollback> rollback_;  // of state_.rollback
  std::optional<api::ApplicationStatus> saved_status_;
};

}  // namespace flotilla::operate
