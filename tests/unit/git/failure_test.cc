// What a remote can do wrong, and what is left behind then.
#include <filesystem>
#include <string>

#include "base/encoding.h"
#include "catch.h"
#include "contract/http/certificates.h"
#include "unit/git/fixture.h"

using namespace flotilla;
using namespace flotilla::git;
namespace fs = std::filesystem;

namespace {

bool IsPack(const http::ServerRequest& request) {
  return request.method == http::Method::kPost &&
         request.body.find("0009done\n") != std::string::npos;
}

http::ServerResponse Plain(int status, http::Headers headers = {}) {
  http::ServerResponse response;
  response.status = status;
  response.headers = std::move(headers);
  return response;
}

size_t FilesIn(const std::string& directory, const std::string& part) {
  size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.path().filename().string().find(part) != std::string::npos) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("An answer other than success is an error that says what to do") {
  struct Row {
    http::ServerResponse response;
    ErrorClass cls;
    const char* message;
  };
  const std::vector<Row> rows = {
      {Plain(401), ErrorClass::kUnauthenticated, "name a Secret with a token"},
      {Plain(403), ErrorClass::kDenied, "does not allow this read"},
      {Plain(404), ErrorClass::kNotFound, "no repository, or a private one"},
      {Plain(410), ErrorClass::kNotFound, "no repository"},
      {Plain(400), ErrorClass::kInvalid, "HTTP status 400"},
      {Plain(429, {{"Retry-After", "7"}}), ErrorClass::kThrottled, "429"},
      {Plain(500), ErrorClass::kUnavailable, "500"},
      {Plain(503), ErrorClass::kUnavailable, "503"},
      {Plain(301, {{"Location", "https://other.example/app.git/info/refs?token=hidden"}}),
       ErrorClass::kInvalid, "redirects to https://other.example/app.git/info/refs:"},
      {Plain(302, {{"Location", "https://user:hidden@other.example/"}}), ErrorClass::kInvalid,
       "redirects to a URL with a user in it"},
      {Plain(200, {{"Content-Type", "text/html; charset=utf-8"}}), ErrorClass::kInvalid,
       "answers with text/html, which is not Git's protocol"},
      {Plain(200), ErrorClass::kInvalid, "no content type"},
      {Plain(204), ErrorClass::kInvalid, "204"},
  };
  Fixture fixture;
  for (const Row& row : rows) {
    fixture.Intercept([&row](const auto&, const auto&) { return row.response; });
    INFO("status " << row.response.status);
    const auto revision = fixture.FetchMain();
    REQUIRE_FALSE(revision);
    CHECK(revision.error().cls == row.cls);
    CHECK_THAT(revision.error().ToString(), Catch::Contains(row.message));
    CHECK_THAT(revision.error().ToString(), !Catch::Contains("hidden"));
    CHECK((revision.error().retry_after == std::chrono::milliseconds(7000)) ==
          (row.response.status == 429));
  }
  CHECK(fs::is_empty(fixture.directory.path() + "/mirrors") == false);  // the lock
  CHECK(FilesIn(fixture.directory.path() + "/mirrors", "HEAD") == 0);   // and no mirror
}

TEST_CASE("A server that announces references and then refuses the pack says why") {
  Fixture fixture;
  fixture.repository.Commit({{"a", "1"}});
  fixture.Intercept([](const http::ServerRequest& request, const http::Handler&) {
    std::optional<http::ServerResponse> response;
    if (IsPack(request)) response = Plain(403, {{"Content-Type", "text/plain"}});
    return response;
  });
  const auto revision = fixture.FetchMain();
  REQUIRE_FALSE(revision);
  CHECK(revision.error().cls == ErrorClass::kDenied);
}

TEST_CASE("A redirect is not followed, even to the same host") {
  Fixture fixture;
  fixture.repository.Commit({{"a", "1"}});
  fixture.Intercept([&](const http::ServerRequest& request, const http::Handler&) {
    if (request.target.find("/app.git/") == 0) return std::optional<http::ServerResponse>();
    return std::optional(Plain(301, {{"Location", fixture.Url() + "/info/refs"}}));
  });
  RemoteSpec remote = fixture.Remote();
  remote.url = fixture.Url("app");
  const auto revision = fixture.Fetch(remote);
  REQUIRE_FALSE(revision);
  CHECK_THAT(revision.error().ToString(), Catch::Contains("redirects to " + fixture.Url()));
}

TEST_CASE("Credentials are sent as they are configured, and refused where they are wrong") {
  sim::GitServerOptions options;
  options.username = "bob";
  options.password = "hunter2";
  Fixture fixture(options);
  const std::string commit = fixture.repository.Commit({{"a", "1"}});
  RemoteSpec remote = fixture.Remote();
  CHECK(fixture.Fetch(remote).error().cls == ErrorClass::kUnauthenticated);
  remote.credentials = BasicCredentials{"bob", Secret("wrong-pass")};
  const auto refused = fixture.Fetch(remote);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().cls == ErrorClass::kUnauthenticated);
  CHECK_THAT(refused.error().ToString(),
             Catch::Contains("refuses the credentials") && !Catch::Contains("wrong-pass"));
  remote.credentials = BasicCredentials{"bob", Secret("hunter2")};
  REQUIRE(fixture.Fetch(remote));

