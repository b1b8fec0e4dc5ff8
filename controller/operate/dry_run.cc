#include "operate/dry_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "operate/adoption.h"
#include "operate/object_set.h"

namespace flotilla::operate {
namespace {

constexpr Duration kDeadline = 60s;
constexpr size_t kReported = 10;

// Namespaces that the set itself creates: their objects cannot be dry-run before they exist.
std::set<std::string> OwnNamespaces(const render::Variant& variant) {
  std::set<std::string> names;
  for (const render::Object& object : variant.objects) {
    if (object.gvk.group.empty() && object.gvk.kind == "Namespace") names.insert(object.key.name);
  }
  return names;
}

// Answers that say something of the cluster's state, not of the object.
bool SaysUnavailable(const Error& error) {
  const kube::Reason reason = kube::ReasonOf(error);
  return IsTransient(error.cls) || error.cls == ErrorClass::kCancelled ||
         error.cls == ErrorClass::kUnauthenticated || reason == kube::Reason::kQuota ||
         reason == kube::Reason::kWebhookFailed;
}

}  // namespace

DryRunReport DryRunRelease(Member& member, const Delivery& delivery, std::stop_token stop) {
  DryRunReport report;
  auto fail = [&](const Error& error) {
    report.answer = SaysUnavailable(error) ? deliver::DryRunAnswer::kUnavailable
                                           : deliver::DryRunAnswer::kInvalid;
    report.message = error.ToString();
    return report;
  };
  const render::Variant* variant = delivery.release->VariantFor(member.name());
  if (!variant) {
    report.answer = deliver::DryRunAnswer::kInvalid;
    report.message = fmt::format("the release holds nothing for {}", member.name());
    return report;
  }
  auto objects = ResolveObjects(member, delivery, *variant, stop);
  if (!objects) return fail(objects.error());

  const std::set<std::string> own_namespaces = OwnNamespaces(*variant);
  const std::string parent_id = kube::ParentId(delivery.ParentName());
  kube::WriteOptions options;
  options.dry_run = true;
  options.force = true;
  options.impersonation = delivery.As();
  std::vector<const SetObject*> asked;
  std::vector<Result<kube::ApiResponse>> answers;
  auto ask = [&](const std::vector<const SetObject*>& some) {
    std::vector<kube::ApiRequest> requests;
    for (const SetObject* object : some) {
      asked.push_back(object);
      requests.push_back(kube::ApplyRequest(object->resource.gvr, object->key,
                                            BodyOf(*object, delivery, parent_id, nullptr, {}), options));
      requests.back().target = object->Describe();
    }
    Runtime& runtime = member.client().runtime();
    for (auto& answer : member.window(delivery.lane)
                            .RunWave(std::move(requests), runtime.Now() + kDeadline, stop)) {
      answers.push_back(std::move(answer));
    }
  };
  // Namespaces first: what lives in one that does not exist yet cannot be asked about, and is dry-run
  // by the apply, once the namespace is there.
  std::vector<const SetObject*> first, rest;
  for (const SetObject& object : *objects) {
    if (object.deferred()) {
      report.deferred.push_back(object.Describe());
    } else {
      const bool is_namespace = object.object->gvk.group.empty() && object.object->gvk.kind == "Namespace";
      (is_namespace ? first : rest).push_back(&object);
    }
  }
  ask(first);
  std::set<std::string> missing;
  for (size_t i = 0; i < answers.size(); ++i) {
    if (answers[i] && answers[i]->status == 201) missing.insert(asked[i]->key.name);
  }
  std::erase_if(rest, [&](const SetObject* object) {
    if (missing.count(object->key.ns) == 0) return false;
    report.deferred.push_back(object->Describe());
    return true;
  });
  ask(rest);

  std::vector<std::string> refused;
  std::optional<Error> unavailable;
  for (size_t i = 0; i < answers.size(); ++i) {
    const SetObject& object = *asked[i];
    Status verdict;
    if (answers[i]) {
      verdict = CheckAdoption(member, delivery, object, *answers[i], stop);
    } else if (own_namespaces.count(object.key.ns) &&
               kube::ReasonOf(answers[i].error()) == kube::Reason::kNamespaceNotFound) {
      report.deferred.push_back(object.Describe());
    } else {
      verdict = Pass(answers[i]);
    }
    if (verdict) continue;
    if (SaysUnavailable(verdict.error())) {
      unavailable = verdict.error();
    } else {
      refused.push_back(fmt::format("{} ({}): {}", object.Describe(), object.object->Source(),
                                    verdict.error().ToString()));
    }
  }
  if (!refused.empty()) {
    report.answer = deliver::DryRunAnswer::kInvalid;
    const size_t shown = std::min(refused.size(), kReported);
    for (size_t i = 0; i < shown; ++i) {
      if (i > 0) report.message += "; ";
      report.message += refused[i];
    }
    if (refused.size() > shown) {
      report.message += fmt::format("; and {} more", refused.size() - shown);
    }
  } else if (unavailable) {
    return fail(*unavailable);
  }
  return report;
}

}  // namespace flotilla::operate
