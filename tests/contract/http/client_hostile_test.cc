// What every HttpClient does when servers or callers misbehave.
#include "hostile_server.h"
#include "subject.h"

namespace flotilla::http {
namespace {

std::string Ok(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

constexpr std::string_view kChunkedHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";

// Bits as deflate packs them: least significant first.
class BitWriter {
 public:
  void Put(unsigned value, int bits) {
    for (int i = 0; i < bits; ++i) {
      if (used_ == 0) out_ += '\0';
      if (value >> i & 1) out_.back() = static_cast<char>(out_.back() | 1 << used_);
      used_ = (used_ + 1) % 8;
    }
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
  int used_ = 0;
};

// About 1 MB that decodes to 256 MiB of zeros: a literal, then copies of 258 bytes (RFC 1951).
std::string GzipBomb() {
  BitWriter bits;
  bits.Put(1, 1);           // the last block
  bits.Put(1, 2);           // fixed Huffman codes
  bits.Put(0b00001100, 8);  // literal 0: 00110000, its most significant bit first
  for (size_t size = 0; size < 256u << 20; size += 258) {
    bits.Put(0b10100011, 8);  // length 258: symbol 285, 11000101
    bits.Put(0, 5);           // distance 1
  }
  return std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10) + bits.Take();
}

TEST_CASE("a request that could carry a second one inside is refused and not sent") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) { peer.AwaitClose(); });
  struct Case {
    std::string name, value;
  };
  for (const Case& each :
       {Case{"X-A", "1\r\nX-Injected: 2"}, Case{"X-A", "1\nX-Injected: 2"}, Case{"X-A", "1\r"},
        Case{"X-A", std::string("a\0b", 3)}, Case{"X-A: 1\r\nX-B", "2"}, Case{"X A", "1"},
        Case{"", "1"}, Case{"X-\xc3\xa4", "1"}, Case{"Content-Length", "5"},
        Case{"transfer-encoding", "chunked"}, Case{"Connection", "close"}}) {
    CAPTURE(subject.backend, each.name, each.value);
    Request request = subject.To(Method::kPost, server.Url(), "body");
    request.headers = {{each.name, each.value}};
    auto answer = subject.Do(request);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kInvalid);
    CHECK(answer.error().outcome == Outcome::kNotSent);
  }
  for (const char* path : {"/a b", "/a\r\nX-Injected: 1", "/\x01", "/\xc3\xa4", "/#x"}) {
    CAPTURE(path);
    auto answer = subject.Get(server.Url(path));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kInvalid);
  }
  CHECK(server.connections() == 0);
}

TEST_CASE("errors never show the query, which may hold secrets") {
  Subject subject(GENERATE(from_range(Backends())));
  auto answer = subject.Get("http://127.0.0.1:1/path?token=s3cret");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().ToString().find("http://127.0.0.1:1/path") != std::string::npos);
  CHECK(answer.error().ToString().find("s3cret") == std::string::npos);
}

TEST_CASE("a server that cannot be reached was not sent anything") {
  Subject subject(GENERATE(from_range(Backends())));
  for (const char* url :
       {"http://127.0.0.1:1/", "https://127.0.0.1:1/", "http://no.such.host.invalid/"}) {
    CAPTURE(subject.backend, url);
    auto answer = subject.Do(subject.To(Method::kPatch, url, "{}"));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kUnavailable);
    CHECK(answer.error().outcome == Outcome::kNotSent);
  }
}

TEST_CASE("a redirect is an answer: the bearer goes nowhere else") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer thief(subject.runtime, [](Peer& peer) {
    peer.ReadMessage();
    peer.Send(Ok("stolen"));
  });
  for (int status : {301, 302, 303, 307, 308}) {
    HostileServer server(subject.runtime, [&](Peer& peer) {
      peer.ReadMessage();
      peer.Send(fmt::format("HTTP/1.1 {} Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
                            status, thief.Url()));
      peer.AwaitClose();
    });
    Request request = subject.To(Method::kGet, server.Url());
    request.headers = {{"Authorization", "Bearer s3cret"}};
    auto answer = subject.Do(request);
    REQUIRE(answer);
    CHECK(answer->status == status);
    CHECK(Find(answer->headers, "location") == thief.Url());
  }
  CHECK(thief.connections() == 0);
}

