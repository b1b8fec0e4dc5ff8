#include "surface/signals.h"

#include <unistd.h>

#include <csignal>

namespace flotilla::surface {
namespace {

constexpr int kWakeUp = SIGUSR1;  // ends the wait of a Signals that is destroyed

sigset_t Awaited() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, kWakeUp);
  return set;
}

}  // namespace

void Signals::Block() {
  const sigset_t set = Awaited();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Signals::Signals(Runtime& runtime, Host& host)
    : task_(runtime.Spawn("signals",
                          [this, &host](const std::stop_token& stop) { Await(host, stop); })) {}

Signals::~Signals() {
  task_->RequestStop();
  kill(getpid(), kWakeUp);
  task_->Join();
}

void Signals::Await(Host& host, const std::stop_token& ended) {
  const sigset_t set = Awaited();
  while (!ended.stop_requested()) {
    const int signal = sigwaitinfo(&set, nullptr);
    if (signal != SIGINT && signal != SIGTERM) continue;
    if (!asked_.request_stop()) host.Exit(128 + signal);
  }
}

}  // namespace flotilla::surface
