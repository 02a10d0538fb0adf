// SPDX-License-Identifier: Apache-2.0
// What sigaction(2) and the kernel promise of SIGSEGV and SIGBUS, while siprof stands in front of both and
// meets a fault of its own at every sample. One MODE each.
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <initializer_list>

#include "test/preload/victims/fake_interpreter.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // sigset(3)

namespace {

sigjmp_buf g_back;
volatile sig_atomic_t g_calls = 0;
volatile bool g_stop = false;
char* g_page = nullptr;
volatile int* volatile g_nowhere = reinterpret_cast<int*>(8);
alignas(16) char g_stack[1 << 16];

void jump_back(int) {
  g_calls = g_calls + 1;
  siglongjmp(g_back, 1);
}
void count_call(int) {
  g_calls = g_calls + 1;
}
void open_page(int, siginfo_t* info, void*) {
  g_calls = g_calls + (info->si_addr == g_page && info->si_code == SEGV_ACCERR);
  mprotect(g_page, 4096, PROT_READ | PROT_WRITE);
}

void handle(int signal, void (*handler)(int), int flags = 0) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(signal, &action, nullptr);
}

const char* name_of(sighandler_t handler) {
  if (handler == SIG_DFL) return "default";
  if (handler == SIG_IGN) return "ignored";
  if (handler == SIG_HOLD) return "held";
  return handler == jump_back ? "jump_back" : handler == count_call ? "count_call" : "another";
}

void show(const char* what) {
  for (const int signal : {SIGSEGV, SIGBUS}) {
    struct sigaction now {};
    sigaction(signal, nullptr, &now);
    printf("%s: %d %s flags %x mask %lx\n", what, signal, name_of(now.sa_handler), now.sa_flags & ~0x04000000,
           *reinterpret_cast<unsigned long*>(&now.sa_mask));
  }
}

VICTIM_NOINLINE void write_to_nowhere() {
  *g_nowhere = 1;
}

// A collector's write barrier: each write to the page is a fault that the program handles.
void barrier() {
  g_page = static_cast<char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  struct sigaction action {};
  action.sa_sigaction = open_page;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  for (int i = 0; i < 20'000; ++i) {
    mprotect(g_page, 4096, PROT_NONE);
    *static_cast<volatile char*>(g_page) = 1;
    if (i % 50 == 0) victim::burn_ms(1);
  }
  printf("%d faults\n", static_cast<int>(g_calls));
}

// A runtime's null checks: a jump out of the handler for each.
void jumps() {
  handle(SIGSEGV, jump_back);
  for (int i = 0; i < 20'000; ++i) {
    if (sigsetjmp(g_back, 1) == 0) write_to_nowhere();
    if (i % 50 == 0) victim::burn_ms(1);
  }
  printf("%d faults\n", static_cast<int>(g_calls));
}

void ways_to_set() {
  show("start");
  printf("signal: %s\n", name_of(signal(SIGSEGV, count_call)));
  show("signal");
  printf("sigset: %s\n", name_of(sigset(SIGSEGV, jump_back)));
  printf("sigset: %s\n", name_of(sigset(SIGSEGV, SIG_HOLD)));
  printf("sigset: %s\n", name_of(sigset(SIGSEGV, count_call)));
  show("sigset");
  handle(SIGBUS, jump_back, SA_ONSTACK | SA_NODEFER);
  siginterrupt(SIGBUS, 0);
  show("siginterrupt");
  sigignore(SIGBUS);
  raise(SIGBUS);
  show("sigignore");
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  } kernel{}, before{};
  syscall(SYS_rt_sigaction, SIGSEGV, nullptr, &kernel, 8);
  printf("by number: %s\n", name_of(reinterpret_cast<sighandler_t>(kernel.handler)));
  kernel.mask = 1ul << (SIGTERM - 1);
  syscall(SYS_rt_sigaction, SIGBUS, &kernel, &before, 8);
  printf("by number: %s\n", name_of(reinterpret_cast<sighandler_t>(before.handler)));
  printf("not to be read: %ld\n", syscall(SYS_rt_sigaction, SIGBUS, 16, nullptr, 8));
  show("by number");
  raise(SIGBUS);
  raise(SIGSEGV);
  handle(SIGSEGV, count_call, static_cast<int>(SA_RESETHAND));
  raise(SIGSEGV);
  show("used up");
  printf("%d calls\n", static_cast<int>(g_calls));
}

// By the instruction, past every wrapper: samples go on without Python frames.
void raw_takeover() {
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  } action{}, before{};
  register long size asm("r10") = 8;
  long result = SYS_rt_sigaction;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(SIGSEGV), "S"(&action), "d"(&before), "r"(size)
               : "rcx", "r11", "memory");
  victim::burn_ms(100);
  puts("ours");
  fflush(stdout);
  if (g_calls == 0) write_to_nowhere();
}

