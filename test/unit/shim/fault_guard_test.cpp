// SPDX-License-Identifier: Apache-2.0
// Whatever a program does with SIGSEGV and SIGBUS, it sees and ends the same with the guard in front as
// without. Each run is a child of its own.
#include "shim/core/fault_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "shim/base/guarded.h"
#include "shim/core/exec_view.h"
#include "shim/core/process.h"

namespace siprof::shim {
namespace {

enum class Guard { kNone, kBefore, kAfter };  // the app sets its action
enum class Fault { kNull, kNoAddress, kBus, kRaise, kQueue };
enum class Answer { kReturn, kJump, kExit };

struct Plan {
  int signal;
  void* handler = nullptr;  // null: the default
  unsigned long flags = 0;
  sys::SignalSet mask = 0;
  Fault fault = Fault::kNull;
  Answer answer = Answer::kExit;
  bool alternate = false;
  bool restorer = true;
  bool filtered = false;
};

// What a handler sees, and how the process ended.
struct Seen {
  int calls;
  int code;
  std::uint64_t address;
  sys::SignalSet mask;
  bool on_alternate;
  bool returns_by_restorer;
  bool jumped;
  int status;

  bool operator==(const Seen&) const = default;
};

Seen* g_seen = nullptr;     // shared with the child
void* g_page = MAP_FAILED;  // the same one with the guard, which has mappings of its own, and without
Plan g_plan;
sigjmp_buf g_back;
alignas(16) char g_alternate[64 * 1024];

extern "C" void app_restore();
asm(".pushsection .text\napp_restore:\nmovq $15, %rax\nsyscall\n.popsection");

void app_handler(int, siginfo_t* info, void*) {
  char here = 0;
  ++g_seen->calls;
  g_seen->code = info->si_code;
  if (info->si_code > 0) g_seen->address = reinterpret_cast<std::uint64_t>(info->si_addr);
  sys::change_mask(SIG_BLOCK, nullptr, &g_seen->mask);
  g_seen->on_alternate = &here >= g_alternate && &here < g_alternate + sizeof(g_alternate);
  g_seen->returns_by_restorer = __builtin_return_address(0) == reinterpret_cast<void*>(app_restore);
  if (g_seen->calls > 3) _exit(9);
  if (g_plan.answer == Answer::kExit) _exit(7);
  if (g_plan.answer == Answer::kJump) siglongjmp(g_back, 1);
}

KernelAction action_of(const Plan& plan) {
  KernelAction action{};
  action.handler = plan.handler;
  action.flags = plan.flags | (plan.restorer ? kRestorerFlag : 0);
  action.mask = plan.mask;
  if (plan.restorer) action.restorer = app_restore;
  return action;
}

__attribute__((no_sanitize("address", "undefined"))) void fault(const Plan& plan) {
  if (plan.fault == Fault::kRaise) sys::call(SYS_tgkill, getpid(), sys::thread_id(), plan.signal);
  if (plan.fault == Fault::kQueue) sigqueue(getpid(), plan.signal, {});
  volatile int* nowhere = reinterpret_cast<int*>(0x10);
  if (plan.fault == Fault::kNull) *nowhere = 1;
  if (plan.fault == Fault::kNoAddress) *reinterpret_cast<volatile int*>(0x7fffffffffffffff) = 1;
  if (plan.fault == Fault::kBus) {
    char name[] = "/tmp/siprof-guard-XXXXXX";
    const int fd = mkstemp(name);
    unlink(name);
    auto* page = static_cast<volatile char*>(mmap(g_page, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0));
    static_cast<void>(page[0]);
  }
}

// Ends by what the plan leads to; 0 when it goes on.
int run(const Plan& plan, Guard guard) {
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  g_process.pid = getpid();
  stack_t stack{};
  stack.ss_sp = g_alternate;
  stack.ss_size = sizeof(g_alternate);
  stack.ss_flags = plan.alternate ? 0 : SS_DISABLE;
  sigaltstack(&stack, nullptr);
  for (const int signal : kFaultSignals) ::signal(signal, SIG_DFL);
  const KernelAction action = action_of(plan);
  if (guard == Guard::kBefore && !begin_fault_guard()) return 100;
  const long set = guard == Guard::kBefore ? fault_sigaction(plan.signal, &action, nullptr)
                                           : kernel_sigaction(plan.signal, &action, nullptr);
  if (set != 0) return 101;
  if (guard == Guard::kAfter && !begin_fault_guard()) return 102;
  if (plan.filtered) g_process.filters = 1;
  if (sigsetjmp(g_back, 1) == 0)
    fault(plan);
  else
    g_seen->jumped = true;
  return 0;
}

Seen outcome(const Plan& plan, Guard guard) {
  if (g_seen == nullptr)
    g_seen = static_cast<Seen*>(
        mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (g_page == MAP_FAILED) g_page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_plan = plan;
  memset(static_cast<void*>(g_seen), 0, sizeof(*g_seen));
  const pid_t child = fork();
  if (child == 0) _exit(run(plan, guard));
  int status = 0;
  waitpid(child, &status, 0);
  g_seen->status = status;
  return *g_seen;
}

void compare(const Plan& plan) {
  const Seen without = outcome(plan, Guard::kNone);
  for (const Guard guard : {Guard::kBefore, Guard::kAfter}) {
    const Seen with = outcome(plan, guard);
    CAPTURE(plan.signal, plan.flags, plan.mask, static_cast<int>(plan.fault), static_cast<int>(plan.answer),
            plan.alternate, plan.restorer, static_cast<int>(guard));
    CHECK(with.status == without.status);
    CHECK(with.calls == without.calls);
    CHECK(with.code == without.code);
    CHECK(with.address == without.address);
    CHECK(with.mask == without.mask);
    CHECK(with.on_alternate == without.on_alternate);
    CHECK(with.returns_by_restorer == without.returns_by_restorer);
    CHECK(with.jumped == without.jumped);
  }
}

const std::pair<int, Fault> kFaults[] = {{SIGSEGV, Fault::kNull},  {SIGSEGV, Fault::kNoAddress},
                                         {SIGSEGV, Fault::kRaise}, {SIGSEGV, Fault::kQueue},
                                         {SIGBUS, Fault::kBus},    {SIGBUS, Fault::kRaise}};

TEST_CASE("the default action ends the process the same way") {
  for (const auto& [signal, fault] : kFaults) compare({.signal = signal, .fault = fault});
}

TEST_CASE("an ignored signal is ignored when it is sent, and ends the process when it is a fault") {
  for (const auto& [signal, fault] : kFaults)
    compare({.signal = signal, .handler = reinterpret_cast<void*>(SIG_IGN), .fault = fault});
}

TEST_CASE("a handler has its arguments, mask, stack and return address") {
  auto* handler = reinterpret_cast<void*>(app_handler);
  const sys::SignalSet some = sys::signal_bit(SIGTERM) | sys::signal_bit(SIGUSR1);
  for (const auto& [signal, fault] : kFaults) {
    for (const auto flags :
         std::initializer_list<unsigned long>{0, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART}) {
      for (const bool alternate : {false, true}) {
        compare({.signal = signal,
                 .handler = handler,
                 .flags = flags | SA_SIGINFO,
                 .mask = some,
                 .fault = fault,
                 .answer = Answer::kExit,
                 .alternate = alternate});
      }
      compare({.signal = signal,
               .handler = handler,
               .flags = flags | SA_SIGINFO,
               .fault = fault,
               .answer = Answer::kJump,
               .alternate = true});
      compare({.signal = signal,
               .handler = handler,
               .flags = flags | SA_SIGINFO,
               .fault = fault,
               .answer = Answer::kReturn});
    }
  }
}

TEST_CASE("a handler that can't return never runs") {
  for (const auto& [signal, fault] : kFaults)
    compare({.signal = signal,
             .handler = reinterpret_cast<void*>(app_handler),
             .flags = SA_SIGINFO,
             .fault = fault,
             .restorer = false});
}

TEST_CASE("a process that may make no system call any more ends by the same signal") {
  for (const auto& [signal, fault] : kFaults) {
    if (signal == SIGBUS && fault == Fault::kRaise) continue;  // by SIGSEGV, which is as much as can be had
    for (void* handler : {reinterpret_cast<void*>(SIG_DFL), reinterpret_cast<void*>(app_handler)}) {
      Plan plan{.signal = signal,
                .handler = handler,
                .flags = SA_SIGINFO | SA_RESETHAND,
                .fault = fault,
                .answer = Answer::kReturn};
      const Seen without = outcome(plan, Guard::kNone);
      plan.filtered = true;
      const Seen with = outcome(plan, Guard::kBefore);
      CAPTURE(signal, static_cast<int>(fault), handler);
      CHECK(with.status == without.status);
      CHECK(with.calls == without.calls);
    }
  }
}

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

TEST_CASE("an app reads back what it set, and what was there before the guard") {
  CHECK(in_child([] {
          const KernelAction first = action_of({.signal = SIGSEGV,
                                                .handler = reinterpret_cast<void*>(app_handler),
                                                .flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND,
                                                .mask = sys::signal_bit(SIGTERM)});
          kernel_sigaction(SIGSEGV, &first, nullptr);
          if (!begin_fault_guard() || !is_stepped_over()) return 1;
          KernelAction read{};
          if (fault_sigaction(SIGSEGV, nullptr, &read) != 0) return 2;
          if (memcmp(&read, &first, sizeof(read)) != 0) return 3;
          KernelAction second = first;
          second.mask = ~sys::SignalSet{0};
          second.flags = SA_NODEFER | kRestorerFlag | (1u << 10);  // a flag that no kernel knows
          if (fault_sigaction(SIGSEGV, &second, &read) != 0) return 4;
          if (memcmp(&read, &first, sizeof(read)) != 0) return 5;
          if (fault_sigaction(SIGSEGV, nullptr, &read) != 0 || read.handler != second.handler) return 6;
          // As the kernel says where we aren't.
          KernelAction plain{};
          kernel_sigaction(SIGUSR1, &second, nullptr);
          kernel_sigaction(SIGUSR1, nullptr, &plain);
          if (read.mask != plain.mask || read.flags != plain.flags || read.restorer != plain.restorer)
            return 7;
          return is_stepped_over() ? 0 : 8;
        }) == 0);
}

TEST_CASE("by addresses, what can't be read or written is refused as the kernel does") {
  CHECK(in_child([] {
          if (!begin_fault_guard()) return 1;
          const auto at = [](const void* pointer) { return reinterpret_cast<std::uint64_t>(pointer); };
          const KernelAction action =
              action_of({.signal = SIGSEGV, .handler = reinterpret_cast<void*>(app_handler)});
          if (fault_sigaction_at(SIGSEGV, 0x10, 0) != -EFAULT) return 2;
          if (fault_sigaction_at(SIGSEGV, at(&action), 0x10) != -EFAULT) return 3;
          KernelAction read{};
          if (fault_sigaction_at(SIGSEGV, at(&action), at(&read)) != 0 || read.handler != nullptr) return 4;
          if (fault_sigaction_at(SIGSEGV, 0, at(&read)) != 0 || read.handler != action.handler) return 5;
          return 0;
        }) == 0);
}

TEST_CASE("a handler that is installed behind our back switches the guard off, until it goes") {
  CHECK(in_child([] {
          if (!begin_fault_guard() || !guard_holds()) return 1;
          const KernelAction action =
              action_of({.signal = SIGBUS, .handler = reinterpret_cast<void*>(app_handler)});
          KernelAction before{};
          kernel_sigaction(SIGBUS, &action, &before);
          if (guard_holds() || guard_is_in_force() || begin_fault_guard()) return 3;
          KernelAction read{};
          fault_sigaction(SIGBUS, nullptr, &read);
          if (read.handler != action.handler) return 4;
          kernel_sigaction(SIGBUS, &before, nullptr);
          if (!guard_holds() || !is_stepped_over()) return 5;
          return 0;
        }) == 0);
}

TEST_CASE("what libc sets is in force again, whoever had the signal") {
  CHECK(in_child([] {
          if (!begin_fault_guard()) return 1;
          const KernelAction action =
              action_of({.signal = SIGSEGV, .handler = reinterpret_cast<void*>(app_handler)});
          kernel_sigaction(SIGSEGV, &action, nullptr);
          if (guard_holds()) return 2;
          const KernelAction other{};
          KernelAction read{};
          if (fault_sigaction(SIGSEGV, &other, &read) != 0 || read.handler != action.handler) return 3;
          return guard_holds() && is_stepped_over() ? 0 : 4;
        }) == 0);
}

TEST_CASE("a program that is executed ignores what its parent ignored") {
  CHECK(in_child([] {
          ::signal(SIGSEGV, SIG_IGN);
          if (!begin_fault_guard() || !ignore_for_exec(SIGSEGV)) return 1;
          KernelAction kernel{};
          kernel_sigaction(SIGSEGV, nullptr, &kernel);
          if (kernel.handler != SIG_IGN || guard_is_in_force()) return 2;
          guard_after_exec(SIGSEGV);
          if (!guard_holds() || !is_stepped_over()) return 3;
          return ignore_for_exec(SIGBUS) ? 4 : 0;
        }) == 0);
}

}  // namespace
}  // namespace siprof::shim