TEST_CASE("an answer that breaks the framing is an error of unknown outcome") {
  Subject subject(GENERATE(from_range(Backends())));
  struct Case {
    const char* what;
    std::string bytes;
    bool reset;
  };
  const std::string chunked(kChunkedHead);
  for (const Case& each :
       {Case{"negative chunk", chunked + "-2\r\nxx\r\n", false},
        Case{"chunk larger than an address space", chunked + "ffffffffffffffff0\r\nxx", false},
        Case{"chunk that never comes", chunked + "7fffffff\r\nxx", false},
        Case{"chunk size that is no number", chunked + "zz\r\n", false},
        Case{"end within a chunk", chunked + "5\r\nhel", false},
        Case{"end between chunks", chunked + "5\r\nhello\r\n", false},
        Case{"end before the length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", false},
        Case{"reset within the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", true},
        Case{"end within the header", "HTTP/1.1 200 OK\r\nContent-Le", false},
        Case{"no HTTP", "220 smtp.example ESMTP\r\n", false}, Case{"nothing", "", false}}) {
    CAPTURE(subject.backend, each.what);
    HostileServer server(subject.runtime, [&](Peer& peer) {
      peer.ReadMessage();
      peer.Send(each.bytes);
      if (each.reset) peer.Reset();
    });
    auto answer = subject.Do(subject.To(Method::kPatch, server.Url(), "{}"));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kUnavailable);
    CHECK(answer.error().outcome == Outcome::kUnknown);
  }
}

TEST_CASE("a decoded body has a limit") {
  Subject subject(GENERATE(from_range(Backends())));
  SECTION("plain") {
    HostileServer server(subject.runtime, [](Peer& peer) {
      peer.ReadMessage();
      peer.Send(kChunkedHead);
      const std::string chunk = "100000\r\n" + std::string(1u << 20, 'x') + "\r\n";
      while (peer.Send(chunk)) continue;
    });
    auto answer = subject.Get(server.Url());
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kInvalid);
    CHECK(answer.error().message.find("larger") != std::string::npos);
  }
  SECTION("compressed") {
    HostileServer server(subject.runtime, [bomb = GzipBomb()](Peer& peer) {
      peer.ReadMessage();
      peer.Send(fmt::format(
          "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.size()));
      peer.Send(bomb);
      peer.AwaitClose();
    });
    auto answer = subject.Get(server.Url());
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kInvalid);
    CHECK(answer.error().message.find("larger") != std::string::npos);
  }
}

TEST_CASE("the header of an answer has a limit, except with cpprestsdk") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    peer.ReadMessage();
    peer.Send("HTTP/1.1 200 OK\r\n");
    const std::string line = "X-Flood: " + std::string(1000, 'x') + "\r\n";
    for (int i = 0; i < 100'000 && peer.Send(line); ++i) continue;
    peer.Send("Content-Length: 0\r\n\r\n");
    peer.AwaitClose();
  });
  auto answer = subject.Get(server.Url());
  if (subject.backend.limits_headers) {
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kInvalid);
    CHECK(answer.error().message.find("header") != std::string::npos);
  } else {
    // 100 MB were buffered: a limit is what the library lacks (docs/decisions/0001-http-client.md).
    REQUIRE(answer);
    CHECK(answer->headers.size() > 1);
  }
}

TEST_CASE("a kept connection that the server closed is no error of the next request") {
  Subject subject(GENERATE(from_range(Backends())));
  std::shared_ptr<Event> closed = subject.runtime.NewEvent();
  std::atomic<int> patches{0};
  HostileServer server(subject.runtime, [&](Peer& peer) {
    const std::string request = peer.ReadMessage();
    if (request.starts_with("PATCH")) ++patches;
    peer.Send(Ok("x"));
    peer.Close();
    closed->Set();
  });
  REQUIRE(subject.Get(server.Url()));
  REQUIRE(closed->Wait(subject.runtime.Now() + 30s, {}) == WaitResult::kSet);
  auto answer = subject.Do(subject.To(Method::kPatch, server.Url(), std::string(100'000, 'x')));
  REQUIRE(answer);
  CHECK(patches == 1);
  CHECK(server.connections() == 2);
}

TEST_CASE("a request that may have been processed is never sent twice") {
  Subject subject(GENERATE(from_range(Backends())));
  for (Method method : {Method::kPost, Method::kPatch, Method::kPut, Method::kDelete}) {
    for (const std::string& body : {std::string(), std::string("{}"), std::string(300'000, 'x')}) {
      CAPTURE(subject.backend, ToString(method), body.size());
      std::atomic<int> writes{0};
      HostileServer server(subject.runtime, [&](Peer& peer) {
        for (;;) {
          const std::string request = peer.ReadMessage();
          if (request.empty()) return;
          if (request.starts_with("GET")) {
            peer.Send(Ok("x"));
            continue;
          }
          ++writes;
          return;  // acted on, never answered
        }
      });
      REQUIRE(subject.Get(server.Url()));  // the write uses this connection again
      auto answer = subject.Do(subject.To(method, server.Url(), body));
      REQUIRE_FALSE(answer);
      CHECK(answer.error().cls == ErrorClass::kUnavailable);
      CHECK(answer.error().outcome == Outcome::kUnknown);
      CHECK(writes == 1);
    }
  }
}

TEST_CASE("the deadline holds whatever the server does") {
  Subject subject(GENERATE(from_range(Backends())));
  Request request = subject.To(Method::kPatch, "", "{}");
  SECTION("it never answers") {
    HostileServer server(subject.runtime, [](Peer& peer) { peer.AwaitClose(); });
    request.url = server.Url();
    request.deadline = subject.runtime.Now() + 200ms;
    auto answer = subject.Do(request);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kTimeout);
    CHECK(answer.error().outcome == Outcome::kUnknown);
  }
  SECTION("its answer trickles") {
    HostileServer server(subject.runtime, [&](Peer& peer) {
      peer.ReadMessage();
      peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
      while (peer.Send("x")) subject.runtime.SleepFor(10ms, {});
    });
    request.url = server.Url();
    request.deadline = subject.runtime.Now() + 200ms;
    auto answer = subject.Do(request);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kTimeout);
    CHECK(answer.error().outcome == Outcome::kUnknown);
  }
  SECTION("it accepts and does not shake hands") {
    HostileServer server(subject.runtime, [](Peer& peer) { peer.AwaitClose(); });
    request.url = fmt::format("https://127.0.0.1:{}/", server.port());
    request.deadline = subject.runtime.Now() + 200ms;
    auto answer = subject.Do(request);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kTimeout);
    CHECK(answer.error().outcome == Outcome::kNotSent);
  }
  SECTION("it has passed already") {
    HostileServer server(subject.runtime, [](Peer& peer) { peer.AwaitClose(); });
    request.url = server.Url();
    request.deadline = subject.runtime.Now() - 1s;
    auto answer = subject.Do(request);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kTimeout);
    CHECK(answer.error().outcome == Outcome::kNotSent);
    CHECK(server.connections() == 0);
  }
  SECTION("and it is not optional") {
    request.url = "http://127.0.0.1:1/";
    request.deadline = kForever;
    auto answer = subject.Do(request);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kInvalid);
  }
}

