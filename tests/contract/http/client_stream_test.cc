// What every HttpClient does with long answers.
#include "hostile_server.h"
#include "subject.h"

namespace flotilla::http {
namespace {

constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kEnd = "0\r\n\r\n";

std::string Chunk(std::string_view data) {
  return fmt::format("{:x}\r\n{}\r\n", data.size(), data);
}

TEST_CASE("a stream delivers what has come while the server is still writing") {
  Subject subject(GENERATE(from_range(Backends())));
  std::shared_ptr<Event> seen = subject.runtime.NewEvent();
  HostileServer server(subject.runtime, [&](Peer& peer) {
    peer.ReadMessage();
    peer.Send(kHead);
    peer.Send(Chunk("first\n"));
    seen->Wait(subject.runtime.Now() + 30s, {});
    peer.Send(Chunk("second\n"));
    peer.Send(kEnd);
    peer.AwaitClose();
  });
  Recorder recorder(subject.runtime);
  auto stream =
      subject.client->Open(subject.To(Method::kGet, server.Url()), 30s, recorder.Events());
  REQUIRE(recorder.AwaitBytes(6));
  CHECK(recorder.status() == 200);
  CHECK(recorder.text() == "first\n");
  seen->Set();
  REQUIRE(recorder.AwaitEnd());
  CHECK(recorder.text() == "first\nsecond\n");
  CHECK(recorder.end());
  CHECK(recorder.ends() == 1);
}

TEST_CASE("a stream of any status has a head and a body") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    peer.ReadMessage();
    peer.Send("HTTP/1.1 410 Gone\r\nContent-Length: 7\r\n\r\nExpired");
    peer.AwaitClose();
  });
  Recorder recorder(subject.runtime);
  auto stream =
      subject.client->Open(subject.To(Method::kGet, server.Url()), 30s, recorder.Events());
  REQUIRE(recorder.AwaitEnd());
  CHECK(recorder.status() == 410);
  CHECK(recorder.text() == "Expired");
  CHECK(recorder.end());
}

TEST_CASE("a stream that is cut off is told from one that ends") {
  Subject subject(GENERATE(from_range(Backends())));
  const bool reset = GENERATE(false, true);
  HostileServer server(subject.runtime, [&](Peer& peer) {
    peer.ReadMessage();
    peer.Send(kHead);
    peer.Send(Chunk("first\n"));
    if (reset) peer.Reset();
  });
  Recorder recorder(subject.runtime);
  auto stream =
      subject.client->Open(subject.To(Method::kGet, server.Url()), 30s, recorder.Events());
  REQUIRE(recorder.AwaitEnd());
  REQUIRE_FALSE(recorder.end());
  CHECK(recorder.end().error().cls == ErrorClass::kUnavailable);
  CHECK(recorder.ends() == 1);
}

TEST_CASE("a stream whose server cannot be reached ends with the reason, without a head") {
  Subject subject(GENERATE(from_range(Backends())));
  Recorder recorder(subject.runtime);
  auto stream =
      subject.client->Open(subject.To(Method::kGet, "http://127.0.0.1:1/"), 30s, recorder.Events());
  REQUIRE(recorder.AwaitEnd());
  CHECK(recorder.status() == 0);
  REQUIRE_FALSE(recorder.end());
  CHECK(recorder.end().error().outcome == Outcome::kNotSent);
}

TEST_CASE("a stream that falls silent ends, one that says something lives on past the deadline") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [&](Peer& peer) {
    peer.ReadMessage();
    peer.Send(kHead);
    // Well beyond the deadline of the head, each silence well below the limit.
    for (int i = 0; i < 20 && peer.Send(Chunk("x")); ++i) subject.runtime.SleepFor(50ms, {});
    peer.AwaitClose();
  });
  Recorder recorder(subject.runtime);
  Request request = subject.To(Method::kGet, server.Url());
  request.deadline = subject.runtime.Now() + 500ms;
  auto stream = subject.client->Open(request, 600ms, recorder.Events());
  REQUIRE(recorder.AwaitEnd());
  CHECK(recorder.bytes() == 20);
  REQUIRE_FALSE(recorder.end());
  CHECK(recorder.end().error().cls == ErrorClass::kTimeout);
  CHECK(recorder.end().error().message.find("silent") != std::string::npos);
}

TEST_CASE("a stream without a head before its deadline ends") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) { peer.AwaitClose(); });
  Recorder recorder(subject.runtime);
  Request request = subject.To(Method::kGet, server.Url());
  request.deadline = subject.runtime.Now() + 100ms;
  auto stream = subject.client->Open(request, 30s, recorder.Events());
  REQUIRE(recorder.AwaitEnd());
  REQUIRE_FALSE(recorder.end());
  CHECK(recorder.end().error().cls == ErrorClass::kTimeout);
}

