#include "http/curl_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "http/curl_transfer.h"

namespace flotilla::http {
namespace {

constexpr Duration kSweepInterval = 30s;
constexpr Duration kPoolIdle = 60s;  // then its kept connections are closed
constexpr size_t kSpareHandles = 64;
constexpr int kEventsPerWait = 64;
// More than this at once on the connections of one Transport, and libcurl would open another HTTP/2
// connection for every request that the first has no room for: a storm of handshakes. It is also
// what a server must allow (RFC 9113 §6.5.2).
constexpr size_t kAtOnce = 100;

// libcurl writes to TLS sockets without MSG_NOSIGNAL. SIGPIPE is sent to the thread that writes, so
// blocking it on the reactor's thread keeps it from the process.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec now{};
    while (sigtimedwait(&sigpipe_, nullptr, &now) == SIGPIPE) continue;
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t sigpipe_;
  sigset_t before_;
};

// What other threads ask of the reactor.
struct Start {
  std::shared_ptr<CurlTransfer> transfer;
};
struct Cancel {
  uint64_t id;
};
struct Resume {
  uint64_t id;
};
using Command = std::variant<Start, Cancel, Resume>;

class CurlClient;
thread_local const CurlClient* running_reactor = nullptr;

// Connections that one Transport's unary requests share, or those of all streams.
struct Pool {
  explicit Pool(TimePoint now) : multi(curl_multi_init()), last_used(now), last_byte(now) {}
  ~Pool() {
    if (multi) curl_multi_cleanup(multi);
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  CURLM* multi;
  CurlClient* client = nullptr;
  std::weak_ptr<const Transport> transport;
  size_t limit = SIZE_MAX;       // of exchanges at once
  size_t active = 0;             // exchanges that libcurl has
  size_t transfers = 0;          // those, and those that wait
  std::deque<uint64_t> waiting;  // in order; some may be gone
  TimePoint timer = kForever;    // when libcurl wants to be called
  TimePoint last_used;
  TimePoint last_byte;   // of any of its exchanges
  bool retired = false;  // takes no new requests, and goes when it is empty
};

class CurlClient final : public HttpClient {
 public:
  CurlClient(Runtime& runtime, CurlOptions options);
  ~CurlClient() override;

  void Send(Request request, std::stop_token stop, OnDone on_done) override;
  std::unique_ptr<Stream> Open(Request request, Duration idle, StreamEvents events) override;

  void Enqueue(Command command);
  bool OnReactor() const { return running_reactor == this; }

 private:
  void Run(const std::stop_token& stop);
  void Wake();
  void TakeCommands();
  void Do(Start start);
  void Do(Cancel cancel);
  void Do(Resume resume);

  Pool* PoolFor(const CurlTransfer& transfer);
  void Admit(CurlTransfer& transfer, Pool& pool);
  Status Begin(CurlTransfer& transfer, Pool& pool);
  void BeginWaiting(Pool& pool);
  void Retire(Pool& pool);
  std::unique_ptr<Pool> NewPool(long max_connections);
  void Act(Pool& pool, curl_socket_t socket, int events);
  void Collect(Pool& pool);
  // Takes a transfer out of everything; the caller tells it how it ended.
  std::shared_ptr<CurlTransfer> Remove(uint64_t id);
  void CancelNow(uint64_t id, const char* why);
  void Expire();
  void Schedule(CurlTransfer& transfer);
  void Sweep();
  int WaitMilliseconds();

  static int OnSocketChange(CURL*, curl_socket_t socket, int what, void* pool, void* known);
  static int OnTimerChange(CURLM*, long milliseconds, void* pool);

  Runtime& runtime_;
  const CurlOptions options_;
  int epoll_ = -1;
  int wake_ = -1;
  std::atomic<bool> awake_{false};  // a wake-up is on its way
  std::atomic<uint64_t> next_id_{1};

  Mutex inbox_mutex_;
  std::vector<Command> inbox_;  // guarded by inbox_mutex_

  // Of the reactor alone.
  std::vector<Command> commands_;
  std::map<uint64_t, std::shared_ptr<CurlTransfer>> transfers_;
  std::set<std::pair<TimePoint, uint64_t>> due_;
  std::vector<std::unique_ptr<Pool>> pools_;
  std::unordered_map<const Transport*, Pool*> pool_of_;
  Pool* streams_ = nullptr;
  std::unordered_map<int, Pool*> pool_of_socket_;
  std::vector<CURL*> spare_;
  TimePoint next_sweep_{};

  std::unique_ptr<Task> task_;  // last: ends first
};

class CurlStream final : public Stream {
 public:
  CurlStream(CurlClient& client, std::shared_ptr<CurlTransfer> transfer)
      : client_(client), transfer_(std::move(transfer)) {}

