#include "kube/watch.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "kube/errors.h"

namespace flotilla::kube {
namespace {

using namespace reflector;  // NOLINT: the vocabulary of the state machine

// How much longer than its own end a watch may be silent before its connection counts as dead.
constexpr Duration kSilenceMargin = 10s;
constexpr Duration kOpenTimeout = 30s;

}  // namespace

value::Value StripManagedFields(value::Value object) {
  return value::Value::Copy(
      value::Edited(std::move(object)).Remove({"metadata", "managedFields"}).Done());
}

// One watch. Callbacks of the HTTP client and of timers put what happened into the inbox; the
// worker takes it out and runs the state machine.
class WatchPool::Worker {
 public:
  class Entry;
  using EntryPtr = std::shared_ptr<Entry>;

  Worker(Runtime& runtime, Timers& timers)
      : runtime_(runtime),
        timers_(timers),
        ready_(runtime.NewEvent()),
        task_(runtime.Spawn("kube-watches",
                            [this](std::stop_token stop) { Run(std::move(stop)); })) {}

  // Ends the task. Entries may outlive it for as long as the answer to a cancelled list takes.
  void End() {
    task_->RequestStop();
    task_.reset();
  }

  Runtime& runtime() { return runtime_; }
  Timers& timers() { return timers_; }

  void Wake(const EntryPtr& entry);
  // Afterwards the worker does not run `entry`, and never will.
  void Remove(Entry& entry);

 private:
  void Run(std::stop_token stop);

  Runtime& runtime_;
  Timers& timers_;
  Mutex mutex_;  // guards the queue, and what Entry says it guards
  std::deque<EntryPtr> queue_;
  const std::unique_ptr<Event> ready_;
  std::unique_ptr<Task> task_;  // last: it uses all of the above
};

class WatchPool::Worker::Entry : public std::enable_shared_from_this<Entry> {
 public:
  Entry(std::shared_ptr<Worker> worker, Client& client, WatchOptions options, WatchHandler& handler)
      : worker_(std::move(worker)),
        client_(client),
        options_(std::move(options)),
        gvk_{options_.resource.group, options_.resource.version, options_.kind},
        handler_(handler),
        rested_(worker_->runtime().NewEvent()),
        reflector_(options_.protocol) {
    if (!options_.strip) options_.strip = StripManagedFields;
    rested_->Set();
    inbox_.start = true;
  }

  // On the worker.
  void Process() {
    Inbox inbox;
    bool resume = false;
    {
      MutexLock lock(mutex_);
      std::swap(inbox, inbox_);
      resume = std::exchange(paused_, false);
    }
    if (inbox.start) Step(reflector::Start());
    if (inbox.timer) Step(TimerFired());
    if (inbox.page) {
      Result<ListPage> page = ParsePage(*std::move(inbox.page));
      if (!page) Trouble(page.error());
      Step(PageListed{std::move(page)});
    }
    if (inbox.head) {
      status_ = inbox.head->status;
      head_ = *std::move(inbox.head);
      if (status_ == 200) {
        trouble_.clear();
        Step(WatchOpened());
      }
    }
    const uint64_t stream = streams_;
    if (stream_ && !inbox.data.empty()) {
      text_ += inbox.data;
      inbox.data = {};
      if (status_ == 200) ReadLines();
    }
    if (stream_ && stream == streams_) {
      if (inbox.end) {
        OnEnd(*std::move(inbox.end));
      } else if (status_ != 200 && text_.size() > limits::kStatusBytes) {
        OnEnd({});
      } else if (resume) {
        stream_->Resume();
      }
    }
    MutexLock lock(mutex_);
    health_.synced = reflector_.synced();
    health_.failures = reflector_.failures();
    health_.error = trouble_;
  }

  // After Remove, on the task of the owner.
  void Close() {
    lists_.request_stop();
    if (timer_ != 0) worker_->timers().Cancel(timer_);
    stream_.reset();
  }

  WatchHealth health() const {
    MutexLock lock(mutex_);
    return health_;
  }

  // Guarded by the worker's mutex.
  bool queued = false;
  bool removed = false;
  Event& rested() { return *rested_; }  // set while the worker does not run this entry

 private:
  // What happened since the worker last looked. At most one stream, list or timer is under way, so
  // that this order (list, head, data, end) is the order in which things came.
  struct Inbox {
    bool start = false;
    bool timer = false;
    std::optional<Result<ApiResponse>> page;
    std::optional<http::Response> head;
    std::string data;
    std::optional<Status> end;
  };

  template <typename Change>
  void Tell(const Change& change) {
    {
      MutexLock lock(mutex_);
      change(inbox_);
    }
    worker_->Wake(this->shared_from_this());
  }

  void Contact() { health_.last_contact = worker_->runtime().Now(); }

  void Trouble(const Error& error) {
    trouble_ = error.ToString();
    handler_.OnTrouble(error);
  }

