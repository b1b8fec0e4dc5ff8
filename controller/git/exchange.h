// Git's smart HTTP protocol below its packets: requests to one repository with their credentials,
// and answers as typed errors (gitprotocol-http(5)).
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/runtime.h"
#include "git/store.h"
#include "http/http.h"
#include "http/url.h"

namespace flotilla::git {

enum class Service : unsigned char { kUploadPack, kReceivePack };  // fetch, push

// An answer that is read as it arrives. No more than limits::kGitReadAhead wait to be read: then
// the server is no longer listened to until they are. Destroying it cancels.
class AnswerReader {
 public:
  virtual ~AnswerReader() = default;
  // Waits for bytes; 0 at the end of the answer.
  virtual Result<size_t> Read(char* buffer, size_t size) = 0;
};

// Everything that one Fetch or Push says to the server. Used by one task.
class Exchange {
 public:
  Exchange(Runtime& runtime, http::HttpClient& client, const http::Url& url,
           const RemoteSpec& remote, std::stop_token stop, TimePoint deadline);

  // GET info/refs: what the server announces. `protocol` is 0 or 2; the server may answer in 0.
  Result<std::string> Announcement(Service service, int protocol);
  // POST, for answers that are short.
  Result<std::string> Post(Service service, std::string body, int protocol);
  // POST, for a pack.
  Result<std::unique_ptr<AnswerReader>> PostForPack(Service service, std::string body);

  // Timeout or Cancelled where it is time to give up.
  Status Interrupted() const;

 private:
  http::Request NewRequest(http::Method method, std::string_view target, int protocol) const;
  http::Request NewPost(Service service, std::string body, int protocol) const;
  Status Check(const http::Response& head, std::string_view content_type, Service service) const;
  Result<std::string> Do(http::Request request, std::string_view content_type, Service service);

  Runtime& runtime_;
  http::HttpClient& client_;
  const std::string url_;
  const Credentials& credentials_;
  const std::shared_ptr<const http::Transport> transport_;
  const std::stop_token stop_;
  const TimePoint deadline_;
};

}  // namespace flotilla::git