  ~CurlStream() override {
    if (transfer_->ended().IsSet()) return;  // and the client may be gone
    // On the reactor, perhaps within a callback of this very stream, nothing can be waited for: it
    // ends here and now, and the connection a little later.
    if (client_.OnReactor()) transfer_->Finish(ErrorClass::kCancelled, "cancelled");
    client_.Enqueue(Cancel{transfer_->id()});
    transfer_->ended().Wait(kForever, {});
  }

  void Resume() override {
    if (!transfer_->ended().IsSet()) client_.Enqueue(http::Resume{transfer_->id()});
  }

 private:
  CurlClient& client_;
  const std::shared_ptr<CurlTransfer> transfer_;
};

CurlClient::CurlClient(Runtime& runtime, CurlOptions options)
    : runtime_(runtime), options_(options) {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)global;  // where it failed, every request says so
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake_;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  task_ = runtime_.Spawn("http-client", [this](const std::stop_token& stop) { Run(stop); });
}

CurlClient::~CurlClient() {
  task_.reset();
  close(wake_);
  close(epoll_);
}

void CurlClient::Send(Request request, std::stop_token stop, OnDone on_done) {
  const uint64_t id = next_id_.fetch_add(1, std::memory_order_relaxed);
  Enqueue(Start{std::make_shared<CurlTransfer>(runtime_, id, std::move(request), std::move(stop),
                                               std::move(on_done))});
}

std::unique_ptr<Stream> CurlClient::Open(Request request, Duration idle, StreamEvents events) {
  const uint64_t id = next_id_.fetch_add(1, std::memory_order_relaxed);
  auto transfer =
      std::make_shared<CurlTransfer>(runtime_, id, std::move(request), idle, std::move(events));
  Enqueue(Start{transfer});
  return std::make_unique<CurlStream>(*this, std::move(transfer));
}

void CurlClient::Enqueue(Command command) {
  {
    MutexLock lock(inbox_mutex_);
    inbox_.push_back(std::move(command));
  }
  Wake();
}

void CurlClient::Wake() {
  if (awake_.exchange(true)) return;
  const uint64_t one = 1;
  // Fails only where the counter is full, and then the reactor wakes anyway.
  [[maybe_unused]] ssize_t written = write(wake_, &one, sizeof one);
}

void CurlClient::Run(const std::stop_token& stop) {
  const WithoutSigpipe without_sigpipe;
  running_reactor = this;
  {
    const std::stop_callback wake(stop, [this] { Wake(); });
    epoll_event events[kEventsPerWait];
    next_sweep_ = runtime_.Now() + kSweepInterval;
    while (!stop.stop_requested()) {
      const int count = epoll_wait(epoll_, events, kEventsPerWait, WaitMilliseconds());
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == wake_) {
          uint64_t ignored = 0;
          [[maybe_unused]] ssize_t got = read(wake_, &ignored, sizeof ignored);
          awake_.store(false);
          continue;
        }
        auto found = pool_of_socket_.find(fd);
        if (found == pool_of_socket_.end()) continue;
        int mask = 0;
        if (events[i].events & EPOLLIN) mask |= CURL_CSELECT_IN;
        if (events[i].events & EPOLLOUT) mask |= CURL_CSELECT_OUT;
        if (events[i].events & (EPOLLERR | EPOLLHUP)) mask |= CURL_CSELECT_ERR;
        Act(*found->second, fd, mask);
      }
      TakeCommands();
      const TimePoint now = runtime_.Now();
      for (size_t i = 0; i < pools_.size(); ++i) {
        if (pools_[i]->timer <= now) Act(*pools_[i], CURL_SOCKET_TIMEOUT, 0);
      }
      Expire();
      Sweep();
    }
  }
  // Callbacks may send more: that is cancelled too.
  for (TakeCommands(); !transfers_.empty(); TakeCommands()) {
    CancelNow(transfers_.begin()->first, "the client is closed");
  }
  pool_of_socket_.clear();
  pools_.clear();
  for (CURL* easy : spare_) curl_easy_cleanup(easy);
  running_reactor = nullptr;
}

int CurlClient::WaitMilliseconds() {
  TimePoint next = next_sweep_;
  if (!due_.empty()) next = std::min(next, due_.begin()->first);
  for (const auto& pool : pools_) next = std::min(next, pool->timer);
  const TimePoint now = runtime_.Now();
  if (next <= now) return 0;
  // Rounded up: waking before the time comes would spin until it does.
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count());
}

void CurlClient::TakeCommands() {
  {
    MutexLock lock(inbox_mutex_);
    commands_.swap(inbox_);
  }
  for (Command& command : commands_) {
    std::visit([this](auto& what) { Do(std::move(what)); }, command);
  }
  commands_.clear();
}

