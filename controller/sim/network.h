// The network of the simulation: HTTP clients that reach in-process handlers through links that are
// slow, lossy and unfair as told. Everything random comes from one seeded stream.
//
//   Network network(runtime);
//   network.Listen("https://hub:6443", hub.Handler());
//   auto client = network.NewClient("controller-1", incarnation);
//   network.SetLink("controller-1", "https://hub:6443", {.drop_reply = 0.05});
//
// A request travels for a latency, is executed by the handler on a fiber of its own, and its answer
// travels back. The caller's deadline and the server's work are independent, as in life: a request
// may be executed long after its sender gave up. Callbacks run on the network's fiber.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/http.h"
#include "http/server.h"
#include "sim/fiber_runtime.h"

namespace flotilla::sim {

// How one client reaches one server. Chances are per request, from 0 to 1.
struct Link {
  Duration latency_min = 200us;  // each way
  Duration latency_max = 2ms;
  bool refuse = false;  // nobody listens: Unavailable, NotSent
  bool black_hole =
      false;  // requests and answers vanish: Timeout, Unknown; streams fall silent until it ends
  double drop_request = 0;  // never arrives: Timeout at the deadline, Unknown
  double drop_reply = 0;    // executed, the answer is lost: Timeout at the deadline, Unknown
  double reset_reply =
      0;             // executed, the connection breaks before the answer: Unavailable, Unknown
  double delay = 0;  // arrives up to delay_max late, whatever the sender's deadline
  Duration delay_max = 60s;
  double duplicate = 0;   // executed twice, as by a broken proxy
  double throttle = 0;    // answered 429 with Retry-After: 1, not executed
  double fail = 0;        // answered 500, 502 or 503, not executed; or 504, and executed
  double cut_stream = 0;  // per chunk of a stream: the connection breaks before it
};

// What a test may do to one request instead of what the link would.
enum class Fault : unsigned char {
  kNone,  // deliver it, whatever the link says
  kRefuse,
  kDropRequest,
  kDropReply,
  kResetReply,
  kDuplicate,
  kThrottle,
  kFail,  // 503, not executed
};

struct Sent {
  std::string_view from;    // the client's name
  std::string_view origin;  // "https://hub:6443"
  http::Method method;
  std::string_view target;  // path and query
  std::string_view body;
};

class Network {
 public:
  explicit Network(FiberRuntime& runtime);
  ~Network();  // every client and stream must be gone

  // `origin` is scheme://host:port as URLs write it; the default port may be left out in both.
  void Listen(std::string_view origin, http::Handler handler);
  // Refuses new connections and cuts streams; what is being executed goes on.
  void Close(std::string_view origin);

  // Its requests end, Cancelled and without further effect, when the incarnation crashes: what is
  // already on its way arrives all the same. Null: a client outside of any incarnation.
  std::unique_ptr<http::HttpClient> NewClient(std::string name, const Incarnation* incarnation);

  // An empty name means all. The link of a request is the one set for (from, origin), else for the
  // origin, else for the client, else for all.
  void SetLink(std::string_view from, std::string_view origin, const Link& link);
  // Breaks the streams that are open between the two; an empty name means all.
  void CutStreams(std::string_view from, std::string_view origin);

  // Asked for every request; nullopt leaves it to the link.
  struct Decision {
    Fault fault = Fault::kNone;
    Duration delay{0};  // on its way there, besides the latency
  };
  using Intercept = std::function<std::optional<Decision>(const Sent& sent)>;
  void SetIntercept(Intercept intercept);

  // How many requests were sent, or executed by a handler, since the last ResetCounts. Empty origin
  // or method: all; `path` is a glob over the path without query ('*' is any text).
  uint64_t CountSent(std::string_view origin = {}, std::optional<http::Method> method = {},
                     std::string_view path = "*") const;
  uint64_t CountExecuted(std::string_view origin = {}, std::optional<http::Method> method = {},
                         std::string_view path = "*") const;
  void ResetCounts();

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace flotilla::sim
