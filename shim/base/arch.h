// SPDX-License-Identifier: Apache-2.0
// The only file of the shim that names a CPU: registers, thread pointer, and a
// child on its own stack. x86-64, System V ABI.
#pragma once

#include <sys/syscall.h>
#include <ucontext.h>

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
__attribute__((always_inline)) inline std::uint64_t frame_pointer_of(const ucontext_t* context) {
  return static_cast<std::uint64_t>(context->uc_mcontext.gregs[REG_RBP]);
}

// clone(2) with a stack of its own: the child runs run(argument) and exits with
// its result. Returns the child's pid or -errno. The child shares the caller's
// thread pointer, so it must not call into libc.
extern "C" long siprof_clone(unsigned long flags, void* stack_top, int (*run)(void*), void* argument);

}  // namespace siprof::shim
