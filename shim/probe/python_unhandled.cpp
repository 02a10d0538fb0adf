// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_unhandled.h"

#include "shim/core/hook.h"
#include "shim/probe/errors.h"
#include "shim/probe/python_exception.h"
#include "shim/probe/python_raises.h"
#include "shim/probe/python_ref.h"
#include "shim/probe/python_stand_in.h"

namespace siprof::shim {
namespace {

// All with the interpreter's lock.
constinit PyStandIn g_main;
constinit PyStandIn g_thread;
constinit PyStandIn g_unraisable;

// Where an exception is told of when it is raised, this says the rest of it. It wasn't raised in Python code
// if it has no traceback.
__attribute__((noinline)) void tell(PyObject* exception, PyObject* traceback) {
  const auto identity = reinterpret_cast<std::uint64_t>(exception);
  const PyTracebackFrames frames(traceback);
  const PythonTrace trace = frames.trace();
  const bool is_counted = raises_are_watched() && trace.count != 0;
  if (is_counted && is_told(exception)) return note_unhandled(ErrorLanguage::kPython, identity);
  const std::uint32_t weight = is_counted ? 1 : count_error(Counter::python_raises);
  if (weight == 0) return;
  PyExceptionText text;
  describe_exception(exception, &text);
  take_error({ErrorLanguage::kPython, true, identity, text.type, text.has_message ? text.message : nullptr,
              trace.count != 0 ? &trace : nullptr},
             weight);
}

void note(PyObject* exception, PyObject* traceback, bool thread) {
  const PyRef type(g_python.type_of(exception));
  if (!type || g_python.is_subtype(type.get(), *g_python.base_exception) == 0) return;
  // A thread may end by it, and says nothing.
  if (thread && g_python.is_subtype(type.get(), *g_python.system_exit) != 0) return;
  tell(exception, traceback);
}

// excepthook(type, exception, traceback)
PyObject* on_excepthook(PyObject* self, PyObject* const* arguments, std::ptrdiff_t count) {
  if (count == 3 && kind_is_on(EventKind::kError)) note(arguments[1], arguments[2], false);
  return g_main.pass_on(self, arguments, count);
}

// A tuple with names that begins with type, exception and traceback, unless the program calls it in its own
// way.
void note_facts(PyObject* facts, bool thread) {
  if (!kind_is_on(EventKind::kError)) return;
  if (g_python.tuple_size(facts) < 3) return g_python.err_clear();
  note(g_python.tuple_item(facts, 1), g_python.tuple_item(facts, 2), thread);
}

PyObject* on_thread_excepthook(PyObject* self, PyObject* facts) {
  note_facts(facts, true);
  return g_thread.pass_on(self, facts);
}

PyObject* on_unraisablehook(PyObject* self, PyObject* facts) {
  note_facts(facts, false);
  return g_unraisable.pass_on(self, facts);
}

// `threading` takes it over when it is imported, if it wasn't yet.
void stand_in_for_threads() {
  PyObject* threading = g_python.dict_item(g_python.modules(), "threading");
  const PyStandIn::Place places[] = {{g_python.dict_item(g_python.modules(), "_thread"), "_excepthook"},
                                     {threading, "excepthook"},
                                     {threading, "__excepthook__"}};  // 3.10 and later
  g_thread.put(places, 3, on_thread_excepthook);
}

}  // namespace

void watch_unhandled() {
  PyObject* sys = g_python.dict_item(g_python.modules(), "sys");
  if (sys == nullptr || !learn_exceptions()) return;
  const PyStandIn::Place main[] = {{sys, "__excepthook__"}, {sys, "excepthook"}};
  g_main.put(main, 2, on_excepthook);
  const PyStandIn::Place unraisable[] = {{sys, "__unraisablehook__"}, {sys, "unraisablehook"}};
  g_unraisable.put(unraisable, 2, on_unraisablehook);
  stand_in_for_threads();
}

void forget_unhandled() {
  forget_exceptions();
}

}  // namespace siprof::shim
