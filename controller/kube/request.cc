// What requests say: builders of ApiRequest, and how lists are taken apart.
#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "kube/client.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

// "Deployment" is not known here: the resource and where it is.
std::string Target(const GroupVersionResource& gvr, std::string_view ns, std::string_view name,
                   std::string_view subresource = {}) {
  std::string text = gvr.resource;
  if (!gvr.group.empty()) text.append(1, '.').append(gvr.group);
  if (!subresource.empty()) text.append(1, '/').append(subresource);
  if (!ns.empty() || !name.empty()) text += ' ';
  text.append(ns);
  if (!ns.empty() && !name.empty()) text += '/';
  text.append(name);
  return text;
}

ApiRequest Write(Verb verb, std::string path, std::string target, std::string body,
                 const WriteOptions& options) {
  ApiRequest request;
  request.verb = verb;
  request.path = std::move(path);
  request.target = std::move(target);
  request.body = std::move(body);
  request.dry_run = options.dry_run;
  request.force = options.force;
  request.strict = options.strict;
  request.field_manager = options.field_manager;
  request.impersonation = options.impersonation;
  request.timeout = options.timeout;
  return request;
}

// The API server reads an apply as YAML 1.1, of which JSON is almost a part: not in strings that
// hold line separators (they would be folded) or characters that a YAML stream may not have.
// Those are escaped here. Outside of strings valid JSON has none of them.
void EscapeForYaml(std::string& json) {
  const auto special = [](char c) { return static_cast<unsigned char>(c) >= 0x7f; };
  const auto first = std::find_if(json.begin(), json.end(), special);
  if (first == json.end()) return;
  std::string out(json.begin(), first);
  out.reserve(json.size() + 64);
  for (auto at = first; at != json.end();) {
    const auto byte = [&](int i) -> unsigned {
      return json.end() - at > i ? static_cast<unsigned char>(at[i]) : 0u;
    };
    unsigned code = 0;
    int bytes = 0;
    if (byte(0) == 0x7f) {
      code = 0x7f, bytes = 1;
    } else if (byte(0) == 0xc2 && byte(1) < 0xa0) {  // U+0080 to U+009F
      code = byte(1), bytes = 2;
    } else if (byte(0) == 0xe2 && byte(1) == 0x80 && (byte(2) == 0xa8 || byte(2) == 0xa9)) {
      code = 0x2000 + byte(2) - 0x80, bytes = 3;
    } else if (byte(0) == 0xef && byte(1) == 0xbb && byte(2) == 0xbf) {
      code = 0xfeff, bytes = 3;
    } else if (byte(0) == 0xef && byte(1) == 0xbf && byte(2) >= 0xbe) {
      code = 0xffc0 + byte(2) - 0x80, bytes = 3;
    }
    if (bytes == 0) {
      out += *at++;
    } else {
      out += fmt::format("\\u{:04x}", code);
      at += bytes;
    }
  }
  json = std::move(out);
}

}  // namespace

ApiRequest GetRequest(const GroupVersionResource& gvr, const ObjectKey& key,
                      std::string_view subresource) {
  ApiRequest request;
  request.path = ObjectPath(gvr, key, subresource);
  request.target = Target(gvr, key.ns, key.name, subresource);
  return request;
}

ApiRequest ListRequest(const GroupVersionResource& gvr, std::string_view ns,
                       const ListOptions& options, std::string_view continue_token) {
  ApiRequest request;
  request.verb = Verb::kList;
  request.path = CollectionPath(gvr, ns);
  request.target = Target(gvr, ns, {});
  request.metadata_only = options.metadata_only;
  request.timeout = options.timeout;
  const auto add = [&](const char* key, std::string_view text) {
    if (!text.empty()) request.query.emplace_back(key, text);
  };
  add("labelSelector", options.label_selector);
  add("fieldSelector", options.field_selector);
  const size_t page = options.page == 0 ? limits::kListPage : options.page;
  add("limit", std::to_string(page));
  // A continuation has the version in its token, and is refused with another one.
  if (continue_token.empty()) add("resourceVersion", options.resource_version);
  add("continue", continue_token);
  return request;
}

ApiRequest CreateRequest(const GroupVersionResource& gvr, std::string_view ns, std::string body,
                         const WriteOptions& options) {
  return Write(Verb::kCreate, CollectionPath(gvr, ns), Target(gvr, ns, {}), std::move(body),
               options);
}

