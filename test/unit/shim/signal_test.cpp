// SPDX-License-Identifier: Apache-2.0
// What the app sees of its own signal actions and masks while one signal is ours.
// Each case runs in a forked child: a signal that is taken stays taken.
#include "shim/core/signal.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "shim/core/exec_view.h"
#include "shim/core/handler_masks.h"
#include "shim/core/process.h"
#include "shim/core/thread.h"

namespace siprof::shim {
namespace {

void ignore_tick(int, siginfo_t*, void*) {}
void app_handler(int) {}

constexpr sys::SignalSet kProf = sys::signal_bit(SIGPROF);
constexpr sys::SignalSet kAlarm = sys::signal_bit(SIGVTALRM);
constexpr sys::SignalSet kTerm = sys::signal_bit(SIGTERM);

sys::SignalSet kernel_mask() {
  sys::SignalSet mask = 0;
  sys::change_mask(SIG_BLOCK, nullptr, &mask);
  return mask;
}

KernelAction kernel_action(int signal) {
  KernelAction action{};
  sys::call(SYS_rt_sigaction, signal, nullptr, &action, sizeof(sys::SignalSet));
  return action;
}

KernelAction action_with(void (*handler)(int)) {
  KernelAction action{};
  action.handler = reinterpret_cast<void*>(handler);
  action.mask = kTerm;
  return action;
}

// 0: all held, else the number of the first expectation that didn't.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    g_process.pid = getpid();
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST_CASE("the first signal with the default action is taken") {
  CHECK(in_child([] {
          if (!start_signal(ignore_tick) || current_signal() != SIGPROF) return 1;
          if (taken_bits() != kProf || !is_taken(SIGPROF) || is_taken(SIGVTALRM)) return 2;
          return 0;
        }) == 0);
  CHECK(in_child([] {
          ::signal(SIGPROF, app_handler);
          ::signal(SIGVTALRM, SIG_IGN);
          const void* apps = kernel_action(SIGPROF).handler;  // a sanitizer may stand before it
          if (!start_signal(ignore_tick) || current_signal() != SIGSTKFLT) return 1;
          return kernel_action(SIGPROF).handler == apps ? 0 : 2;
        }) == 0);
}

TEST_CASE("without a free signal nothing is taken") {
  CHECK(in_child([] {
          for (const int signal : {SIGPROF, SIGVTALRM, SIGSTKFLT, SIGPWR}) ::signal(signal, app_handler);
          if (start_signal(ignore_tick) || current_signal() != 0 || taken_bits() != 0) return 1;
          return kernel_mask_for(~sys::SignalSet{0}) == ~sys::SignalSet{0} ? 0 : 2;
        }) == 0);
}

TEST_CASE("a signal that was blocked at start is opened, and the app believes it blocked") {
  CHECK(in_child([] {
          const sys::SignalSet blocked = kProf | kTerm;
          sys::change_mask(SIG_SETMASK, &blocked, nullptr);
          start_signal(ignore_tick);
          if (kernel_mask() != kTerm) return 1;
          return this_thread().blocked_view == kProf ? 0 : 2;
        }) == 0);
}

TEST_CASE("masks reach the kernel without our signal") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          if (kernel_mask_for(~sys::SignalSet{0}) != ~kProf) return 1;
          if (kernel_mask_for(kTerm) != kTerm) return 2;
          // A handler of another signal: the same, and what the app set is read back.
          const sys::SignalSet mask = handler_mask_for(SIGUSR1, kTerm | kProf, /*on_alternate_stack=*/false);
          if (mask != kTerm || app_handler_mask(SIGUSR1, mask) != (kTerm | kProf)) return 3;
          if (app_handler_mask(SIGUSR2, kTerm) != kTerm) return 4;
          const sys::SignalSet without = handler_mask_for(SIGUSR1, kTerm, false);
          return app_handler_mask(SIGUSR1, without) == kTerm ? 0 : 5;
        }) == 0);
}

TEST_CASE("a handler on an alternate stack runs without ticks, which the app doesn't read back") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          if (has_alternate_stack_handlers()) return 1;
          const sys::SignalSet mask = handler_mask_for(SIGUSR1, kTerm, /*on_alternate_stack=*/true);
          if (mask != (kTerm | kProf) || !has_alternate_stack_handlers()) return 2;
          return app_handler_mask(SIGUSR1, mask) == kTerm ? 0 : 3;
        }) == 0);
}

TEST_CASE("the app reads back what it set for our signal, and ticks move to the next one") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          KernelAction old{};
          const KernelAction wanted = action_with(app_handler);
          if (candidate_sigaction(SIGPROF, &wanted, &old) != 0 || old.handler != nullptr) return 1;
          if (current_signal() != SIGVTALRM || taken_bits() != (kProf | kAlarm)) return 2;
          if (candidate_sigaction(SIGPROF, nullptr, &old) != 0) return 3;
          if (old.handler != wanted.handler || old.mask != kTerm) return 4;
          // Ours stays in front, with the app's mask and without its flags changed.
          const KernelAction front = kernel_action(SIGPROF);
          return front.handler == reinterpret_cast<void*>(ignore_tick) && front.mask == kTerm ? 0 : 5;
        }) == 0);
}

