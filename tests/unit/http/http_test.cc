// What does not need a server: headers, checks, and the wait of Do.
#include "http/http.h"

#include <optional>

#include "base/thread_runtime.h"
#include "catch.h"
#include "http/check.h"

namespace flotilla::http {
namespace {

TEST_CASE("headers are found without regard to case, the first of a name counts") {
  const Headers headers = {{"Content-Type", "a"}, {"X-Own", "1"}, {"x-own", "2"}};
  CHECK(Find(headers, "content-type") == "a");
  CHECK(Find(headers, "CONTENT-TYPE") == "a");
  CHECK(Find(headers, "x-own") == "1");
  CHECK(Find(headers, "x-ow") == "");
  CHECK(Find(headers, "x-owner") == "");
}

TEST_CASE("a GET with a body is refused: servers disagree on what it means") {
  Request request;
  request.url = "http://a/";
  CHECK(CheckRequest(request));
  request.body = "x";
  auto checked = CheckRequest(request);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().cls == ErrorClass::kInvalid);
  CHECK(checked.error().outcome == Outcome::kNotSent);
  request.method = Method::kDelete;
  CHECK(CheckRequest(request));
}

TEST_CASE("a request is named without its query") {
  Request request;
  request.method = Method::kPatch;
  request.url = "https://a/b?token=s3cret";
  CHECK(Name(request) == "PATCH https://a/b");
}

// Answers only when it is cancelled.
class CancelledClient final : public HttpClient {
 public:
  void Send(Request, std::stop_token stop, OnDone on_done) override {
    held_ = std::move(on_done);
    on_stop_.emplace(std::move(stop), [this] {
      std::exchange(held_, nullptr)(Fail(ErrorClass::kCancelled, "cancelled"));
    });
  }
  std::unique_ptr<Stream> Open(Request, Duration, StreamEvents) override { return nullptr; }

 private:
  OnDone held_;
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
};

TEST_CASE("Do returns what the client answers") {
  ThreadRuntime runtime;
  class Immediate final : public HttpClient {
   public:
    void Send(Request, std::stop_token, OnDone on_done) override {
      on_done(Response{204, {}, "body"});
    }
    std::unique_ptr<Stream> Open(Request, Duration, StreamEvents) override { return nullptr; }
  } client;
  auto answer = Do(runtime, client, {}, {});
  REQUIRE(answer);
  CHECK(answer->status == 204);
  CHECK(answer->body == "body");
}

TEST_CASE("Do ends with what a cancelled client says") {
  ThreadRuntime runtime;
  CancelledClient client;
  std::stop_source stop;
  auto stopping = runtime.Spawn("stop", [&](std::stop_token) { stop.request_stop(); });
  auto answer = Do(runtime, client, {}, stop.get_token());
  REQUIRE_FALSE(answer);
  CHECK(answer.error().cls == ErrorClass::kCancelled);
}

}  // namespace
}  // namespace flotilla::http
