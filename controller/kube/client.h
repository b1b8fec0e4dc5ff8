// Requests to one Kubernetes API server.
//
// ApiRequest describes a request; Send is the primitive and never blocks; the functions below it
// block the calling task and give value trees. Nothing here retries, except once after a 401 whose
// credentials could be renewed: see retry.h and window.h. Answers with status >= 400 are Errors by
// the table of errors.h; StatusOf(error) has the details.
//
//   Client client(runtime, http, access);
//   auto deployment = client.Get(gvr, {"web", "frontend"}, stop);
//   auto applied = client.Do(ApplyRequest(gvr, key, body, {.force = true}), stop);
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/runtime.h"
#include "http/http.h"
#include "kube/access.h"
#include "kube/background.h"
#include "kube/errors.h"
#include "kube/resource.h"
#include "value/value.h"

namespace flotilla::kube {

inline constexpr Duration kRequestTimeout = 10s;
inline constexpr const char* kFieldManager = "flotilla";

struct ApiRequest {
  Verb verb = Verb::kGet;
  std::string path{};                                        // of ObjectPath or CollectionPath
  std::vector<std::pair<std::string, std::string>> query{};  // decoded
  std::string body{};                                        // JSON
  std::string target{};  // how errors name it; the path where empty
  bool dry_run = false;
  bool force = false;           // of an apply
  bool strict = false;          // unknown and duplicate fields are refused, not only warned about
  bool metadata_only = false;   // answers become PartialObjectMetadata(List)
  bool repeated = false;        // see AnswerContext
  std::string field_manager{};  // of creates, updates and patches; "flotilla" where empty
  std::string accept{};         // media types asked for instead of JSON's
  std::optional<Impersonation> impersonation{};  // instead of the Access's; one of "" means none
  Duration timeout =
      kRequestTimeout;  // from sending to the whole answer; writes tell the server too
};

struct ApiResponse {
  int status = 0;
  std::string body;
  std::string content_type;
  std::vector<std::string> warnings;  // the server's Warning headers, for people
  Duration latency{0};
  // Parsed where it is called: keep that off the client's thread for large answers.
  Result<value::Value> Object() const;
};

struct WriteOptions {
  bool dry_run = false;
  bool force = false;
  bool strict = false;
  std::string field_manager{};
  std::optional<Impersonation> impersonation{};
  Duration timeout = kRequestTimeout;
};
struct DeleteOptions {
  std::string uid{};  // preconditions; empty: none
  std::string resource_version{};
  std::string propagation{};  // "Background", "Foreground", "Orphan"; empty: the kind's default
  bool dry_run = false;
  std::optional<Impersonation> impersonation{};
  Duration timeout = kRequestTimeout;
};
struct ListOptions {
  std::string label_selector{};
  std::string field_selector{};
  bool metadata_only = false;
  size_t page = 0;                     // objects per request; 0: limits::kListPage
  std::string resource_version{};      // "0": the server's cache is fresh enough
  Duration timeout = kRequestTimeout;  // per page
};

// What to send, as values: for Send, Window::Submit and Window::RunWave.
ApiRequest GetRequest(const GroupVersionResource& gvr, const ObjectKey& key,
                      std::string_view subresource = {});
ApiRequest ListRequest(const GroupVersionResource& gvr, std::string_view ns,
                       const ListOptions& options, std::string_view continue_token = {});
ApiRequest CreateRequest(const GroupVersionResource& gvr, std::string_view ns, std::string body,
                         const WriteOptions& options = {});
ApiRequest UpdateRequest(const GroupVersionResource& gvr, const ObjectKey& key, std::string body,
                         const WriteOptions& options = {}, std::string_view subresource = {});
ApiRequest ApplyRequest(const GroupVersionResource& gvr, const ObjectKey& key, std::string body,
                        const WriteOptions& options = {}, std::string_view subresource = {});
ApiRequest MergePatchRequest(const GroupVersionResource& gvr, const ObjectKey& key,
                             std::string body, const WriteOptions& options = {},
                             std::string_view subresource = {});
ApiRequest JsonPatchRequest(const GroupVersionResource& gvr, const ObjectKey& key, std::string body,
                            const WriteOptions& options = {});
ApiRequest DeleteRequest(const GroupVersionResource& gvr, const ObjectKey& key,
                         const DeleteOptions& options = {});

// The apply that tells whether a 500 without reason (Reason::kUnexplained) was about the content:
// the same, dry. If it is Invalid, so was the first.
ApiRequest DryRepeat(ApiRequest apply);
// The GET that reads what a write of this kind wrote. Invalid for a create whose body has no name.
Result<ApiRequest> ReadOf(const ApiRequest& write);

struct ListPage {
  value::Value list;                // as served
  std::vector<value::Value> items;  // share `list`; apiVersion and kind are set in each
  std::string resource_version;     // of the whole list
  std::string continue_token;       // empty at the end
};
// Splits an answer to a ListRequest. `gvk` names the items where they do not themselves.
Result<ListPage> ParseListPage(const ApiResponse& response, const GroupVersionKind& gvk);

struct ObjectList {
  std::vector<value::Value> items;
  std::string resource_version;
};

struct ClientOptions {
  std::string user_agent = "flotilla";
  Background* background = nullptr;  // renews credentials; null: a task of its own when needed
  // > 0: a pool of connections of its own, of this size. 0: the pool of the Access's transport.
  int connections = 0;
};

class Client {
 public:
  using OnAnswer = std::function<void(Result<ApiResponse>)>;