  SECTION("a bearer token is a header of its own") {
    std::atomic<bool> seen = false;
    fixture.Intercept([&seen](const http::ServerRequest& request, const http::Handler&) {
      if (http::Find(request.headers, "Authorization") == "Bearer t0ken") seen = true;
      return std::optional(Plain(403));
    });
    remote.credentials = BearerCredentials{Secret("t0ken")};
    CHECK(fixture.Fetch(remote).error().cls == ErrorClass::kDenied);
    CHECK(seen);
  }
  SECTION("a commit that others fetched is not given to those who may not read") {
    remote.ref = {RefKind::kCommit, commit};
    CHECK(fixture.Fetch(remote));
    remote.credentials = NoCredentials{};
    CHECK(fixture.Fetch(remote).error().cls == ErrorClass::kUnauthenticated);
  }
}

TEST_CASE("An authority that is configured for a remote is trusted, and for that remote only") {
  const http::CertificateAuthority authority("Test authority");
  const http::CertificateAuthority other("Other authority");
  const http::Identity server = authority.Issue("git", {"IP:127.0.0.1"});
  http::ServerOptions listen;
  listen.certificate_pem = server.certificate_pem;
  listen.key_pem = server.key_pem;
  Fixture fixture({}, listen);
  const std::string commit = fixture.repository.Commit({{"a", "1"}});

  const auto unknown = fixture.FetchMain();
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().cls == ErrorClass::kUnauthenticated);
  CHECK_THAT(unknown.error().ToString(), Catch::Contains("certificate"));
  RemoteSpec remote = fixture.Remote();
  auto transport = std::make_shared<http::Transport>();
  transport->ca_pem = other.certificate_pem();
  remote.transport = transport;
  CHECK_FALSE(fixture.Fetch(remote));

  transport = std::make_shared<http::Transport>();
  transport->ca_pem = authority.certificate_pem();
  remote.transport = transport;
  const auto revision = fixture.Fetch(remote);
  INFO((revision ? "" : revision.error().ToString()));
  REQUIRE(revision);
  CHECK(revision->commit == commit);
  CHECK_FALSE(fixture.FetchMain());  // the other spec trusts no more than before
}

TEST_CASE("A client certificate is presented where one is configured") {
  const http::CertificateAuthority authority("Test authority");
  const http::Identity server = authority.Issue("git", {"IP:127.0.0.1"});
  http::ServerOptions listen;
  listen.certificate_pem = server.certificate_pem;
  listen.key_pem = server.key_pem;
  listen.client_ca_pem = authority.certificate_pem();
  Fixture fixture({}, listen);
  fixture.repository.Commit({{"a", "1"}});
  fixture.Intercept([](const http::ServerRequest& request, const http::Handler&) {
    std::optional<http::ServerResponse> response;
    if (request.client_certificate_pem.empty()) response = Plain(403);
    return response;
  });
  RemoteSpec remote = fixture.Remote();
  auto transport = std::make_shared<http::Transport>();
  transport->ca_pem = authority.certificate_pem();
  remote.transport = transport;
  CHECK(fixture.Fetch(remote).error().cls == ErrorClass::kDenied);
  const http::Identity us = authority.Issue("flotilla", {"DNS:flotilla"});
  transport = std::make_shared<http::Transport>(*transport);
  transport->client_cert_pem = us.certificate_pem;
  transport->client_key_pem = us.key_pem;
  remote.transport = transport;
  CHECK(fixture.Fetch(remote));
}

