#include "kube/window.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <optional>
#include <utility>

#include "kube/errors.h"

namespace flotilla::kube {
namespace {

constexpr Duration kPauseWithoutHint = 1s;
// Slower than it can: this many times, and by at least this much.
constexpr int kSlowFactor = 4;
constexpr Duration kSlowMargin = 250ms;

Error NotSent(ErrorClass cls, const ApiRequest& request, std::string_view why) {
  Error error;
  error.cls = cls;
  error.outcome = Outcome::kNotSent;
  error.message = fmt::format("{} {}: {}", ToString(request.verb),
                              request.target.empty() ? request.path : request.target, why);
  return error;
}

}  // namespace

WindowOptions RollbackWindow() { return {.initial = 128, .min = 1, .max = 128}; }

Congestion::Congestion(const WindowOptions& options)
    : min_(options.min), initial_(options.initial), max_(options.max), limit_(options.initial) {}

void Congestion::Shrink(int floor, TimePoint now) {
  limit_ = std::min(limit_, std::max(floor, limit_ / 2));
  good_ = 0;
  shrunk_at_ = now;
}

void Congestion::OnAnswer(Answer answer, TimePoint sent, TimePoint now, Duration latency,
                          std::optional<Duration> retry_after) {
  const bool news = sent >= shrunk_at_;  // it left after the last change was made
  switch (answer) {
    case Answer::kThrottled:
      paused_until_ = std::max(paused_until_, now + retry_after.value_or(kPauseWithoutHint));
      if (news) Shrink(min_, now);
      return;
    case Answer::kLost:
      if (news) Shrink(min_, now);
      return;
    case Answer::kGood:
      break;
  }
  smoothed_ = smoothed_ == Duration(0) ? latency : (smoothed_ * 7 + latency) / 8;
  // Forgets slowly, so that a cluster that has become slower for good is not punished for ever.
  fastest_ = fastest_ == Duration(0) ? latency : std::min(latency, fastest_ + fastest_ / 512);
  if (smoothed_ > std::max(fastest_ * kSlowFactor, fastest_ + kSlowMargin)) {
    if (news && limit_ > initial_) Shrink(initial_, now);
    return;
  }
  if (++good_ >= limit_) {
    limit_ = std::min(max_, limit_ + 1);
    good_ = 0;
  }
}

class Window::State : public std::enable_shared_from_this<Window::State> {
 public:
  struct Waiting {
    ApiRequest request;
    TimePoint deadline;
    TimePoint sent{};
    Client::OnAnswer on_answer;
    Timers::Id timer = 0;   // at its deadline, while it waits
    std::stop_source stop;  // by the caller, or by the end of the window
    std::optional<std::stop_callback<std::function<void()>>> from_caller, from_window;
  };
  using Entry = std::shared_ptr<Waiting>;

  State(Runtime& runtime, Timers& timers, Client& client, const WindowOptions& options)
      : runtime_(runtime),
        timers_(timers),
        client_(client),
        options_(options),
        congestion_(options),
        idle_(runtime.NewEvent()) {
    idle_->Set();
  }

  void Submit(ApiRequest request, TimePoint deadline, std::stop_token stop,
              Client::OnAnswer on_answer) {
    auto entry = std::make_shared<Waiting>();
    entry->request = std::move(request);
    entry->deadline = deadline;
    entry->on_answer = std::move(on_answer);
    bool full = false;
    {
      MutexLock lock(mutex_);
      if (open_++ == 0) idle_->Reset();
      full = queue_.size() >= options_.queue;
    }
    if (full) {
      Later([self = shared_from_this(), entry] {
        self->Finish(*entry, tl::unexpected<Error>(NotSent(
                                 ErrorClass::kThrottled, entry->request,
                                 "too many requests wait for this cluster (kWindowQueue)")));
      });
      return;
    }
    const std::function<void()> end = [weak = weak_from_this(), source = entry->stop]() mutable {
      source.request_stop();
      // What waits is answered elsewhere: whoever stops may hold anything.
      if (const auto self = weak.lock()) self->LaterSweep();
    };
    if (stop.stop_possible()) entry->from_caller.emplace(std::move(stop), end);
    entry->from_window.emplace(stop_.get_token(), end);
    {
      MutexLock lock(mutex_);
      Enqueue(entry, false);
    }
    if (entry->stop.stop_requested()) LaterSweep();  // the sweep of `end` may have come too early
    Pump();
  }