  // `runtime` and `http` outlive the Client.
  Client(Runtime& runtime, http::HttpClient& http, Access access, ClientOptions options = {});
  // Cancels what is under way and waits for its callbacks.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `on_answer` is called exactly once, never from inside Send, on a thread that must not block.
  void Send(ApiRequest request, std::stop_token stop, OnAnswer on_answer);
  // A watch or another long answer, on a connection of its own. Where credentials must be renewed
  // first it fails with Unavailable and NotSent, and renews them: try again soon.
  Result<std::unique_ptr<http::Stream>> Open(const ApiRequest& request, Duration idle,
                                             http::StreamEvents events);

  // Blocking.
  Result<ApiResponse> DoRaw(ApiRequest request, std::stop_token stop);
  Result<value::Value> Do(ApiRequest request, std::stop_token stop);
  Result<value::Value> Get(const GroupVersionResource& gvr, const ObjectKey& key,
                           std::stop_token stop);
  // NotFound as nullopt.
  Result<std::optional<value::Value>> Find(const GroupVersionResource& gvr, const ObjectKey& key,
                                           std::stop_token stop);
  // Page by page. A list that expires half-way is begun again, once: `first` is true where
  // everything before is to be forgotten.
  Status ForEachPage(const GroupVersionResource& gvr, std::string_view kind, std::string_view ns,
                     const ListOptions& options, std::stop_token stop,
                     const std::function<Status(bool first, ListPage page)>& on_page);
  Result<ObjectList> List(const GroupVersionResource& gvr, std::string_view kind,
                          std::string_view ns, const ListOptions& options, std::stop_token stop);

  // Sends and, on a 500 without reason to an apply, asks again with dryRun: an answer that repeats
  // there is Invalid.
  Result<value::Value> Apply(ApiRequest request, std::stop_token stop);

  // What became of a write that failed with Outcome::kUnknown: the object as it is once the write
  // can no longer take effect (`settled`: when it was sent plus its timeout), nullopt where there
  // is none. Reads are repeated until `give_up`.
  Result<std::optional<value::Value>> ReadBack(const ApiRequest& write, TimePoint settled,
                                               TimePoint give_up, std::stop_token stop);

  Runtime& runtime() { return runtime_; }
  const Access& access() const;

 private:
  class State;
  Runtime& runtime_;
  std::unique_ptr<Background> own_background_;
  std::shared_ptr<State> state_;
};

}  // namespace flotilla::kube
