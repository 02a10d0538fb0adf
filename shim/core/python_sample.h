// SPDX-License-Identifier: Apache-2.0
// The Python frames of one sample, as words (proto/siprof/python.h), and its names before it in the ring.
#pragma once

#include <ucontext.h>

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"
#include "shim/core/guarded_slot.h"
#include "shim/core/ring_writer.h"
#include "shim/core/thread.h"

namespace siprof::shim {

struct Interpreter;
struct PythonAccess;

// Walks when it is made; its words are good for its life. Without an interpreter it costs a load.
// Context: signal handler, with its third argument; a hook, with null. One at a time in a thread.
class PythonSample {
 public:
  SIPROF_SIGNAL_SAFE PythonSample(SharedHeader* header, std::uint64_t session, ThreadState& thread,
                                  PoolShare share, const ucontext_t* context);
  __attribute__((always_inline)) ~PythonSample() {
    if (SIPROF_UNLIKELY(slot_ != nullptr)) give_back_slot(thread_, slot_);
  }
  PythonSample(const PythonSample&) = delete;
  PythonSample& operator=(const PythonSample&) = delete;

  __attribute__((always_inline)) const std::uint64_t* words() const {
    return slot_ != nullptr ? slot_->words : nullptr;
  }
  std::uint32_t size() const { return count_; }
  std::uint32_t flags() const { return flags_; }  // SampleFlags

 private:
  SIPROF_SIGNAL_SAFE bool prepare(SharedHeader* header);
  SIPROF_SIGNAL_SAFE void take(SharedHeader* header, std::uint64_t session, PoolShare share,
                               const ucontext_t* context);
  SIPROF_SIGNAL_SAFE void walk(PythonAccess& access, std::uint64_t state, RingWriter* writer);

  ThreadState& thread_;
  GuardedSlot* slot_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint32_t flags_ = 0;
};

}  // namespace siprof::shim