TEST_CASE("a cancelled request ends though its server never answers") {
  Subject subject(GENERATE(from_range(Backends())));
  std::shared_ptr<Event> arrived = subject.runtime.NewEvent();
  HostileServer server(subject.runtime, [&](Peer& peer) {
    peer.ReadMessage();
    arrived->Set();
    peer.AwaitClose();
  });
  std::stop_source stop;
  auto canceller = subject.runtime.Spawn("canceller", [&](std::stop_token) {
    arrived->Wait(subject.runtime.Now() + 30s, {});
    stop.request_stop();
  });
  auto answer = subject.Do(subject.To(Method::kPatch, server.Url(), "{}"), stop.get_token());
  REQUIRE_FALSE(answer);
  CHECK(answer.error().cls == ErrorClass::kCancelled);
  CHECK(answer.error().outcome == Outcome::kUnknown);

  auto again = subject.Do(subject.To(Method::kPatch, server.Url(), "{}"), stop.get_token());
  REQUIRE_FALSE(again);
  CHECK(again.error().cls == ErrorClass::kCancelled);
  CHECK(again.error().outcome == Outcome::kNotSent);
  CHECK(server.connections() == 1);
}

TEST_CASE("on_done is called exactly once, whether answer, cancellation or deadline comes first") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    while (!peer.ReadMessage().empty()) peer.Send(Ok("x"));
  });
  constexpr int kRequests = 200;
  std::vector<std::atomic<int>> calls(kRequests);
  std::vector<std::stop_source> stops(kRequests);
  std::atomic<int> left{kRequests};
  std::shared_ptr<Event> done = subject.runtime.NewEvent();
  for (size_t i = 0; i < kRequests; ++i) {
    Request request = subject.To(Method::kGet, server.Url());
    if (i % 3 == 0) request.deadline = subject.runtime.Now() + std::chrono::milliseconds(i % 7);
    subject.client->Send(std::move(request), stops[i].get_token(), [&, i](Result<Response>) {
      ++calls[i];
      if (--left == 0) done->Set();
    });
  }
  for (size_t i = 0; i < kRequests; i += 2) stops[i].request_stop();
  REQUIRE(done->Wait(subject.runtime.Now() + 30s, {}) == WaitResult::kSet);
  subject.client.reset();  // nothing can be called after this
  for (const auto& count : calls) CHECK(count == 1);
}

TEST_CASE("a client that is destroyed while busy ends everything first") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    peer.ReadMessage();
    if (peer.index() % 2) peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx");
    peer.AwaitClose();
  });
  std::atomic<int> cancelled{0};
  for (int i = 0; i < 20; ++i) {
    subject.client->Send(subject.To(Method::kGet, server.Url()), {}, [&](Result<Response> answer) {
      if (!answer && answer.error().cls == ErrorClass::kCancelled) ++cancelled;
    });
  }
  Recorder recorder(subject.runtime);
  auto stream =
      subject.client->Open(subject.To(Method::kGet, server.Url()), 30s, recorder.Events());
  subject.client.reset();
  CHECK(cancelled == 20);
  CHECK(recorder.ends() == 1);
  REQUIRE_FALSE(recorder.end());
  CHECK(recorder.end().error().cls == ErrorClass::kCancelled);
  stream.reset();  // outlives its client without harm
}

}  // namespace
}  // namespace flotilla::http
