#include "git/exchange.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/encoding.h"
#include "base/limits.h"

namespace flotilla::git {
namespace {

// Git servers send a keep-alive packet every 5 s while they prepare a pack.
constexpr Duration kSilence = 30s;

// Some hosts serve Git only to clients whose name begins like this.
constexpr const char* kUserAgent = "git/2.39.0 (flotilla)";

const char* Name(Service service) {
  return service == Service::kUploadPack ? "git-upload-pack" : "git-receive-pack";
}

Status GivenUp(WaitResult result) {
  if (result == WaitResult::kStopped) return Fail(ErrorClass::kCancelled, "cancelled");
  return Fail(ErrorClass::kTimeout, "the Git server did not answer in time");
}

std::optional<std::chrono::milliseconds> RetryAfter(const http::Headers& headers) {
  const std::string_view text = http::Find(headers, "Retry-After");
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(std::min<int64_t>(seconds, 3600));
}

// The target of a redirect without what may be secret in it.
std::string_view WithoutQuery(std::string_view location) {
  if (location.find('@') != location.npos) return "a URL with a user in it";
  return location.substr(0, location.find_first_of("?#"));
}

class StreamReader final : public AnswerReader {
 public:
  using CheckHead = std::function<Status(const http::Response&)>;

  StreamReader(Runtime& runtime, http::HttpClient& client, http::Request request,
               CheckHead check_head, std::stop_token stop, TimePoint deadline)
      : check_head_(std::move(check_head)),
        stop_(std::move(stop)),
        deadline_(deadline),
        news_(runtime.NewEvent()) {
    http::StreamEvents events;
    events.on_head = [this](const http::Response& head) { OnHead(head); };
    events.on_data = [this](std::string_view data) { return OnData(data); };
    events.on_done = [this](Status end) { OnDone(std::move(end)); };
    stream_ = client.Open(std::move(request), kSilence, std::move(events));
  }

  // The stream's callbacks use the other members: it goes first.
  ~StreamReader() override { stream_.reset(); }

  Result<size_t> Read(char* buffer, size_t size) override {
    while (taken_ == front_.size()) {
      if (Result<bool> more = Refill(); !more)
        return Pass(more);
      else if (!*more)
        return size_t{0};
    }
    const size_t count = std::min(size, front_.size() - taken_);
    std::memcpy(buffer, front_.data() + taken_, count);
    taken_ += count;
    return count;
  }

 private:
  void OnHead(const http::Response& head) {
    const MutexLock lock(mutex_);
    head_ = check_head_(head);
  }

  http::Flow OnData(std::string_view data) {
    bool pause = false;
    {
      const MutexLock lock(mutex_);
      if (head_) back_.append(data);  // the text of a refusal is of no use
      pause = paused_ = back_.size() >= limits::kGitReadAhead;
    }
    news_->Set();
    return pause ? http::Flow::kPause : http::Flow::kContinue;
  }

  void OnDone(Status end) {
    {
      const MutexLock lock(mutex_);
      ended_ = true;
      end_ = std::move(end);
    }
    news_->Set();
  }

  // Waits until there is something to read (true) or the answer ended well (false).
  Result<bool> Refill() {
    while (true) {
      bool resume = false;
      {
        const MutexLock lock(mutex_);
        if (!head_) return Pass(head_);
        if (!back_.empty()) {
          front_.clear();
          std::swap(front_, back_);
          taken_ = 0;
          resume = std::exchange(paused_, false);
        } else if (ended_) {
          if (!end_) return Fail(end_, "read from the Git server");
          return false;
        } else {
          news_->Reset();
        }
      }
      if (resume) stream_->Resume();
      if (taken_ < front_.size()) return true;
      const WaitResult result = news_->Wait(deadline_, stop_);
      if (result != WaitResult::kSet) return Pass(GivenUp(result));
    }
  }

  const CheckHead check_head_;
  const std::stop_token stop_;
  const TimePoint deadline_;
  const std::unique_ptr<Event> news_;

  std::string front_;  // being read
  size_t taken_ = 0;

  Mutex mutex_;
  std::string back_;  // arriving
  Status head_;
  Status end_;
  bool ended_ = false;
  bool paused_ = false;