ApiRequest UpdateRequest(const GroupVersionResource& gvr, const ObjectKey& key, std::string body,
                         const WriteOptions& options, std::string_view subresource) {
  return Write(Verb::kUpdate, ObjectPath(gvr, key, subresource),
               Target(gvr, key.ns, key.name, subresource), std::move(body), options);
}

ApiRequest ApplyRequest(const GroupVersionResource& gvr, const ObjectKey& key, std::string body,
                        const WriteOptions& options, std::string_view subresource) {
  EscapeForYaml(body);
  return Write(Verb::kApply, ObjectPath(gvr, key, subresource),
               Target(gvr, key.ns, key.name, subresource), std::move(body), options);
}

ApiRequest MergePatchRequest(const GroupVersionResource& gvr, const ObjectKey& key,
                             std::string body, const WriteOptions& options,
                             std::string_view subresource) {
  return Write(Verb::kMergePatch, ObjectPath(gvr, key, subresource),
               Target(gvr, key.ns, key.name, subresource), std::move(body), options);
}

ApiRequest JsonPatchRequest(const GroupVersionResource& gvr, const ObjectKey& key, std::string body,
                            const WriteOptions& options) {
  return Write(Verb::kJsonPatch, ObjectPath(gvr, key), Target(gvr, key.ns, key.name),
               std::move(body), options);
}

ApiRequest DeleteRequest(const GroupVersionResource& gvr, const ObjectKey& key,
                         const DeleteOptions& options) {
  using value::Value;
  const auto given = [](const std::string& text) { return text.empty() ? Value() : Value(text); };
  Value preconditions;
  if (!options.uid.empty() || !options.resource_version.empty()) {
    preconditions = Value::Map(
        {{"uid", given(options.uid)}, {"resourceVersion", given(options.resource_version)}});
  }
  const Value body = Value::Map({{"kind", Value("DeleteOptions")},
                                 {"apiVersion", Value("v1")},
                                 {"preconditions", preconditions},
                                 {"propagationPolicy", given(options.propagation)}});
  ApiRequest request;
  request.verb = Verb::kDelete;
  request.path = ObjectPath(gvr, key);
  request.target = Target(gvr, key.ns, key.name);
  request.body = value::ToJson(body);
  request.dry_run = options.dry_run;
  request.impersonation = options.impersonation;
  request.timeout = options.timeout;
  return request;
}

ApiRequest DryRepeat(ApiRequest apply) {
  apply.dry_run = true;
  apply.repeated = true;
  return apply;
}

Result<ApiRequest> ReadOf(const ApiRequest& write) {
  ApiRequest read;
  read.path = write.path;
  read.target = write.target;
  read.timeout = write.timeout;
  if (write.verb != Verb::kCreate) return read;
  const Result<value::Value> body = value::ParseJson(write.body);
  const std::string name = body ? std::string(NameOf(*body)) : std::string();
  if (name.empty()) {
    return Fail(ErrorClass::kInvalid, "{} {}: the object has no name to read it back by",
                ToString(write.verb), write.target);
  }
  read.path.append(1, '/').append(name);
  read.target.append(1, '/').append(name);
  return read;
}

Result<value::Value> ApiResponse::Object() const { return value::ParseJson(body); }

Result<ListPage> ParseListPage(const ApiResponse& response, const GroupVersionKind& gvk) {
  Result<value::Value> list = response.Object();
  if (!list) return Fail(list, "the list of {}", gvk.ToString());
  const value::Ref items = (*list)["items"];
  if (!(*list)["metadata"].IsMap() || (items && !items.IsList() && !items.IsNull())) {
    return Fail(ErrorClass::kUnavailable, "the list of {} is not a list but {}", gvk.ToString(),
                (*list)["kind"].String("something else"));
  }
  ListPage page;
  page.resource_version = list->At("metadata", "resourceVersion").String();
  page.continue_token = list->At("metadata", "continue").String();
  page.items.reserve(items.size());
  const value::Value api_version(gvk.ApiVersion());
  const value::Value kind(gvk.kind);
  for (value::Ref item : items.Items()) {
    value::Value object = list->Share(item);
    // Built-in kinds leave them out of items.
    if (!item["kind"]) {
      object = value::Edited(std::move(object))
                   .Set({"apiVersion"}, api_version)
                   .Set({"kind"}, kind)
                   .Done();
    }
    page.items.push_back(std::move(object));
  }
  page.list = *std::move(list);
  return page;
}

}  // namespace flotilla::kube
