// Closed-loop load from both HTTP clients onto our own server, each in a process of its own:
// requests per second, CPU of the client per request, and the 99th percentile of the latency.
//
//   ninja bench_http && tests/bench_http [seconds per line, default 2]
//
// The object is a Deployment's size (1.8 kB), the list 5,000 of them. Streams: resident memory of
// the client for each of 100 idle TLS streams.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/thread_runtime.h"
#include "contract/http/certificates.h"
#include "http/cpprest_client.h"
#include "http/curl_client.h"
#include "http/server.h"

namespace flotilla::http {
namespace {

struct Ports {
  uint16_t plain = 0;
  uint16_t tls = 0;
};

struct Load {
  const char* name;
  Method method;
  bool tls;
  const char* target;
  int parallel;
};

constexpr Load kLoads[] = {
    {"GET object, HTTP", Method::kGet, false, "/object", 1},
    {"GET object, HTTP", Method::kGet, false, "/object", 8},
    {"GET object, HTTP", Method::kGet, false, "/object", 64},
    {"GET object, TLS", Method::kGet, true, "/object", 1},
    {"GET object, TLS", Method::kGet, true, "/object", 8},
    {"GET object, TLS", Method::kGet, true, "/object", 64},
    {"PATCH object, TLS", Method::kPatch, true, "/object", 8},
    {"GET list, TLS", Method::kGet, true, "/list", 4},
};

[[noreturn]] void RunServer(int port_pipe, const Identity& identity) {
  ThreadRuntime runtime;
  const std::string object(1827, 'x');
  const std::string list(5000 * object.size(), 'x');
  std::vector<std::shared_ptr<ResponseWriter>> writers;
  auto handler = [&](const ServerRequest& request) {
    if (request.target == "/stream") {
      ServerResponse answer;
      answer.stream = [&](std::shared_ptr<ResponseWriter> writer) {
        writer->Write("x");
        writers.push_back(std::move(writer));
      };
      return answer;
    }
    return ServerResponse{200, {}, request.target == "/list" ? list : object, {}};
  };
  ServerOptions options;
  options.threads = 0;
  auto plain = *Serve(runtime, options, handler);
  options.certificate_pem = identity.certificate_pem;
  options.key_pem = identity.key_pem;
  auto tls = *Serve(runtime, options, handler);
  const Ports ports{plain->port(), tls->port()};
  if (write(port_pipe, &ports, sizeof ports) != sizeof ports) std::abort();
  for (;;) pause();
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double ResidentKilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atof(line.c_str() + 6);
  }
  return 0;
}

// Sends a request whenever one has been answered, until the time is over.
class Loop {
 public:
  Loop(Runtime& runtime, HttpClient& client, Request request, int parallel, Duration time)
      : runtime_(runtime),
        client_(client),
        request_(std::move(request)),
        end_(runtime.Now() + time),
        active_(parallel),
        done_(runtime.NewEvent()) {
    const TimePoint begin = runtime_.Now();
    const double cpu = CpuSeconds();
    for (int i = 0; i < parallel; ++i) Next();
    done_->Wait(kForever, {});
    const double seconds =
        std::chrono::duration_cast<std::chrono::duration<double>>(runtime_.Now() - begin).count();
    const auto count = static_cast<double>(latencies_.size());
    per_second = count / seconds;
    cpu_us = (CpuSeconds() - cpu) / count * 1e6;
    std::sort(latencies_.begin(), latencies_.end());
    if (!latencies_.empty()) {
      p99_ms = static_cast<double>(latencies_[latencies_.size() * 99 / 100].count()) / 1e3;
    }
  }

  double per_second = 0;
  double cpu_us = 0;
  double p99_ms = 0;
  int failures = 0;

 private:
  void Next() {
    Request request = request_;
    const TimePoint begin = runtime_.Now();
    request.deadline = begin + 30s;
    client_.Send(std::move(request), {}, [this, begin](Result<Response> answer) {
      const TimePoint now = runtime_.Now();
      latencies_.push_back(now - begin);  // callbacks come one after the other
      if (!answer || answer->status != 200) ++failures;
      if (now < end_) return Next();
      if (--active_ == 0) done_->Set();
    });
  }