  std::unique_ptr<http::Stream> stream_;
};

}  // namespace

Exchange::Exchange(Runtime& runtime, http::HttpClient& client, const http::Url& url,
                   const RemoteSpec& remote, std::stop_token stop, TimePoint deadline)
    : runtime_(runtime),
      client_(client),
      url_(http::ToString(url)),
      credentials_(remote.credentials),
      transport_(remote.transport),
      stop_(std::move(stop)),
      deadline_(deadline) {}

Status Exchange::Interrupted() const {
  if (stop_.stop_requested()) return GivenUp(WaitResult::kStopped);
  if (runtime_.Now() >= deadline_) return GivenUp(WaitResult::kDeadline);
  return {};
}

http::Request Exchange::NewRequest(http::Method method, std::string_view target,
                                   int protocol) const {
  http::Request request;
  request.method = method;
  request.url = url_;
  request.url += target;
  request.deadline = deadline_;
  request.transport = transport_;
  request.headers.emplace_back("User-Agent", kUserAgent);
  if (protocol == 2) request.headers.emplace_back("Git-Protocol", "version=2");
  if (const auto* basic = std::get_if<BasicCredentials>(&credentials_)) {
    std::string pair = basic->username + ':';
    pair += basic->password.Reveal();
    request.headers.emplace_back("Authorization", "Basic " + EncodeBase64(pair));
    Wipe(pair);
  } else if (const auto* bearer = std::get_if<BearerCredentials>(&credentials_)) {
    request.headers.emplace_back("Authorization", "Bearer " + std::string(bearer->token.Reveal()));
  }
  return request;
}

http::Request Exchange::NewPost(Service service, std::string body, int protocol) const {
  const std::string name = Name(service);
  http::Request request = NewRequest(http::Method::kPost, "/" + name, protocol);
  request.headers.emplace_back("Content-Type", "application/x-" + name + "-request");
  request.headers.emplace_back("Accept", "application/x-" + name + "-result");
  request.body = std::move(body);
  return request;
}

Status Exchange::Check(const http::Response& head, std::string_view content_type,
                       Service service) const {
  const bool anonymous = std::holds_alternative<NoCredentials>(credentials_);
  if (head.status == 200) {
    std::string_view type = http::Find(head.headers, "Content-Type");
    type = type.substr(0, type.find_first_of("; "));
    if (type == content_type) return {};
    return Fail(ErrorClass::kInvalid,
                "{} answers with {}, which is not Git's protocol: check the URL", url_,
                type.empty() ? "no content type" : type);
  }
  if (head.status >= 300 && head.status < 400) {
    return Fail(ErrorClass::kInvalid,
                "{} redirects to {}: redirects are not followed, use the URL of the repository "
                "itself",
                url_, WithoutQuery(http::Find(head.headers, "Location")));
  }
  switch (head.status) {
    case 401:
      if (anonymous) {
        return Fail(ErrorClass::kUnauthenticated,
                    "{} demands credentials, or does not exist: name a Secret with a token", url_);
      }
      return Fail(ErrorClass::kUnauthenticated,
                  "{} refuses the credentials: check whether the token expired", url_);
    case 403:
      return Fail(ErrorClass::kDenied, "{} does not allow this {}: check the rights of the {}",
                  url_, service == Service::kReceivePack ? "push" : "read",
                  anonymous ? "repository" : "token");
    case 404:
    case 410:
      return Fail(ErrorClass::kNotFound, "{} is no repository, or {}", url_,
                  anonymous ? "a private one: check the URL, or name a Secret with a token"
                            : "not one that the credentials may see");
    default:
      break;
  }
  Error error;
  error.cls = head.status == 429                         ? ErrorClass::kThrottled
              : head.status >= 500 || head.status == 408 ? ErrorClass::kUnavailable
                                                         : ErrorClass::kInvalid;
  error.retry_after = RetryAfter(head.headers);
  error.message = fmt::format("{} answers with HTTP status {}", url_, head.status);
  return tl::unexpected<Error>(std::move(error));
}

Result<std::string> Exchange::Do(http::Request request, std::string_view content_type,
                                 Service service) {
  Result<http::Response> response = http::Do(runtime_, client_, std::move(request), stop_);
  if (!response) return Pass(response);
  if (Status status = Check(*response, content_type, service); !status) return Pass(status);
  return std::move(response->body);
}

Result<std::string> Exchange::Announcement(Service service, int protocol) {
  const std::string name = Name(service);
  return Do(NewRequest(http::Method::kGet, "/info/refs?service=" + name, protocol),
            "application/x-" + name + "-advertisement", service);
}

Result<std::string> Exchange::Post(Service service, std::string body, int protocol) {
  return Do(NewPost(service, std::move(body), protocol),
            fmt::format("application/x-{}-result", Name(service)), service);
}

Result<std::unique_ptr<AnswerReader>> Exchange::PostForPack(Service service, std::string body) {
  if (Status status = Interrupted(); !status) return Pass(status);
  return std::make_unique<StreamReader>(
      runtime_, client_, NewPost(service, std::move(body), 0),
      [this, service, type = fmt::format("application/x-{}-result", Name(service))](
          const http::Response& head) { return Check(head, type, service); },
      stop_, deadline_);
}

}  // namespace flotilla::git
