#include "sim/fiber_context.h"

#include <cxxabi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define FLOTILLA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLOTILLA_ASAN 1
#endif
#endif

#if defined(FLOTILLA_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// void flotilla_switch_stack(void** from, void* to): keeps what the System V ABI calls preserved by
// the callee on the stack that is left, and takes it from the one that is entered.
asm(R"(
.text
.p2align 4
.globl flotilla_switch_stack
.hidden flotilla_switch_stack
.type flotilla_switch_stack, @function
flotilla_switch_stack:
  endbr64
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size flotilla_switch_stack, .-flotilla_switch_stack
)");
extern "C" void flotilla_switch_stack(void** from, void* to);
#endif

namespace flotilla::sim {
namespace {

// Who switches and to whom, for the code that runs on the other side.
thread_local FiberContext* leaving = nullptr;
thread_local FiberContext* arriving = nullptr;

}  // namespace

FiberContext::FiberContext(size_t stack_bytes, void (*entry)(void*), void* argument)
    : entry_(entry), argument_(argument) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  bytes_ = (stack_bytes + page - 1) / page * page;
  mapping_bytes_ = bytes_ + page;
  mapping_ = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapping_ == MAP_FAILED || mprotect(mapping_, page, PROT_NONE) != 0) {
    std::perror("flotilla: cannot map the stack of a fiber");
    std::abort();
  }
  char* const bottom = static_cast<char*>(mapping_) + page;
  bottom_ = bottom;
#if defined(__x86_64__)
  // As flotilla_switch_stack leaves a stack: six registers, the return address, and (where a
  // caller's would be) a null return address that ends every back-trace. The ABI wants rsp + 8
  // aligned there.
  void* frame[8] = {};
  frame[6] = reinterpret_cast<void*>(&FiberContext::Enter);
  stack_pointer_ = bottom + bytes_ - sizeof frame;
  std::memcpy(stack_pointer_, frame, sizeof frame);
#else
  getcontext(&machine_);
  machine_.uc_stack.ss_sp = bottom;
  machine_.uc_stack.ss_size = bytes_;
  machine_.uc_link = nullptr;
  makecontext(&machine_, &FiberContext::Enter, 0);
#endif
}

FiberContext::~FiberContext() {
  if (mapping_) munmap(mapping_, mapping_bytes_);
}

void FiberContext::Switch(FiberContext& to) {
  Leave(to, false);
  Arrive();
}

void FiberContext::SwitchForEver(FiberContext& to) {
  Leave(to, true);
  std::abort();  // somebody switched to a flow that has ended
}

void FiberContext::Leave(FiberContext& to, [[maybe_unused]] bool for_ever) {
  auto* const globals = __cxxabiv1::__cxa_get_globals();
  std::memcpy(exceptions_.data(), static_cast<void*>(globals), sizeof exceptions_);
  std::memcpy(static_cast<void*>(globals), to.exceptions_.data(), sizeof exceptions_);
  leaving = this;
  arriving = &to;
#if defined(FLOTILLA_ASAN)
  __sanitizer_start_switch_fiber(for_ever ? nullptr : &fake_stack_, to.bottom_, to.bytes_);
#endif
#if defined(__x86_64__)
  flotilla_switch_stack(&stack_pointer_, to.stack_pointer_);
#else
  swapcontext(&machine_, &to.machine_);
#endif
}

// The first thing that runs on the other side.
void FiberContext::Arrive() {
#if defined(FLOTILLA_ASAN)
  __sanitizer_finish_switch_fiber(arriving->fake_stack_, &leaving->bottom_, &leaving->bytes_);
#endif
}

void FiberContext::Enter() {
  FiberContext* const self = arriving;
  Arrive();
  self->entry_(self->argument_);
  std::abort();
}

}  // namespace flotilla::sim
