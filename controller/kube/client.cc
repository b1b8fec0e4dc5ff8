#include "kube/client.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/limits.h"
#include "http/url.h"
#include "kube/retry.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

constexpr const char* kJson = "application/json";

http::Method MethodOf(Verb verb) {
  switch (verb) {
    case Verb::kGet:
    case Verb::kList:
    case Verb::kWatch:
      return http::Method::kGet;
    case Verb::kCreate:
    case Verb::kReview:
      return http::Method::kPost;
    case Verb::kUpdate:
      return http::Method::kPut;
    case Verb::kApply:
    case Verb::kMergePatch:
    case Verb::kJsonPatch:
      return http::Method::kPatch;
    case Verb::kDelete:
      return http::Method::kDelete;
  }
  return http::Method::kGet;
}

const char* ContentType(Verb verb) {
  switch (verb) {
    case Verb::kApply:
      return "application/apply-patch+yaml";
    case Verb::kMergePatch:
      return "application/merge-patch+json";
    case Verb::kJsonPatch:
      return "application/json-patch+json";
    default:
      return kJson;
  }
}

const char* Accept(const ApiRequest& request) {
  if (!request.accept.empty()) return request.accept.c_str();
  if (!request.metadata_only) return kJson;
  // Servers that cannot reduce fall back to the whole object.
  return request.verb == Verb::kList
             ? "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
             : "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
}

// A name of "..", or none, would make the path another one: that of the collection, or of the
// namespace.
bool IsPlain(std::string_view path) {
  if (path.empty() || path.front() != '/') return false;
  size_t begin = 1;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..") return false;
    if (segment.find_first_of("?#") != std::string_view::npos) return false;
    begin = end + 1;
  }
  return true;
}

bool IsSecret(std::string_view path) {
  return path.starts_with("/api/") && path.find("/secrets") != std::string_view::npos;
}

std::string_view NameOf(const ApiRequest& request) {
  return request.target.empty() ? std::string_view(request.path) : std::string_view(request.target);
}

// 299 - "text" "date": the text, where the header has that form.
std::string WarningText(std::string_view header) {
  const size_t open = header.find('"');
  if (open == std::string_view::npos) return std::string(header);
  std::string text;
  for (size_t i = open + 1; i < header.size() && header[i] != '"'; ++i) {
    if (header[i] == '\\' && i + 1 < header.size()) ++i;
    text += header[i];
  }
  return text;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

tl::unexpected<Error> Explain(Error error, const ApiRequest& request) {
  return Fail(std::move(error), "{} {}", ToString(request.verb), NameOf(request));
}

AnswerContext ContextOf(const ApiRequest& request) {
  return {.verb = request.verb,
          .dry_run = request.dry_run,
          .repeated = request.repeated,
          .sensitive = IsSecret(request.path),
          .target = NameOf(request)};
}

Result<ApiResponse> Read(const ApiRequest& request, http::Response answer, Duration latency) {
  if (answer.status < 200 || answer.status >= 300) {
    return tl::unexpected<Error>(
        Classify(ContextOf(request), answer.status, answer.headers, answer.body));
  }
  ApiResponse response;
  response.status = answer.status;
  response.latency = latency;
  response.content_type = http::Find(answer.headers, "Content-Type");
  for (const auto& [name, value] : answer.headers) {
    if (EqualsIgnoringCase(name, "Warning")) response.warnings.push_back(WarningText(value));
  }
  response.body = std::move(answer.body);
  return response;
}

// The object, which a mere Status (the answer to many deletes) is too.
Result<value::Value> ObjectOf(const Result<ApiResponse>& response) {
  if (!response) return Pass(response);
  return response->Object();
}

}  // namespace

// Shared with every request under way, so that late callbacks find it.
class Client::State : public std::enable_shared_from_this<Client::State> {
 public:
  struct Call {
    ApiRequest request;
    OnAnswer on_answer;
    TimePoint deadline;
    TimePoint sent{};
    bool renewed = false;  // credentials, once
    std::shared_ptr<const Proof> proof;
    // Stops when the caller asks, and when the client ends.
    std::stop_source stop;
    std::optional<std::stop_callback<std::function<void()>>> from_caller, from_client;
  };
  using CallPtr = std::shared_ptr<Call>;

  State(Runtime& runtime, http::HttpClient& http, Access access, ClientOptions options,
        Background& background)
      : runtime_(runtime),
        http_(http),
        access_(std::move(access)),
        options_(std::move(options)),
        background_(background),
        idle_(runtime.NewEvent()) {
    idle_->Set();
  }