  Load load() const {
    MutexLock lock(mutex_);
    return {congestion_.limit(), in_flight_, queue_.size(), congestion_.paused_until()};
  }

  void End() {
    {
      MutexLock lock(mutex_);
      ending_ = true;
    }
    stop_.request_stop();
    Sweep();
    idle_->Wait(kForever, {});
  }

 private:
  void Later(std::function<void()> run) { timers_.At(runtime_.Now(), std::move(run)); }

  void LaterSweep() {
    Later([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Sweep();
    });
  }

  // With mutex_ held.
  void Enqueue(const Entry& entry, bool first) {
    if (entry->deadline != kForever) {
      entry->timer = timers_.At(entry->deadline, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->Sweep();
      });
    }
    if (first) {
      queue_.push_front(entry);
    } else {
      queue_.push_back(entry);
    }
  }

  // With mutex_ held: `entry` has left the queue.
  void Dequeued(Waiting& entry) {
    if (entry.timer != 0) timers_.Cancel(std::exchange(entry.timer, 0));
  }

  // Answers what waits no longer.
  void Sweep() {
    std::vector<std::pair<Entry, ErrorClass>> out;
    {
      MutexLock lock(mutex_);
      const TimePoint now = runtime_.Now();
      std::deque<Entry> keep;
      for (Entry& entry : queue_) {
        if (ending_ || entry->stop.stop_requested()) {
          out.emplace_back(std::move(entry), ErrorClass::kCancelled);
        } else if (now >= entry->deadline) {
          out.emplace_back(std::move(entry), ErrorClass::kTimeout);
        } else {
          keep.push_back(std::move(entry));
          continue;
        }
        Dequeued(*out.back().first);
      }
      queue_.swap(keep);
    }
    for (auto& [entry, cls] : out) {
      Finish(*entry, tl::unexpected<Error>(NotSent(cls, entry->request,
                                                   cls == ErrorClass::kTimeout
                                                       ? "its turn did not come before its deadline"
                                                       : "stopped before its turn came")));
    }
  }

  // Sends what may be sent.
  void Pump() {
    for (;;) {
      Entry entry;
      {
        MutexLock lock(mutex_);
        if (queue_.empty() || ending_) return;
        const TimePoint now = runtime_.Now();
        if (congestion_.paused_until() > now) {
          if (resume_ == 0) {
            resume_ = timers_.At(congestion_.paused_until(), [weak = weak_from_this()] {
              if (const auto self = weak.lock()) self->Resume();
            });
          }
          return;
        }
        if (in_flight_ >= congestion_.limit()) return;
        entry = std::move(queue_.front());
        queue_.pop_front();
        ++in_flight_;
        entry->sent = now;
        Dequeued(*entry);
      }
      ApiRequest request = entry->request;
      if (entry->deadline != kForever) {
        request.timeout =
            std::max<Duration>(1ms, std::min(request.timeout, entry->deadline - entry->sent));
      }
      client_.Send(std::move(request), entry->stop.get_token(),
                   [self = shared_from_this(), entry](Result<ApiResponse> result) {
                     self->OnAnswer(entry, std::move(result));
                   });
    }
  }

  void Resume() {
    {
      MutexLock lock(mutex_);
      resume_ = 0;
    }
    Pump();
  }

