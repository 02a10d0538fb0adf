// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_tool.h"

#include "shim/probe/python_ref.h"
#include "shim/probe/python_stand_in.h"

namespace siprof::shim {
namespace {

// 0, 1, 2 and 5 are those of debuggers, coverage, profilers and optimizers.
constexpr long kTools[] = {4, 3};
constexpr long kNoTool = -1;

// All with the interpreter's lock.
constinit PyObject* g_event = nullptr;
constinit PyObject* g_callback = nullptr;
constinit long g_tool = kNoTool;

// Functions whose first argument is a number.
constexpr const char* fast_name(int i) {
  return i == 0 ? "use_tool_id" : i == 1 ? "register_callback" : i == 2 ? "set_events" : "set_local_events";
}
constexpr int kFast = 4;
constinit PyStandIn g_fast[kFast];
constexpr const char* one_name(int i) {
  return i == 0 ? "free_tool_id" : "get_events";
}
constexpr int kOne = 2;
constinit PyStandIn g_one[kOne];
constinit PyStandIn g_get_local_events;
constinit PyStandIn g_get_tool;
constinit PyStandIn g_all_events;

bool is_free(long tool, PyObject* number) {
  PyObject* monitoring = g_python.sys_object("monitoring");
  if (monitoring == nullptr || tool == g_tool) return false;
  const PyRef get_tool(g_python.get_attribute(monitoring, "get_tool"));
  if (!get_tool) return false;
  const PyRef name(g_python.call_with(get_tool.get(), number, nullptr));
  return name.get() == g_python.none;
}

// sys.monitoring.`name`(first, second, third), those that aren't null.
bool call_monitoring(const char* name, PyObject* first, PyObject* second = nullptr,
                     PyObject* third = nullptr) {
  PyObject* monitoring = g_python.sys_object("monitoring");
  if (monitoring == nullptr) return false;
  const PyRef function(g_python.get_attribute(monitoring, name));
  if (!function) return false;
  return static_cast<bool>(PyRef(g_python.call_with(function.get(), first, second, third, nullptr)));
}

bool take_number(long tool) {
  const PyRef number(g_python.new_long(tool));
  const PyRef name(g_python.new_text("siprof"));
  if (!number || !name || !is_free(tool, number.get())) return false;
  if (!call_monitoring("use_tool_id", number.get(), name.get())) return false;
  if (!call_monitoring("register_callback", number.get(), g_event, g_callback) ||
      !call_monitoring("set_events", number.get(), g_event)) {
    call_monitoring("free_tool_id", number.get());
    return false;
  }
  g_tool = tool;
  return true;
}

// None is left for us: exceptions go by unseen from here on.
void move_to_another_tool() {
  const long given_up = g_tool;
  const PyRef number(g_python.new_long(given_up));
  const PyRef nothing(g_python.new_long(0));
  if (!number || !nothing) return;
  g_tool = kNoTool;
  call_monitoring("set_events", number.get(), nothing.get());
  call_monitoring("register_callback", number.get(), g_event, g_python.none);
  call_monitoring("free_tool_id", number.get());
  for (const long tool : kTools) {
    if (tool != given_up && take_number(tool)) return;
  }
}

bool is_our_tool(PyObject* number) {
  if (g_tool == kNoTool) return false;
  const PyRef type(g_python.type_of(number));
  if (type.get() != g_python.long_type) return false;
  const long tool = g_python.as_long(number);
  g_python.err_clear();  // a number of many digits
  return tool == g_tool;
}

template <int I>
PyObject* on_fast(PyObject* self, PyObject* const* arguments, std::ptrdiff_t count) {
  if (count != 0 && is_our_tool(arguments[0])) move_to_another_tool();
  return g_fast[I].pass_on(self, arguments, count);
}

template <int I>
PyObject* on_one(PyObject* self, PyObject* number) {
  if (is_our_tool(number)) move_to_another_tool();
  return g_one[I].pass_on(self, number);
}

PyObject* on_get_local_events(PyObject* self, PyObject* const* arguments, std::ptrdiff_t count) {
  if (count != 0 && is_our_tool(arguments[0])) move_to_another_tool();
  return g_get_local_events.pass_on(self, arguments, count);
}

PyObject* on_get_tool(PyObject* self, PyObject* number) {
  if (is_our_tool(number)) return new_reference(g_python.none);
  return g_get_tool.pass_on(self, number);
}

// By event's name, bits of the tools that want it.
PyObject* on_all_events(PyObject* self, PyObject* nothing) {
  PyObject* all = g_all_events.pass_on(self, nothing);
  if (all == nullptr || g_tool == kNoTool) return all;
  PyObject* tools = g_python.dict_item(all, "RAISE");
  if (tools == nullptr) return all;
  const PyRef others(g_python.new_long(g_python.as_long(tools) & ~(1L << g_tool)));
  if (others && g_python.as_long(others.get()) == 0)
    g_python.dict_remove(all, "RAISE");
  else if (others)
    g_python.dict_set(all, "RAISE", others.get());
  g_python.err_clear();
  return all;
}

void put_stand_ins(PyObject* monitoring) {
  PyStandIn::Fast* const fast[] = {on_fast<0>, on_fast<1>, on_fast<2>, on_fast<3>};
  for (int i = 0; i < kFast; ++i) {
    const PyStandIn::Place place{monitoring, fast_name(i)};
    g_fast[i].put(&place, 1, fast[i]);
  }
  PyStandIn::One* const one[] = {on_one<0>, on_one<1>};
  for (int i = 0; i < kOne; ++i) {
    const PyStandIn::Place place{monitoring, one_name(i)};
    g_one[i].put(&place, 1, one[i]);
  }
  const PyStandIn::Place local{monitoring, "get_local_events"};
  g_get_local_events.put(&local, 1, on_get_local_events);
  const PyStandIn::Place tool{monitoring, "get_tool"};
  g_get_tool.put(&tool, 1, on_get_tool);
  const PyStandIn::Place all{monitoring, "_all_events"};
  g_all_events.put_without_argument(&all, 1, on_all_events);
}

}  // namespace

void take_tool(PyObject* monitoring, PyObject* event, PyObject* callback) {
  g_event = event;
  g_callback = callback;
  for (const long tool : kTools) {
    if (g_tool == kNoTool) take_number(tool);
  }
  if (g_tool != kNoTool) put_stand_ins(monitoring);
}

bool has_tool() {
  return g_tool != kNoTool;
}

void forget_tool() {
  g_event = g_callback = nullptr;
  g_tool = kNoTool;
}

}  // namespace siprof::shim
