// SPDX-License-Identifier: Apache-2.0
// Serializes changes of signal actions. The thread that holds it has every signal blocked, so no handler of
// the app can come to want it meanwhile. In a forked child another thread may have held it:
// reset_signal_lock().
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

#include "shim/base/attrs.h"
#include "shim/base/sys.h"

namespace siprof::shim {

extern SIPROF_OWN std::atomic<std::uint32_t> g_change_lock;  // 1: held; acquire/release

class ChangeLock {
 public:
  __attribute__((always_inline)) ChangeLock() {
    block_all();
    while (!try_hold()) sys::call(SYS_sched_yield);
  }
  __attribute__((always_inline)) ~ChangeLock() { leave(); }
  ChangeLock(const ChangeLock&) = delete;
  ChangeLock& operator=(const ChangeLock&) = delete;

 protected:
  struct Later {};
  __attribute__((always_inline)) explicit ChangeLock(Later) { block_all(); }
  __attribute__((always_inline)) bool try_hold() {
    std::uint32_t free = 0;
    held_ = g_change_lock.compare_exchange_strong(free, 1, std::memory_order_acquire);
    return held_;
  }
  bool held_ = false;

 private:
  __attribute__((always_inline)) void block_all() {
    const sys::SignalSet all = ~sys::SignalSet{0};
    sys::change_mask(SIG_BLOCK, &all, &old_);
  }
  __attribute__((always_inline)) void leave() {
    if (held_) g_change_lock.store(0, std::memory_order_release);  // pairs with the acquire in try_hold()
    sys::change_mask(SIG_SETMASK, &old_, nullptr);
  }

  sys::SignalSet old_ = 0;
};

// For a sample, which may be in the middle of anything: never waits.
class TryChangeLock : public ChangeLock {
 public:
  __attribute__((always_inline)) TryChangeLock() : ChangeLock(Later{}) { try_hold(); }
  bool held() const { return held_; }
};

}  // namespace siprof::shim
