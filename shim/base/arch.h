// SPDX-License-Identifier: Apache-2.0
// The only file of the shim that names a CPU: registers, thread pointer, and a
// child on its own stack. x86-64, System V ABI.
#pragma once

#include <sys/syscall.h>
#include <ucontext.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

// Below the stack pointer a leaf function may keep data (ABI 3.2.2).
inline constexpr std::uint64_t kRedZoneBytes = 128;

// The lowest address by a stack pointer at which something may lie that counts: not beyond its page, the next
// one may be unmapped.
constexpr std::uint64_t red_zone_start(std::uint64_t sp) {
  constexpr std::uint64_t kPage = 4096;
  const std::uint64_t page = sp & ~(kPage - 1);
  return sp - page < kRedZoneBytes ? page : sp - kRedZoneBytes;
}

// The thread's control block; glibc places it above the thread's stack.
__attribute__((always_inline)) inline std::uint64_t thread_pointer() {
  std::uint64_t value;
  asm volatile("movq %%fs:0, %0" : "=r"(value));
  return value;
}

// Whether libc made this thread's control block, which begins with its own address twice: a
// runtime without libc (Go) may point the register at anything it has.
__attribute__((always_inline)) inline bool has_thread_storage() {
  std::uint64_t self;
  asm volatile("movq %%fs:0x10, %0" : "=r"(self));
  return self != 0 && self == thread_pointer();
}

// Copies the interrupted registers in the order of shared_memory.h.
// Context: signal handler; `context` is its third argument.
__attribute__((always_inline)) inline void copy_registers(const ucontext_t* context,
                                                          std::uint64_t (&out)[kRegisterCount]) {
  const greg_t* in = context->uc_mcontext.gregs;
  constexpr int kOrder[kRegisterCount] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                          REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                          REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
  for (std::uint32_t i = 0; i < kRegisterCount; ++i) out[i] = static_cast<std::uint64_t>(in[kOrder[i]]);
}

__attribute__((always_inline)) inline std::uint64_t stack_pointer_of(const ucontext_t* context) {
  return static_cast<std::uint64_t>(context->uc_mcontext.gregs[REG_RSP]);
}

__attribute__((always_inline)) inline std::uint64_t instruction_pointer_of(const ucontext_t* context) {
  return static_cast<std::uint64_t>(context->uc_mcontext.gregs[REG_RIP]);
}
__attribute__((always_inline)) inline void set_instruction_pointer(ucontext_t* context, std::uint64_t to) {
  context->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(to);
}
// Where a system call has just been made: what it returned.
__attribute__((always_inline)) inline long result_of_call(const ucontext_t* context) {
  return static_cast<long>(context->uc_mcontext.gregs[REG_RAX]);
}
__attribute__((always_inline)) inline std::uint64_t frame_pointer_of(const ucontext_t* context) {
  return static_cast<std::uint64_t>(context->uc_mcontext.gregs[REG_RBP]);
}

// As much of a ucontext_t as capture() looks at: the whole one has room for vectors, and app's handlers that
// make calls may have a small stack.
struct HereContext {
  unsigned long flags;
  ucontext_t* link;
  stack_t stack;
  greg_t registers[NGREG];

  const ucontext_t* as_context() const { return reinterpret_cast<const ucontext_t*>(this); }
};
static_assert(offsetof(HereContext, stack) == offsetof(ucontext_t, uc_stack));
static_assert(offsetof(HereContext, registers) == offsetof(ucontext_t, uc_mcontext.gregs));
static_assert(alignof(HereContext) == alignof(ucontext_t));

// Fills in the registers of `context` as they are here; those that a call may change are zero.
__attribute__((always_inline)) inline void note_registers(HereContext* context) {
  greg_t* to = context->registers;
  for (int i = 0; i < NGREG; ++i) to[i] = 0;
  asm volatile(
      "leaq 0(%%rip), %%rax\n\t"
      "movq %%rax, %0\n\t"
      "movq %%rsp, %1\n\t"
      "movq %%rbp, %2\n\t"
      "movq %%rbx, %3\n\t"
      "movq %%r12, %4\n\t"
      "movq %%r13, %5\n\t"
      "movq %%r14, %6\n\t"
      "movq %%r15, %7"
      : "=m"(to[REG_RIP]), "=m"(to[REG_RSP]), "=m"(to[REG_RBP]), "=m"(to[REG_RBX]), "=m"(to[REG_R12]),
        "=m"(to[REG_R13]), "=m"(to[REG_R14]), "=m"(to[REG_R15])
      :
      : "rax");
}

// Where the stack will be after a jump to what setjmp keeps in `environment`: glibc's eight words, addresses
// among them rotated and mixed with a secret of the thread's control block.
__attribute__((always_inline)) inline std::uint64_t stack_after_jump(const void* environment) {
  constexpr int kSp = 6;
  std::uint64_t sp = static_cast<const std::uint64_t*>(environment)[kSp];
  asm("rorq $17, %0\n\txorq %%fs:0x30, %0" : "+r"(sp));
  return sp;
}

// Counts down; true when `left` (seen as unsigned) wasn't enough. One instruction, so that a handler comes
// before it or after it.
__attribute__((always_inline)) inline bool take_from(std::int64_t& left, std::uint64_t amount) {
  bool below;
  asm("subq %2, %0" : "+m"(left), "=@ccb"(below) : "r"(amount));
  return below;
}

// Adds to what no other thread writes: a handler of this one sees it done or not begun.
__attribute__((always_inline)) inline void add_alone(std::atomic<std::uint64_t>& to, std::uint64_t amount) {
  asm volatile("addq %1, %0" : "+m"(to) : "re"(amount) : "cc");
}

// Between two looks at a word that another CPU may change: leaves the core to its other thread meanwhile.
__attribute__((always_inline)) inline void relax() {
  __builtin_ia32_pause();
}

// The time stamp counter: not ordered with loads and stores around it.
__attribute__((always_inline)) inline std::uint64_t cycle_counter() {
  return __builtin_ia32_rdtsc();
}

// clone(2) with a stack of its own: the child runs run(argument) and exits with
// its result. Returns the child's pid or -errno. The child shares the caller's
// thread pointer, so it must not call into libc.
extern "C" long siprof_clone(unsigned long flags, void* stack_top, int (*run)(void*), void* argument);

}  // namespace siprof::shim
