// SPDX-License-Identifier: Apache-2.0
// Threads and processes that no wrapper sees: a clone(CLONE_THREAD) in assembly that shares its creator's
// thread-local storage, and (with "fork") a raw clone without atfork handlers.
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

volatile uint64_t g_result = 0;
int g_running = 1;  // the kernel clears it when the thread is gone (CLONE_CHILD_CLEARTID)

extern "C" [[gnu::used]] void raw_body() {
  uint64_t seed = 1;
  for (int i = 0; i < 3000; ++i) seed = victim::spin(seed);
  g_result = seed;
}

// clone(flags, stack, NULL, &g_running, 0) whose child calls raw_body and ends the thread alone.
long raw_thread(long flags, void* stack) {
  long result;
  register long tid_address asm("r10") = reinterpret_cast<long>(&g_running);
  register long tls asm("r8") = 0;
  asm volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "xor %%ebp, %%ebp\n"
      "call raw_body\n"
      "mov %[exit], %%eax\n"
      "xor %%edi, %%edi\n"
      "syscall\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone), "D"(flags), "S"(stack), "d"(0), "r"(tid_address), "r"(tls), [exit] "i"(SYS_exit)
      : "rcx", "r11", "memory");
  return result;
}

void thread_case() {
  constexpr size_t kBytes = 65536;
  auto* stack = static_cast<char*>(
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
  victim::require(stack != MAP_FAILED, "mmap");
  const long flags =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
  victim::require(raw_thread(flags, stack + kBytes) > 0, "clone");
  victim::burn_ms(300);
  while (__atomic_load_n(&g_running, __ATOMIC_ACQUIRE) != 0) usleep(1000);
  printf("the thread's result: %s\n", g_result != 0 ? "there" : "missing");
}

void fork_case() {
  victim::burn_ms(100);
  const long child = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) {
    victim::burn_ms(200);
    _exit(5);
  }
  victim::burn_ms(100);
  int status = 0;
  waitpid(static_cast<pid_t>(child), &status, 0);
  victim::note_fact("parent", getpid());
  victim::note_fact("parent_cpu_ns", victim::process_cpu_ns());
  printf("the child's status: %d\n", WEXITSTATUS(status));
}

}  // namespace

int main(int argc, char** argv) {
  victim::burn_ms(50);
  if (argc > 1 && strcmp(argv[1], "fork") == 0)
    fork_case();
  else
    thread_case();
}
