// The client under test, one backend after the other:
//
//   Subject subject(GENERATE(from_range(Backends())));
//   auto answer = subject.Do(subject.To(Method::kGet, url));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/thread_runtime.h"
#include "catch.h"
#include "http/http.h"

namespace flotilla::http {

struct Backend {
  const char* name;
  std::unique_ptr<HttpClient> (*make)(Runtime&);
  bool limits_headers;      // of answers
  bool counts_connections;  // gives one back before its answer is known
};
std::ostream& operator<<(std::ostream& out, const Backend& backend);

// All backends; under ThreadSanitizer only those whose libraries do not confuse it.
std::vector<Backend> Backends();

struct Subject {
  explicit Subject(const Backend& which) : backend(which), client(which.make(runtime)) {}

  // With a deadline that no passing test reaches.
  Request To(Method method, std::string url, std::string body = {}) const {
    Request request;
    request.method = method;
    request.url = std::move(url);
    request.body = std::move(body);
    request.deadline = runtime.Now() + 30s;
    return request;
  }
  Result<Response> Do(Request request, std::stop_token stop = {}) {
    return http::Do(runtime, *client, std::move(request), std::move(stop));
  }
  Result<Response> Get(std::string url) { return Do(To(Method::kGet, std::move(url))); }

  ThreadRuntime runtime;
  const Backend backend;
  std::unique_ptr<HttpClient> client;
};

// What a stream has delivered, for a test that waits for it.
class Recorder {
 public:
  explicit Recorder(Runtime& runtime) : runtime_(runtime) {}
  StreamEvents Events();
  // False when that does not happen within 30 s.
  bool AwaitHead() {
    return Await([this] { return status_ != 0; });
  }
  bool AwaitBytes(size_t count) {
    return Await([this, count] { return bytes_ >= count; });
  }
  bool AwaitEnd() {
    return Await([this] { return ends_ > 0; });
  }

  int status();
  size_t bytes();
  std::string text();  // the first 64 KiB
  int ends();
  Status end();
  void PauseAlways(bool pause);

 private:
  bool Await(const std::function<bool()>& happened);

  Runtime& runtime_;
  Mutex mutex_;
  std::unique_ptr<Event> changed_ = runtime_.NewEvent();
  int status_ = 0;
  size_t bytes_ = 0;
  std::string text_;
  int ends_ = 0;
  Status end_;
  bool pause_ = false;
};

}  // namespace flotilla::http
