// What the server does, and what it does not let be done to it.
#include "http/server.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "certificates.h"
#include "hostile_server.h"
#include "subject.h"

namespace flotilla::http {
namespace {

// The threads' runtime, with a clock that a test can put forward.
class ForwardRuntime final : public Runtime {
 public:
  void Advance(Duration by) { ahead_ += by.count(); }
  TimePoint Now() const override { return threads_.Now() + Duration(ahead_.load()); }
  WallTime WallNow() const override { return threads_.WallNow(); }
  uint64_t Random() override { return threads_.Random(); }
  std::unique_ptr<Task> Spawn(std::string name,
                              std::function<void(std::stop_token)> body) override {
    return threads_.Spawn(std::move(name), std::move(body));
  }
  std::unique_ptr<Event> NewEvent() override { return threads_.NewEvent(); }
  bool SleepUntil(TimePoint time, std::stop_token stop) override {
    return threads_.SleepUntil(time - Duration(ahead_.load()), std::move(stop));
  }

 private:
  ThreadRuntime threads_;
  std::atomic<Duration::rep> ahead_{0};
};

struct Service {
  explicit Service(Handler handler, int threads = 4) {
    ServerOptions options;
    options.threads = threads;
    server = *Serve(runtime, options, [this, handler](const ServerRequest& request) {
      ++handled;
      return handler(request);
    });
  }
  std::unique_ptr<Peer> Connect() { return http::Connect(server->port()); }
  // The answer to one request on a connection of its own, to its end.
  std::string Exchange(std::string_view request) {
    auto peer = Connect();
    peer->Send(request);
    return peer->ReadToEnd();
  }

