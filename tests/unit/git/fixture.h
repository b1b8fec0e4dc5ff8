// A Git server with one repository, and a store that mirrors it, for the tests of this folder: real
// HTTP, real `git`, real libgit2, all on loopback and in one temporary directory.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/process.h"
#include "base/thread_runtime.h"
#include "git/mirror_store.h"
#include "http/client.h"
#include "http/server.h"
#include "sim/git_http_server.h"

namespace flotilla::git {

// Removed with everything in it at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A bare repository below `root`, and a working copy to fill it from.
class TestRepository {
 public:
  TestRepository(Runtime& runtime, const std::string& root, const std::string& name = "app.git");

  // Runs git in the working copy; a failure fails the test. Returns its output without line end.
  std::string Git(std::vector<std::string> arguments, std::string input = "");
  // Writes the files, commits, pushes the branch; returns the commit's id.
  std::string Commit(const std::map<std::string, std::string>& files,
                     const std::string& message = "Change", const std::string& branch = "main");
  // Makes a commit of a tree that `git mktree` accepts ("100644 blob <id>\tname" lines), pushes it.
  std::string CommitTree(const std::string& listing);
  const std::string& bare() const { return bare_; }

 private:
  std::unique_ptr<ProcessRunner> processes_;
  std::string bare_;
  std::string work_;
};

// What a test sees and changes of the conversation.
struct Requests {
  std::atomic<int> announcements = 0;  // GET info/refs
  std::atomic<int> posts = 0;
  std::atomic<int> packs = 0;  // answers that held one
  std::atomic<size_t> bytes = 0;
};

class Fixture {
 public:
  explicit Fixture(sim::GitServerOptions options = {}, http::ServerOptions listen = {});

  // Runs instead of the Git server where it returns an answer.
  using Interceptor = std::function<std::optional<http::ServerResponse>(
      const http::ServerRequest& request, const http::Handler& git)>;
  void Intercept(Interceptor interceptor);
  // An answer that has a head and the first `size` bytes of the body, and never ends. `stalled` is
  // set when it got there.
  http::ServerResponse Stall(http::ServerResponse response, size_t size);
  void StopServer() { server_.reset(); }

  std::string Url(const std::string& name = "app.git") const;
  RemoteSpec Remote(RefKind kind = RefKind::kBranch, std::string value = "main") const;
  // With a deadline that only a defect reaches.
  Result<Revision> Fetch(const RemoteSpec& remote, std::string_view last_seen = "");
  Result<Revision> FetchMain(std::string_view last_seen = "") { return Fetch(Remote(), last_seen); }
  // Closes the store and opens it on the same directory, as a restart does.
  void ReopenStore();
  TimePoint Soon() const { return runtime.Now() + 60s; }

  TemporaryDirectory directory;
  ThreadRuntime runtime;
  std::unique_ptr<http::HttpClient> client;
  TestRepository repository;
  Requests requests;
  std::unique_ptr<GitStore> store;
  const std::unique_ptr<Event> stalled;

 private:
  std::shared_ptr<const Interceptor> interceptor() const;

  mutable Mutex mutex_;
  std::shared_ptr<const Interceptor> interceptor_;
  std::vector<std::shared_ptr<http::ResponseWriter>> open_answers_;
  std::unique_ptr<http::HttpServer> server_;
  bool tls_ = false;
  uint16_t port_ = 0;
};

// The whole answer as a test expects it: "path: kind" lines of a directory, recursively.
std::string Listing(Tree& tree, const std::string& directory = "");

}  // namespace flotilla::git