  value::Value Prepare(value::Value object) {
    value::Value stripped = options_.strip(std::move(object));
    if (!options_.metadata_only) return stripped;
    return value::Edited(std::move(stripped))
        .Set({"apiVersion"}, value::Value(gvk_.ApiVersion()))
        .Set({"kind"}, value::Value(gvk_.kind))
        .Done();
  }

  Result<ListPage> ParsePage(Result<ApiResponse> response) {
    if (!response) return Pass(response);
    Result<ListPage> page = ParseListPage(*response, gvk_);
    if (!page) return page;
    page->list = {};
    for (value::Value& item : page->items) item = Prepare(std::move(item));
    return page;
  }

  // Complete lines of text_; stops where the watch is over.
  void ReadLines() {
    const uint64_t stream = streams_;
    size_t begin = 0;
    for (;;) {
      const size_t from = std::max(begin, scanned_);
      const void* found = std::memchr(text_.data() + from, '\n', text_.size() - from);
      if (!found) break;
      const size_t end = static_cast<size_t>(static_cast<const char*>(found) - text_.data());
      const std::string_view line = std::string_view(text_).substr(begin, end - begin);
      begin = end + 1;
      if (!line.empty()) OnLine(line);
      if (stream != streams_) return;  // text_ is another one's
    }
    text_.erase(0, begin);
    scanned_ = text_.size();
    if (text_.empty() && text_.capacity() > limits::kWatchBuffer) text_ = {};
    if (text_.size() > limits::kWatchLineBytes) {
      Error error;
      error.cls = ErrorClass::kUnavailable;
      error.message = fmt::format("an event of a watch is larger than {} bytes (kWatchLineBytes)",
                                  limits::kWatchLineBytes);
      Trouble(error);
      Step(WatchEnded{tl::unexpected<Error>(error)});
    }
  }

  void OnLine(std::string_view line) {
    Result<WatchEvent> event = ParseWatchEvent(line);
    if (!event) {
      Trouble(event.error());
      Step(WatchEnded{tl::unexpected<Error>(event.error())});
      return;
    }
    switch (event->type) {
      case WatchEvent::Type::kAdded:
      case WatchEvent::Type::kModified:
      case WatchEvent::Type::kDeleted:
        event->object = Prepare(std::move(event->object));
        break;
      case WatchEvent::Type::kError:
        Trouble(Classify({.verb = Verb::kWatch, .target = options_.resource.resource},
                         static_cast<int>(event->object["code"].Int()), {}, event->object));
        break;
      case WatchEvent::Type::kBookmark:
        break;
    }
    Step(WatchSaid{*std::move(event)});
  }

  void OnEnd(Status end) {
    if (status_ == 200) {
      if (!end) Trouble(end.error());
      Step(WatchEnded{std::move(end)});
      return;
    }
    Error error;
    if (status_ != 0) {
      error = Classify({.verb = Verb::kWatch, .target = options_.resource.resource}, status_,
                       head_.headers, text_);
    } else if (!end) {
      error = end.error();
    } else {
      error.cls = ErrorClass::kUnavailable;
      error.message = "a watch ended before it began";
    }
    Trouble(error);
    Step(WatchRefused{std::move(error)});
  }

  void Step(Input input) {
    Runtime& runtime = worker_->runtime();
    std::vector<Output> outputs;
    Action action = reflector_.Step(std::move(input), runtime.Now(), runtime.Random(), outputs);
    for (Output& output : outputs) {
      if (auto* applied = std::get_if<Applied>(&output)) {
        handler_.OnApply(std::move(applied->object));
      } else if (const auto* deleted = std::get_if<Deleted>(&output)) {
        handler_.OnDelete(deleted->key, deleted->last);
      } else {
        handler_.OnSynced();
      }
    }
    if (std::holds_alternative<GoOn>(action)) return;
    CloseStream();
    if (const auto* list = std::get_if<ListNext>(&action)) {
      List(*list);
    } else if (const auto* watch = std::get_if<WatchFrom>(&action)) {
      OpenStream(*watch);
    } else {
      timer_ = worker_->timers().At(
          runtime.Now() + std::get<WaitFor>(action).delay,
          [self = this->shared_from_this()] { self->Tell([](Inbox& in) { in.timer = true; }); });
    }
  }

  void CloseStream() {
    stream_.reset();  // none of its callbacks comes after this
    ++streams_;
    text_.clear();
    scanned_ = 0;
    status_ = 0;
    MutexLock lock(mutex_);
    inbox_.head.reset();
    inbox_.data.clear();
    inbox_.end.reset();
    paused_ = false;
  }

  void List(const ListNext& next) {
    ListOptions options;
    options.label_selector = options_.label_selector;
    options.field_selector = options_.field_selector;
    options.metadata_only = options_.metadata_only;
    client_.Send(ListRequest(options_.resource, options_.ns, options, next.continue_token),
                 lists_.get_token(),
                 [self = this->shared_from_this()](Result<ApiResponse> response) {
                   self->Tell([&](Inbox& in) {
                     if (response) self->Contact();
                     in.page = std::move(response);
                   });
                 });
  }

