#include "surface/health_server.h"

#include <charconv>

#include "http/url.h"

namespace flotilla::surface {
namespace {

http::ServerResponse Text(int status, std::string body) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(body), nullptr};
}

Result<http::ServerOptions> ParseListen(const std::string& listen) {
  http::ServerOptions options;
  options.threads = 2;
  const size_t colon = listen.rfind(':');
  if (colon != std::string::npos) {
    const char* const end = listen.data() + listen.size();
    const auto [stopped, error] = std::from_chars(listen.data() + colon + 1, end, options.port);
    options.address = listen.substr(0, colon);
    if (options.address.size() > 2 && options.address.front() == '[' &&
        options.address.back() == ']') {
      options.address = options.address.substr(1, options.address.size() - 2);
    }
    if (options.address.empty()) options.address = "0.0.0.0";
    if (error == std::errc() && stopped == end) return options;
  }
  return Fail(ErrorClass::kInvalid, "--listen={}: expected host:port or :port", listen);
}

}  // namespace

http::ServerResponse AnswerHealth(const HealthSources& sources,
                                  const http::ServerRequest& request) {
  const std::string_view path = http::SplitTarget(request.target).path;
  if (request.method != http::Method::kGet && request.method != http::Method::kHead) {
    return Text(405, "only GET\n");
  }
  if (path == "/healthz") return Text(200, "ok\n");
  if (path == "/readyz") {
    return sources.ready() ? Text(200, "ok\n")
                           : Text(503, "the caches of the hub are not filled\n");
  }
  if (path == "/metrics") {
    if (sources.before_scrape) sources.before_scrape();
    return {200,
            {{"Content-Type", std::string(Metrics::kContentType)}},
            sources.metrics->Expose(),
            nullptr};
  }
  return Text(404, "there are /healthz, /readyz and /metrics\n");
}

Result<std::unique_ptr<http::HttpServer>> ServeHealth(Runtime& runtime, const std::string& listen,
                                                      HealthSources sources) {
  auto options = ParseListen(listen);
  if (!options) return Pass(options);
  return http::Serve(runtime, std::move(*options),
                     [sources = std::move(sources)](const http::ServerRequest& request) {
                       return AnswerHealth(sources, request);
                     });
}

}  // namespace flotilla::surface
