// SPDX-License-Identifier: Apache-2.0
// Handlers of SIGSEGV and SIGBUS that a Python program (test/python/programs/own_faults.py) has for itself,
// installed in several ways, and faults that they recover from.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf g_way_back;
static volatile int g_seen;
static void* volatile g_address;
static long (*g_raw_call)(int, const void*, void*);  // null: by libc's sigaction

static void on_fault(int number, siginfo_t* info, void* context) {
  (void)context;
  ++g_seen;
  g_address = info->si_addr;
  siglongjmp(g_way_back, number);
}

static void on_plain_fault(int number) {
  ++g_seen;
  siglongjmp(g_way_back, number);
}

// As the kernel has it.
struct kernel_action {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

__attribute__((naked)) static void restorer(void) {
  __asm__("movq $15, %rax\n\tsyscall");
}

static long by_libcs_syscall(int number, const void* set, void* old) {
  return syscall(SYS_rt_sigaction, number, set, old, 8);
}

// As runtimes without libc do.
static long by_instruction(int number, const void* set, void* old) {
  long result;
  register long bytes __asm__("r10") = 8;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(SYS_rt_sigaction), "D"(number), "S"(set), "d"(old), "r"(bytes)
                   : "rcx", "r11", "memory");
  return result;
}

static int install_raw(int number) {
  const struct kernel_action action = {on_fault, SA_SIGINFO | SA_NODEFER | 0x04000000, restorer, 0};
  return (int)g_raw_call(number, &action, NULL);
}

static int install_one(const char* way, int number) {
  if (strcmp(way, "syscall") == 0) g_raw_call = by_libcs_syscall;
  if (strcmp(way, "instruction") == 0) g_raw_call = by_instruction;
  if (g_raw_call) return install_raw(number);
  if (strcmp(way, "signal") == 0) return signal(number, on_plain_fault) == SIG_ERR;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaddset(&action.sa_mask, SIGUSR1);
  return sigaction(number, &action, NULL);
}

// 0, or -1.
int install(const char* way) {
  return install_one(way, SIGSEGV) | install_one(way, SIGBUS);
}

// The signal's number; 0 if the address could be read, -1 if the handler was told another address.
int fault_and_recover(void) {
  int* const nowhere = (int*)0x1238;
  const int seen_before = g_seen;
  const int number = sigsetjmp(g_way_back, 1);
  if (number == 0) {
    *(volatile int*)nowhere;
    return 0;
  }
  if (g_seen != seen_before + 1 || (g_address && g_address != nowhere)) return -1;
  return number;
}

int bus_and_recover(const char* folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/emptied", folder);
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, 8192) != 0) return -2;
  volatile char* const memory = mmap(NULL, 8192, PROT_READ, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED || ftruncate(file, 0) != 0) return -3;
  void* const kept = g_address;
  const int number = sigsetjmp(g_way_back, 1);
  if (number == 0) memory[4100];
  const int right = !g_address || g_address == (void*)(memory + 4100);
  munmap((void*)memory, 8192);
  close(file);
  g_address = kept ? (void*)0x1238 : NULL;
  return right ? number : -1;
}

// What a program reads back is what it has set.
int is_still_installed(void) {
  struct kernel_action raw;
  struct sigaction action;
  if (g_raw_call) return g_raw_call(SIGSEGV, NULL, &raw) == 0 && raw.handler == on_fault;
  if (sigaction(SIGSEGV, NULL, &action) != 0) return -1;
  if (action.sa_handler == on_plain_fault) return 2;
  return action.sa_sigaction == on_fault &&
         (action.sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_NODEFER)) == (SA_SIGINFO | SA_ONSTACK) &&
         sigismember(&action.sa_mask, SIGUSR1) == 1;
}

int seen(void) {
  return g_seen;
}
