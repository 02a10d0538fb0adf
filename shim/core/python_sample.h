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

struct Event;
struct Interpreter;
struct PythonAccess;
struct PythonFrame;
struct PythonTrace;

// Walks when it is made, or takes the frames of the event's trace if it has one; its words are good for its
// life. Without an interpreter it costs a load. Context: signal handler, with its third argument; a hook,
// with null. One at a time in a thread.
class PythonSample {
 public:
  SIPROF_SIGNAL_SAFE PythonSample(SharedHeader* header, std::uint64_t session, ThreadState& thread,
                                  const Event& event, const ucontext_t* context);
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
  SIPROF_SIGNAL_SAFE void take(SharedHeader* header, std::uint64_t session, const Event& event,
                               const ucontext_t* context);
  SIPROF_SIGNAL_SAFE void walk(PythonAccess& access, std::uint64_t state, RingWriter* writer);
  SIPROF_SIGNAL_SAFE void follow(PythonAccess& access, const PythonTrace& trace, RingWriter* writer);
  enum class Added { kYes, kBroken, kNoRoom };
  SIPROF_SIGNAL_SAFE Added add(PythonAccess& access, const PythonFrame& frame, RingWriter* writer);
  SIPROF_SIGNAL_SAFE void count_frames() const;

  ThreadState& thread_;
  GuardedSlot* slot_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint32_t told_ = 0;  // bytes
  std::uint32_t flags_ = 0;
};

}  // namespace siprof::shim