  const Access& access() const { return access_; }

  void Send(ApiRequest request, std::stop_token stop, OnAnswer on_answer) {
    auto call = std::make_shared<Call>();
    call->request = std::move(request);
    call->on_answer = std::move(on_answer);
    call->deadline = runtime_.Now() + call->request.timeout;
    {
      MutexLock lock(mutex_);
      if (in_flight_++ == 0) idle_->Reset();
    }
    const std::function<void()> end = [source = call->stop]() mutable { source.request_stop(); };
    if (stop.stop_possible()) call->from_caller.emplace(std::move(stop), end);
    call->from_client.emplace(stop_.get_token(), end);

    if (!IsPlain(call->request.path)) {
      Error error;
      error.cls = ErrorClass::kInvalid;
      error.outcome = Outcome::kNotSent;
      error.message =
          fmt::format("{} {}: no request can have the path \"{}\"", ToString(call->request.verb),
                      call->request.target, call->request.path);
      background_.Run([self = shared_from_this(), call, error](std::stop_token) {
        self->Finish(*call, tl::unexpected<Error>(error));
      });
      return;
    }
    if (auto proof = access_.credentials->Current()) {
      Dispatch(std::move(call), std::move(proof));
    } else {
      Park(std::move(call));
    }
  }

  Result<std::unique_ptr<http::Stream>> Open(const ApiRequest& request, Duration idle,
                                             http::StreamEvents events) {
    const std::shared_ptr<const Proof> proof = access_.credentials->Current();
    if (!proof) {
      Park(nullptr);
      Error error;
      error.cls = ErrorClass::kUnavailable;
      error.outcome = Outcome::kNotSent;
      error.message = fmt::format("{} {}: the credentials are being renewed",
                                  ToString(request.verb), NameOf(request));
      return tl::unexpected<Error>(std::move(error));
    }
    http::Request http_request = ToHttp(request, *proof, runtime_.Now() + request.timeout);
    http_request.transport = proof->transport;
    auto on_head = std::move(events.on_head);
    events.on_head = [self = shared_from_this(), proof,
                      on_head = std::move(on_head)](const http::Response& head) {
      if (head.status == 401 && self->access_.credentials->Refused(proof)) self->Park(nullptr);
      on_head(head);
    };
    return http_.Open(std::move(http_request), idle, std::move(events));
  }

  void End() {
    stop_.request_stop();
    idle_->Wait(kForever, {});
  }

 private:
  void Dispatch(CallPtr call, std::shared_ptr<const Proof> proof) {
    call->proof = std::move(proof);
    call->sent = runtime_.Now();
    http::Request request = ToHttp(call->request, *call->proof, call->deadline);
    request.transport = PoolOf(call->proof->transport);
    http_.Send(std::move(request), call->stop.get_token(),
               [self = shared_from_this(), call](Result<http::Response> answer) mutable {
                 self->OnAnswered(std::move(call), std::move(answer));
               });
  }

  void OnAnswered(CallPtr call, Result<http::Response> answer) {
    if (answer && answer->status == 401 && !call->renewed &&
        access_.credentials->Refused(call->proof)) {
      call->renewed = true;
      Park(std::move(call));
      return;
    }
    if (!answer) {
      Error error = std::move(answer.error());
      // What changes nothing has no unknown outcome.
      if (error.outcome == Outcome::kUnknown &&
          (!IsWrite(call->request.verb) || call->request.dry_run)) {
        error.outcome = Outcome::kRejected;
      }
      Finish(*call, Explain(std::move(error), call->request));
      return;
    }
    Result<ApiResponse> response =
        Read(call->request, *std::move(answer), runtime_.Now() - call->sent);
    Finish(*call, std::move(response));
  }

  // Keeps the call until the credentials are renewed. Without a call it only renews.
  void Park(CallPtr call) {
    MutexLock lock(mutex_);
    if (call) parked_.push_back(std::move(call));
    if (renewing_) return;
    renewing_ = true;
    background_.Run([self = shared_from_this()](std::stop_token) { self->Renew(); });
  }

  void Renew() {
    Result<std::shared_ptr<const Proof>> proof = access_.credentials->Refresh(stop_.get_token());
    std::vector<CallPtr> calls;
    {
      MutexLock lock(mutex_);
      calls.swap(parked_);
      renewing_ = false;
    }
    for (CallPtr& call : calls) {
      if (proof) {
        Dispatch(std::move(call), *proof);
        continue;
      }
      Error error = proof.error();
      error.outcome = Outcome::kNotSent;
      Finish(*call, Explain(std::move(error), call->request));
    }
  }

