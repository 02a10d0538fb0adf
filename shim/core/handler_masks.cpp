// SPDX-License-Identifier: Apache-2.0
#include "shim/core/handler_masks.h"

#include <signal.h>

#include <atomic>

#include "shim/core/fault_guard.h"
#include "shim/core/signal.h"

namespace siprof::shim {
namespace {

constexpr int kSignals = 64;
// A handler's marks: the app's bits of the candidates, in their order, and these.
constexpr std::uint8_t kKnown = 0x40;
constexpr std::uint8_t kOnAlternateStack = 0x80;

// Relaxed: a handler's action and its mark are changed by the same thread of the app.
SIPROF_EARLY constinit std::atomic<std::uint8_t> g_marks[kSignals + 1]{};
SIPROF_EARLY constinit std::atomic<bool> g_any_on_alternate_stack{false};

std::uint8_t marks_of(sys::SignalSet mask) {
  std::uint8_t marks = 0;
  for (std::size_t i = 0; i < kCandidateCount; ++i) {
    if ((mask & sys::signal_bit(kCandidates[i])) != 0) marks |= static_cast<std::uint8_t>(1u << i);
  }
  return marks;
}

SIPROF_SIGNAL_SAFE sys::SignalSet wanted(std::uint8_t marks) {
  sys::SignalSet mask = 0;
  for (std::size_t i = 0; i < kCandidateCount; ++i) {
    if ((marks & (1u << i)) != 0) mask |= sys::signal_bit(kCandidates[i]);
  }
  return mask;
}

SIPROF_SIGNAL_SAFE sys::SignalSet kernel_mask(sys::SignalSet app_mask, bool on_alternate_stack) {
  if (current_signal() == 0) return app_mask;
  const sys::SignalSet ours = sys::signal_bit(current_signal());
  return on_alternate_stack ? app_mask | ours : app_mask & ~ours;
}

// What the kernel would have if nothing of ours stood in front.
SIPROF_SIGNAL_SAFE long real_sigaction(int signal, const KernelAction* set, KernelAction* old) {
  return is_guarded(signal) ? fault_sigaction(signal, set, old) : kernel_sigaction(signal, set, old);
}

}  // namespace

sys::SignalSet handler_mask_for(int signal, sys::SignalSet app_mask, bool on_alternate_stack) {
  std::uint8_t marks = marks_of(app_mask) | kKnown;
  if (on_alternate_stack) {
    marks |= kOnAlternateStack;
    g_any_on_alternate_stack.store(true, std::memory_order_relaxed);
  }
  g_marks[signal].store(marks, std::memory_order_relaxed);
  return kernel_mask(app_mask, on_alternate_stack);
}

sys::SignalSet app_handler_mask(int signal, sys::SignalSet kernel) {
  const std::uint8_t marks = g_marks[signal].load(std::memory_order_relaxed);
  return (marks & kKnown) == 0 ? kernel : (kernel & ~candidate_bits()) | wanted(marks);
}

void refresh_handler_masks() {
  for (int signal = 1; signal <= kSignals; ++signal) {
    const std::uint8_t marks = g_marks[signal].load(std::memory_order_relaxed);
    if ((marks & kKnown) == 0 || is_taken(signal)) continue;
    KernelAction action{};
    if (real_sigaction(signal, nullptr, &action) != 0 || !is_function(action.handler)) continue;
    const sys::SignalSet app = (action.mask & ~candidate_bits()) | wanted(marks);
    const sys::SignalSet mask = kernel_mask(app, (marks & kOnAlternateStack) != 0);
    if (mask == action.mask) continue;
    action.mask = mask;
    real_sigaction(signal, &action, nullptr);
  }
}

bool has_alternate_stack_handlers() {
  return g_any_on_alternate_stack.load(std::memory_order_relaxed);
}

}  // namespace siprof::shim
