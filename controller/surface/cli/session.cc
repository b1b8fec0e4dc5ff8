#include "surface/cli/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "kube/errors.h"
#include "value/json.h"

namespace flotilla::surface {
namespace {

template <typename T>
Result<std::vector<Fetched<T>>> ParsedOf(Session& session, const api::KindInfo& kind,
                                         Result<T> (*parse)(value::Ref),
                                         const std::string& application) {
  auto objects = ListAll(session, kind);
  if (!objects) return Pass(objects);
  std::vector<Fetched<T>> found;
  for (value::Value& object : *objects) {
    if (object.At("spec", "application").String() != application) continue;
    auto parsed = parse(object);
    if (!parsed) return Fail(parsed, "{} {}", kind.kind, kube::NameOf(object));
    found.push_back({std::move(object), std::move(*parsed)});
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.parsed.spec.fence > b.parsed.spec.fence; });
  return found;
}

}  // namespace

kube::GroupVersionResource ResourceOf(const api::KindInfo& kind) {
  return {std::string(api::kGroup), std::string(api::kVersion), std::string(kind.plural)};
}

Result<std::string> UserName(Session& session) {
  kube::ApiRequest request;
  request.verb = kube::Verb::kReview;
  request.path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  request.body = R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})";
  request.target = "our own user name";
  auto review = session.hub.Do(std::move(request), session.stop);
  if (!review) return Fail(review, "ask the hub who we are");
  return review->At("status", "userInfo", "username").Text();
}

Result<Fetched<api::Application>> GetApplication(Session& session, const std::string& name) {
  auto object =
      session.hub.Get(ResourceOf(api::kApplicationKind), {session.ns, name}, session.stop);
  if (!object) {
    if (kube::ReasonOf(object.error()) == kube::Reason::kNotFound) {
      return Fail(ErrorClass::kNotFound, "there is no Application {} in namespace {}", name,
                  session.ns);
    }
    return Fail(object, "read Application {}", name);
  }
  auto parsed = api::ParseApplication(*object);
  if (!parsed) return Fail(parsed, "Application {}", name);
  return Fetched<api::Application>{std::move(*object), std::move(*parsed)};
}

Result<std::vector<Fetched<api::Rollout>>> RolloutsOf(Session& session,
                                                      const std::string& application) {
  return ParsedOf<api::Rollout>(session, api::kRolloutKind, &api::ParseRollout, application);
}

Result<std::vector<Fetched<api::Rollback>>> RollbacksOf(Session& session,
                                                        const std::string& application) {
  return ParsedOf<api::Rollback>(session, api::kRollbackKind, &api::ParseRollback, application);
}

Result<std::optional<Fetched<api::Rollout>>> CurrentRollout(Session& session,
                                                            const api::Application& application) {
  if (!application.status.rollout) return std::nullopt;
  const std::string& name = application.status.rollout->name;
  auto object = session.hub.Find(ResourceOf(api::kRolloutKind), {session.ns, name}, session.stop);
  if (!object) return Fail(object, "read Rollout {}", name);
  if (!*object) return std::nullopt;
  auto parsed = api::ParseRollout(**object);
  if (!parsed) return Fail(parsed, "Rollout {}", name);
  return Fetched<api::Rollout>{std::move(**object), std::move(*parsed)};
}

Result<std::vector<value::Value>> ListAll(Session& session, const api::KindInfo& kind,
                                          bool all_namespaces) {
  const std::string ns = kind.namespaced && !all_namespaces ? session.ns : "";
  auto list = session.hub.List(ResourceOf(kind), kind.kind, ns, {}, session.stop);
  if (!list) return Fail(list, "list {}", kind.plural);
  return std::move(list->items);
}

Result<value::Value> CreateObject(Session& session, const api::KindInfo& kind, value::Ref object) {
  auto created =
      session.hub.Do(kube::CreateRequest(ResourceOf(kind), std::string(kube::NamespaceOf(object)),
                                         value::ToJson(object)),
                     session.stop);
  if (!created) return Fail(created, "create {} {}", kind.kind, kube::NameOf(object));
  return created;
}

std::string Age(WallTime now, std::optional<WallTime> then) {
  if (!then) return "-";
  const auto seconds =
      std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(now - *then).count());
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 7200) return fmt::format("{}m{}s", seconds / 60, seconds % 60);
  if (seconds < 172800) return fmt::format("{}h{}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{}h", seconds / 86400, seconds / 3600 % 24);
}

}  // namespace flotilla::surface