  void Finish(Call& call, Result<ApiResponse> result) {
    call.from_caller.reset();
    call.from_client.reset();
    OnAnswer on_answer = std::move(call.on_answer);
    on_answer(std::move(result));
    on_answer = nullptr;  // what it holds goes before the client may
    MutexLock lock(mutex_);
    if (--in_flight_ == 0) idle_->Set();
  }

  http::Request ToHttp(const ApiRequest& request, const Proof& proof, TimePoint deadline) const {
    http::Request http;
    http.method = MethodOf(request.verb);
    http.url = access_.base_url + request.path;
    for (const auto& [key, value] : request.query) http::AppendQuery(http.url, key, value);
    if (IsWrite(request.verb)) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(request.timeout).count();
      http::AppendQuery(http.url, "timeout", fmt::format("{}ms", std::max<int64_t>(left, 1)));
      // Of a delete with a body the server reads its options there and nowhere else.
      if (request.dry_run && (request.verb != Verb::kDelete || request.body.empty())) {
        http::AppendQuery(http.url, "dryRun", "All");
      }
      if (request.verb != Verb::kDelete) {
        http::AppendQuery(http.url, "fieldManager",
                          request.field_manager.empty() ? kFieldManager : request.field_manager);
        if (request.strict) http::AppendQuery(http.url, "fieldValidation", "Strict");
      }
      if (request.verb == Verb::kApply && request.force) {
        http::AppendQuery(http.url, "force", "true");
      }
    }
    http.headers = proof.headers;
    http.headers.emplace_back("Accept", Accept(request));
    http.headers.emplace_back("User-Agent", options_.user_agent);
    if (!request.body.empty()) http.headers.emplace_back("Content-Type", ContentType(request.verb));
    const Impersonation& who =
        request.impersonation ? *request.impersonation : access_.impersonation;
    for (auto& header : ToHeaders(who)) http.headers.push_back(std::move(header));
    http.body = request.body;
    if (request.dry_run && request.verb == Verb::kDelete && !http.body.empty()) {
      http.body.insert(1, R"("dryRun":["All"],)");
    }
    http.deadline = deadline;
    return http;
  }

  // The transport whose connections unary requests use.
  std::shared_ptr<const http::Transport> PoolOf(
      const std::shared_ptr<const http::Transport>& transport) {
    if (options_.connections <= 0) return transport;
    MutexLock lock(mutex_);
    if (!pool_ || pool_of_ != transport) {
      auto own = transport ? std::make_shared<http::Transport>(*transport)
                           : std::make_shared<http::Transport>();
      own->max_connections = options_.connections;
      pool_ = std::move(own);
      pool_of_ = transport;
    }
    return pool_;
  }

  Runtime& runtime_;
  http::HttpClient& http_;
  const Access access_;
  const ClientOptions options_;
  Background& background_;
  std::stop_source stop_;
  Mutex mutex_;  // guards what follows
  int in_flight_ = 0;
  bool renewing_ = false;
  std::vector<CallPtr> parked_;
  std::shared_ptr<const http::Transport> pool_, pool_of_;
  const std::unique_ptr<Event> idle_;
};

Client::Client(Runtime& runtime, http::HttpClient& http, Access access, ClientOptions options)
    : runtime_(runtime) {
  Background* background = options.background;
  if (!background) {
    own_background_ = std::make_unique<Background>(runtime, 1);
    background = own_background_.get();
  }
  state_ =
      std::make_shared<State>(runtime, http, std::move(access), std::move(options), *background);
}

Client::~Client() { state_->End(); }

const Access& Client::access() const { return state_->access(); }

void Client::Send(ApiRequest request, std::stop_token stop, OnAnswer on_answer) {
  state_->Send(std::move(request), std::move(stop), std::move(on_answer));
}

Result<std::unique_ptr<http::Stream>> Client::Open(const ApiRequest& request, Duration idle,
                                                   http::StreamEvents events) {
  return state_->Open(request, idle, std::move(events));
}

