#include <fmt/format.h>

#include "surface/cli/verbs/verbs.h"
#include "value/json.h"

namespace flotilla::surface {
namespace {

Result<value::Value> ReleaseOne(Session& session, const Fetched<api::Rollback>& rollback,
                                const std::string& user, const std::string& reason) {
  const value::Value patch = value::Value::Map(
      {{"metadata",
        value::Value::Map({{"resourceVersion", rollback.parsed.meta.resource_version}})},
       {"spec", value::Value::Map(
                    {{"release",
                      value::Value::Map({{"by", user},
                                         {"at", FormatTime(session.runtime.WallNow())},
                                         {"reason", reason.empty() ? value::Value()
                                                                   : value::Value(reason)}})}})}});
  auto done = session.hub.Do(
      kube::MergePatchRequest(ResourceOf(api::kRollbackKind),
                              {session.ns, rollback.parsed.meta.name}, value::ToJson(patch)),
      session.stop);
  if (!done) return Fail(done, "release Rollback {}", rollback.parsed.meta.name);
  return done;
}

}  // namespace

Result<int> Release(Session& session, const ReleaseFlags& flags) {
  auto rollbacks = RollbacksOf(session, flags.application);
  if (!rollbacks) return Pass(rollbacks);
  auto user = UserName(session);
  if (!user) return Pass(user);
  std::vector<value::Value> released;
  for (const auto& rollback : *rollbacks) {  // newest first
    const std::string& name = rollback.parsed.meta.name;
    if (!flags.rollback.empty() && name != flags.rollback) continue;
    // Without a fence it was never begun, and holds nothing.
    const bool begun = rollback.parsed.status.fence != 0;
    if (!begun || rollback.parsed.spec.release || rollback.parsed.spec.dry_run) continue;
    auto done = ReleaseOne(session, rollback, *user, flags.reason);
    if (!done) return Pass(done);
    if (session.console.for_people()) {
      session.console.OutLine(
          fmt::format("rollback/{} holds nothing back any more: {} may come again", name,
                      OrDash(rollback.parsed.spec.from.revision)));
    }
    released.push_back(std::move(*done));
    if (!flags.all) break;
  }
  if (!session.console.for_people())
    session.console.PrintObjects(released, api::kRollbackKind.plural);
  if (!released.empty()) return kDone;
  if (!flags.rollback.empty()) {
    return Fail(ErrorClass::kNotFound, "no Rollback {} of {} holds anything back", flags.rollback,
                flags.application);
  }
  session.console.Note(fmt::format("no Rollback of {} holds anything back", flags.application));
  return kDone;
}

}  // namespace flotilla::surface
