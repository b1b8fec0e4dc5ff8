// A flow of control with a stack of its own, and the switch from one to another.
//
// Hand-written for x86-64 (a few nanoseconds), ucontext elsewhere. AddressSanitizer is told of
// every switch, and the state of exceptions under way goes with its flow: one may switch in a
// destructor that an exception runs.
#pragma once

#include <array>
#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace flotilla::sim {

class FiberContext {
 public:
  FiberContext() = default;  // the flow that is running, on the thread's stack
  // A new flow that calls entry(argument) when it is switched to for the first time. `entry` must
  // not return or throw; it ends with SwitchForEver. The stack is mapped with a guard page below.
  FiberContext(size_t stack_bytes, void (*entry)(void*), void* argument);
  ~FiberContext();
  FiberContext(const FiberContext&) = delete;
  FiberContext& operator=(const FiberContext&) = delete;

  // Leaves this flow, which is running, and continues `to`. Returns when somebody switches back.
  void Switch(FiberContext& to);
  // The same, for the last time.
  void SwitchForEver(FiberContext& to);

 private:
  static void Enter();
  void Leave(FiberContext& to, bool for_ever);
  static void Arrive();

  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  const void* bottom_ = nullptr;  // of the stack; the thread's is learned when it is first left
  size_t bytes_ = 0;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
  [[maybe_unused]] void* fake_stack_ = nullptr;  // ASan's
  std::array<void*, 2> exceptions_{};            // __cxa_eh_globals of the Itanium C++ ABI, §2.2.2
#if defined(__x86_64__)
  void* stack_pointer_ = nullptr;
#else
  ucontext_t machine_{};
#endif
};

}  // namespace flotilla::sim