TEST_CASE("ignoring our signal is only remembered: ticks go on by it") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          const KernelAction ignore = action_with(SIG_IGN);
          if (candidate_sigaction(SIGPROF, &ignore, nullptr) != 0) return 1;
          if (current_signal() != SIGPROF) return 2;
          return kernel_action(SIGPROF).handler == reinterpret_cast<void*>(ignore_tick) ? 0 : 3;
        }) == 0);
}

TEST_CASE("when ticks leave a signal, handlers' masks get it back and lose the next one") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          KernelAction handler = action_with(app_handler);
          handler.flags = kRestorerFlag;
          handler.restorer = siprof_restore_rt;
          handler.mask = handler_mask_for(SIGUSR1, kTerm | kProf | kAlarm, /*on_alternate_stack=*/false);
          if (handler.mask != (kTerm | kAlarm) || kernel_sigaction(SIGUSR1, &handler, nullptr) != 0) return 1;
          if (!leave_signal(SIGPROF)) return 2;
          if (kernel_action(SIGUSR1).mask != (kTerm | kProf)) return 3;
          return app_handler_mask(SIGUSR1, kernel_action(SIGUSR1).mask) == (kTerm | kProf | kAlarm) ? 0 : 4;
        }) == 0);
}

TEST_CASE("a small alternate stack takes ticks off it, not the app's handlers") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          if ((kernel_action(SIGPROF).flags & SA_ONSTACK) == 0) return 1;
          leave_alternate_stack();
          if ((kernel_action(SIGPROF).flags & SA_ONSTACK) != 0) return 2;
          KernelAction wanted = action_with(app_handler);
          wanted.flags |= SA_ONSTACK;
          if (candidate_sigaction(SIGPROF, &wanted, nullptr) != 0) return 3;
          if ((kernel_action(SIGPROF).flags & SA_ONSTACK) == 0) return 4;
          return (kernel_action(SIGVTALRM).flags & SA_ONSTACK) == 0 ? 0 : 5;
        }) == 0);
}

TEST_CASE("a signal that ticks leave becomes blocked where the app had it blocked") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          remember_view(this_thread(), kernel_mask(), kProf);
          if (!leave_signal(SIGPROF) || current_signal() != SIGVTALRM) return 1;
          if (kernel_mask() != kProf) return 2;
          // It isn't the current one any more: nothing moves.
          return leave_signal(SIGPROF) && current_signal() == SIGVTALRM ? 0 : 3;
        }) == 0);
}

TEST_CASE("with no signal left the last one is shared") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          for (const int signal : {SIGPROF, SIGVTALRM, SIGSTKFLT}) {
            if (!leave_signal(signal)) return 1;
          }
          if (leave_signal(SIGPWR)) return 2;
          return current_signal() == SIGPWR && taken_bits() == candidate_bits() ? 0 : 3;
        }) == 0);
}

TEST_CASE("exec passes on what the app believes is blocked and ignored") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          const KernelAction ignore = action_with(SIG_IGN);
          candidate_sigaction(SIGPROF, &ignore, nullptr);
          remember_view(this_thread(), kernel_mask(), kProf);
          {
            AppViewForExec view;
            if (kernel_mask() != kProf) return 1;
            if (kernel_action(SIGPROF).handler != reinterpret_cast<void*>(SIG_IGN)) return 2;
          }
          // exec failed: back to how it was.
          if (kernel_mask() != 0) return 3;
          return kernel_action(SIGPROF).handler == reinterpret_cast<void*>(ignore_tick) ? 0 : 4;
        }) == 0);
}

TEST_CASE("a mask that comes back brings the view that it had") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          ThreadState thread{};
          remember_view(thread, 0, 0);
          remember_view(thread, kTerm, kProf);
          if (view_with(thread, kTerm) != kProf || view_with(thread, 0) != 0) return 1;
          // Whether the kernel has ours blocked doesn't matter, it is never the app's doing.
          if (view_with(thread, kTerm | kProf) != kProf) return 2;
          // A mask never seen: as it was last. Known again: the newest view.
          if (view_with(thread, kAlarm) != kProf) return 3;
          remember_view(thread, kTerm, 0);
          return view_with(thread, kTerm) == 0 ? 0 : 4;
        }) == 0);
}

TEST_CASE("of more masks than are kept, a thread's first stays known") {
  CHECK(in_child([] {
          start_signal(ignore_tick);
          ThreadState thread{};
          remember_view(thread, 0, kProf);
          for (sys::SignalSet mask = 1; mask <= 4 * kKnownMasks; ++mask) remember_view(thread, mask, 0);
          if (thread.known_mask_count != kKnownMasks) return 1;
          return view_with(thread, 0) == kProf && view_with(thread, 4 * kKnownMasks) == 0 ? 0 : 2;
        }) == 0);
}

}  // namespace
}  // namespace siprof::shim
