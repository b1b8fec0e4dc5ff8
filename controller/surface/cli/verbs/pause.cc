#include <fmt/format.h>

#include "api/freeze.h"
#include "kube/errors.h"
#include "surface/cli/verbs/verbs.h"
#include "value/json.h"

namespace flotilla::surface {
namespace {

std::string FreezeName(const std::string& application) { return application + "-pause"; }

}  // namespace

Result<int> Pause(Session& session, const PauseFlags& flags) {
  auto application = GetApplication(session, flags.application);
  if (!application) return Pass(application);
  auto user = UserName(session);
  if (!user) return Pass(user);
  api::Freeze freeze;
  freeze.meta.ns = session.ns;
  freeze.meta.name = FreezeName(flags.application);
  freeze.meta.labels[std::string(api::kApplicationLabel)] = flags.application;
  freeze.spec.application = flags.application;
  freeze.spec.reason = flags.reason.empty() ? "paused by hand" : flags.reason;
  freeze.spec.requested_by = *user;
  if (flags.duration) freeze.spec.expires = session.runtime.WallNow() + *flags.duration;
  auto created = CreateObject(session, api::kFreezeKind, api::ToValue(freeze));
  if (!created && kube::ReasonOf(created.error()) == kube::Reason::kAlreadyExists) {
    return Fail(ErrorClass::kConflict, "{} is paused already (Freeze {}): resume it first",
                flags.application, freeze.meta.name);
  }
  if (!created) return Pass(created);
  if (session.console.for_people()) {
    session.console.OutLine(
        fmt::format("{} is paused{}; rollbacks go on", flags.application,
                    freeze.spec.expires ? " until " + FormatTime(*freeze.spec.expires) : ""));
  } else {
    session.console.PrintObject(*created, api::kFreezeKind.plural);
  }
  return kDone;
}

Result<int> Resume(Session& session, const std::string& application) {
  auto objects = ListAll(session, api::kFreezeKind);
  if (!objects) return Pass(objects);
  int removed = 0;
  std::string others;
  for (const value::Value& object : *objects) {
    const std::string name(kube::NameOf(object));
    const std::string_view of = object.At("spec", "application").String();
    if (of.empty()) others += (others.empty() ? "" : ", ") + name;
    if (of != application) continue;
    auto gone = session.hub.Do(kube::DeleteRequest(ResourceOf(api::kFreezeKind), {session.ns, name},
                                                   {.uid = std::string(kube::UidOf(object))}),
                               session.stop);
    if (!gone && gone.error().cls != ErrorClass::kNotFound)
      return Fail(gone, "delete Freeze {}", name);
    ++removed;
    session.console.OutLine(fmt::format("freeze/{} is deleted", name));
  }
  if (!others.empty()) {
    session.console.Note(fmt::format("still frozen with its whole namespace: Freeze {}", others));
    return kBlocked;
  }
  if (removed == 0) session.console.Note(fmt::format("{} was not paused", application));
  return kDone;
}

}  // namespace flotilla::surface
