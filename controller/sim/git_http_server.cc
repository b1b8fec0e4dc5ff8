#include "sim/git_http_server.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/encoding.h"
#include "base/process.h"
#include "base/secret.h"
#include "base/tree.h"
#include "http/url.h"

namespace flotilla::sim {
namespace {

http::ServerResponse Answer(int status, std::string text) {
  http::ServerResponse response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(text);
  return response;
}

// "/team/app.git/info/refs" is the repository "team/app.git" and the service's path "/info/refs".
struct Place {
  std::string repository;
  std::string_view service;
};

std::optional<Place> Split(std::string_view path) {
  for (const std::string_view service : {"/info/refs", "/git-upload-pack", "/git-receive-pack"}) {
    if (path.size() <= service.size() || path.substr(path.size() - service.size()) != service) {
      continue;
    }
    const std::optional<std::string> decoded =
        PercentDecode(path.substr(0, path.size() - service.size()));
    if (!decoded || decoded->empty() || decoded->front() != '/') return std::nullopt;
    Result<std::string> repository = NormalizePath(std::string_view(*decoded).substr(1));
    if (!repository || repository->empty()) return std::nullopt;
    return Place{std::move(*repository), service};
  }
  return std::nullopt;
}

bool Authorized(const GitServerOptions& options, const http::Headers& headers) {
  if (options.username.empty()) return true;
  const std::string expected = "Basic " + EncodeBase64(options.username + ":" + options.password);
  return ConstantTimeEquals(http::Find(headers, "Authorization"), expected);
}

// Headers, an empty line, the body: RFC 3875, section 6.
http::ServerResponse ParseCgi(std::string output) {
  http::ServerResponse response;
  size_t begin = 0;
  while (true) {
    const size_t end = output.find('\n', begin);
    if (end == output.npos) return Answer(502, "git http-backend gave no answer\n");
    std::string_view line = std::string_view(output).substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    begin = end + 1;
    if (line.empty()) break;
    const size_t colon = line.find(": ");
    if (colon == line.npos) return Answer(502, "git http-backend gave no header\n");
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 2);
    if (name == "Status") {
      std::from_chars(value.data(), value.data() + value.size(), response.status);
    } else {
      response.headers.emplace_back(name, value);
    }
  }
  output.erase(0, begin);
  response.body = std::move(output);
  return response;
}

class GitServer {
 public:
  GitServer(Runtime& runtime, GitServerOptions options)
      : runtime_(runtime), options_(std::move(options)), processes_(NewProcessRunner(runtime)) {}

  http::ServerResponse Handle(const http::ServerRequest& request) const {
    if (!Authorized(options_, request.headers)) {
      http::ServerResponse response = Answer(401, "credentials are needed\n");
      response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"git\"");
      return response;
    }
    const http::Target target = http::SplitTarget(request.target);
    const std::optional<Place> place = Split(target.path);
    if (!place) return Answer(404, "no repository\n");
    const bool announcement = place->service == "/info/refs";
    if (request.method != (announcement ? http::Method::kGet : http::Method::kPost)) {
      return Answer(405, "method not allowed\n");
    }
    const bool push = place->service == "/git-receive-pack" ||
                      (announcement && target.query == "service=git-receive-pack");
    if (push && !options_.allow_push) return Answer(403, "pushing is not allowed\n");
    return Run(request, *place, target.query);
  }

 private:
  // git http-backend is Git's own CGI program: it finds the repository below the root, unpacks the
  // request, and runs upload-pack or receive-pack.
  http::ServerResponse Run(const http::ServerRequest& request, const Place& place,
                           std::string_view query) const {
    Command command;
    command.argv = {options_.git, "http-backend"};
    command.environment = {
        {"PATH", "/usr/local/bin:/usr/bin:/bin"},
        {"HOME", "/nonexistent"},
        {"GIT_CONFIG_NOSYSTEM", "1"},
        {"GIT_PROJECT_ROOT", options_.root},
        {"GIT_HTTP_EXPORT_ALL", "1"},
        {"REQUEST_METHOD", http::ToString(request.method)},
        {"PATH_INFO", "/" + place.repository + std::string(place.service)},
        {"QUERY_STRING", std::string(query)},
        {"CONTENT_TYPE", std::string(http::Find(request.headers, "Content-Type"))},
        {"CONTENT_LENGTH", std::to_string(request.body.size())},
        {"HTTP_CONTENT_ENCODING", std::string(http::Find(request.headers, "Content-Encoding"))},
        {"GIT_PROTOCOL", std::string(http::Find(request.headers, "Git-Protocol"))},
        {"GIT_CONFIG_COUNT", "4"},
        {"GIT_CONFIG_KEY_0", "http.receivepack"},
        {"GIT_CONFIG_VALUE_0", options_.allow_push ? "true" : "false"},
        {"GIT_CONFIG_KEY_1", "http.getanyfile"},
        {"GIT_CONFIG_VALUE_1", "false"},
        // The repositories belong to whoever runs the demo, which need not be us.
        {"GIT_CONFIG_KEY_2", "safe.directory"},
        {"GIT_CONFIG_VALUE_2", "*"},
        {"GIT_CONFIG_KEY_3", "receive.autogc"},
        {"GIT_CONFIG_VALUE_3", "false"},
    };
    command.input = request.body;
    command.deadline = runtime_.Now() + options_.deadline;
    Result<ProcessExit> exit = processes_->Run(command, std::stop_token());
    if (!exit) return Answer(502, "git http-backend: " + exit.error().ToString() + "\n");
    return ParseCgi(std::move(exit->output));
  }

  Runtime& runtime_;
  const GitServerOptions options_;
  const std::unique_ptr<ProcessRunner> processes_;
};

}  // namespace

http::Handler GitHttpHandler(Runtime& runtime, GitServerOptions options) {
  auto server = std::make_shared<const GitServer>(runtime, std::move(options));
  return [server](const http::ServerRequest& request) { return server->Handle(request); };
}

}  // namespace flotilla::sim
