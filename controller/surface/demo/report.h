// What a rollback took, measured twice: by the controller (Rollout.status.timeline), and from
// outside, by the metrics source and by what the API servers accepted and when.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "api/rollout.h"
#include "base/runtime.h"
#include "base/time.h"
#include "sim/api_server/api_server.h"

namespace flotilla::surface::demo {

// Watches the audit of every server. Safe for concurrent use.
class Witness {
 public:
  void OnHub(const sim::AuditRecord& record);
  void OnMember(const std::string& member, const sim::AuditRecord& record);

  // When a Rollback was created; absent before.
  std::optional<WallTime> rolled_back_at() const;
  struct Writes {
    int objects = 0;  // of the application, by the controller, since the Rollback was created
    std::optional<WallTime> first;
    std::optional<WallTime> last;
  };
  std::map<std::string, Writes> writes() const;

 private:
  mutable Mutex mutex_;
  std::optional<WallTime> rolled_back_at_;  // both guarded by mutex_
  std::map<std::string, Writes> writes_;
};

// The table, several lines. `readable`: when the metrics source had the first bad sample.
std::string Table(const api::Rollout& rollout, std::optional<WallTime> readable,
                  const Witness& witness);

}  // namespace flotilla::surface::demo
