// SPDX-License-Identifier: Apache-2.0
// Where a fault may be met: not where the kernel would end the process for it. Each case is a child of its
// own.
#include "shim/core/fault_window.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "shim/base/guarded.h"
#include "shim/core/fault_guard.h"
#include "shim/core/process.h"

namespace siprof::shim {
namespace {

alignas(16) char g_alternate[64 * 1024];

// 0: all held, else the number of the first expectation that didn't.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    g_process.pid = getpid();
    for (const int signal : kFaultSignals) ::signal(signal, SIG_DFL);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

bool is_stepped_over() {
  return siprof_load(0x10).ok == 0 && siprof_load(std::uint64_t{1} << 60).ok == 0;
}

TEST_CASE("a signal that is blocked is opened for a walk, and what is sent meanwhile waits") {
  CHECK(in_child([] {
          ::signal(SIGSEGV, [](int) { _exit(77); });
          if (!begin_fault_guard()) return 1;
          ThreadState& thread = t_thread;
          thread.tid = sys::thread_id();
          thread.serial = 5;
          const sys::SignalSet blocked = kFaultBits;
          sys::change_mask(SIG_BLOCK, &blocked, nullptr);
          sys::call(SYS_tgkill, getpid(), sys::thread_id(), SIGSEGV);
          thread.busy_sp = stack_here();
          GuardedSlot* slot = take_slot(thread);
          {
            const FaultWindow window(thread, slot, nullptr);
            if (!window.open() || !is_stepped_over()) return 2;
          }
          give_back_slot(thread, slot);
          thread.busy_sp = 0;
          sys::SignalSet now = 0;
          sys::change_mask(SIG_BLOCK, nullptr, &now);
          if ((now & blocked) != blocked) return 3;
          sigset_t pending{};
          sigpending(&pending);
          if (sigismember(&pending, SIGSEGV) != 1) return 4;
          sys::change_mask(SIG_UNBLOCK, &blocked, nullptr);
          return 5;
        }) == 77);
}

TEST_CASE("where a frame of a fault has no room, there is no walk") {
  CHECK(in_child([] {
          if (!begin_fault_guard()) return 1;
          ThreadState& thread = t_thread;
          thread.tid = sys::thread_id();
          thread.serial = 5;
          thread.guard_seen = true;
          GuardedSlot* slot = take_slot(thread);
          ucontext_t context{};
          context.uc_stack.ss_flags = SS_DISABLE;
          const std::uint64_t here = stack_here();
          thread.stack_high = here + 4096;
          thread.stack_low = here - 64 * 1024;
          if (!FaultWindow(thread, slot, &context).open()) return 2;
          thread.stack_low = here - signal_frame_bytes();
          if (FaultWindow(thread, slot, &context).open()) return 3;
          // A small alternate stack that only the app's handler would go to.
          thread.stack_low = here - 64 * 1024;
          context.uc_stack.ss_flags = 0;
          context.uc_stack.ss_sp = g_alternate;
          context.uc_stack.ss_size = 2048;
          if (!FaultWindow(thread, slot, &context).open()) return 4;
          KernelAction action{};
          action.handler = reinterpret_cast<void*>(+[](int) {});
          action.flags = SA_ONSTACK | kRestorerFlag;
          action.restorer = siprof_restore_rt;
          fault_sigaction(SIGSEGV, &action, nullptr);
          if (FaultWindow(thread, slot, &context).open()) return 5;
          context.uc_stack.ss_size = sizeof(g_alternate);
          return FaultWindow(thread, slot, &context).open() ? 0 : 6;
        }) == 0);
}

TEST_CASE("who unmaps code waits for those who look at an interpreter") {
  CHECK(in_child([] {
          if (!begin_fault_guard()) return 1;
          ThreadState thread{};
          thread.tid = 5;
          thread.serial = 9;
          if (!wait_for_slots() || slot_of(thread) != nullptr) return 2;
          GuardedSlot* slot = take_slot(thread);
          if (slot == nullptr || slot_of(thread) != slot || take_slot(thread) != slot) return 3;
          if (wait_for_slots()) return 4;  // after 50 ms
          drop_slot(thread);
          return wait_for_slots() && slot_of(thread) == nullptr ? 0 : 5;
        }) == 0);
}

}  // namespace
}  // namespace siprof::shim