TEST_CASE("a paused stream stops the server instead of filling memory, and goes on when resumed") {
  Subject subject(GENERATE(from_range(Backends())));
  const std::string piece = Chunk(std::string(100'000, 'x'));
  constexpr size_t kMost = 256u << 20;
  std::atomic<size_t> sent{0};
  std::shared_ptr<Event> blocked = subject.runtime.NewEvent();
  HostileServer server(subject.runtime, [&](Peer& peer) {
    peer.ReadMessage();
    peer.Send(kHead);
    sent = peer.SendUntilBlocked(piece, kMost);
    blocked->Set();
    peer.Send(kEnd);
    peer.AwaitClose();
  });
  Recorder recorder(subject.runtime);
  recorder.PauseAlways(true);
  auto stream =
      subject.client->Open(subject.To(Method::kGet, server.Url()), 30s, recorder.Events());
  REQUIRE(blocked->Wait(subject.runtime.Now() + 60s, {}) == WaitResult::kSet);
  // What the kernel holds on both sides, and a little of ours.
  CHECK(sent < 32u << 20);
  CHECK(recorder.bytes() < 1u << 20);
  CHECK(recorder.ends() == 0);
  recorder.PauseAlways(false);
  stream->Resume();
  REQUIRE(recorder.AwaitEnd());
  CHECK(recorder.end());
  CHECK(recorder.bytes() == (sent + piece.size() - 1) / piece.size() * 100'000);
}

TEST_CASE("a paused stream may be resumed again and again") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    peer.ReadMessage();
    peer.Send(kHead);
    for (int i = 0; i < 200; ++i) peer.Send(Chunk(std::string(1000, 'x')));
    peer.Send(kEnd);
    peer.AwaitClose();
  });
  Recorder recorder(subject.runtime);
  recorder.PauseAlways(true);
  auto stream =
      subject.client->Open(subject.To(Method::kGet, server.Url()), 30s, recorder.Events());
  for (size_t seen = 0; seen < 200'000;) {
    REQUIRE(recorder.AwaitBytes(seen + 1));
    seen = recorder.bytes();  // no more comes before this
    stream->Resume();
  }
  REQUIRE(recorder.AwaitEnd());
  CHECK(recorder.end());
  CHECK(recorder.bytes() == 200'000);
}

TEST_CASE("destroying a stream cancels it and waits for its last callback") {
  Subject subject(GENERATE(from_range(Backends())));
  std::shared_ptr<Event> closed = subject.runtime.NewEvent();
  HostileServer server(subject.runtime, [&](Peer& peer) {
    peer.ReadMessage();
    peer.Send(kHead);
    peer.Send(Chunk("x"));
    peer.AwaitClose();
    closed->Set();
  });
  Recorder recorder(subject.runtime);
  auto stream =
      subject.client->Open(subject.To(Method::kGet, server.Url()), 30s, recorder.Events());
  REQUIRE(recorder.AwaitBytes(1));
  stream.reset();
  CHECK(recorder.ends() == 1);
  REQUIRE_FALSE(recorder.end());
  CHECK(recorder.end().error().cls == ErrorClass::kCancelled);
  CHECK(closed->Wait(subject.runtime.Now() + 30s, {}) == WaitResult::kSet);
}

TEST_CASE("a stream may be destroyed by its own callback, and says its end before that returns") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    peer.ReadMessage();
    peer.Send(kHead);
    while (peer.Send(Chunk("x"))) continue;
  });
  std::unique_ptr<Stream> stream;
  std::shared_ptr<Event> opened = subject.runtime.NewEvent();
  std::shared_ptr<Event> over = subject.runtime.NewEvent();
  std::atomic<int> ends{0};
  std::atomic<int> ends_at_return{0};
  std::atomic<int> data_after{0};
  StreamEvents events;
  events.on_head = [&](const Response&) { opened->Wait(subject.runtime.Now() + 30s, {}); };
  events.on_data = [&](std::string_view) {
    if (ends > 0) ++data_after;
    stream.reset();
    ends_at_return = ends.load();
    over->Set();
    return Flow::kContinue;
  };
  events.on_done = [&](Status) { ++ends; };
  stream = subject.client->Open(subject.To(Method::kGet, server.Url()), 30s, std::move(events));
  opened->Set();
  REQUIRE(over->Wait(subject.runtime.Now() + 30s, {}) == WaitResult::kSet);
  CHECK(ends_at_return == 1);
  subject.client.reset();
  CHECK(ends == 1);
  CHECK(data_after == 0);
}

TEST_CASE("every stream has a connection of its own") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    while (!peer.ReadMessage().empty()) {
      peer.Send(kHead);
      peer.Send(Chunk("x"));
      peer.Send(kEnd);
    }
  });
  REQUIRE(subject.Get(server.Url()));
  for (int i = 0; i < 2; ++i) {
    Recorder recorder(subject.runtime);
    auto stream =
        subject.client->Open(subject.To(Method::kGet, server.Url()), 30s, recorder.Events());
    REQUIRE(recorder.AwaitEnd());
    CHECK(recorder.end());
  }
  REQUIRE(subject.Get(server.Url()));
  CHECK(server.connections() >= 3);
  if (subject.backend.counts_connections) CHECK(server.connections() == 3);
}

TEST_CASE("streams are not limited by the connections of unary requests") {
  Subject subject(GENERATE(from_range(Backends())));
  HostileServer server(subject.runtime, [](Peer& peer) {
    peer.ReadMessage();
    peer.Send(kHead);
    peer.Send(Chunk("x"));
    peer.AwaitClose();
  });
  auto transport = std::make_shared<Transport>();
  transport->max_connections = 1;
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 20; ++i) {
    recorders.push_back(std::make_unique<Recorder>(subject.runtime));
    Request request = subject.To(Method::kGet, server.Url());
    request.transport = transport;
    streams.push_back(subject.client->Open(request, 30s, recorders.back()->Events()));
  }
  for (auto& recorder : recorders) CHECK(recorder->AwaitBytes(1));
}

}  // namespace
}  // namespace flotilla::http
