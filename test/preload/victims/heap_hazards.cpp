// SPDX-License-Identifier: Apache-2.0
// Allocates where it hurts: `heap_hazards MODE`. All that it allocates on purpose is freed again.
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

std::atomic<bool> g_stop{false};

VICTIM_NOINLINE void* allocate(size_t bytes) {
  void* block = malloc(bytes);
  asm volatile("" : "+r"(block));
  return block;
}

// Blocks go from hand to hand: an address that one has freed another gets at once.
void ping_pong() {
  std::vector<std::atomic<char*>> places(64);
  std::atomic<int64_t> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&places, &wrong, t] {
      uint64_t seed = static_cast<uint64_t>(t) * 7919 + 1;
      for (int i = 0; i < 3'000; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        auto* block = static_cast<char*>(allocate(64));
        memset(block, t, 64);
        if (char* before = places[(seed >> 33) % places.size()].exchange(block); before != nullptr) {
          for (int k = 1; k < 64; ++k) wrong += before[k] == before[0] ? 0 : 1;
          free(before);
        }
        if (i % 100 == 0) usleep(2'000);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (auto& place : places) free(place.load());
  printf("%lld bytes of others\n", static_cast<long long>(wrong.load()));
}

// While others allocate.
void fork_storm() {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      std::vector<void*> blocks(100);
      for (size_t i = 0; !g_stop; ++i) {
        free(blocks[i % 100]);
        blocks[i % 100] = allocate(16 + i % 2000);
      }
      for (void* block : blocks) free(block);
    });
  }
  int right = 0;
  for (int i = 0; i < 100; ++i) {
    const pid_t child = fork();
    victim::require(child >= 0, "fork");
    if (child == 0) {
      alarm(5);
      void* blocks[50];
      for (size_t k = 0; k < 50; ++k) blocks[k] = realloc(allocate(100 * k + 1), 200 * k + 1);
      for (void* block : blocks) free(block);
      _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    right += WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 1 : 0;
  }
  g_stop = true;
  for (std::thread& thread : threads) thread.join();
  printf("%d children did well\n", right);
}

// Not to be left out by the compiler.
VICTIM_NOINLINE void use_operators() {
  auto* number = new int64_t;
  auto* text = new char[100];
  asm volatile("" : "+r"(number), "+r"(text));
  delete number;
  delete[] text;
}

