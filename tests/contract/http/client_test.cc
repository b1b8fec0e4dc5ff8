// What every HttpClient does with servers that behave.
#include <cstdlib>
#include <map>

#include "hostile_server.h"
#include "http/server.h"
#include "subject.h"

namespace flotilla::http {
namespace {

std::string Ok(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

std::unique_ptr<HttpServer> EchoServer(Runtime& runtime) {
  return *Serve(runtime, {}, [](const ServerRequest& request) {
    ServerResponse answer;
    answer.headers = {{"X-Method", ToString(request.method)},
                      {"X-Target", request.target},
                      {"X-Type", std::string(Find(request.headers, "content-type"))},
                      {"X-Own", std::string(Find(request.headers, "x-own"))}};
    answer.body = request.body;
    return answer;
  });
}

std::string UrlOf(const HttpServer& server, std::string_view target = "/") {
  return fmt::format("http://127.0.0.1:{}{}", server.port(), target);
}

TEST_CASE("every method arrives with its target, headers and body") {
  Subject subject(GENERATE(from_range(Backends())));
  auto server = EchoServer(subject.runtime);
  struct Case {
    Method method;
    std::string body;
  };
  const std::string large(3u << 20, 'x');
  for (const Case& each :
       {Case{Method::kGet, ""}, Case{Method::kPost, "{}"}, Case{Method::kPost, ""},
        Case{Method::kPut, large}, Case{Method::kPatch, "[]"}, Case{Method::kDelete, ""},
        Case{Method::kDelete, R"({"gracePeriodSeconds":0})"}}) {
    CAPTURE(subject.backend, ToString(each.method), each.body.size());
    Request request = subject.To(each.method, UrlOf(*server, "/a/b%2Fc?x=1&y=%20"), each.body);
    request.headers = {{"Content-Type", "application/apply-patch+yaml"},
                       {"X-Own", "\tb lank, \xc3\xa4 "}};
    auto answer = subject.Do(request);
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(Find(answer->headers, "x-method") == ToString(each.method));
    CHECK(Find(answer->headers, "x-target") == "/a/b%2Fc?x=1&y=%20");
    CHECK(Find(answer->headers, "x-type") == "application/apply-patch+yaml");
    CHECK(Find(answer->headers, "x-own") == "b lank, \xc3\xa4");
    CHECK((answer->body == each.body));
  }
}

TEST_CASE("a HEAD request has an answer without body") {
  Subject subject(GENERATE(from_range(Backends())));
  auto server = EchoServer(subject.runtime);
  auto answer = subject.Do(subject.To(Method::kHead, UrlOf(*server)));
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->body.empty());
}

TEST_CASE("every status is an answer, not an error") {
  Subject subject(GENERATE(from_range(Backends())));
  auto server = *Serve(subject.runtime, {}, [](const ServerRequest& request) {
    return ServerResponse{std::atoi(request.target.c_str() + 1), {}, "because", {}};
  });
  for (int status : {200, 201, 304, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503, 504}) {
    auto answer = subject.Get(UrlOf(*server, fmt::format("/{}", status)));
    REQUIRE(answer);
    CHECK(answer->status == status);
    CHECK(answer->body == (status == 304 ? "" : "because"));
  }
}

TEST_CASE("an interim answer is not taken for the answer") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    peer.ReadMessage();
    peer.Send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" + Ok("final"));
    peer.AwaitClose();
  });
  auto answer = subject.Get(server.Url());
  if (std::string_view(subject.backend.name) == "cpprest") {
    // cpprestsdk takes any status for the final one.
    REQUIRE(answer);
    CHECK(answer->status == 103);
    return;
  }
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->body == "final");
  CHECK(Find(answer->headers, "Link").empty());
}

TEST_CASE("on_done is never called from inside Send") {
  Subject subject(GENERATE(from_range(Backends())));
  auto server = EchoServer(subject.runtime);
  for (const char* url : {"", "none of ours", "http://127.0.0.1:1/"}) {
    Request request = subject.To(Method::kGet, *url ? url : UrlOf(*server));
    auto done = std::shared_ptr<Event>(subject.runtime.NewEvent());
    Mutex held;  // by this thread only: a callback on this thread could not take it
    bool inside = false;
    {
      MutexLock lock(held);
      subject.client->Send(std::move(request), {}, [&, done](Result<Response>) {
        inside = Mutex::HeldByThisThread() > 0;
        done->Set();
      });
    }
    REQUIRE(done->Wait(subject.runtime.Now() + 30s, {}) == WaitResult::kSet);
    CHECK_FALSE(inside);
  }
}