  void OnAnswer(const Entry& entry, Result<ApiResponse> result) {
    bool again = false;
    {
      MutexLock lock(mutex_);
      --in_flight_;
      const TimePoint now = runtime_.Now();
      const Duration latency = now - entry->sent;
      if (result) {
        congestion_.OnAnswer(Congestion::Answer::kGood, entry->sent, now, latency, std::nullopt);
      } else if (result.error().cls != ErrorClass::kCancelled) {
        const Error& error = result.error();
        const Congestion::Answer answer = Judge(error);
        congestion_.OnAnswer(answer, entry->sent, now, latency, error.retry_after);
        again = answer == Congestion::Answer::kThrottled && !ending_ &&
                !entry->stop.stop_requested() && congestion_.paused_until() < entry->deadline;
      }
      if (again) Enqueue(entry, true);
    }
    if (!again) Finish(*entry, std::move(result));
    Pump();
  }

  static Congestion::Answer Judge(const Error& error) {
    switch (ReasonOf(error)) {
      case Reason::kThrottled:
        return Congestion::Answer::kThrottled;
      case Reason::kUnavailable:
      case Reason::kTimeout:
        return Congestion::Answer::kLost;
      case Reason::kNone:
        break;  // no answer at all, or one that could not be read
      default:
        return Congestion::Answer::kGood;
    }
    const bool lost = error.cls == ErrorClass::kTimeout || error.cls == ErrorClass::kUnavailable;
    return lost ? Congestion::Answer::kLost : Congestion::Answer::kGood;
  }

  void Finish(Waiting& entry, Result<ApiResponse> result) {
    entry.from_caller.reset();
    entry.from_window.reset();
    Client::OnAnswer on_answer = std::move(entry.on_answer);
    on_answer(std::move(result));
    on_answer = nullptr;
    MutexLock lock(mutex_);
    if (--open_ == 0) idle_->Set();
  }

  Runtime& runtime_;
  Timers& timers_;
  Client& client_;
  const WindowOptions options_;
  mutable Mutex mutex_;  // guards what follows
  Congestion congestion_;
  std::deque<Entry> queue_;
  int in_flight_ = 0;
  size_t open_ = 0;  // submitted and not answered
  bool ending_ = false;
  Timers::Id resume_ = 0;
  std::stop_source stop_;
  const std::unique_ptr<Event> idle_;
};

Window::Window(Runtime& runtime, Timers& timers, Client& client, WindowOptions options)
    : runtime_(runtime), state_(std::make_shared<State>(runtime, timers, client, options)) {}

Window::~Window() { state_->End(); }

void Window::Submit(ApiRequest request, TimePoint deadline, std::stop_token stop,
                    Client::OnAnswer on_answer) {
  state_->Submit(std::move(request), deadline, std::move(stop), std::move(on_answer));
}

std::vector<Result<ApiResponse>> Window::RunWave(std::vector<ApiRequest> requests,
                                                 TimePoint deadline, std::stop_token stop) {
  struct Wave {
    std::vector<Result<ApiResponse>> results;
    std::atomic<size_t> left;
    std::unique_ptr<Event> done;
  };
  const size_t count = requests.size();
  if (count == 0) return {};
  auto wave = std::make_shared<Wave>();
  wave->results.resize(count);
  wave->left = count;
  wave->done = runtime_.NewEvent();
  for (size_t i = 0; i < count; ++i) {
    Submit(std::move(requests[i]), deadline, stop, [wave, i](Result<ApiResponse> result) {
      wave->results[i] = std::move(result);
      if (wave->left.fetch_sub(1) == 1) wave->done->Set();
    });
  }
  // Every request is answered by its own deadline.
  if (wave->done->Wait(kForever, {}) != WaitResult::kSet) {
    Error error;
    error.cls = ErrorClass::kCancelled;
    error.outcome = Outcome::kUnknown;
    error.message = "the process is ending";
    return std::vector<Result<ApiResponse>>(count, tl::unexpected<Error>(error));
  }
  return std::move(wave->results);
}

Window::Load Window::load() const { return state_->load(); }

}  // namespace flotilla::kube
