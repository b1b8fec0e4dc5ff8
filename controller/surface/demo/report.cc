#include "surface/demo/report.h"

#include <fmt/format.h>

#include "surface/demo/fleet.h"

namespace flotilla::surface::demo {
namespace {

std::string Since(std::optional<WallTime> time, WallTime zero) {
  if (!time) return "-";
  return fmt::format("{:+.0f} ms", std::chrono::duration<double, std::milli>(*time - zero).count());
}

}  // namespace

void Witness::OnHub(const sim::AuditRecord& record) {
  if (record.request.resource != "rollbacks" || !record.before.IsAbsent()) return;
  MutexLock lock(mutex_);
  rolled_back_at_ = record.wall;
  writes_.clear();
}

void Witness::OnMember(const std::string& member, const sim::AuditRecord& record) {
  if (record.user.name != kControllerUser || record.request.namespace_name != "shop") return;
  MutexLock lock(mutex_);
  if (!rolled_back_at_) return;
  Writes& writes = writes_[member];
  ++writes.objects;
  if (!writes.first) writes.first = record.wall;
  writes.last = record.wall;
}

std::optional<WallTime> Witness::rolled_back_at() const {
  MutexLock lock(mutex_);
  return rolled_back_at_;
}

std::map<std::string, Witness::Writes> Witness::writes() const {
  MutexLock lock(mutex_);
  return writes_;
}

std::string Table(const api::Rollout& rollout, std::optional<WallTime> readable,
                  const Witness& witness) {
  const api::Timeline own = rollout.status.timeline.value_or(api::Timeline());
  const WallTime zero = readable.value_or(own.breach_visible.value_or(WallTime{}));
  std::optional<WallTime> first;
  std::optional<WallTime> last;
  std::string written;
  for (const auto& [member, writes] : witness.writes()) {
    if (!first || *writes.first < *first) first = writes.first;
    if (!last || *writes.last > *last) last = writes.last;
    written += fmt::format("{}{}: {} object{} written back", written.empty() ? "" : "; ", member,
                           writes.objects, writes.objects == 1 ? "" : "s");
  }
  const struct {
    const char* what;
    std::optional<WallTime> own;
    std::optional<WallTime> outside;
    const char* source;
  } rows[] = {
      {"breach readable", own.breach_visible, readable, "first bad sample in the metrics source"},
      {"breach detected", own.detected, std::nullopt, ""},
      {"rollback decided", own.decided, witness.rolled_back_at(), "Rollback accepted by the hub"},
      {"first object written", own.first_apply, first, "first write that a member accepted"},
      {"accepted by every cluster", own.accepted, last, "last write that a member accepted"},
  };
  std::string table = fmt::format("{:<27}{:>14}  {:>14}\n", "", "the controller", "from outside");
  for (const auto& row : rows) {
    table += fmt::format("{:<27}{:>14}  {:>14}  {}\n", row.what, Since(row.own, zero),
                         row.outside || *row.source ? Since(row.outside, zero) : "", row.source);
  }
  table += written.empty() ? "no object was written back" : written;
  return table;
}

}  // namespace flotilla::surface::demo