  void OpenStream(const WatchFrom& from) {
    ApiRequest request;
    request.verb = Verb::kWatch;
    request.path = CollectionPath(options_.resource, options_.ns);
    request.target = options_.resource.resource;
    request.metadata_only = options_.metadata_only;
    request.timeout = kOpenTimeout;
    const auto add = [&](const char* key, std::string text) {
      if (!text.empty()) request.query.emplace_back(key, std::move(text));
    };
    add("watch", "true");
    add("allowWatchBookmarks", "true");
    add("resourceVersion", from.resource_version);
    if (from.send_initial_events) {
      add("sendInitialEvents", "true");
      add("resourceVersionMatch", "NotOlderThan");
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(from.timeout).count();
    add("timeoutSeconds", std::to_string(seconds));
    add("labelSelector", options_.label_selector);
    add("fieldSelector", options_.field_selector);

    // The stream does not outlive this: it is closed before.
    http::StreamEvents events;
    events.on_head = [this](const http::Response& head) {
      Tell([&](Inbox& in) {
        Contact();
        in.head = head;
      });
    };
    events.on_data = [this](std::string_view data) {
      http::Flow flow = http::Flow::kContinue;
      Tell([&](Inbox& in) {
        Contact();
        in.data += data;
        paused_ = in.data.size() > limits::kWatchBuffer;
        if (paused_) flow = http::Flow::kPause;
      });
      return flow;
    };
    events.on_done = [this](Status end) { Tell([&](Inbox& in) { in.end = std::move(end); }); };
    Result<std::unique_ptr<http::Stream>> stream =
        client_.Open(request, from.timeout + kSilenceMargin, std::move(events));
    if (stream) {
      stream_ = *std::move(stream);
      return;
    }
    Trouble(stream.error());
    Step(WatchRefused{stream.error()});
  }

  const std::shared_ptr<Worker> worker_;
  Client& client_;
  WatchOptions options_;
  const GroupVersionKind gvk_;
  WatchHandler& handler_;
  const std::unique_ptr<Event> rested_;
  std::stop_source lists_;

  // The worker's own.
  Reflector reflector_;
  std::unique_ptr<http::Stream> stream_;
  uint64_t streams_ = 0;  // that were closed
  Timers::Id timer_ = 0;
  std::string trouble_;
  int status_ = 0;  // of the stream's answer; 0 before it
  http::Response head_;
  std::string text_;    // of the stream, not parsed yet
  size_t scanned_ = 0;  // of text_, without a newline

  mutable Mutex mutex_;  // guards what follows
  Inbox inbox_;
  bool paused_ = false;
  WatchHealth health_;
};

void WatchPool::Worker::Wake(const EntryPtr& entry) {
  MutexLock lock(mutex_);
  if (entry->queued || entry->removed) return;
  entry->queued = true;
  queue_.push_back(entry);
  ready_->Set();
}

void WatchPool::Worker::Remove(Entry& entry) {
  {
    MutexLock lock(mutex_);
    entry.removed = true;
    std::erase_if(queue_, [&](const EntryPtr& queued) { return queued.get() == &entry; });
  }
  entry.rested().Wait(kForever, {});
}

void WatchPool::Worker::Run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    EntryPtr entry;
    {
      MutexLock lock(mutex_);
      if (queue_.empty()) {
        ready_->Reset();
      } else {
        entry = std::move(queue_.front());
        queue_.pop_front();
        entry->queued = false;
        entry->rested().Reset();
      }
    }
    if (!entry) {
      ready_->Wait(kForever, stop);
      continue;
    }
    entry->Process();
    entry->rested().Set();
  }
}

namespace {

template <typename Worker, typename Entry>
class RunningWatch final : public Watch {
 public:
  RunningWatch(std::shared_ptr<Worker> worker, std::shared_ptr<Entry> entry)
      : worker_(std::move(worker)), entry_(std::move(entry)) {}
  ~RunningWatch() override {
    worker_->Remove(*entry_);
    entry_->Close();
  }
  WatchHealth health() const override { return entry_->health(); }

 private:
  const std::shared_ptr<Worker> worker_;
  const std::shared_ptr<Entry> entry_;
};

}  // namespace

WatchPool::WatchPool(Runtime& runtime, Timers& timers)
    : worker_(std::make_shared<Worker>(runtime, timers)) {}

WatchPool::~WatchPool() { worker_->End(); }

std::unique_ptr<Watch> WatchPool::Start(Client& client, WatchOptions options,
                                        WatchHandler& handler) {
  auto entry = std::make_shared<Worker::Entry>(worker_, client, std::move(options), handler);
  worker_->Wake(entry);
  return std::make_unique<RunningWatch<Worker, Worker::Entry>>(worker_, entry);
}

}  // namespace flotilla::kube
