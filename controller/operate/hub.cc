#include "operate/hub.h"

#include <fmt/format.h>

#include "api/names.h"
#include "base/encoding.h"
#include "value/json.h"

namespace flotilla::operate {
namespace {

constexpr int kStatusTries = 5;
const kube::GroupVersionResource kNamespaces{"", "v1", "namespaces"};
const kube::GroupVersionResource kSecrets{"", "v1", "secrets"};
const kube::GroupVersionResource kEvents{"", "v1", "events"};

// What Create and SaveStatus need to know of a type.
const api::KindInfo& KindOf(const api::Application&) { return api::kApplicationKind; }
const api::KindInfo& KindOf(const api::Approval&) { return api::kApprovalKind; }
const api::KindInfo& KindOf(const api::Cluster&) { return api::kClusterKind; }
const api::KindInfo& KindOf(const api::Freeze&) { return api::kFreezeKind; }
const api::KindInfo& KindOf(const api::Repository&) { return api::kRepositoryKind; }
const api::KindInfo& KindOf(const api::Rollback&) { return api::kRollbackKind; }
const api::KindInfo& KindOf(const api::Rollout&) { return api::kRolloutKind; }
Result<api::Freeze> Parse(value::Ref object, const api::Freeze&) { return api::ParseFreeze(object); }
Result<api::Rollback> Parse(value::Ref object, const api::Rollback&) { return api::ParseRollback(object); }
Result<api::Rollout> Parse(value::Ref object, const api::Rollout&) { return api::ParseRollout(object); }

}  // namespace

ObjectName NameOf(std::string_view ns, std::string_view name) {
  return ns.empty() ? std::string(name) : fmt::format("{}/{}", ns, name);
}

kube::ObjectKey KeyOf(const ObjectName& name) {
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return {"", name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

kube::GroupVersionResource ResourceOf(const api::KindInfo& kind) {
  return {std::string(api::kGroup), std::string(api::kVersion), std::string(kind.plural)};
}

Hub::Hub(kube::Client& client, kube::WatchPool& pool, Logger log, OnChange on_change)
    : client_(client), pool_(pool), log_(std::move(log)), on_change_(std::move(on_change)) {
  auto make = [&](auto& cache, const api::KindInfo& kind, auto parse) {
    using Kept = typename std::remove_reference_t<decltype(cache)>::element_type;
    cache = std::make_unique<Kept>(kind, parse, log_, [this, &kind](const ObjectName& name) {
      on_change_(kind, name);
    });
  };
  make(applications_, api::kApplicationKind, &api::ParseApplication);
  make(clusters_, api::kClusterKind, &api::ParseCluster);
  make(repositories_, api::kRepositoryKind, &api::ParseRepository);
  make(plans_, api::kRolloutPlanKind, &api::ParseRolloutPlan);
  make(slos_, api::kServiceLevelObjectiveKind, &api::ParseServiceLevelObjective);
  make(policies_, api::kDeliveryPolicyKind, &api::ParseDeliveryPolicy);
  make(rollouts_, api::kRolloutKind, &api::ParseRollout);
  make(rollbacks_, api::kRollbackKind, &api::ParseRollback);
  make(approvals_, api::kApprovalKind, &api::ParseApproval);
  make(freezes_, api::kFreezeKind, &api::ParseFreeze);
  make(cluster_freezes_, api::kClusterFreezeKind, &api::ParseClusterFreeze);
}

Hub::~Hub() { telling_.request_stop(); }

void Hub::Start() {
  auto start = [&](auto& cache) {
    kube::WatchOptions options;
    options.resource = ResourceOf(cache->kind());
    options.kind = cache->kind().kind;
    cache->watch_ = pool_.Start(client_, std::move(options), *cache);
  };
  start(clusters_);
  start(repositories_);
  start(plans_);
  start(slos_);
  start(policies_);
  start(rollouts_);
  start(rollbacks_);
  start(approvals_);
  start(freezes_);
  start(cluster_freezes_);
  start(applications_);
}

bool Hub::Synced() const {
  return applications_->synced() && clusters_->synced() && repositories_->synced() &&
         plans_->synced() && slos_->synced() && policies_->synced() && rollouts_->synced() &&
         rollbacks_->synced() && approvals_->synced() && freezes_->synced() &&
         cluster_freezes_->synced();
}

Result<std::string> Hub::Uid(std::stop_token stop) {
  {
    MutexLock lock(mutex_);
    if (!uid_.empty()) return uid_;
  }
  auto system = client_.Get(kNamespaces, {"", "kube-system"}, stop);
  if (!system) return Fail(system, "read the identity of the hub");
  MutexLock lock(mutex_);
  uid_ = kube::UidOf(*system);
  return uid_;
}

Status Hub::CatchUp(std::stop_token stop) {
  auto read = [&](auto& cache) -> Status {
    const api::KindInfo& kind = cache->kind();
    auto list = client_.List(ResourceOf(kind), kind.kind, "", {}, stop);
    if (!list) return Fail(list, "read every {}", kind.kind);
    for (value::Value& item : list->items) cache->OnApply(std::move(item));
    return {};
  };
  if (Status rollouts = read(rollouts_); !rollouts) return rollouts;
  return read(rollbacks_);
}

Result<std::map<std::string, Secret>> Hub::ReadSecret(const kube::ObjectKey& key,
                                                      std::stop_token stop) {
  auto object = client_.Get(kSecrets, key, stop);
  if (!object) return Fail(object, "read Secret {}", key.ToString());
  std::map<std::string, Secret> values;
  for (const auto& [name, encoded] : (*object)["data"].Members()) {
    auto decoded = DecodeBase64(encoded.String());
    if (!decoded) return Fail(ErrorClass::kInvalid, "Secret {}: {} is no base64", key.ToString(), name);
    values.emplace(name, Secret(std::move(*decoded)));
  }
  return values;
}

template <typename T>
Result<T> Hub::Create(const T& object, std::stop_token stop) {
  const api::KindInfo& kind = KindOf(object);
  auto stored = client_.Do(
      kube::CreateRequest(ResourceOf(kind), object.meta.ns, value::ToJson(api::ToValue(object))), stop);
  if (!stored) return Fail(stored, "create {} {}", kind.kind, object.meta.name);
  {
    MutexLock lock(mutex_);
    wrote_[fmt::format("{}/{}", kind.plural, object.meta.Key())] = kube::ResourceVersionOf(*stored);
  }
  return Parse(*stored, object);
}

template Result<api::Rollout> Hub::Create(const api::Rollout&, std::stop_token);
template Result<api::Rollback> Hub::Create(const api::Rollback&, std::stop_token);
template Result<api::Freeze> Hub::Create(const api::Freeze&, std::stop_token);

template <typename T>
Status Hub::SaveStatus(const T& object, const kube::LeaderToken& leader, std::stop_token stop) {
  return PutStatus(KindOf(object), object.meta, api::ToValue(object), leader, std::move(stop));
}

template Status Hub::SaveStatus(const api::Application&, const kube::LeaderToken&, std::stop_token);
template Status Hub::SaveStatus(const api::Cluster&, const kube::LeaderToken&, std::stop_token);
template Status Hub::SaveStatus(const api::Repository&, const kube::LeaderToken&, std::stop_token);
template Status Hub::SaveStatus(const api::Rollout&, const kube::LeaderToken&, std::stop_token);
template Status Hub::SaveStatus(const api::Rollback&, const kube::LeaderToken&, std::stop_token);
template Status Hub::SaveStatus(const api::Approval&, const kube::LeaderToken&, std::stop_token);

Status Hub::PutStatus(const api::KindInfo& kind, const api::Meta& meta, value::Value object,
                      const kube::LeaderToken& leader, std::stop_token stop) {
  const kube::GroupVersionResource resource = ResourceOf(kind);
  const kube::ObjectKey key{meta.ns, meta.name};
  const std::string slot = fmt::format("{}/{}", kind.plural, meta.Key());
  std::string version = meta.resource_version;
  {
    MutexLock lock(mutex_);
    if (auto it = wrote_.find(slot); it != wrote_.end()) version = it->second;
  }
  Result<value::Value> stored = Fail(ErrorClass::kInternal, "not sent");
  for (int attempt = 0; attempt < kStatusTries; ++attempt) {
    if (!leader.Valid()) return Fail(ErrorClass::kCancelled, "leadership was lost");
    value::Value body =
        value::Edited(object).Set({"metadata", "resourceVersion"}, version).Done();
    stored = client_.Do(kube::UpdateRequest(resource, key, value::ToJson(body), {}, "status"), stop);
    if (stored) break;
    if (stored.error().cls != ErrorClass::kConflict) break;
    // Somebody else wrote the object (a label, its spec): our status still is the newest.
    auto live = client_.Get(resource, key, stop);
    if (!live) return Fail(live, "save the status of {} {}", kind.kind, meta.Key());
    if (!meta.uid.empty() && kube::UidOf(*live) != meta.uid) {
      return Fail(ErrorClass::kNotFound, "{} {} was replaced", kind.kind, meta.Key());
    }
    version = kube::ResourceVersionOf(*live);
  }
  if (!stored) return Fail(stored, "save the status of {} {}", kind.kind, meta.Key());
  MutexLock lock(mutex_);
  wrote_[slot] = kube::ResourceVersionOf(*stored);
  return {};
}

Status Hub::Delete(const api::KindInfo& kind, const ObjectName& name, const std::string& uid,
                   std::stop_token stop) {
  kube::DeleteOptions options;
  options.uid = uid;
  auto gone = client_.Do(kube::DeleteRequest(ResourceOf(kind), KeyOf(name), options), stop);
  if (!gone && gone.error().cls != ErrorClass::kNotFound) return Pass(gone);
  MutexLock lock(mutex_);
  wrote_.erase(fmt::format("{}/{}", kind.plural, name));
  return {};
}

void Hub::Tell(const api::KindInfo& kind, const api::Meta& about, bool warning,
               std::string_view reason, std::string_view message) {
  constexpr size_t kMessageBytes = 1024;  // what the API server takes
  const WallTime now = client_.runtime().WallNow();
  const std::string ns = about.ns.empty() ? "default" : about.ns;
  uint64_t number = 0;
  {
    MutexLock lock(mutex_);
    number = ++events_;
  }
  const std::string time = FormatTime(now);
  value::Value event = value::Value::Map({
      {"apiVersion", "v1"},
      {"kind", "Event"},
      {"metadata",
       value::Value::Map({{"name", fmt::format("{}.{:x}.{:x}", about.name,
                                               client_.runtime().Random(), number)},
                          {"namespace", ns}})},
      {"involvedObject",
       value::Value::Map({{"apiVersion", api::kApiVersion},
                          {"kind", kind.kind},
                          {"name", about.name},
                          {"namespace", about.ns.empty() ? value::Value() : value::Value(about.ns)},
                          {"uid", about.uid.empty() ? value::Value() : value::Value(about.uid)}})},
      {"reason", reason},
      {"message", message.substr(0, kMessageBytes)},
      {"type", warning ? "Warning" : "Normal"},
      {"source", value::Value::Map({{"component", "flotilla"}})},
      {"firstTimestamp", time},
      {"lastTimestamp", time},
      {"count", 1},
      {"reportingComponent", "flotilla.dev/controller"},
      {"reportingInstance", "flotilla"},
  });
  log_.Log(warning ? LogLevel::kWarning : LogLevel::kInfo, message,
           {{"reason", reason}, {"kind", kind.kind}, {"name", about.Key()}});
  client_.Send(kube::CreateRequest(kEvents, ns, value::ToJson(event)), telling_.get_token(),
               [log = log_](Result<kube::ApiResponse> answer) {
                 if (!answer && answer.error().cls != ErrorClass::kCancelled) {
                   log.Warning("cannot write event", {{"error", answer.error()}});
                 }
               });
}

}  // namespace flotilla::operate
