// Conditions keep the time of their last change, as their readers expect.
#include "api/conditions.h"

#include "catch.h"

namespace flotilla::api {
namespace {

const WallTime kEarly = WallTime(1000s);
const WallTime kLate = WallTime(2000s + 700ms);

TEST_CASE("a new condition gets the present time in whole seconds") {
  Conditions conditions;
  CHECK(SetCondition(conditions, "Ready", ConditionStatus::kTrue, "Done", "done", 3, kLate));
  REQUIRE(conditions.size() == 1);
  CHECK(conditions[0].type == "Ready");
  CHECK(conditions[0].reason == "Done");
  CHECK(conditions[0].message == "done");
  CHECK(conditions[0].observed_generation == 3);
  CHECK(conditions[0].last_transition == WallTime(2000s));
}

TEST_CASE("the time of a condition moves only with its status") {
  Conditions conditions;
  SetCondition(conditions, "Ready", ConditionStatus::kTrue, "Done", "done", 1, kEarly);
  SECTION("another message") {
    CHECK(SetCondition(conditions, "Ready", ConditionStatus::kTrue, "Done", "again", 2, kLate));
    CHECK(conditions[0].last_transition == kEarly);
    CHECK(conditions[0].message == "again");
    CHECK(conditions[0].observed_generation == 2);
  }
  SECTION("another status") {
    CHECK(SetCondition(conditions, "Ready", ConditionStatus::kFalse, "Done", "done", 1, kLate));
    CHECK(conditions[0].last_transition == WallTime(2000s));
  }
  SECTION("nothing new") {
    CHECK_FALSE(
        SetCondition(conditions, "Ready", ConditionStatus::kTrue, "Done", "done", 1, kLate));
    CHECK(conditions[0].last_transition == kEarly);
  }
}

TEST_CASE("the caller's own time does not matter") {
  Conditions conditions;
  Condition wanted;
  wanted.type = "Ready";
  wanted.reason = "Done";
  wanted.last_transition = kLate;
  SetCondition(conditions, wanted, kEarly);
  CHECK(conditions[0].last_transition == kEarly);
  CHECK_FALSE(SetCondition(conditions, wanted, kLate));
}

TEST_CASE("conditions are found and removed by type") {
  Conditions conditions;
  SetCondition(conditions, "Ready", ConditionStatus::kTrue, "Done", "", 1, kEarly);
  SetCondition(conditions, "Stalled", ConditionStatus::kFalse, "Fine", "", 1, kEarly);
  SetCondition(conditions, "Drifted", ConditionStatus::kUnknown, "Unseen", "", 1, kEarly);
  CHECK(IsTrue(conditions, condition::kReady));
  CHECK_FALSE(IsTrue(conditions, condition::kStalled));
  CHECK_FALSE(IsTrue(conditions, condition::kDrifted));
  CHECK_FALSE(IsTrue(conditions, condition::kPinned));
  REQUIRE(FindCondition(conditions, "Stalled") != nullptr);
  CHECK(FindCondition(conditions, "Stalled")->reason == "Fine");
  CHECK(FindCondition(conditions, "Pinned") == nullptr);
  CHECK(RemoveCondition(conditions, "Stalled"));
  CHECK_FALSE(RemoveCondition(conditions, "Stalled"));
  CHECK(conditions.size() == 2);
}

}  // namespace
}  // namespace flotilla::api
