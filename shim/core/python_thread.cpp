// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_thread.h"

#include "shim/base/arch.h"
#include "shim/base/guarded.h"
#include "shim/core/process.h"

namespace siprof::shim {
namespace {

// PyGILState_GetThisThreadState is pthread_getspecific of a key that exists, which takes no lock and no
// memory; the others load a word.
__attribute__((noinline)) SIPROF_SIGNAL_SAFE std::uint64_t call_interpreter(std::uint64_t function) {
  return reinterpret_cast<std::uint64_t (*)()>(function)();
}

SIPROF_SIGNAL_SAFE bool is_of_this_thread(const PythonLayout& layout, const ThreadState& thread,
                                          std::uint64_t state) {
  if (!may_be_object(state)) return false;
  std::uint64_t id = 0;
  if (load_word(state + layout.thread_id, &id) && id == thread_pointer()) return true;
  // In a forked child of an early 3.11 the other one isn't renewed.
  return layout.native_thread_id != kNoOffset && load_word(state + layout.native_thread_id, &id) &&
         id == static_cast<std::uint64_t>(thread.tid);
}

}  // namespace

PythonStates ask_for_states(const Interpreter& interpreter, const ThreadState& thread) {
  const std::uint64_t own = call_interpreter(interpreter.this_thread_state);
  if (own == 0) return {};
  // Then the states of all other threads are freed, whatever these do.
  const bool is_main = thread.tid == g_process.pid;
  if (!is_main && interpreter.is_finalizing != 0 &&
      static_cast<std::uint32_t>(call_interpreter(interpreter.is_finalizing)) != 0)
    return {};
  return {own, interpreter.current_state != 0 ? call_interpreter(interpreter.current_state) : 0};
}

std::uint64_t check_states(const PythonLayout& layout, const ThreadState& thread, const PythonStates& states,
                           bool* released) {
  // Up to 3.11 a thread that runs a subinterpreter goes by its first state otherwise.
  std::uint64_t id = 0;
  if (states.current != 0 && states.current != states.own && may_be_object(states.current) &&
      load_word(states.current + layout.thread_id, &id) && id == thread_pointer()) {
    *released = false;
    return states.current;
  }
  if (!is_of_this_thread(layout, thread, states.own)) return 0;
  *released = false;
  if (layout.status != kNoOffset) {
    std::uint32_t status = 0;
    *released = load_part(states.own + layout.status, &status) && (status & layout.status_attached) == 0;
  } else {
    *released = states.current != states.own;
  }
  return states.own;
}

}  // namespace siprof::shim
