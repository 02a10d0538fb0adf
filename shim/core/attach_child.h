// SPDX-License-Identifier: Apache-2.0
// The child's half of an attach: has its own descriptors, shares the app's memory,
// makes raw system calls only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"
#include "shim/core/maps.h"

namespace siprof::shim {

enum class AttachStep : std::uint32_t {
  kDone = 0,
  kMemory = 1,  // no memfd, or no room for it: likely to stay so
  kAgent = 2,   // no agent listens and none could be started
  kRefused = 3  // somebody else's socket
};

inline constexpr std::uint32_t kMaxScannedThreads = 512;

inline constexpr std::size_t kMaxMapsBytes = 48 * 1024;

// Of the child; the request lies at its bottom, being too large for a small stack.
inline constexpr std::uint64_t kAttachStackBytes = 192 * 1024;

struct AttachRequest {
  // In.
  std::uint64_t now_ns;
  std::uint64_t session;          // number of the new attachment
  void* mapping;                  // where the memory was mapped before, null: anywhere
  std::uint32_t max_chunks;       // of the earlier mapping
  std::uint32_t chunks;           // that the earlier memory had: a thread may be writing to any of them
  std::int32_t pid;               // the app, as it sees itself
  std::uint64_t unsettled_ticks;  // for the header of the same name
  bool attached_before;           // this process, not the one that it was forked from
  bool stays_reaper;              // the app is pid 1 or a subreaper: hide the agent behind a middle process
  bool use_inherited_agent;       // join the agent of the process we were forked from
  bool may_start_agent;           // else only join one
  // Out.
  AttachStep step;
  bool is_first;                  // there was no memory before
  std::uint32_t maps_generation;  // for the header of the same name
  std::int32_t middle_pid;
  std::uint32_t thread_count;
  std::int32_t threads[kMaxScannedThreads];  // of the app, to find those without a timer
  char maps[kMaxMapsBytes];
  std::uint64_t headers[kMaxHeaders];  // MapsText's
};

// Runs in the child (child.h); the rest of its result is in the request.
SIPROF_SIGNAL_SAFE int run_attach_child(void* request);

}  // namespace siprof::shim
