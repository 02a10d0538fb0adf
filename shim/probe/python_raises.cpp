// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_raises.h"

#include "shim/core/hook.h"
#include "shim/core/python_view.h"
#include "shim/probe/errors.h"
#include "shim/probe/python_callable.h"
#include "shim/probe/python_exception.h"
#include "shim/probe/python_ref.h"
#include "shim/probe/python_tool.h"

namespace siprof::shim {
namespace {

// All with the interpreter's lock.
constinit PyObject* g_raise_event = nullptr;
constinit PyObject* g_callback = nullptr;
constinit PyObject* g_next_name = nullptr;  // "tb_next"
constinit long g_code_bytes = 0;            // of a code object, before its instructions
constinit long g_raise_statement = 0;

// The number of RAISE_VARARGS: not in the interpreter but in its library's Python code. 0: not known, then
// an exception that is raised again isn't counted again.
long raise_statement_of(long hex_version) {
  constexpr long k312 = 0x30c;
  constexpr long k313 = 0x30d;
  if (hex_version >> 16 == k312) return 130;
  return hex_version >> 16 == k313 ? 101 : 0;
}

bool is_control_flow(PyObject* type) {
  return g_python.is_subtype(type, *g_python.stop_iteration) != 0 ||
         g_python.is_subtype(type, *g_python.generator_exit) != 0 ||
         g_python.is_subtype(type, *g_python.stop_async_iteration) != 0;
}

bool is_raise_statement(PyObject* code, PyObject* offset) {
  const long at = g_python.as_long(offset);
  if (g_raise_statement == 0 || at < 0) return false;
  return reinterpret_cast<const std::uint8_t*>(code)[g_code_bytes + at] == g_raise_statement;
}

// The event comes for each frame that an exception leaves. It is raised in the first one of its traceback,
// and by each `raise` with an object, also one that has been raised before.
bool is_raised_here(PyObject* code, PyObject* offset, PyObject* exception) {
  PyObject* traceback = g_python.traceback_of(exception);
  if (traceback == nullptr) return true;
  const PyRef held(traceback);
  const PyRef next(g_python.get_attribute_by(traceback, g_next_name));
  return !next || next.get() == g_python.none || is_raise_statement(code, offset);
}

// Imports raise hundreds of errors at the start of a program, when the agent hasn't found the interpreter yet
// and stacks are copied: without Python frames they say little, and other samples need the room. What has no
// stack is counted.
constexpr std::uint32_t kMostEarly = 24;
constinit std::uint32_t g_early = 0;

bool has_room() {
  std::uint64_t session = 0;
  const SharedHeader* header = attached_header(&session);
  return (header != nullptr && shows_python(header)) || g_early++ < kMostEarly;
}

constexpr std::uint32_t kTold = 64;
constinit PyObject* g_told[kTold]{};  // to be compared only
constinit std::uint32_t g_next_told = 0;

// Not inlined: its texts aren't needed where no stack is taken.
__attribute__((noinline)) void take_raise(PyObject* exception, std::uint32_t weight) {
  PyExceptionText text;
  describe_exception(exception, &text);
  const bool told = take_error({ErrorLanguage::kPython, false, reinterpret_cast<std::uint64_t>(exception),
                                text.type, text.has_message ? text.message : nullptr, nullptr},
                               weight);
  if (told) g_told[g_next_told++ % kTold] = exception;
}

void note_raise(PyObject* code, PyObject* offset, PyObject* exception) {
  const PyRef type(g_python.type_of(exception));
  if (!type || is_control_flow(type.get()) || !is_raised_here(code, offset, exception)) return;
  const std::uint32_t weight = count_error(Counter::python_raises);
  if (weight != 0 && has_room()) take_raise(exception, weight);
}

// sys.monitoring: (code, offset, exception).
PyObject* on_raise(PyObject*, PyObject* const* arguments, std::size_t count, PyObject*) {
  if (count_of(count) == 3 && kind_is_on(EventKind::kError))
    note_raise(arguments[0], arguments[1], arguments[2]);
  return new_reference(g_python.none);
}

bool learn_code() {
  const PyRef bytes(g_python.get_attribute(g_python.code_type, "__basicsize__"));
  PyObject* version = g_python.sys_object("hexversion");
  if (!bytes || version == nullptr) return false;
  g_code_bytes = g_python.as_long(bytes.get());
  g_raise_statement = raise_statement_of(g_python.as_long(version));
  return g_code_bytes > 0;
}

bool make_callback(PyObject* monitoring) {
  const PyRef events(g_python.get_attribute(monitoring, "events"));
  if (!events) return false;
  g_raise_event = PyRef(g_python.get_attribute(events.get(), "RAISE")).release();
  g_next_name = PyRef(g_python.intern_text("tb_next")).release();
  g_callback = make_callable(on_raise);
  return g_raise_event != nullptr && g_next_name != nullptr && g_callback != nullptr;
}

}  // namespace

void watch_raises() {
  PyObject* monitoring = g_python.sys_object("monitoring");
  if (monitoring == nullptr) return;
  if (!learn_exceptions() || !learn_code() || !make_callback(monitoring)) return;
  take_tool(monitoring, g_raise_event, g_callback);
}

bool is_told(PyObject* exception) {
  for (const PyObject* told : g_told) {
    if (told == exception) return true;
  }
  return false;
}

bool raises_are_watched() {
  return has_tool();
}

void forget_raises() {
  forget_exceptions();
  g_raise_event = g_callback = g_next_name = nullptr;
  forget_tool();
  for (PyObject*& told : g_told) told = nullptr;
}

}  // namespace siprof::shim
