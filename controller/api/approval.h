// Approval: lets one stage of one rollout go on (DESIGN section 2). `flotilla approve` and
// `flotilla promote` create it.
#pragma once

#include <optional>
#include <string>

#include "api/conditions.h"
#include "api/meta.h"
#include "base/result.h"

namespace flotilla::api {

enum class ApprovalAction : unsigned char {
  kProceed,   // the approval that requireApproval waits for
  kSkipBake,  // ends the bake of the stage now
};
const char* ToString(ApprovalAction action);

struct ApprovalSpec {
  std::string application;
  std::string rollout;
  std::string stage;           // name
  std::string release_digest;  // of that rollout: an approval never carries over
  ApprovalAction action = ApprovalAction::kProceed;
  std::optional<WallTime> expires;
  std::string requested_by;  // equals the requesting user (ValidatingAdmissionPolicy)
  std::string reason;
  bool operator==(const ApprovalSpec&) const = default;
};

struct ApprovalStatus {
  int64_t observed_generation = 0;
  Conditions conditions;  // Ready: it was used, or why not
  bool operator==(const ApprovalStatus&) const = default;
};

struct Approval {
  Meta meta;
  ApprovalSpec spec;
  ApprovalStatus status;
  bool operator==(const Approval&) const = default;
};

Result<Approval> ParseApproval(value::Ref object);
value::Value ToValue(const Approval& approval);

void Describe(Fields& f, Approval& approval);

}  // namespace flotilla::api
