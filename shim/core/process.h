// SPDX-License-Identifier: Apache-2.0
// What the shim knows of its process as a whole: the shared memory, whether it is
// attached, and the counters.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"
#include "shim/base/sys.h"

namespace siprof::shim {

// Lives on a page of its own that fork(2) and clone(2) without CLONE_VM empty
// (MADV_WIPEONFORK): a child never writes into its parent's ring, whether or not
// atfork handlers ran.
struct Session {
  // Number of this attachment, 0: not attached. Release by the attaching thread
  // after the memory is mapped; acquire at every entry.
  std::atomic<std::uint64_t> number;
};

struct Process {
  std::atomic<Session*> session;              // null until the first attach; release/acquire with its page
  std::atomic<SharedHeader*> header;          // stays the same address over later attaches; release/acquire
  std::uint32_t max_chunks;                   // chunks that the mapping reserves
  std::atomic<std::uint32_t> attaching;       // 1 while a thread attaches; acquire/release as a try-lock
  std::atomic<std::uint64_t> next_attach_ns;  // earliest time of the next attempt; relaxed, a hint
  std::atomic<std::uint32_t> failures;        // in a row; relaxed, a hint
  std::atomic<std::uint32_t> off;             // 1: the shim does nothing any more; relaxed
  std::atomic<std::uint32_t> filters;         // seccomp filters of the app; relaxed, set before they are on
  std::atomic<std::uint32_t> last_serial;     // thread serials; relaxed, only uniqueness counts
  // Losses before there was shared memory to count them in; relaxed sums.
  std::atomic<std::uint64_t> early[kCounterCount];
  std::int32_t
      pid;  // whose memory this is: a vfork child's getpid() differs; written at start and after fork
  std::uint8_t secret[16];  // inherited by forked children, see handshake.h
  bool has_secret;
  bool below_reaper;  // this process or an ancestor it was forked from is one that orphans come to
};

extern Process g_process;

// SharedHeader::kinds as of the last tick of any thread; relaxed, a hint: wrappers ask it all the time.
extern std::atomic<std::uint32_t> g_kinds;

// Whether the kernel lets us: after the app has filtered its system calls a handler makes
// none but its return. Context: signal handler, any thread.
__attribute__((always_inline)) inline bool may_call() {
  return g_process.filters.load(std::memory_order_relaxed) == 0;
}

// False in a child that runs in its parent's memory (vfork) or was made behind libc's back.
// Context: any thread.
inline bool is_own_process() {
  return !may_call() || sys::call(SYS_getpid) == g_process.pid;
}

// The shared memory if this process (not its parent) is attached, else null.
// Context: signal handler, any thread.
__attribute__((always_inline)) inline SharedHeader* attached_header(std::uint64_t* session_number) {
  Session* session = g_process.session.load(std::memory_order_acquire);
  if (session == nullptr) return nullptr;
  const std::uint64_t number = session->number.load(std::memory_order_acquire);
  if (number == 0) return nullptr;
  *session_number = number;
  return g_process.header.load(std::memory_order_acquire);
}

// Context: signal handler, any thread.
__attribute__((always_inline)) inline void count(Counter counter, std::uint64_t by = 1) {
  std::uint64_t number = 0;
  SharedHeader* header = attached_header(&number);
  const auto index = static_cast<std::uint32_t>(counter);
  std::atomic<std::uint64_t>& cell = header != nullptr ? header->counters[index] : g_process.early[index];
  cell.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace siprof::shim
