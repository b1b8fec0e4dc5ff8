// How many requests are under way to one cluster, adapting to what it bears.
//
// A Window sends up to its limit at once and queues the rest, first in first out. The limit grows
// by one for each window-full of good answers, and halves when the cluster throttles (429), does
// not answer, or answers much slower than it can; after a 429 nothing is sent until Retry-After has
// passed, and the throttled request, which changed nothing, goes back to the head of the queue.
//
// Every cluster has two: one for everything, and one for rollbacks, which never waits behind the
// first. They share nothing, also no connections: give each a Client of its own
// (ClientOptions::connections).
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "base/runtime.h"
#include "kube/client.h"
#include "kube/timers.h"

namespace flotilla::kube {

struct WindowOptions {
  int initial = 16;
  int min = 1;
  int max = 64;
  size_t queue = limits::kWindowQueue;  // beyond it a request fails with Throttled, NotSent
};
WindowOptions RollbackWindow();  // 128 from the start

// The adaptation alone: pure, so that every rule is a table test.
class Congestion {
 public:
  explicit Congestion(const WindowOptions& options);

  enum class Answer : unsigned char {
    kGood,       // any answer but the ones below, refusals included
    kThrottled,  // 429
    kLost,       // no answer, or 503/504
  };
  // `sent` is when the request left. One loss of several requests that were under way together
  // halves the limit once.
  void OnAnswer(Answer answer, TimePoint sent, TimePoint now, Duration latency,
                std::optional<Duration> retry_after);

  int limit() const { return limit_; }
  TimePoint paused_until() const { return paused_until_; }

 private:
  void Shrink(int floor, TimePoint now);

  const int min_, initial_, max_;
  int limit_;
  int good_ = 0;  // since the limit last changed
  TimePoint shrunk_at_ = TimePoint::min();
  TimePoint paused_until_ = TimePoint::min();
  Duration fastest_{0};   // lately; 0: none yet
  Duration smoothed_{0};  // exponentially, 1/8 per answer
};

class Window {
 public:
  // All outlive the Window.
  Window(Runtime& runtime, Timers& timers, Client& client, WindowOptions options = {});
  // Cancels everything and waits for its callbacks.
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  // Like Client::Send, but the request may wait for its turn, which its timeout does not count.
  // `deadline` bounds all of it, repetitions after a 429 included.
  void Submit(ApiRequest request, TimePoint deadline, std::stop_token stop,
              Client::OnAnswer on_answer);

  // Submits all and waits for all. One result per request, in their order; what is not answered by
  // `deadline` fails with Timeout. The calling task waits, no other is used.
  std::vector<Result<ApiResponse>> RunWave(std::vector<ApiRequest> requests, TimePoint deadline,
                                           std::stop_token stop);

  struct Load {
    int limit = 0;
    int in_flight = 0;
    size_t queued = 0;
    TimePoint paused_until{};
  };
  Load load() const;

 private:
  class State;
  Runtime& runtime_;
  std::shared_ptr<State> state_;
};

}  // namespace flotilla::kube
