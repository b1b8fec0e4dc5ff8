#include "kube/lease.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "base/limits.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

using value::Value;

const GroupVersionResource kLeases{"coordination.k8s.io", "v1", "leases"};

int64_t Seconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

// One candidate: a loop of read, decide, write, wait.
class Election {
 public:
  Election(Runtime& runtime, Client& client, const LeaseOptions& options,
           const LeaderEvents& events, std::stop_token stop)
      : runtime_(runtime),
        client_(client),
        options_(options),
        events_(events),
        stop_(std::move(stop)),
        term_(std::make_shared<LeaderToken::Term>(runtime)) {}

  Status Run() {
    bool must_read = true;
    bool hurry = false;  // the last turn ended with a conflict: read and decide at once, once
    while (!stop_.stop_requested()) {
      const Status turn = Turn(must_read);
      if (!turn && leading_ && (runtime_.Now() >= Deadline() || lost_to_other_)) {
        return Lose(turn.error());
      }
      must_read = !turn || !leading_;
      hurry = !turn && turn.error().cls == ErrorClass::kConflict && !hurry;
      if (!hurry) runtime_.SleepUntil(NextTurn(), stop_);
    }
    Release();
    return {};
  }

 private:
  Status Turn(bool must_read) {
    if (must_read) {
      if (Status read = Read(); !read) return read;
    }
    const LeaseMove move = Decide(options_, view_, runtime_.Now());
    if (leading_ && move != LeaseMove::kRenew) {
      lost_to_other_ = true;
      return Fail(ErrorClass::kConflict, "{} holds it",
                  view_.record ? view_.record->holder : "nobody");
    }
    return move == LeaseMove::kWait ? Status() : Write(move);
  }

  // When leadership ends unless it is renewed before.
  TimePoint Deadline() const { return renewed_at_ + options_.renew; }

  TimePoint NextTurn() {
    const TimePoint now = runtime_.Now();
    if (leading_) return std::min(now + options_.retry, std::max(now, Deadline()));
    // Candidates spread out, so that they do not collide at every expiry.
    const auto jitter = static_cast<int64_t>(runtime_.Random() % 200);
    TimePoint next = now + options_.retry * (1000 + jitter) / 1000;
    if (view_.record && !view_.record->holder.empty()) {
      const TimePoint expiry = view_.changed_at + view_.record->duration;
      if (expiry > now) next = std::min(next, expiry);
    }
    return next;
  }

  Duration RequestTimeout() const {
    const TimePoint now = runtime_.Now();
    Duration timeout = options_.renew;
    if (leading_) timeout = std::min<Duration>(timeout, Deadline() - now);
    return std::max<Duration>(timeout, 1ms);
  }

  // Like Client::Do, but never beyond the request's timeout, whatever is slow.
  Result<Value> Do(ApiRequest request, std::stop_token stop) {
    struct Answer {
      std::unique_ptr<Event> arrived;
      Result<ApiResponse> result;
    };
    auto answer = std::make_shared<Answer>();
    answer->arrived = runtime_.NewEvent();
    const TimePoint deadline = runtime_.Now() + request.timeout;
    std::stop_source cancel;
    std::stop_callback pass_on(std::move(stop), [&cancel] { cancel.request_stop(); });
    client_.Send(std::move(request), cancel.get_token(), [answer](Result<ApiResponse> result) {
      answer->result = std::move(result);
      answer->arrived->Set();
    });
    if (answer->arrived->Wait(deadline, {}) != WaitResult::kSet) {
      cancel.request_stop();
      return Fail(ErrorClass::kTimeout, "no answer in time");
    }
    if (!answer->result) return Pass(answer->result);
    return answer->result->Object();
  }

  Status Read() {
    ApiRequest request = GetRequest(kLeases, {options_.ns, options_.name});
    request.timeout = RequestTimeout();
    const Result<Value> object = Do(std::move(request), stop_);
    if (!object) {
      if (ReasonOf(object.error()) != Reason::kNotFound) {
        return tl::unexpected<Error>(object.error());
      }
      Saw(std::nullopt);
      return {};
    }
    Result<LeaseRecord> record = ParseLease(*object);
    if (!record) return tl::unexpected<Error>(record.error());
    Saw(*std::move(record));
    return {};
  }

  Status Write(LeaseMove move) {
    const LeaseRecord next = NextRecord(options_, view_, move, runtime_.WallNow());
    const std::string body = value::ToJson(ToLease(options_, next));
    WriteOptions options;
    options.timeout = RequestTimeout();
    ApiRequest request = move == LeaseMove::kCreate
                             ? CreateRequest(kLeases, options_.ns, body, options)
                             : UpdateRequest(kLeases, {options_.ns, options_.name}, body, options);
    // Others count from when they see the write, which is not before it is sent.
    const TimePoint sent = runtime_.Now();
    const Result<Value> object = Do(std::move(request), stop_);
    if (!object) return tl::unexpected<Error>(object.error());
    Result<LeaseRecord> record = ParseLease(*object);
    if (!record) return tl::unexpected<Error>(record.error());
    Saw(*std::move(record));
    renewed_at_ = sent;
    term_->until = Deadline().time_since_epoch().count();
    if (!leading_) {
      leading_ = true;
      if (events_.on_elected) events_.on_elected(LeaderToken(lost_.get_token(), term_));
    }
    return {};
  }

