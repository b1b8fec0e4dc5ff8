#include "operate/live.h"

#include <charconv>

#include "api/names.h"

namespace flotilla::operate {

LiveObject ToLive(value::Ref object) {
  LiveObject live;
  live.uid = kube::UidOf(object);
  live.resource_version = kube::ResourceVersionOf(object);
  live.generation = kube::GenerationOf(object);
  const std::string_view fence = kube::AnnotationOf(object, api::kFenceAnnotation);
  std::from_chars(fence.data(), fence.data() + fence.size(), live.fence);
  for (value::Ref owner : object.At("metadata", "ownerReferences").Items()) {
    live.controlled |= owner["controller"].Bool();
  }
  live.deleting = !object.At("metadata", "deletionTimestamp").IsAbsent();
  return live;
}

Result<LiveSet> ListLive(Member& member, deliver::Lane lane, const std::string& parent_id,
                         const std::vector<KindScope>& kinds, std::stop_token stop) {
  kube::ListOptions options;
  options.metadata_only = true;
  options.label_selector = std::string(kube::kApplySetPartOf) + "=" + parent_id;

  LiveSet live;
  struct Pending {
    const KindScope* kind;
    std::string continue_token;
  };
  std::vector<Pending> pending;
  for (const KindScope& kind : kinds) pending.push_back({&kind, {}});
  Runtime& runtime = member.client(lane).runtime();
  while (!pending.empty()) {
    std::vector<kube::ApiRequest> requests;
    for (const Pending& page : pending) {
      requests.push_back(
          kube::ListRequest(page.kind->resource.gvr, page.kind->ns, options, page.continue_token));
    }
    auto answers = member.window(lane).RunWave(std::move(requests), runtime.Now() + 30s, stop);
    std::vector<Pending> more;
    for (size_t i = 0; i < answers.size(); ++i) {
      const kube::ApiResource& resource = pending[i].kind->resource;
      if (!answers[i]) return Fail(answers[i], "list {} on {}", resource.gvr.resource, member.name());
      auto page = kube::ParseListPage(*answers[i], resource.Gvk());
      if (!page) return Fail(page, "list {} on {}", resource.gvr.resource, member.name());
      for (const value::Value& item : page->items) {
        live[{resource.gvr.group, resource.kind, std::string(kube::NamespaceOf(item)),
              std::string(kube::NameOf(item))}] = ToLive(item);
      }
      if (!page->continue_token.empty()) more.push_back({pending[i].kind, page->continue_token});
    }
    pending = std::move(more);
  }
  return live;
}

}  // namespace flotilla::operate
