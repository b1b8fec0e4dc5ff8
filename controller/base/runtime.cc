#include "base/runtime.h"

#include <cstdio>
#include <cstdlib>

namespace flotilla {
namespace {
thread_local int held_by_this_thread = 0;
}  // namespace

void Mutex::lock() {
  mutex_.lock();
  ++held_by_this_thread;
}

bool Mutex::try_lock() {
  if (!mutex_.try_lock()) return false;
  ++held_by_this_thread;
  return true;
}

void Mutex::unlock() {
  --held_by_this_thread;
  mutex_.unlock();
}

int Mutex::HeldByThisThread() { return held_by_this_thread; }

void Mutex::AbortIfHeld(const char* wait) {
  if (held_by_this_thread == 0) return;
  std::fprintf(stderr, "flotilla: %s while holding %d Mutex(es): a lock is held across a wait\n",
               wait, held_by_this_thread);
  std::abort();
}

}  // namespace flotilla
