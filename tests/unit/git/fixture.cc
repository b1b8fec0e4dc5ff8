#include "unit/git/fixture.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "catch.h"

namespace flotilla::git {
namespace {

namespace fs = std::filesystem;

std::string MakeTemporaryDirectory() {
  std::string name = (fs::temp_directory_path() / "flotilla-git-XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  return name;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() : path_(MakeTemporaryDirectory()) {}
TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

TestRepository::TestRepository(Runtime& runtime, const std::string& root, const std::string& name)
    : processes_(NewProcessRunner(runtime)), bare_(root + "/" + name), work_(bare_ + ".work") {
  fs::create_directories(work_);
  Git({"init", "--quiet", "--bare", "--initial-branch=main", bare_});
  Git({"init", "--quiet", "--initial-branch=main", "."});
}

std::string TestRepository::Git(std::vector<std::string> arguments, std::string input) {
  Command command;
  command.argv = std::move(arguments);
  command.argv.insert(command.argv.begin(), "/usr/bin/git");
  command.directory = work_;
  command.input = std::move(input);
  command.environment = {{"PATH", "/usr/bin:/bin"},
                         {"HOME", "/nonexistent"},
                         {"GIT_CONFIG_NOSYSTEM", "1"},
                         {"GIT_AUTHOR_NAME", "Ada"},
                         {"GIT_AUTHOR_EMAIL", "ada@example.com"},
                         {"GIT_AUTHOR_DATE", "1790000000 +0200"},
                         {"GIT_COMMITTER_NAME", "Ada"},
                         {"GIT_COMMITTER_EMAIL", "ada@example.com"},
                         {"GIT_COMMITTER_DATE", "1790000000 +0200"}};
  Result<ProcessExit> exit = processes_->Run(command, std::stop_token());
  REQUIRE(exit);
  INFO("git " << command.argv[1] << ": " << exit->error);
  REQUIRE(exit->status == 0);
  while (!exit->output.empty() && exit->output.back() == '\n') exit->output.pop_back();
  return std::move(exit->output);
}

std::string TestRepository::Commit(const std::map<std::string, std::string>& files,
                                   const std::string& message, const std::string& branch) {
  for (const auto& [path, contents] : files) {
    const fs::path file = fs::path(work_) / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << contents;
  }
  Git({"add", "--all"});
  Git({"commit", "--quiet", "--allow-empty", "--message", message});
  Git({"push", "--quiet", "--force", bare_, "HEAD:refs/heads/" + branch});
  return Git({"rev-parse", "HEAD"});
}

std::string TestRepository::CommitTree(const std::string& listing) {
  const std::string tree = Git({"mktree", "--missing"}, listing);
  const std::string commit = Git({"commit-tree", "-m", "Tree", tree});
  Git({"push", "--quiet", "--force", bare_, commit + ":refs/heads/main"});
  return commit;
}

Fixture::Fixture(sim::GitServerOptions options, http::ServerOptions listen)
    : client(http::NewHttpClient(runtime)),
      repository(runtime, directory.path() + "/served"),
      stalled(runtime.NewEvent()) {
  options.root = directory.path() + "/served";
  http::Handler git = sim::GitHttpHandler(runtime, std::move(options));
  tls_ = !listen.certificate_pem.empty();
  auto served =
      http::Serve(runtime, std::move(listen), [this, git](const http::ServerRequest& request) {
        if (request.method == http::Method::kGet) ++requests.announcements;
        if (request.method == http::Method::kPost) ++requests.posts;
        http::ServerResponse response;
        std::optional<http::ServerResponse> intercepted;
        if (const auto current = interceptor()) intercepted = (*current)(request, git);
        response = intercepted ? std::move(*intercepted) : git(request);
        if (response.body.find("PACK") != std::string::npos) ++requests.packs;
        requests.bytes += response.body.size();
        return response;
      });
  REQUIRE(served);
  server_ = std::move(*served);
  port_ = server_->port();
  ReopenStore();
}

void Fixture::Intercept(Interceptor interceptor) {
  const MutexLock lock(mutex_);
  interceptor_ =
      interceptor ? std::make_shared<const Interceptor>(std::move(interceptor)) : nullptr;
}

http::ServerResponse Fixture::Stall(http::ServerResponse response, size_t size) {
  response.body.resize(size);
  auto body = std::make_shared<const std::string>(std::move(response.body));
  response.body.clear();
  response.stream = [this, body](std::shared_ptr<http::ResponseWriter> writer) {
    writer->Write(*body);
    {
      const MutexLock lock(mutex_);
      open_answers_.push_back(std::move(writer));
    }
    stalled->Set();
  };
  return response;
}

std::shared_ptr<const Fixture::Interceptor> Fixture::interceptor() const {
  const MutexLock lock(mutex_);
  return interceptor_;
}

std::string Fixture::Url(const std::string& name) const {
  return fmt::format("{}://127.0.0.1:{}/{}", tls_ ? "https" : "http", port_, name);
}

RemoteSpec Fixture::Remote(RefKind kind, std::string value) const {
  RemoteSpec remote;
  remote.url = Url();
  remote.ref = {kind, std::move(value)};
  return remote;
}

Result<Revision> Fixture::Fetch(const RemoteSpec& remote, std::string_view last_seen) {
  return store->Fetch(remote, last_seen, std::stop_token(), Soon());
}

void Fixture::ReopenStore() {
  store.reset();
  auto opened = OpenMirrorStore(runtime, *client, {directory.path() + "/mirrors"});
  REQUIRE(opened);
  store = std::move(*opened);
}

std::string Listing(Tree& tree, const std::string& directory) {
  std::string text;
  const auto entries = tree.List(directory);
  if (!entries) return entries.error().ToString();
  for (const TreeEntry& entry : *entries) {
    const std::string path = directory.empty() ? entry.name : directory + "/" + entry.name;
    switch (entry.kind) {
      case EntryKind::kFile:
        text += path + ": file\n";
        break;
      case EntryKind::kSymlink:
        text += path + ": symlink\n";
        break;
      case EntryKind::kSubmodule:
        text += path + ": submodule\n";
        break;
      case EntryKind::kDirectory:
        text += path + ": directory\n" + Listing(tree, path);
        break;
    }
  }
  return text;
}

}  // namespace flotilla::git
