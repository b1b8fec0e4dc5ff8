// The Git server of the demo, used by the git program itself.
#include "sim/git_http_server.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/thread_runtime.h"
#include "catch.h"
#include "http/client.h"

using namespace flotilla;

namespace {

namespace fs = std::filesystem;

class Bench {
 public:
  explicit Bench(sim::GitServerOptions options = {}) : processes_(NewProcessRunner(runtime)) {
    std::string name = (fs::temp_directory_path() / "flotilla-serve-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    directory = name;
    fs::create_directories(directory + "/served/team");
    fs::create_directories(directory + "/outside.git");
    Run({"init", "--quiet", "--bare", "--initial-branch=main", "served/team/app.git"});
    options.root = directory + "/served";
    auto served = http::Serve(runtime, {}, sim::GitHttpHandler(runtime, std::move(options)));
    REQUIRE(served);
    server_ = std::move(*served);
  }
  ~Bench() {
    std::error_code ignored;
    fs::remove_all(directory, ignored);
  }

  ProcessExit Try(std::vector<std::string> arguments) {
    Command command;
    command.argv = std::move(arguments);
    command.argv.insert(command.argv.begin(), "/usr/bin/git");
    command.directory = directory;
    command.environment = {
        {"PATH", "/usr/bin:/bin"},     {"HOME", "/nonexistent"},
        {"GIT_CONFIG_NOSYSTEM", "1"},  {"GIT_TERMINAL_PROMPT", "0"},
        {"GIT_AUTHOR_NAME", "Ada"},    {"GIT_AUTHOR_EMAIL", "ada@example.com"},
        {"GIT_COMMITTER_NAME", "Ada"}, {"GIT_COMMITTER_EMAIL", "ada@example.com"}};
    command.deadline = runtime.Now() + 60s;
    Result<ProcessExit> exit = processes_->Run(command, std::stop_token());
    REQUIRE(exit);
    return std::move(*exit);
  }
  std::string Run(std::vector<std::string> arguments) {
    ProcessExit exit = Try(std::move(arguments));
    INFO(exit.error);
    REQUIRE(exit.status == 0);
    return exit.output;
  }
  std::string Url(const std::string& userinfo = "") const {
    return fmt::format("http://{}127.0.0.1:{}/team/app.git", userinfo, server_->port());
  }
  int Status(const std::string& target, http::Method method = http::Method::kGet) {
    http::Request request;
    request.method = method;
    request.url = fmt::format("http://127.0.0.1:{}{}", server_->port(), target);
    request.deadline = runtime.Now() + 60s;
    const auto response = http::Do(runtime, *client_, request, {});
    REQUIRE(response);
    return response->status;
  }
  void Write(const std::string& path, const std::string& contents) {
    std::ofstream(directory + "/" + path, std::ios::binary) << contents;
  }

  ThreadRuntime runtime;
  std::string directory;

 private:
  std::unique_ptr<ProcessRunner> processes_;
  std::unique_ptr<http::HttpClient> client_ = http::NewHttpClient(runtime);
  std::unique_ptr<http::HttpServer> server_;
};

sim::GitServerOptions Writable() {
  sim::GitServerOptions options;
  options.allow_push = true;
  return options;
}

}  // namespace

TEST_CASE("git clones, pushes and fetches, with every version of the protocol") {
  for (const char* version : {"protocol.version=0", "protocol.version=1", "protocol.version=2"}) {
    INFO(version);
    Bench bench(Writable());
    bench.Run({"-c", version, "clone", "--quiet", bench.Url(), "one"});
    // More than the 1 KiB from which on git compresses its request, and less than the limit of a
    // request.
    bench.Write("one/file", std::string(3u << 20, 'x'));
    bench.Run({"-C", "one", "add", "file"});
    bench.Run({"-C", "one", "commit", "--quiet", "--message", "x"});
    bench.Run({"-c", version, "-C", "one", "push", "--quiet", "origin", "HEAD:refs/heads/main"});
    bench.Run({"-c", version, "clone", "--quiet", bench.Url(), "two"});
    CHECK(fs::file_size(bench.directory + "/two/file") == 3u << 20);
    bench.Write("one/file", "y");
    bench.Run({"-C", "one", "commit", "--quiet", "--all", "--message", "y"});
    bench.Run({"-c", version, "-C", "one", "push", "--quiet", "origin", "HEAD:refs/heads/main"});
    bench.Run({"-c", version, "-C", "two", "pull", "--quiet"});
    CHECK(fs::file_size(bench.directory + "/two/file") == 1);
  }
}

TEST_CASE("Pushing has to be allowed") {
  Bench bench;
  bench.Run({"clone", "--quiet", bench.Url(), "one"});
  bench.Run({"-C", "one", "commit", "--quiet", "--allow-empty", "--message", "x"});
  CHECK(bench.Try({"-C", "one", "push", "--quiet", "origin", "HEAD:refs/heads/main"}).status != 0);
  CHECK(bench.Status("/team/app.git/info/refs?service=git-receive-pack") == 403);
  CHECK(bench.Status("/team/app.git/git-receive-pack", http::Method::kPost) == 403);
}

TEST_CASE("User and password are demanded where they are configured") {
  sim::GitServerOptions options;
  options.username = "bob";
  options.password = "hunter2";
  Bench bench(options);
  CHECK(bench.Status("/team/app.git/info/refs?service=git-upload-pack") == 401);
  CHECK(bench.Status("/nothing") == 401);
  CHECK(bench.Try({"clone", "--quiet", bench.Url(), "none"}).status != 0);
  CHECK(bench.Try({"clone", "--quiet", bench.Url("bob:wrong@"), "none"}).status != 0);
  bench.Run({"clone", "--quiet", bench.Url("bob:hunter2@"), "one"});
}

TEST_CASE("Only repositories below the root are served, and only by the smart protocol") {
  Bench bench(Writable());
  CHECK(bench.Status("/team/app.git/info/refs?service=git-upload-pack") == 200);
  for (const char* target :
       {"/", "/team/app.git", "/team/app.git/HEAD", "/team/app.git/config",
        "/team/app.git/objects/info/packs", "/team/none.git/info/refs?service=git-upload-pack",
        "/../outside.git/info/refs?service=git-upload-pack",
        "/team/../../outside.git/info/refs?service=git-upload-pack",
        "/%2e%2e/outside.git/info/refs?service=git-upload-pack",
        "/team%2f..%2f..%2foutside.git/info/refs?service=git-upload-pack",
        "//etc/info/refs?service=git-upload-pack", "/info/refs?service=git-upload-pack",
        "/team/app.git%00/info/refs?service=git-upload-pack"}) {
    INFO(target);
    const int status = bench.Status(target);
    CHECK((status == 404 || status == 400));
  }
  CHECK(bench.Status("/team/app.git/info/refs") == 403);  // the dumb protocol
  CHECK(bench.Status("/team/app.git/git-upload-pack") == 405);
  CHECK(bench.Status("/team/app.git/info/refs?service=git-upload-pack", http::Method::kPost) ==
        405);
}