void CurlClient::Do(Start start) {
  CurlTransfer& transfer = *start.transfer;
  if (transfer.delivered()) return;
  auto ready = transfer.Check();
  if (!ready) return transfer.Finish(std::move(ready.error()));

  Pool* pool = PoolFor(transfer);
  if (!pool) return transfer.Finish(CURLE_FAILED_INIT);
  const uint64_t id = transfer.id();
  transfers_.emplace(id, std::move(start.transfer));
  Schedule(transfer);
  if (transfer.stop().stop_possible()) {
    transfer.on_stop.emplace(transfer.stop(), [this, id] { Enqueue(Cancel{id}); });
  }
  Admit(transfer, *pool);
}

void CurlClient::Admit(CurlTransfer& transfer, Pool& pool) {
  transfer.pool = &pool;
  ++pool.transfers;
  pool.waiting.push_back(transfer.id());
  BeginWaiting(pool);
}

void CurlClient::BeginWaiting(Pool& pool) {
  pool.last_used = runtime_.Now();
  while (pool.active < pool.limit && !pool.waiting.empty()) {
    const uint64_t id = pool.waiting.front();
    pool.waiting.pop_front();
    auto found = transfers_.find(id);
    if (found == transfers_.end()) continue;
    if (auto begun = Begin(*found->second, pool); !begun) {
      Remove(id)->Finish(std::move(begun.error()));
    }
  }
}

Status CurlClient::Begin(CurlTransfer& transfer, Pool& pool) {
  CURL* easy = nullptr;
  if (spare_.empty()) {
    easy = curl_easy_init();
  } else {
    easy = spare_.back();
    spare_.pop_back();
  }
  if (!easy) return Fail(ErrorClass::kInternal, "libcurl has no memory");
  auto ready = transfer.Prepare(easy, options_.http2);
  if (!ready) {
    curl_easy_cleanup(transfer.Release());
    return ready;
  }
  ++pool.active;
  curl_multi_add_handle(pool.multi, easy);  // sets the pool's timer, which starts the work
  return {};
}

void CurlClient::Do(Cancel cancel) { CancelNow(cancel.id, "cancelled"); }

void CurlClient::Do(Resume resume) {
  auto found = transfers_.find(resume.id);
  if (found == transfers_.end()) return;
  CurlTransfer& transfer = *found->second;
  auto* pool = static_cast<Pool*>(transfer.pool);
  transfer.Resume();
  // The reader's callback may have destroyed its stream; the transfer itself lives until Collect.
  Schedule(transfer);
  Collect(*pool);
}

std::unique_ptr<Pool> CurlClient::NewPool(long max_connections) {
  auto pool = std::make_unique<Pool>(runtime_.Now());
  if (!pool->multi) return nullptr;
  pool->client = this;
  curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, &OnSocketChange);
  curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool.get());
  curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, &OnTimerChange);
  curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool.get());
  curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  if (max_connections > 0) {
    curl_multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, max_connections);
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, max_connections);
  }
  return pool;
}

Pool* CurlClient::PoolFor(const CurlTransfer& transfer) {
  if (transfer.is_stream()) {
    if (!streams_) {
      auto pool = NewPool(0);
      if (!pool) return nullptr;
      streams_ = pool.get();
      pools_.push_back(std::move(pool));
    }
    return streams_;
  }
  const auto& transport = transfer.request().transport;
  auto found = pool_of_.find(transport.get());
  if (found != pool_of_.end()) {
    Pool* pool = found->second;
    // A new Transport may live where an old one did.
    if (pool->transport.lock() == transport) return pool;
    pool->retired = true;
    pool_of_.erase(found);
  }
  const int connections = transport ? transport->max_connections : Transport().max_connections;
  auto pool = NewPool(connections);
  if (!pool) return nullptr;
  pool->limit = std::max(kAtOnce, static_cast<size_t>(connections));
  pool->transport = transport;
  pool_of_[transport.get()] = pool.get();
  pools_.push_back(std::move(pool));
  return pools_.back().get();
}

void CurlClient::Act(Pool& pool, curl_socket_t socket, int events) {
  if (socket == CURL_SOCKET_TIMEOUT) pool.timer = kForever;
  int running = 0;
  curl_multi_socket_action(pool.multi, socket, events, &running);
  Collect(pool);
}

void CurlClient::Collect(Pool& pool) {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(pool.multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    void* mine = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &mine);
    const auto& transfer = *static_cast<CurlTransfer*>(mine);
    pool.last_byte = std::max(pool.last_byte, transfer.last_byte());
    auto ended = Remove(transfer.id());
    ended->Finish(code);
    spare_.push_back(ended->Release());
    if (spare_.size() > kSpareHandles) {
      curl_easy_cleanup(spare_.back());
      spare_.pop_back();
    }
  }
}