Result<ApiResponse> Client::DoRaw(ApiRequest request, std::stop_token stop) {
  struct Answer {
    std::unique_ptr<Event> arrived;
    Result<ApiResponse> result;
  };
  auto answer = std::make_shared<Answer>();
  answer->arrived = runtime_.NewEvent();
  Send(std::move(request), std::move(stop), [answer](Result<ApiResponse> result) {
    answer->result = std::move(result);
    answer->arrived->Set();
  });
  // Send keeps the deadline and obeys `stop`.
  if (answer->arrived->Wait(kForever, {}) != WaitResult::kSet) {
    Error error;
    error.cls = ErrorClass::kCancelled;
    error.outcome = Outcome::kUnknown;
    error.message = "the process is ending";
    return tl::unexpected<Error>(std::move(error));
  }
  return std::move(answer->result);
}

Result<value::Value> Client::Do(ApiRequest request, std::stop_token stop) {
  return ObjectOf(DoRaw(std::move(request), std::move(stop)));
}

Result<value::Value> Client::Get(const GroupVersionResource& gvr, const ObjectKey& key,
                                 std::stop_token stop) {
  return Do(GetRequest(gvr, key), std::move(stop));
}

Result<std::optional<value::Value>> Client::Find(const GroupVersionResource& gvr,
                                                 const ObjectKey& key, std::stop_token stop) {
  Result<value::Value> object = Get(gvr, key, std::move(stop));
  if (object) return std::optional(*std::move(object));
  if (ReasonOf(object.error()) == Reason::kNotFound) return std::optional<value::Value>();
  return Pass(object);
}

Status Client::ForEachPage(const GroupVersionResource& gvr, std::string_view kind,
                           std::string_view ns, const ListOptions& options, std::stop_token stop,
                           const std::function<Status(bool first, ListPage page)>& on_page) {
  const GroupVersionKind gvk{gvr.group, gvr.version, std::string(kind)};
  ListOptions current = options;
  std::string token;
  bool begun_again = false;
  for (;;) {
    const bool first = token.empty();
    const Result<ApiResponse> response = DoRaw(ListRequest(gvr, ns, current, token), stop);
    if (!response) {
      if (first || begun_again || ReasonOf(response.error()) != Reason::kExpired) {
        return Pass(response);
      }
      begun_again = true;
      token.clear();
      current.resource_version.clear();
      continue;
    }
    Result<ListPage> page = ParseListPage(*response, gvk);
    if (!page) return Pass(page);
    token = page->continue_token;
    if (Status taken = on_page(first, *std::move(page)); !taken) return taken;
    if (token.empty()) return {};
  }
}

Result<ObjectList> Client::List(const GroupVersionResource& gvr, std::string_view kind,
                                std::string_view ns, const ListOptions& options,
                                std::stop_token stop) {
  ObjectList all;
  const Status done =
      ForEachPage(gvr, kind, ns, options, std::move(stop), [&](bool first, ListPage page) {
        if (first) all.items.clear();
        std::move(page.items.begin(), page.items.end(), std::back_inserter(all.items));
        all.resource_version = std::move(page.resource_version);
        return Status();
      });
  if (!done) return tl::unexpected<Error>(done.error());
  return all;
}

Result<value::Value> Client::Apply(ApiRequest request, std::stop_token stop) {
  Result<value::Value> applied = Do(request, stop);
  if (applied || ReasonOf(applied.error()) != Reason::kUnexplained) return applied;
  const Result<value::Value> again = Do(DryRepeat(std::move(request)), std::move(stop));
  if (!again && again.error().cls == ErrorClass::kInvalid) return again;
  return applied;
}

Result<std::optional<value::Value>> Client::ReadBack(const ApiRequest& write, TimePoint settled,
                                                     TimePoint give_up, std::stop_token stop) {
  const Result<ApiRequest> read = ReadOf(write);
  if (!read) return Pass(read);
  if (!runtime_.SleepUntil(settled, stop)) {
    return Fail(ErrorClass::kCancelled, "read back {}: stopped", write.target);
  }
  RetryPolicy forever;
  forever.attempts = INT32_MAX;
  for (int attempt = 1;; ++attempt) {
    Result<value::Value> object = Do(*read, stop);
    if (object) return std::optional(*std::move(object));
    if (ReasonOf(object.error()) == Reason::kNotFound) return std::optional<value::Value>();
    const auto delay = RetryDelay(forever, object.error(), attempt, true, runtime_.Random());
    if (!delay || runtime_.Now() + *delay >= give_up) {
      return Fail(object, "read back {}", write.target);
    }
    if (!runtime_.SleepFor(*delay, stop)) {
      return Fail(ErrorClass::kCancelled, "read back {}: stopped", write.target);
    }
  }
}

}  // namespace flotilla::kube