TEST_CASE("a callback may send the next request") {
  Subject subject(GENERATE(from_range(Backends())));
  auto server = EchoServer(subject.runtime);
  auto done = std::shared_ptr<Event>(subject.runtime.NewEvent());
  int answers = 0;
  std::function<void(Result<Response>)> next = [&](Result<Response> answer) {
    if (!answer || ++answers == 20) return done->Set();
    subject.client->Send(subject.To(Method::kGet, UrlOf(*server)), {}, next);
  };
  subject.client->Send(subject.To(Method::kGet, UrlOf(*server)), {}, next);
  REQUIRE(done->Wait(subject.runtime.Now() + 30s, {}) == WaitResult::kSet);
  CHECK(answers == 20);
}

TEST_CASE("requests after each other share a connection") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    while (!peer.ReadMessage().empty()) peer.Send(Ok("x"));
  });
  for (int i = 0; i < 5; ++i) REQUIRE(subject.Get(server.Url()));
  if (subject.backend.counts_connections) CHECK(server.connections() == 1);
}

TEST_CASE("no more requests are at the server at once than their transport allows connections") {
  Subject subject(GENERATE(from_range(Backends())));
  std::atomic<int> at_once{0};
  std::atomic<int> most{0};
  HostileServer server(subject.runtime, [&](Peer& peer) {
    while (!peer.ReadMessage().empty()) {
      const int now = ++at_once;
      for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
      --at_once;
      peer.Send(Ok("x"));
    }
  });
  auto transport = std::make_shared<Transport>();
  transport->max_connections = 3;
  auto done = std::shared_ptr<Event>(subject.runtime.NewEvent());
  std::atomic<int> left{300};
  std::atomic<int> answers{0};
  for (int i = 0; i < 300; ++i) {
    Request request = subject.To(Method::kGet, server.Url());
    request.transport = transport;
    subject.client->Send(std::move(request), {}, [&, done](Result<Response> answer) {
      if (answer) ++answers;
      if (--left == 0) done->Set();
    });
  }
  REQUIRE(done->Wait(subject.runtime.Now() + 30s, {}) == WaitResult::kSet);
  CHECK(answers == 300);
  CHECK(most <= 3);
  if (subject.backend.counts_connections) CHECK(server.connections() <= 3);
}

TEST_CASE("a compressed answer is decoded unless the caller names encodings") {
  Subject subject(GENERATE(from_range(Backends())));
  // gzip of "hello", as one stored block.
  const std::string gzip(
      "\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x05\0\xfa\xffhello\x86\xa6\x10\x36\x05\0\0\0", 28);
  HostileServer server(subject.runtime, [&](Peer& peer) {
    while (!peer.ReadMessage().empty()) {
      peer.Send(
          fmt::format("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                      gzip.size()) +
          gzip);
    }
  });
  auto decoded = subject.Get(server.Url());
  REQUIRE(decoded);
  CHECK(decoded->body == "hello");

  Request request = subject.To(Method::kGet, server.Url());
  request.headers = {{"Accept-Encoding", "gzip"}};
  auto raw = subject.Do(request);
  REQUIRE(raw);
  CHECK((raw->body == gzip));
}

TEST_CASE("proxies of the environment are not consulted, the transport's is") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer dead(subject.runtime, [](Peer& peer) { peer.Reset(); });
  setenv("http_proxy", dead.Url().c_str(), 1);
  auto server = EchoServer(subject.runtime);
  CHECK(subject.Get(UrlOf(*server)));
  unsetenv("http_proxy");
  CHECK(dead.connections() == 0);

  HostileServer proxy(subject.runtime, [](Peer& peer) {
    const std::string request = peer.ReadMessage();
    peer.Send(Ok(request.substr(0, request.find("\r\n"))));
  });
  auto transport = std::make_shared<Transport>();
  transport->proxy_url = proxy.Url("");
  Request request = subject.To(Method::kGet, "http://cluster.invalid/x");
  request.transport = transport;
  auto answer = subject.Do(request);
  REQUIRE(answer);
  CHECK(answer->body == "GET http://cluster.invalid/x HTTP/1.1");
}

}  // namespace
}  // namespace flotilla::http