TEST_CASE("A connection that breaks in the middle of a pack leaves the mirror as it was") {
  Fixture fixture;
  const std::string old_commit = fixture.repository.Commit({{"a", "old"}});
  REQUIRE(fixture.FetchMain());
  std::string random;
  while (random.size() < 300'000) random += std::to_string(fixture.runtime.Random());
  const std::string new_commit = fixture.repository.Commit({{"a", "new"}, {"big", random}});
  const std::string mirrors = fixture.directory.path() + "/mirrors";

  const auto look = [&] {
    CHECK(FilesIn(mirrors, ".pack") == 1);
    CHECK(fixture.store->OpenTree(fixture.Url(), new_commit).error().cls == ErrorClass::kNotFound);
    auto tree = fixture.store->OpenTree(fixture.Url(), old_commit);
    REQUIRE(tree);
    CHECK((*tree)->Read("a").value() == "old");
  };

  SECTION("an answer that ends early") {
    fixture.Intercept([](const http::ServerRequest& request, const http::Handler& git) {
      std::optional<http::ServerResponse> response;
      if (!IsPack(request)) return response;
      response = git(request);
      response->body.resize(response->body.size() / 2);
      return response;
    });
    const auto revision = fixture.FetchMain();
    REQUIRE_FALSE(revision);
    look();
    fixture.Intercept(nullptr);
    CHECK(fixture.FetchMain()->commit == new_commit);
    CHECK(FilesIn(mirrors, "pack") == 1 + 4);  // the directory, and two packs with their indexes
  }
  SECTION("a server that goes away") {
    fixture.Intercept([&](const http::ServerRequest& request, const http::Handler& git) {
      std::optional<http::ServerResponse> response;
      if (IsPack(request)) response = fixture.Stall(git(request), 100'000);
      return response;
    });
    Result<Revision> revision;
    const auto task =
        fixture.runtime.Spawn("fetch", [&](std::stop_token) { revision = fixture.FetchMain(); });
    REQUIRE(fixture.stalled->Wait(fixture.Soon(), {}) == WaitResult::kSet);
    fixture.StopServer();
    task->Join();
    REQUIRE_FALSE(revision);
    CHECK(revision.error().cls == ErrorClass::kUnavailable);
    CHECK_THAT(revision.error().ToString(), Catch::Contains("read from the Git server"));
    look();
  }
}

TEST_CASE("A pack with other bytes than it should have is not taken in") {
  Fixture fixture;
  fixture.repository.Commit({{"a", "old"}});
  fixture.Intercept([](const http::ServerRequest& request, const http::Handler& git) {
    std::optional<http::ServerResponse> response;
    if (!IsPack(request)) return response;
    response = git(request);
    const size_t pack = response->body.find("PACK");
    REQUIRE(pack != std::string::npos);
    response->body[pack + 40] = static_cast<char>(response->body[pack + 40] ^ 0x55);
    return response;
  });
  const auto revision = fixture.FetchMain();
  REQUIRE_FALSE(revision);
  CHECK(revision.error().cls == ErrorClass::kUnavailable);
  CHECK(FilesIn(fixture.directory.path() + "/mirrors", ".pack") == 0);
  fixture.Intercept(nullptr);
  CHECK(fixture.FetchMain());
}

TEST_CASE("A server that falls silent is given up at the deadline, or when the caller says so") {
  Fixture fixture;
  std::string random;
  while (random.size() < 300'000) random += std::to_string(fixture.runtime.Random());
  fixture.repository.Commit({{"big", random}});
  bool in_pack = false;
  SECTION("before it says anything") {}
  SECTION("in the middle of a pack") { in_pack = true; }
  fixture.Intercept([&](const http::ServerRequest& request, const http::Handler& git) {
    std::optional<http::ServerResponse> response;
    if (!in_pack || IsPack(request)) {
      response = fixture.Stall(git(request), in_pack ? 100'000 : 0);
    }
    return response;
  });

  const TimePoint begin = fixture.runtime.Now();
  const auto late = fixture.store->Fetch(fixture.Remote(), "", {}, begin + 300ms);
  REQUIRE_FALSE(late);
  CHECK(late.error().cls == ErrorClass::kTimeout);
  CHECK(fixture.runtime.Now() - begin < 5s);

  fixture.stalled->Reset();
  Result<Revision> revision;
  const auto task = fixture.runtime.Spawn("fetch", [&](std::stop_token stop) {
    revision = fixture.store->Fetch(fixture.Remote(), "", stop, fixture.Soon());
  });
  REQUIRE(fixture.stalled->Wait(fixture.Soon(), {}) == WaitResult::kSet);
  const TimePoint stopped = fixture.runtime.Now();
  task->RequestStop();
  task->Join();
  CHECK(fixture.runtime.Now() - stopped < 5s);
  REQUIRE_FALSE(revision);
  CHECK(revision.error().cls == ErrorClass::kCancelled);
}

TEST_CASE("Fetches of one repository take turns, and one that waits can be given up") {
  Fixture fixture;
  const std::string commit = fixture.repository.Commit({{"a", "1"}});
  fixture.Intercept([&](const http::ServerRequest& request, const http::Handler& git) {
    return std::optional(fixture.Stall(git(request), 0));
  });
  Result<Revision> first;
  const auto task = fixture.runtime.Spawn("first", [&](std::stop_token stop) {
    first = fixture.store->Fetch(fixture.Remote(), "", stop, fixture.Soon());
  });
  REQUIRE(fixture.stalled->Wait(fixture.Soon(), {}) == WaitResult::kSet);
  const int asked = fixture.requests.announcements;
  const auto late = fixture.store->Fetch(fixture.Remote(), "", {}, fixture.runtime.Now() + 100ms);
  CHECK(late.error().cls == ErrorClass::kTimeout);
  CHECK_THAT(late.error().ToString(), Catch::Contains("another fetch"));
  CHECK(fixture.requests.announcements == asked);

  fixture.Intercept(nullptr);
  std::vector<Result<Revision>> results(8);
  std::vector<std::unique_ptr<Task>> tasks;
  for (Result<Revision>& result : results) {
    tasks.push_back(
        fixture.runtime.Spawn("fetch", [&](std::stop_token) { result = fixture.FetchMain(); }));
  }
  task->RequestStop();
  for (const auto& waiting : tasks) waiting->Join();
  int fetched = 0;
  for (const Result<Revision>& result : results) {
    REQUIRE(result);
    CHECK(result->commit == commit);
    if (result->fetched) ++fetched;
  }
  CHECK(fetched == 1);
  CHECK(fixture.requests.packs == 1);
}

TEST_CASE("Trees are read while the repository is fetched") {
  Fixture fixture;
  std::map<std::string, std::string> files;
  for (int i = 0; i < 50; ++i) files["dir" + std::to_string(i) + "/file"] = std::to_string(i);
  const std::string commit = fixture.repository.Commit(files);
  REQUIRE(fixture.FetchMain());
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::vector<std::unique_ptr<Task>> readers;
  for (int r = 0; r < 3; ++r) {
    readers.push_back(fixture.runtime.Spawn("reader", [&](std::stop_token) {
      while (!done) {
        auto tree = fixture.store->OpenTree(fixture.Url(), commit);
        if (!tree || (*tree)->Read("dir7/file").value_or("") != "7" ||
            (*tree)->List("").value_or(std::vector<TreeEntry>()).size() != 50) {
          ++wrong;
        }
      }
    }));
  }
  std::string last;
  for (int i = 0; i < 8; ++i) {
    const std::string next = fixture.repository.Commit({{"dir7/file", "x" + std::to_string(i)}});
    const auto revision = fixture.FetchMain(last);
    REQUIRE(revision);
    CHECK(revision->commit == next);
    last = next;
  }
  done = true;
  for (const auto& reader : readers) reader->Join();
  CHECK(wrong == 0);
}

TEST_CASE("What a fetch that was killed left behind is removed, and not seen") {
  Fixture fixture;
  const std::string commit = fixture.repository.Commit({{"a", "1"}});
  REQUIRE(fixture.FetchMain());
  fixture.store.reset();
  std::string mirror;
  for (const auto& entry : fs::directory_iterator(fixture.directory.path() + "/mirrors")) {
    if (entry.is_directory()) mirror = entry.path();
  }
  fs::create_directories(mirror + "/new/objects/pack");
  fs::create_directories(mirror + "/0.git");
  fs::copy(mirror + "/1.git", mirror + "/new2", fs::copy_options::recursive);
  fixture.ReopenStore();
  CHECK(fixture.store->OpenTree(fixture.Url(), commit));
  size_t entries = 0;
  for (const auto& entry : fs::directory_iterator(mirror)) {
    CHECK(entry.path().filename() == "1.git");
    ++entries;
  }
  CHECK(entries == 1);
}
