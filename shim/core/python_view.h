// SPDX-License-Identifier: Apache-2.0
// What the agent has shown of the interpreter (PythonView), checked and taken over.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"
#include "shim/core/python_book.h"

namespace siprof::shim {

// Never changed once it is published: a handler may be using it.
struct Interpreter {
  std::uint64_t this_thread_state;
  std::uint64_t current_state;
  std::uint64_t is_finalizing;
  std::uint64_t code_type;
  PythonLayout layout;
};

struct PythonAccess {
  const Interpreter* interpreter = nullptr;  // null: none that may be looked at
  PythonBook book{nullptr};
  BookEdition edition = 0;
};

// Whether there is an interpreter at all: what a sample of a program without one pays.
__attribute__((always_inline)) inline bool shows_python(const SharedHeader* header) {
  return header->python.generation.load(std::memory_order_relaxed) != 0;
}

// What was taken over. False: there is something new. Context: signal handler, a hook.
SIPROF_SIGNAL_SAFE bool knows_python(const SharedHeader* header, std::uint64_t session, PythonAccess* access);
// Takes over what is new. False: not now. The reason of a refusal is shown to the agent.
// Context: signal handler, a hook; the fault guard is in force and the thread's window open.
SIPROF_SIGNAL_SAFE bool follow_python(SharedHeader* header, std::uint64_t session, PythonAccess* access);

// The reason why an interpreter that is shown isn't looked at. Context: any thread.
SIPROF_SIGNAL_SAFE void show_refusal(SharedHeader* header, PythonRefusal refusal);

// Whether the interpreter's code is where the agent has seen it. Sequentially consistent: who has a slot
// (guarded_slot.h) and sees true may call it until the slot is given back.
SIPROF_SIGNAL_SAFE bool python_is_mapped(const SharedHeader* header);

// Not 0: there may be an interpreter that was not looked for yet, or not entered (probe/python_entry.h). What
// a program's own call asks. Relaxed, a hint.
extern std::atomic<std::uint32_t> g_python_news;

// What the parent has taken over is right in its child, too, as long as nothing is unmapped. Also, another
// thread may have been taking over. Context: child of a fork, before it has its own Process::pid.
void inherit_python();
// In memory that no agent has seen yet: until that has looked for itself. Context: as attach_if_due().
SIPROF_SIGNAL_SAFE void show_inherited_python(SharedHeader* header);

}  // namespace siprof::shim
