// SPDX-License-Identifier: Apache-2.0
// Throws of every odd way, which have to end where they would: rethrown, carried to another thread, nested,
// out of signal handlers, through frames that only clean up, past cancellation, out of memory. argv: one way.
// Prints what became of it.
#include <pthread.h>
#include <sys/resource.h>
#include <csignal>

#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

VICTIM_NOINLINE void raise_error(const char* text) {
  throw std::runtime_error(text);
}

struct Counted {
  ~Counted() { ++destroyed; }
  static inline int destroyed = 0;
};

VICTIM_NOINLINE void through_cleanups(int depth) {
  Counted counted;
  if (depth == 0) raise_error("deep");
  through_cleanups(depth - 1);
}

void rethrown() {
  int caught = 0;
  for (int i = 0; i < 1000; ++i) {
    try {
      try {
        raise_error("again");
      } catch (const std::exception&) {
        ++caught;
        throw;
      }
    } catch (const std::runtime_error& error) {
      caught += strcmp(error.what(), "again") == 0;
    }
  }
  printf("%d caught, %d in flight\n", caught, std::uncaught_exceptions());
}

void carried() {
  std::exception_ptr carried;
  std::thread([&carried] {
    try {
      raise_error("carried");
    } catch (...) {
      carried = std::current_exception();
    }
  }).join();
  int caught = 0;
  for (int i = 0; i < 1000; ++i) {
    try {
      std::rethrow_exception(carried);
    } catch (const std::runtime_error& error) {
      caught += strcmp(error.what(), "carried") == 0;
    }
  }
  printf("%d caught, %d in flight\n", caught, std::uncaught_exceptions());
}

struct ThrowsInside {
  ~ThrowsInside() {
    in_flight = std::uncaught_exceptions();
    try {
      raise_error("inner");
    } catch (const std::runtime_error& error) {
      inner = error.what();
    }
  }
  static inline int in_flight = 0;
  static inline std::string inner;
};

void nested() {
  try {
    ThrowsInside inside;
    through_cleanups(50);
  } catch (const std::runtime_error& error) {
    printf("%s, within it %s while %d in flight, %d cleaned up\n", error.what(), ThrowsInside::inner.c_str(),
           ThrowsInside::in_flight, Counted::destroyed);
  }
  try {
    try {
      raise_error("outer");
    } catch (...) {
      std::throw_with_nested(std::logic_error("around"));
    }
  } catch (const std::logic_error& error) {
    const auto* both = dynamic_cast<const std::nested_exception*>(&error);
    printf("%s, %s a nested one\n", error.what(), both != nullptr && both->nested_ptr() ? "with" : "without");
  }
}

void on_user(int) {
  throw 7;
}

// Compiled with -fnon-call-exceptions: a handler may throw past its signal frame.
void from_handler() {
  struct sigaction action {};
  action.sa_handler = on_user;
  action.sa_flags = SA_NODEFER;
  sigaction(SIGUSR1, &action, nullptr);
  int (*volatile send)(int) = raise;  // which is declared never to throw
  int caught = 0;
  for (int i = 0; i < 1000; ++i) {
    try {
      send(SIGUSR1);
    } catch (int value) {
      caught += value == 7;
    }
  }
  printf("%d caught\n", caught);
}

void* cancelled(void* done) {
  try {
    Counted counted;
    for (;;) {
      try {
        raise_error("before");
      } catch (const std::exception&) {
      }
      pthread_testcancel();
    }
  } catch (...) {
    *static_cast<bool*>(done) = true;
    throw;  // or the process ends
  }
}

void cancellation() {
  bool seen = false;
  pthread_t thread;
  pthread_create(&thread, nullptr, cancelled, &seen);
  usleep(20'000);
  pthread_cancel(thread);
  void* result = nullptr;
  pthread_join(thread, &result);
  printf("%s, %s, %d cleaned up\n", result == PTHREAD_CANCELED ? "cancelled" : "not cancelled",
         seen ? "seen" : "not seen", Counted::destroyed);
}

void out_of_memory() {
  constexpr int kTimes = 1'000'000;
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = std::size_t{1} << 30;
  setrlimit(RLIMIT_AS, &limit);
  int failed = 0;
  for (int i = 0; i < kTimes; ++i) {
    try {
      char* volatile memory = new char[std::size_t{4} << 30];  // volatile: or nothing is allocated at all
      delete[] memory;
    } catch (const std::bad_alloc&) {
      ++failed;
    }
  }
  for (int i = 0; i < 5000; ++i) {
    try {
      raise_error("afterwards");
    } catch (const std::runtime_error&) {
      ++failed;
    }
    if (i % 100 == 99) usleep(20'000);
  }
  printf("%d failed\n", failed);
}

VICTIM_NOINLINE void never_caught() noexcept(false) {
  throw std::logic_error("nobody wants me");
}

void unhandled() {
  never_caught();
}
void unhandled_in_thread() {
  std::thread(never_caught).join();
}
void from_noexcept() noexcept {
  never_caught();
}
void own_terminate() {
  std::set_terminate([] {
    const std::exception_ptr current = std::current_exception();
    printf("terminate, with%s an exception\n", current ? "" : "out");
    fflush(stdout);
    _exit(3);
  });
  never_caught();
}

}  // namespace

int main(int argc, char** argv) {
  struct Way {
    const char* name;
    void (*run)();
  };
  constexpr Way kWays[] = {{"rethrown", rethrown},
                           {"carried", carried},
                           {"nested", nested},
                           {"from_handler", from_handler},
                           {"cancellation", cancellation},
                           {"out_of_memory", out_of_memory},
                           {"unhandled", unhandled},
                           {"unhandled_in_thread", unhandled_in_thread},
                           {"from_noexcept", from_noexcept},
                           {"own_terminate", own_terminate}};
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  victim::burn_ms(30);  // a process that has just begun isn't attached yet
  for (const Way& way : kWays) {
    if (argc > 1 && strcmp(way.name, argv[1]) == 0) {
      way.run();
      return 0;
    }
  }
  victim::give_up("usage: throw_ways WAY");
}