void* burn_blocked(void*) {
  victim::enter_python();
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  victim::burn_ms(300);
  for (int i = 0; i < 300; ++i) {
    void* volatile big = malloc(1 << 20);
    free(big);
  }
  sigset_t pending;
  sigpending(&pending);
  printf("pending %d\n", sigismember(&pending, SIGSEGV));
  return nullptr;
}

// Faults of ours where the app has both signals blocked, and one of them was sent.
void blocked() {
  sigset_t segv;
  sigemptyset(&segv);
  sigaddset(&segv, SIGSEGV);
  pthread_sigmask(SIG_BLOCK, &segv, nullptr);
  handle(SIGSEGV, count_call);
  kill(getpid(), SIGSEGV);
  pthread_t thread;
  pthread_create(&thread, nullptr, burn_blocked, nullptr);
  pthread_join(thread, nullptr);
  printf("%d calls\n", static_cast<int>(g_calls));
  pthread_sigmask(SIG_UNBLOCK, &segv, nullptr);
  printf("%d calls\n", static_cast<int>(g_calls));
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
VICTIM_NOINLINE int overflow(volatile int* depth) {
  volatile char room[4096];
  room[0] = static_cast<char>(*depth);
  *depth = *depth + 1;
  return *depth > 0 ? overflow(depth) + room[0] : 0;
}

void say_overflow(int) {
  static const char kText[] = "overflow\n";
  if (write(STDOUT_FILENO, kText, sizeof kText - 1) < 0) _exit(9);
  _exit(7);
}

void stack_overflow() {
  const stack_t stack{g_stack, 0, sizeof g_stack};
  sigaltstack(&stack, nullptr);
  handle(SIGSEGV, say_overflow, SA_ONSTACK);
  volatile int depth = 0;
  overflow(&depth);
}

// Room for a frame of a signal, and not for two.
void small_alternate_stack() {
  for (const size_t size : {4096, 6144, 8192}) {
    memset(g_stack, 0x5a, sizeof g_stack);
    const stack_t stack{g_stack + 32768, 0, size};
    sigaltstack(&stack, nullptr);
    handle(SIGSEGV, jump_back, SA_ONSTACK);
    victim::burn_ms(150);
    int spilt = 0;
    for (int i = 0; i < 32768; ++i) spilt += g_stack[i] != 0x5a;
    printf("%zu: %d bytes below it were written\n", size, spilt);
  }
}

void* set_all_the_time(void*) {
  while (!g_stop) {
    handle(SIGSEGV, jump_back);
    handle(SIGBUS, count_call, SA_ONSTACK);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
  }
  return nullptr;
}

void* burn_python(void*) {
  victim::enter_python();
  victim::burn_ms(500);
  return nullptr;
}

// Two threads that set actions, two that are sampled, and children of both kinds.
void storm() {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i)
    pthread_create(&threads[i], nullptr, i < 2 ? set_all_the_time : burn_python, nullptr);
  int wrong = 0;
  for (int i = 0; i < 50; ++i) {
    const pid_t child = i % 2 == 0 ? fork() : vfork();
    if (child == 0 && i % 2 == 0) {
      handle(SIGSEGV, jump_back);
      if (sigsetjmp(g_back, 1) == 0) write_to_nowhere();
      _exit(0);
    }
    if (child == 0) {
      handle(SIGSEGV, jump_back);
      execl("/bin/true", "true", nullptr);
      _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    wrong += status != 0;
  }
  pthread_join(threads[2], nullptr);
  pthread_join(threads[3], nullptr);
  g_stop = true;
  pthread_join(threads[0], nullptr);
  pthread_join(threads[1], nullptr);
  printf("%d children ended otherwise\n", wrong);
}

void exec_ignored() {
  signal(SIGSEGV, SIG_IGN);
  fflush(stdout);
  printf("status %d\n", system("grep SigIgn /proc/self/status"));
  fflush(stdout);
  execl("/bin/grep", "grep", "SigIgn", "/proc/self/status", nullptr);
}

void by_default() {
  write_to_nowhere();
}
void by_default_sent() {
  kill(getpid(), SIGBUS);
}
void ignored_fault() {
  signal(SIGSEGV, SIG_IGN);
  kill(getpid(), SIGSEGV);
  puts("not by what is sent");
  fflush(stdout);
  write_to_nowhere();
}

}  // namespace

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*run)();
  } modes[] = {{"barrier", barrier},
               {"jumps", jumps},
               {"ways_to_set", ways_to_set},
               {"raw_takeover", raw_takeover},
               {"blocked", blocked},
               {"stack_overflow", stack_overflow},
               {"small_alternate_stack", small_alternate_stack},
               {"storm", storm},
               {"exec_ignored", exec_ignored},
               {"by_default", by_default},
               {"by_default_sent", by_default_sent},
               {"ignored_fault", ignored_fault}};
  for (const auto& mode : modes) {
    if (argc < 2 || strcmp(argv[1], mode.name) != 0) continue;
    victim::become_python();
    mode.run();
    victim::note_walks();
    return 0;
  }
  fprintf(stderr, "usage: fault_contract MODE\n");
  return 2;
}
