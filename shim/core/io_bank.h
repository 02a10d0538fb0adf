// SPDX-License-Identifier: Apache-2.0
// Exact sums of blocking calls (proto/siprof/io_calls.h). Each thread adds to a bank of its own in the shared
// memory, with plain instructions: a handler on the same thread sees an add done or not begun. Threads that
// find no free bank share one, with locked adds; so does everybody before the attach, in memory of this
// process.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/arch.h"
#include "shim/base/attrs.h"
#include "shim/core/process.h"
#include "shim/core/thread.h"

namespace siprof::shim {

struct IoAmount {
  std::uint64_t calls;
  std::uint64_t bytes;
  std::uint64_t ns;
};

__attribute__((always_inline)) inline IoBank* io_banks(SharedHeader* header) {
  return reinterpret_cast<IoBank*>(reinterpret_cast<char*>(header) + kIoBanksOffset);
}

// What ThreadState::io_bank is for a bank in that attachment: index + 1, and which attachment's.
constexpr std::uint32_t io_bank_word(std::uint64_t session, std::uint32_t index) {
  return static_cast<std::uint32_t>(session << 8) | (index + 1);
}

// Claims a bank where the thread has none, or shares. `header` null: not attached. Context: any thread, also
// in handlers of the app, and in the child of a vfork, which is its parent's thread for that long.
void add_io_slowly(SharedHeader* header, std::uint64_t session, ThreadState& thread, IoCall call,
                   const IoAmount& amount);

// Context: as above.
__attribute__((always_inline)) inline void add_io(SharedHeader* header, std::uint64_t session,
                                                  ThreadState& thread, IoCall call, const IoAmount& amount) {
  const std::uint32_t index = thread.io_bank - io_bank_word(session, 0);
  if (SIPROF_UNLIKELY(header == nullptr || index >= kSharedIoBank)) {
    add_io_slowly(header, session, thread, call, amount);
    return;
  }
  IoCell& cell = io_banks(header)[index].cells[static_cast<std::uint32_t>(call)];
  add_alone(cell.calls, amount.calls);
  add_alone(cell.bytes, amount.bytes);
  add_alone(cell.ns, amount.ns);
}

// The thread ends: another one may have its bank. Context: the thread itself.
void release_io_bank(ThreadState& thread);

// What came before the attach goes into the memory. Context: signal handler, under the attach lock.
SIPROF_SIGNAL_SAFE void move_early_io(SharedHeader* header);

// It was the parent's. Context: fork child.
void forget_early_io();

}  // namespace siprof::shim