// While one thread unloads a plugin, which takes its time, and others use the operators.
void fork_unloading(const char* path) {
  std::vector<std::thread> threads;
  threads.emplace_back([path] {
    while (!g_stop) {
      void* handle = dlopen(path, RTLD_NOW);
      victim::require(handle != nullptr && dlclose(handle) == 0, "dlopen and dlclose");
    }
  });
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([] {
      while (!g_stop) use_operators();
    });
  }
  int right = 0;
  for (int i = 0; i < 300 && right == i; ++i) {
    usleep(1'000);
    const pid_t child = fork();
    victim::require(child >= 0, "fork");
    if (child == 0) {
      alarm(5);
      use_operators();
      _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    right += WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 1 : 0;
  }
  g_stop = true;
  for (std::thread& thread : threads) thread.join();
  printf("%d children did well\n", right);
}

sigjmp_buf g_back;
std::atomic<int> g_alarms{0};

void every(int microseconds) {
  const itimerval interval{{0, microseconds}, {0, microseconds}};
  setitimer(ITIMER_REAL, &interval, nullptr);
}

// In a handler that can't come in the middle of libc's malloc: the main thread only computes, or jumps from
// where it allocates without libc's lock.
void in_handlers() {
  std::signal(SIGALRM, [](int) {
    const int before = errno;
    free(allocate(1000));
    errno = before;
    ++g_alarms;
  });
  every(1'000);
  errno = 123;
  const int64_t end = victim::thread_cpu_ns() + 500'000'000;
  while (victim::thread_cpu_ns() < end) victim::spin(1);
  every(0);
  printf("handlers ran: %d, errno %d\n", g_alarms > 50 ? 1 : 0, errno);
}

VICTIM_NOINLINE void* after_jumps(size_t bytes) {
  void* block = malloc(bytes);
  asm volatile("# after jumps" : "+r"(block));
  return block;
}

// Jumps out of whatever the handler interrupts, siprof's hooks above all: the loop does little else than
// allocate. With heap_bump.so, libc's own allocator can't bear it. Afterwards samples still come.
void jumps() {
  std::signal(SIGALRM, [](int) {
    ++g_alarms;
    siglongjmp(g_back, 1);
  });
  volatile int landed = 0;
  every(1'000);
  const int64_t end = victim::thread_cpu_ns() + 700'000'000;
  while (victim::thread_cpu_ns() < end) {
    if (sigsetjmp(g_back, 1) != 0) landed = landed + 1;
    free(allocate(1));
    if (victim::spin(1) == 0) return;
  }
  every(0);
  printf("landed: %d\n", landed > 50 ? 1 : 0);
  sleep(3);  // records that were never finished are given up
  for (int i = 0; i < 100; ++i) free(after_jumps(30'000));
}

VICTIM_NOINLINE void* after_bad_alloc(size_t bytes) {
  void* block = operator new(bytes);
  asm volatile("# after" : "+r"(block));
  return block;
}

void bad_alloc() {
  int caught = 0;
  volatile size_t huge = size_t{1} << 45;
  for (int i = 0; i < 5'000; ++i) {
    if (i % 100 == 0) usleep(2'000);
    try {
      operator delete[](operator new[](huge));
    } catch (const std::bad_alloc&) {
      ++caught;
    }
  }
  usleep(300'000);  // what came before has been taken out of the shared memory
  for (int i = 0; i < 100; ++i) operator delete(after_bad_alloc(2000));
  printf("%d times no memory\n", caught);
}

struct Guest {
  std::unique_ptr<char[]> text = std::make_unique<char[]>(500);
  ~Guest() {
    text = std::make_unique<char[]>(700);
    free(allocate(900));
  }
};
thread_local Guest t_guest;
pthread_key_t g_key;

void thread_exit() {
  pthread_key_create(&g_key, [](void* value) {
    free(value);
    static thread_local int rounds = 0;
    if (++rounds < 4) pthread_setspecific(g_key, allocate(300));
  });
  for (int i = 0; i < 200; ++i) {
    std::thread([] {
      free(allocate(16'000'000));  // what a thread does first
      t_guest.text[0] = 1;
      pthread_setspecific(g_key, allocate(300));
    }).join();
  }
  puts("200 threads");
}

struct Late {
  ~Late() {
    if (!active) return;
    for (int i = 0; i < 1000; ++i) free(allocate(1'000'000));
  }
  bool active = false;
} g_late;

using Allocate = void* (*)(size_t);
using Free = void (*)(void*);

// Each other's blocks go to each other's free, which is libc's for both.
void plugin(const char* path, void* handle) {
  victim::require(handle != nullptr, path);
  const auto make = reinterpret_cast<Allocate>(dlsym(handle, "plugin_allocate"));
  const auto drop = reinterpret_cast<Free>(dlsym(handle, "plugin_free"));
  for (size_t i = 0; i < 2'000; ++i) {
    void* theirs = make(100 + i % 1000);
    void* ours = allocate(100 + i % 1000);
    memset(ours, 1, 100 + i % 1000);
    drop(ours);
    free(theirs);
  }
  puts("exchanged");
}

// Of another namespace, with a libc of its own: it frees what it allocates.
void other_namespace(void* handle) {
  victim::require(handle != nullptr, "dlmopen");
  const auto make = reinterpret_cast<Allocate>(dlsym(handle, "plugin_allocate"));
  const auto drop = reinterpret_cast<Free>(dlsym(handle, "plugin_free"));
  for (size_t i = 0; i < 2'000; ++i) {
    void* theirs = make(100 + i % 1000);
    free(allocate(100 + i % 1000));
    drop(theirs);
  }
  puts("kept apart");
}

}  // namespace

int main(int argc, char** argv) {
  victim::require(argc > 1, "usage: heap_hazards MODE [PLUGIN]");
  const std::string_view mode = argv[1];
  setvbuf(stdout, nullptr, _IONBF, 0);
  victim::burn_ms(150);
  if (mode == "ping_pong") ping_pong();
  if (mode == "fork") fork_storm();
  if (mode == "fork_unloading") fork_unloading(argv[2]);
  if (mode == "handlers") in_handlers();
  if (mode == "jumps") jumps();
  if (mode == "bad_alloc") bad_alloc();
  if (mode == "thread_exit") thread_exit();
  if (mode == "at_exit") g_late.active = true;
  if (mode == "deepbind") plugin(argv[2], dlopen(argv[2], RTLD_NOW | RTLD_DEEPBIND));
  if (mode == "dlmopen") other_namespace(dlmopen(LM_ID_NEWLM, argv[2], RTLD_NOW));
  puts("done");
}