  Runtime& runtime_;
  HttpClient& client_;
  const Request request_;
  const TimePoint end_;
  std::atomic<int> active_;
  std::unique_ptr<Event> done_;
  std::vector<Duration> latencies_;
};

struct Backend {
  const char* name;
  std::unique_ptr<HttpClient> (*make)(Runtime&);
};

constexpr Backend kBackends[] = {
    {"libcurl", [](Runtime& runtime) { return NewCurlClient(runtime); }},
    {"cpprest", &NewCpprestClient},
};

Request RequestTo(const Ports& ports, std::shared_ptr<const Transport> transport, Method method,
                  bool tls, const char* target) {
  Request request;
  request.method = method;
  request.url =
      fmt::format("http{}://127.0.0.1:{}{}", tls ? "s" : "", tls ? ports.tls : ports.plain, target);
  request.transport = std::move(transport);
  if (method == Method::kPatch) request.body.assign(1827, 'x');
  return request;
}

void RunLoads(const Backend& backend, const Ports& ports,
              const std::shared_ptr<const Transport>& transport, Duration time) {
  ThreadRuntime runtime;
  auto client = backend.make(runtime);
  for (const Load& load : kLoads) {
    const Loop loop(runtime, *client,
                    RequestTo(ports, transport, load.method, load.tls, load.target), load.parallel,
                    time);
    std::printf("| %-8s | %-17s | %3d | %8.0f | %7.0f | %7.2f |%s\n", backend.name, load.name,
                load.parallel, loop.per_second, loop.cpu_us, loop.p99_ms,
                loop.failures ? " FAILURES" : "");
    std::fflush(stdout);
  }
}

void RunStreams(const Backend& backend, const Ports& ports,
                const std::shared_ptr<const Transport>& transport) {
  constexpr int kStreams = 100;
  ThreadRuntime runtime;
  auto client = backend.make(runtime);
  std::atomic<int> open{0};
  std::atomic<int> wanted{0};
  auto all_open = runtime.NewEvent();
  std::vector<std::unique_ptr<Stream>> streams;
  auto add = [&](int count) {
    wanted += count;
    all_open->Reset();
    for (int i = 0; i < count; ++i) {
      StreamEvents events;
      events.on_head = [](const Response&) {};
      events.on_data = [&](std::string_view) {
        if (++open == wanted) all_open->Set();
        return Flow::kContinue;
      };
      events.on_done = [](Status) {};
      streams.push_back(client->Open(RequestTo(ports, transport, Method::kGet, true, "/stream"),
                                     60s, std::move(events)));
    }
    all_open->Wait(runtime.Now() + 60s, {});
  };
  add(1);  // what the first one costs is not what each one costs
  const double before = ResidentKilobytes();
  add(kStreams);
  std::printf("| %-8s | %-17s | %3d | %.0f kB each%s\n", backend.name, "idle TLS streams", kStreams,
              (ResidentKilobytes() - before) / kStreams, open < wanted ? ", FAILURES" : "");
  std::fflush(stdout);
}

// Runs `body` in a process of its own, so that one measurement is not part of the next.
template <typename Body>
void Apart(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace flotilla::http

int main(int count, char** arguments) {
  using namespace flotilla;
  using namespace flotilla::http;
  const Duration time = std::chrono::milliseconds(
      static_cast<int>((count > 1 ? std::atof(arguments[1]) : 2.0) * 1000));
  const CertificateAuthority authority("bench");
  const Identity identity = authority.Issue("server", {"IP:127.0.0.1"});
  int ports_pipe[2];
  if (pipe(ports_pipe) != 0) return 1;
  const pid_t server = fork();
  if (server == 0) RunServer(ports_pipe[1], identity);
  Ports ports;
  if (read(ports_pipe[0], &ports, sizeof ports) != sizeof ports) return 1;

  std::printf("| client   | load              | par | req/s    | CPU us  | p99 ms  |\n");
  std::printf("|----------|-------------------|-----|----------|---------|---------|\n");
  std::fflush(stdout);
  auto transport = std::make_shared<Transport>();
  transport->ca_pem = authority.certificate_pem();
  for (const Backend& backend : kBackends) {
    Apart([&] { RunLoads(backend, ports, transport, time); });
    Apart([&] { RunStreams(backend, ports, transport); });
  }
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  return 0;
}
