// SPDX-License-Identifier: Apache-2.0
#include "shim/core/app_fault_action.h"

#include <signal.h>

#include <atomic>

#include "shim/core/process.h"

namespace siprof::shim {
namespace {

// Two places in turn: a handler that reads while the other is written finds the one before.
struct Kept {
  struct Place {
    std::atomic<void*> handler;
    std::atomic<unsigned long> flags;
    std::atomic<void (*)()> restorer;
    std::atomic<sys::SignalSet> mask;
  };
  std::atomic<std::uint32_t> number;  // of the action in place number % 2, 0: none. Release; acquire
  std::atomic<std::uint32_t> used;    // that number: its handler was for one signal, which has come. Relaxed
  Place places[2];
};
constinit Kept g_kept[2]{};

SIPROF_SIGNAL_SAFE Kept& kept_of(int signal) {
  return g_kept[signal == SIGBUS ? 1 : 0];
}

SIPROF_SIGNAL_SAFE KernelAction read(const Kept& kept, std::uint32_t* number) {
  KernelAction action{};
  do {
    *number = kept.number.load(std::memory_order_acquire);
    const Kept::Place& place = kept.places[*number % 2];
    action.handler = place.handler.load(std::memory_order_relaxed);
    action.flags = place.flags.load(std::memory_order_relaxed);
    action.restorer = place.restorer.load(std::memory_order_relaxed);
    action.mask = place.mask.load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
  } while (kept.number.load(std::memory_order_relaxed) != *number);
  if (*number != 0 && kept.used.load(std::memory_order_relaxed) == *number) action.handler = nullptr;
  return action;
}

}  // namespace

void keep_fault_action(int signal, const KernelAction& action) {
  Kept& kept = kept_of(signal);
  const std::uint32_t number = kept.number.load(std::memory_order_relaxed) + 1;
  Kept::Place& place = kept.places[number % 2];
  // A reader that was overtaken by two changes sees one of these words, and then the new number.
  std::atomic_thread_fence(std::memory_order_release);
  place.handler.store(action.handler, std::memory_order_relaxed);
  place.flags.store(action.flags, std::memory_order_relaxed);
  place.restorer.store(action.restorer, std::memory_order_relaxed);
  place.mask.store(action.mask, std::memory_order_relaxed);
  kept.number.store(number, std::memory_order_release);
}

KernelAction fault_action(int signal) {
  std::uint32_t number = 0;
  return read(kept_of(signal), &number);
}

KernelAction take_fault_action(int signal) {
  Kept& kept = kept_of(signal);
  std::uint32_t number = 0;
  KernelAction action = read(kept, &number);
  if (!is_function(action.handler) || (action.flags & static_cast<unsigned long>(SA_RESETHAND)) == 0)
    return action;
  if (!is_own_process()) {  // a vfork child: what is kept is its parent's
    KernelAction after = action;
    after.handler = nullptr;
    kernel_sigaction(signal, &after, nullptr);
    return action;
  }
  if (kept.used.exchange(number, std::memory_order_relaxed) == number) action.handler = nullptr;
  return action;
}

}  // namespace siprof::shim