std::shared_ptr<CurlTransfer> CurlClient::Remove(uint64_t id) {
  auto found = transfers_.find(id);
  if (found == transfers_.end()) return nullptr;
  auto transfer = std::move(found->second);
  transfers_.erase(found);
  due_.erase({transfer->scheduled, id});
  transfer->on_stop.reset();
  auto* pool = static_cast<Pool*>(transfer->pool);
  --pool->transfers;
  if (transfer->easy()) {
    --pool->active;
    curl_multi_remove_handle(pool->multi, transfer->easy());
    BeginWaiting(*pool);
  }
  return transfer;
}

void CurlClient::CancelNow(uint64_t id, const char* why) {
  auto transfer = Remove(id);
  if (!transfer) return;
  transfer->Finish(ErrorClass::kCancelled, why);
  curl_easy_cleanup(transfer->Release());
}

void CurlClient::Schedule(CurlTransfer& transfer) {
  due_.erase({transfer.scheduled, transfer.id()});
  transfer.scheduled = transfer.Due();
  if (transfer.scheduled != kForever) due_.emplace(transfer.scheduled, transfer.id());
}

void CurlClient::Expire() {
  const TimePoint now = runtime_.Now();
  while (!due_.empty() && due_.begin()->first <= now) {
    const uint64_t id = due_.begin()->second;
    CurlTransfer& transfer = *transfers_.at(id);
    Schedule(transfer);  // what has arrived since moves the silence of a stream
    if (transfer.scheduled > now) continue;
    auto* pool = static_cast<Pool*>(transfer.pool);
    auto ended = Remove(id);
    // Not a byte on any of the connections since this request began: they may be dead without
    // knowing it (a balancer that lost its backend). New requests get new connections.
    if (!ended->is_stream() && !ended->answered() && ended->Sent() &&
        pool->last_byte < ended->last_byte() && !pool->retired) {
      Retire(*pool);
    }
    ended->Finish(ended->Overdue());
    curl_easy_cleanup(ended->Release());
  }
}

void CurlClient::Retire(Pool& pool) {
  pool.retired = true;
  std::erase_if(pool_of_, [&](const auto& entry) { return entry.second == &pool; });
  for (const uint64_t id : std::exchange(pool.waiting, {})) {
    auto found = transfers_.find(id);
    if (found == transfers_.end()) continue;
    --pool.transfers;
    Pool* fresh = PoolFor(*found->second);
    Admit(*found->second, fresh ? *fresh : pool);
  }
}

void CurlClient::Sweep() {
  const TimePoint now = runtime_.Now();
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepInterval;
  for (auto& pool : pools_) {
    if (pool->transfers == 0 && pool->last_used + kPoolIdle <= now) pool->retired = true;
  }
  std::erase_if(pool_of_, [](const auto& entry) { return entry.second->retired; });
  if (streams_ && streams_->retired) streams_ = nullptr;
  std::erase_if(pools_, [](const auto& pool) { return pool->retired && pool->transfers == 0; });
}

int CurlClient::OnSocketChange(CURL*, curl_socket_t socket, int what, void* user, void* known) {
  auto* pool = static_cast<Pool*>(user);
  CurlClient& client = *pool->client;
  if (what == CURL_POLL_REMOVE) {
    // libcurl may say so after it has closed a socket that was still connecting, when the number
    // may be another thread's: then there is nothing to delete. A bare call, since
    // ThreadSanitizer's wrapper would take it for a use of that thread's socket.
    syscall(SYS_epoll_ctl, client.epoll_, EPOLL_CTL_DEL, socket, nullptr);
    client.pool_of_socket_.erase(socket);
    curl_multi_assign(pool->multi, socket, nullptr);
    return 0;
  }
  epoll_event event{};
  if (what & CURL_POLL_IN) event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
  event.data.fd = socket;
  // A socket of libcurl's own (of a name lookup) may be closed without a word, and its number come
  // again: its entry went with it.
  if (epoll_ctl(client.epoll_, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) != 0) {
    epoll_ctl(client.epoll_, errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
  }
  client.pool_of_socket_[socket] = pool;
  curl_multi_assign(pool->multi, socket, pool);
  return 0;
}

int CurlClient::OnTimerChange(CURLM*, long milliseconds, void* user) {
  auto* pool = static_cast<Pool*>(user);
  pool->timer = milliseconds < 0
                    ? kForever
                    : pool->client->runtime_.Now() + std::chrono::milliseconds(milliseconds);
  return 0;
}

}  // namespace

std::unique_ptr<HttpClient> NewCurlClient(Runtime& runtime, CurlOptions options) {
  return std::make_unique<CurlClient>(runtime, options);
}

}  // namespace flotilla::http