  void Saw(std::optional<LeaseRecord> record) {
    Observe(view_, std::move(record), runtime_.Now());
    const std::string holder = view_.record ? view_.record->holder : "";
    if (holder.empty() || holder == told_) return;
    told_ = holder;
    if (events_.on_leader) events_.on_leader(holder);
  }

  Status Lose(const Error& error) {
    Revoke();
    return Fail(error, "lost the lease {}/{}", options_.ns, options_.name);
  }

  void Revoke() {
    leading_ = false;
    lost_.request_stop();
    if (events_.on_lost) events_.on_lost();
  }

  // So that the next leader need not wait for the expiry. Nothing depends on its success.
  void Release() {
    if (!leading_) return;
    Revoke();
    LeaseRecord record = NextRecord(options_, view_, LeaseMove::kRenew, runtime_.WallNow());
    record.holder.clear();
    record.duration = 1s;
    WriteOptions options;
    options.timeout = options_.retry;
    (void)Do(UpdateRequest(kLeases, {options_.ns, options_.name},
                           value::ToJson(ToLease(options_, record)), options),
             {});
  }

  Runtime& runtime_;
  Client& client_;
  const LeaseOptions& options_;
  const LeaderEvents& events_;
  const std::stop_token stop_;
  LeaseView view_;
  bool leading_ = false;
  TimePoint renewed_at_{};
  std::string told_;
  bool lost_to_other_ = false;
  std::stop_source lost_;
  const std::shared_ptr<LeaderToken::Term> term_;
};

}  // namespace

Status Check(const LeaseOptions& options) {
  if (options.identity.empty() || options.name.empty() || options.ns.empty()) {
    return Fail(ErrorClass::kInvalid, "a lease needs namespace, name and identity");
  }
  if (options.lease <= options.renew) {
    return Fail(ErrorClass::kInvalid,
                "the lease ({}) must last longer than the renew deadline ({})",
                FormatDuration(options.lease), FormatDuration(options.renew));
  }
  if (options.renew * 10 <= options.retry * 12) {
    return Fail(ErrorClass::kInvalid,
                "the renew deadline ({}) must be more than 1.2 times the retry period ({})",
                FormatDuration(options.renew), FormatDuration(options.retry));
  }
  if (options.retry <= Duration(0) || options.lease % 1s != Duration(0)) {
    return Fail(ErrorClass::kInvalid, "a lease lasts whole seconds, and is retried at intervals");
  }
  return {};
}

Result<LeaseRecord> ParseLease(value::Ref object) {
  const value::Ref spec = object["spec"];
  LeaseRecord record;
  record.holder = spec["holderIdentity"].String();
  record.duration =
      std::chrono::seconds(std::clamp<int64_t>(spec["leaseDurationSeconds"].Int(), 0, 3600));
  record.transitions = spec["leaseTransitions"].Int();
  // For people: nothing is decided by them, so that a broken clock breaks nothing.
  record.acquired = ParseTime(spec["acquireTime"].String()).value_or(WallTime());
  record.renewed = ParseTime(spec["renewTime"].String()).value_or(WallTime());
  record.resource_version = ResourceVersionOf(object);
  record.uid = UidOf(object);
  if (record.resource_version.empty()) {
    return Fail(ErrorClass::kUnavailable,
                "the server answered {} without resourceVersion, no Lease",
                object["kind"].String("something"));
  }
  return record;
}

Value ToLease(const LeaseOptions& options, const LeaseRecord& record) {
  const auto given = [](const std::string& text) { return text.empty() ? Value() : Value(text); };
  return Value::Map(
      {{"apiVersion", Value("coordination.k8s.io/v1")},
       {"kind", Value("Lease")},
       {"metadata", Value::Map({{"name", Value(options.name)},
                                {"namespace", Value(options.ns)},
                                {"uid", given(record.uid)},
                                {"resourceVersion", given(record.resource_version)}})},
       {"spec", Value::Map({{"holderIdentity", Value(record.holder)},
                            {"leaseDurationSeconds", Value(Seconds(record.duration))},
                            {"acquireTime", Value(FormatMicroTime(record.acquired))},
                            {"renewTime", Value(FormatMicroTime(record.renewed))},
                            {"leaseTransitions", Value(record.transitions)}})}});
}

void Observe(LeaseView& view, std::optional<LeaseRecord> record, TimePoint now) {
  if (record == view.record) return;
  view.record = std::move(record);
  view.changed_at = now;
}

LeaseMove Decide(const LeaseOptions& options, const LeaseView& view, TimePoint now) {
  if (!view.record) return LeaseMove::kCreate;
  const LeaseRecord& record = *view.record;
  if (record.holder == options.identity) return LeaseMove::kRenew;
  if (record.holder.empty()) return LeaseMove::kTake;
  return now >= view.changed_at + record.duration ? LeaseMove::kTake : LeaseMove::kWait;
}

LeaseRecord NextRecord(const LeaseOptions& options, const LeaseView& view, LeaseMove move,
                       WallTime now) {
  LeaseRecord next = view.record.value_or(LeaseRecord());
  next.holder = options.identity;
  next.duration = options.lease;
  next.renewed = now;
  if (move != LeaseMove::kRenew) next.acquired = now;
  if (move == LeaseMove::kTake) ++next.transitions;
  return next;
}

Status RunElection(Runtime& runtime, Client& client, const LeaseOptions& options,
                   const LeaderEvents& events, std::stop_token stop) {
  if (Status valid = Check(options); !valid) return valid;
  return Election(runtime, client, options, events, std::move(stop)).Run();
}

}  // namespace flotilla::kube