  ForwardRuntime runtime;
  std::atomic<int> handled{0};
  std::unique_ptr<HttpServer> server;
};

ServerResponse Echo(const ServerRequest& request) {
  return {200, {{"X-Target", request.target}}, request.body, {}};
}

// The status of each answer in `text`.
std::vector<int> Statuses(std::string_view text) {
  std::vector<int> statuses;
  for (size_t at = text.find("HTTP/1.1 "); at != std::string_view::npos;
       at = text.find("HTTP/1.1 ", at + 1)) {
    statuses.push_back(std::atoi(std::string(text.substr(at + 9, 3)).c_str()));
  }
  return statuses;
}

TEST_CASE("a request that is not HTTP as it should be is refused and closed, not handled") {
  struct Case {
    const char* request;
    int status;
  };
  for (
      const Case& each : {
          Case{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nxx\r\n", 400},
          Case{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n", 400},
          Case{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff0\r\n", 413},
          Case{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
          Case{"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
          Case{"POST / HTTP/1.1\r\nContent-Length: 5x\r\n\r\nhello", 400},
          Case{"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
          Case{
              "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
              400},
          Case{
              "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
              400},
          Case{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nx", 501},
          Case{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
          Case{"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413},
          Case{"GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400},
          Case{"GET * HTTP/1.1\r\n\r\n", 400},
          Case{"BREW / HTTP/1.1\r\n\r\n", 405},
          Case{"OPTIONS / HTTP/1.1\r\n\r\n", 405},
          Case{"GET / HTTP/9.9\r\n\r\n", 400},
          Case{"GET /\r\n\r\n", 400},
          Case{"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
          Case{"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 400},
          Case{"\x16\x03\x01\x02\r\n\r\n", 400},
      }) {
    CAPTURE(each.request);
    Service service(Echo);
    CHECK(Statuses(service.Exchange(each.request)) == std::vector<int>{each.status});
    CHECK(service.handled == 0);
  }
}

TEST_CASE("a header within the limit is accepted") {
  Service service(Echo);
  auto peer = service.Connect();
  std::string request = "GET / HTTP/1.1\r\n";
  while (request.size() < limits::kHeaderBytes - 2000) {
    request += "X-Long: " + std::string(1000, 'x') + "\r\n";
  }
  peer->Send(request + "\r\n");
  CHECK(Statuses(peer->ReadMessage()) == std::vector<int>{200});
}

TEST_CASE("a header without end is cut off") {
  Service service(Echo);
  auto peer = service.Connect();
  peer->Send("GET / HTTP/1.1\r\n");
  const std::string line = "X-Flood: " + std::string(1000, 'x') + "\r\n";
  int lines = 0;
  while (lines < 100'000 && peer->Send(line)) ++lines;
  CHECK(lines < 20'000);  // what sockets hold, and the last megabyte that is thrown away
  CHECK(service.handled == 0);
}

TEST_CASE("a body without end is answered with 413 and cut off") {
  Service service(Echo);
  auto peer = service.Connect();
  peer->Send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "100000\r\n" + std::string(1u << 20, 'x') + "\r\n";
  for (int i = 0; i < 9; ++i) REQUIRE(peer->Send(chunk));
  CHECK(Statuses(peer->ReadMessage()) == std::vector<int>{413});
  int more = 0;
  while (more < 100 && peer->Send(chunk)) ++more;
  CHECK(more < 100);
  CHECK(service.handled == 0);
}

TEST_CASE("a refused client may go on sending for a while, and so lives to read why") {
  Service service(Echo);
  auto peer = service.Connect();
  peer->Send("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n");
  REQUIRE(peer->Readable(30'000));
  for (int i = 0; i < 8; ++i) CHECK(peer->Send(std::string(64u << 10, 'x')));
  CHECK(Statuses(peer->ReadMessage()) == std::vector<int>{413});
}

TEST_CASE("connections that do not finish a request are closed, and hold up nobody") {
  Service service(Echo);
  std::vector<std::unique_ptr<Peer>> slow;
  for (int i = 0; i < 100; ++i) {
    slow.push_back(service.Connect());
    if (i % 2) slow.back()->Send("GET / HTTP/1.1\r\nX-Slow: ");
  }
  // A header that trickles: every byte in time, the whole too late.
  auto trickling = service.Connect();
  trickling->Send("GET / HTTP/1.1\r\n");
  // A body likewise.
  auto body = service.Connect();
  body->Send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nx");

  auto good = service.Connect();
  good->Send("GET /good HTTP/1.1\r\n\r\n");
  CHECK(Statuses(good->ReadMessage()) == std::vector<int>{200});

  service.runtime.Advance(6s);
  trickling->Send("X-More: 1\r\n");
  service.runtime.Advance(6s);
  for (auto& peer : slow) CHECK(peer->ReadToEnd().empty());
  CHECK(trickling->ReadToEnd().empty());

  good->Send("GET /good HTTP/1.1\r\n\r\n");  // has been idle for 12 s, which is no fault
  CHECK(Statuses(good->ReadMessage()) == std::vector<int>{200});
  body->Send("x");
  service.runtime.Advance(20s);
  CHECK(body->ReadToEnd().empty());
  service.runtime.Advance(80s);
  CHECK(good->ReadToEnd().empty());
  CHECK(service.handled == 2);
}

TEST_CASE("a TLS handshake that does not come is not waited for") {
  ForwardRuntime runtime;
  const Identity identity = CertificateAuthority("ca").Issue("server", {"IP:127.0.0.1"});
  ServerOptions options;
  options.certificate_pem = identity.certificate_pem;
  options.key_pem = identity.key_pem;
  auto server = *Serve(runtime, options, Echo);
  auto peer = Connect(server->port());
  std::shared_ptr<Event> closed = runtime.NewEvent();
  auto reader = runtime.Spawn("reader", [&](std::stop_token) {
    peer->AwaitClose();
    closed->Set();
  });
  while (!closed->IsSet()) {
    runtime.Advance(1s);  // whenever the server began to count
    runtime.SleepFor(20ms, {});
  }
}

TEST_CASE("an answer that is not read is not kept for ever") {
  Service service([](const ServerRequest&) {
    return ServerResponse{200, {}, std::string(64u << 20, 'x'), {}};
  });
  auto peer = service.Connect();
  peer->Send("GET / HTTP/1.1\r\n\r\n");
  REQUIRE(peer->Readable(30'000));  // it is under way
  service.runtime.Advance(31s);
  service.runtime.SleepFor(600ms, {});  // two ticks
  CHECK(peer->ReadToEnd().size() < 64u << 20);
}

TEST_CASE("requests on one connection are answered in order, also when sent at once") {
  const int threads = GENERATE(0, 4);
  Service service(Echo, threads);
  const std::string answers = service.Exchange(
      "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\ntwo"
      "GET /3 HTTP/1.1\r\nConnection: close\r\n\r\nGET /4 HTTP/1.1\r\n\r\n");
  CHECK(Statuses(answers) == std::vector<int>{200, 200, 200});
  const size_t one = answers.find("X-Target: /1\r\n");
  const size_t two = answers.find("X-Target: /2\r\n");
  const size_t three = answers.find("X-Target: /3\r\n");
  CHECK(one < two);
  CHECK(two < three);
  CHECK(three != std::string::npos);
  CHECK(service.handled == 3);
}

TEST_CASE("a connection is closed when the client says so, or speaks HTTP/1.0") {
  Service service(Echo);
  CHECK(Statuses(service.Exchange("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")) ==
        std::vector<int>{200});
  CHECK(Statuses(service.Exchange("GET / HTTP/1.0\r\n\r\n")) == std::vector<int>{200});
}

TEST_CASE("a client that waits for permission to send its body gets it") {
  Service service(Echo);
  auto peer = service.Connect();
  peer->Send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(peer->ReadMessage() == "HTTP/1.1 100 Continue\r\n\r\n");
  peer->Send("{}");
  CHECK(Statuses(peer->ReadMessage()) == std::vector<int>{200});
}

TEST_CASE("an answer cannot smuggle a header") {
  Service service([](const ServerRequest&) {
    return ServerResponse{200, {{"X-A", "1\r\nX-Injected: 2"}, {"Content-Length", "99"}}, "x", {}};
  });
  const std::string answer = service.Exchange("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK(Statuses(answer) == std::vector<int>{500});
  CHECK(answer.find("X-Injected") == std::string::npos);
}

TEST_CASE("the length of an answer is the server's to say") {
  Service service([](const ServerRequest&) {
    return ServerResponse{
        200, {{"content-length", "99"}, {"Transfer-Encoding", "chunked"}}, "hello", {}};
  });
  const std::string answer = service.Exchange("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK(answer.find("99") == std::string::npos);
  CHECK(answer.find("chunked") == std::string::npos);
  CHECK(answer.find("Content-Length: 5\r\n") != std::string::npos);
}

TEST_CASE("a streamed answer is sent as it is written, and its connection is used again") {
  std::shared_ptr<ResponseWriter> writer;
  std::shared_ptr<Event> streaming;
  Service service([&](const ServerRequest& request) {
    if (request.target != "/stream") return Echo(request);
    ServerResponse answer;
    answer.stream = [&](std::shared_ptr<ResponseWriter> given) {
      writer = std::move(given);
      streaming->Set();
    };
    return answer;
  });
  streaming = service.runtime.NewEvent();
  auto peer = service.Connect();
  peer->Send("GET /stream HTTP/1.1\r\n\r\n");
  const std::string head = peer->ReadMessage();
  CHECK(head.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  streaming->Wait(service.runtime.Now() + 30s, {});
  CHECK(writer->Write("hello"));
  CHECK(writer->Write(""));  // says nothing; as a chunk it would be the end
  CHECK(writer->Write("world"));
  writer.reset();
  peer->Send("GET /next HTTP/1.1\r\nConnection: close\r\n\r\n");
  const std::string rest = peer->ReadToEnd();
  CHECK(rest.starts_with("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
  CHECK(rest.find("X-Target: /next") != std::string::npos);
}

TEST_CASE("a streamed answer to HTTP/1.0 ends with its connection, one to HEAD has no body") {
  Service service([&](const ServerRequest&) {
    ServerResponse answer;
    answer.stream = [](std::shared_ptr<ResponseWriter> writer) { writer->Write("hello"); };
    return answer;
  });
  const std::string old = service.Exchange("GET / HTTP/1.0\r\n\r\n");
  CHECK(old.ends_with("\r\n\r\nhello"));
  CHECK(old.find("chunked") == std::string::npos);
  const std::string head = service.Exchange("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK(head.ends_with("\r\n\r\n"));
}

TEST_CASE("a stream whose reader does not read is cut off before it fills memory") {
  std::shared_ptr<ResponseWriter> writer;
  std::shared_ptr<Event> streaming;
  Service service([&](const ServerRequest&) {
    ServerResponse answer;
    answer.stream = [&](std::shared_ptr<ResponseWriter> given) {
      writer = std::move(given);
      streaming->Set();
    };
    return answer;
  });
  streaming = service.runtime.NewEvent();
  auto peer = service.Connect();
  peer->Send("GET / HTTP/1.1\r\n\r\n");
  REQUIRE(streaming->Wait(service.runtime.Now() + 30s, {}) == WaitResult::kSet);
  const std::string event(10'000, 'x');
  int written = 0;
  while (written < 100'000 && writer->Write(event)) ++written;
  CHECK(written < 10'000);
  CHECK_FALSE(writer->Write("x"));
  // Cut, not ended: the reader must not take what it has for all there was.
  const std::string received = peer->ReadToEnd();
  CHECK_FALSE(received.ends_with("0\r\n\r\n"));
}

TEST_CASE("one piece of a stream may be larger than its buffer") {
  Service service([&](const ServerRequest&) {
    ServerResponse answer;
    answer.stream = [](std::shared_ptr<ResponseWriter> writer) {
      writer->Write(std::string(5u << 20, 'x'));
    };
    return answer;
  });
  CHECK(service.Exchange("GET / HTTP/1.0\r\n\r\n").size() > 5u << 20);
}

TEST_CASE("a writer learns that its reader has gone, and outlives the server") {
  std::shared_ptr<ResponseWriter> writer;
  std::shared_ptr<Event> streaming;
  Service service([&](const ServerRequest&) {
    ServerResponse answer;
    answer.stream = [&](std::shared_ptr<ResponseWriter> given) {
      writer = std::move(given);
      streaming->Set();
    };
    return answer;
  });
  streaming = service.runtime.NewEvent();
  auto peer = service.Connect();
  peer->Send("GET / HTTP/1.1\r\n\r\n");
  REQUIRE(streaming->Wait(service.runtime.Now() + 30s, {}) == WaitResult::kSet);
  CHECK(writer->Write("x"));
  SECTION("the reader goes") {
    // Without a reset, so that no write can fail: the server must have looked.
    peer->EndSending();
    const TimePoint patience = service.runtime.Now() + 30s;
    bool open = true;
    while (open && service.runtime.Now() < patience) {
      open = writer->Write("x");
      service.runtime.SleepFor(1ms, {});
    }
    CHECK_FALSE(open);
  }
  SECTION("the server goes") {
    service.server.reset();
    CHECK_FALSE(writer->Write("x"));
  }
  writer.reset();
}

TEST_CASE("a server that is destroyed waits for its handlers and closes its connections") {
  std::shared_ptr<Event> entered;
  std::shared_ptr<Event> leave;
  std::atomic<bool> left{false};
  Service service([&](const ServerRequest& request) {
    if (request.target == "/wait") {
      entered->Set();
      leave->Wait(service.runtime.Now() + 30s, {});
      left = true;
    }
    return Echo(request);
  });
  entered = service.runtime.NewEvent();
  leave = service.runtime.NewEvent();
  auto idle = service.Connect();
  auto waiting = service.Connect();
  waiting->Send("GET /wait HTTP/1.1\r\n\r\n");
  REQUIRE(entered->Wait(service.runtime.Now() + 30s, {}) == WaitResult::kSet);
  auto closer = service.runtime.Spawn("closer", [&](std::stop_token) {
    idle->AwaitClose();  // the server is on its way down
    leave->Set();
  });
  service.server.reset();
  CHECK(left);
  waiting->AwaitClose();
}

TEST_CASE("a connection beyond the limit waits until another one ends") {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  const rlim_t before = descriptors.rlim_cur;
  descriptors.rlim_cur = std::min<rlim_t>(descriptors.rlim_max, 4096);
  if (descriptors.rlim_cur < 4096) {
    WARN("not checked: no more than " << descriptors.rlim_max << " descriptors are allowed");
    return;
  }
  setrlimit(RLIMIT_NOFILE, &descriptors);
  {
    Service service(Echo);
    std::vector<std::unique_ptr<Peer>> peers;
    for (size_t i = 0; i < limits::kServerConnections; ++i) {
      peers.push_back(service.Connect());
      peers.back()->Send("GET / HTTP/1.1\r\n\r\n");
      REQUIRE_FALSE(peers.back()->ReadMessage().empty());
    }
    auto last = service.Connect();
    last->Send("GET /last HTTP/1.1\r\n\r\n");
    CHECK_FALSE(last->Readable(200));
    peers.front()->Close();
    CHECK(Statuses(last->ReadMessage()) == std::vector<int>{200});
  }
  descriptors.rlim_cur = before;
  setrlimit(RLIMIT_NOFILE, &descriptors);
}

TEST_CASE("a server without descriptors waits for some instead of spinning") {
  Service service(Echo);
  auto peer = service.Connect();  // keeps a descriptor of the server's, and shows that it runs
  peer->Send("GET / HTTP/1.1\r\n\r\n");
  REQUIRE(Statuses(peer->ReadMessage()) == std::vector<int>{200});

  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  const rlim_t before = descriptors.rlim_cur;
  auto waiting = Unconnected();
  descriptors.rlim_cur = 3;  // below what is open: nothing can be opened
  setrlimit(RLIMIT_NOFILE, &descriptors);
  waiting->ConnectTo(service.server->port());
  waiting->Send("GET / HTTP/1.1\r\n\r\n");
  rusage start{};
  rusage end{};
  getrusage(RUSAGE_SELF, &start);
  CHECK_FALSE(waiting->Readable(800));
  getrusage(RUSAGE_SELF, &end);
  descriptors.rlim_cur = before;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  auto seconds = [](const rusage& usage) {
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  };
  CHECK(seconds(end) - seconds(start) < 0.4);
  CHECK(Statuses(waiting->ReadMessage()) == std::vector<int>{200});
}

TEST_CASE("a server that cannot be started says why") {
  ThreadRuntime runtime;
  auto first = Serve(runtime, {}, Echo);
  REQUIRE(first);
  ServerOptions taken;
  taken.port = (*first)->port();
  auto second = Serve(runtime, taken, Echo);
  REQUIRE_FALSE(second);
  CHECK(second.error().cls == ErrorClass::kUnavailable);

  ServerOptions nowhere;
  nowhere.address = "localhost";  // addresses only: a name may mean several
  CHECK(Serve(runtime, nowhere, Echo).error().cls == ErrorClass::kInvalid);

  const Identity identity = CertificateAuthority("ca").Issue("server", {});
  const Identity other = CertificateAuthority("ca").Issue("server", {});
  for (const Identity& broken :
       {Identity{"none", identity.key_pem}, Identity{identity.certificate_pem, "none"},
        Identity{identity.certificate_pem, other.key_pem}}) {
    ServerOptions options;
    options.certificate_pem = broken.certificate_pem;
    options.key_pem = broken.key_pem;
    auto server = Serve(runtime, options, Echo);
    REQUIRE_FALSE(server);
    CHECK(server.error().cls == ErrorClass::kInvalid);
  }
}

}  // namespace
}  // namespace flotilla::http
