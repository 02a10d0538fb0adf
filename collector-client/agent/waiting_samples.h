// SPDX-License-Identifier: Apache-2.0
// Samples whose Python code isn't told yet: what its marks mean stands in another thread's chain, written
// before them and read after them. They wait, and all that came after them with them, so that their order
// stays. Of one process; the agent's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "collector-client/agent/process_python.h"
#include "collector-client/aggregate/window.h"
#include "collector-client/drain/chunk_reader.h"
#include "collector-client/unwind/unwinder.h"

namespace siprof::client {

class WaitingSamples {
 public:
  // What samples are handed on to: the stack is native still, and may be taken.
  using Use = std::function<void(const RawSample& sample, UnwoundStack& stack, const Stack& holder)>;

  // Both outlive it.
  WaitingSamples(ProcessPython& python, Use use) : python_(python), use_(std::move(use)) {}

  // Hands it on at once if it can; else it and its stacks are copied.
  void take(const RawSample& sample, UnwoundStack& stack, const Stack& holder);
  // All chains were read: who has waited for some of those times goes without names.
  void after_drain();
  // All go now.
  void finish();

  bool empty() const { return samples_.empty(); }

 private:
  struct Waiting {
    RawSample sample;
    UnwoundStack stack;
    Stack holder;
    std::uint64_t since;  // drain
  };

  // As many as can go, or are too old.
  void hand_on(std::uint64_t oldest);

  ProcessPython& python_;
  Use use_;
  std::deque<Waiting> samples_;
  std::uint64_t drains_ = 0;
};

}  // namespace siprof::client
