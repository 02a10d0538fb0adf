// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_collections.h"

#include "shim/base/text.h"
#include "shim/core/python_sums.h"
#include "shim/core/stopwatch.h"
#include "shim/probe/python_callable.h"
#include "shim/probe/python_ref.h"

namespace siprof::shim {
namespace {

// All with the interpreter's lock.
using NoArgs = PyObject*(PyObject* self, PyObject*);
constinit NoArgs* g_count_blocks = nullptr;  // sys.getallocatedblocks
constinit std::uint64_t g_begin_ns = 0;      // of the collection that runs; 0: none does
constinit std::uint64_t g_blocks = 0;        // at the last look
constinit std::uint64_t g_next_look_ns = 0;
constinit std::uint64_t g_next_count_ns = 0;

constexpr std::uint64_t kSecondNs = 1'000'000'000;
// Counting blocks goes through all of the interpreter's memory: so much longer than it took it isn't done
// again, and ten seconds at least.
constexpr std::uint64_t kCountPause = 10'000;

std::uint64_t number_in(PyObject* dict, const char* key) {
  PyObject* value = g_python.dict_item(dict, key);
  const long number = value != nullptr ? g_python.as_long(value) : 0;
  g_python.err_clear();
  return number > 0 ? static_cast<std::uint64_t>(number) : 0;
}

void count_blocks(std::uint64_t now_ns) {
  if (g_count_blocks == nullptr || now_ns < g_next_count_ns) return;
  const PyRef blocks(g_count_blocks(nullptr, nullptr));
  const std::uint64_t took_ns = monotonic_ns() - now_ns;
  const std::uint64_t pause_ns = took_ns * kCountPause;
  g_next_count_ns = now_ns + (pause_ns > 10 * kSecondNs ? pause_ns : 10 * kSecondNs);
  if (blocks) g_blocks = static_cast<std::uint64_t>(g_python.as_long(blocks.get()));
}

void look_at_levels(std::uint64_t now_ns) {
  if (now_ns < g_next_look_ns) return;
  g_next_look_ns = now_ns + kSecondNs;
  count_blocks(now_ns);
  set_python_levels(static_cast<std::uint64_t>(g_python.dict_size(g_python.modules())), g_blocks);
}

void end_collection(PyObject* facts) {
  const std::uint64_t now_ns = monotonic_ns();
  const std::uint64_t pause_ns = g_begin_ns != 0 ? now_ns - g_begin_ns : 0;
  g_begin_ns = 0;
  add_collection(static_cast<std::uint32_t>(number_in(facts, "generation")),
                 {1, number_in(facts, "collected"), number_in(facts, "uncollectable"), pause_ns});
  look_at_levels(now_ns);
}

// gc.callbacks: (phase, facts)
PyObject* on_collection(PyObject*, PyObject* const* arguments, std::size_t count, PyObject*) {
  if (count_of(count) == 2) {
    const char* phase = g_python.as_utf8(arguments[0], nullptr);
    if (phase != nullptr && equal(phase, "start")) g_begin_ns = monotonic_ns();
    if (phase != nullptr && equal(phase, "stop")) end_collection(arguments[1]);
    g_python.err_clear();
  }
  return new_reference(g_python.none);
}

PyObject* execute_gc(PyObject* description) {
  constexpr int kApiVersion = 1013;  // of all versions since 3.0
  PyObject* implementation = g_python.sys_object("implementation");
  if (implementation == nullptr) return nullptr;
  const PyRef namespace_type(g_python.type_of(implementation));
  const PyRef spec(g_python.call_with(namespace_type.get(), nullptr));
  const PyRef name(g_python.new_text("gc"));
  if (!spec || !name || g_python.set_attribute(spec.get(), "name", name.get()) != 0) return nullptr;
  PyObject* module = g_python.new_module(description, spec.get(), kApiVersion);
  if (module == nullptr || g_python.execute_module(module, description) != 0) return nullptr;
  return module;
}

// The built-in module without an import: that would show in sys.modules, and with -v or -X importtime on
// stderr, as would its end; so what is made is kept. A later import finds the same state.
PyObject* make_gc() {
  PyObject* known = g_python.dict_item(g_python.modules(), "gc");
  if (known != nullptr) return new_reference(known);
  PyObject* made = g_python.start_gc_module();
  if (made == nullptr) return nullptr;
  const PyRef type(g_python.type_of(made));
  PyObject* module = type.get() == g_python.module_type ? made : execute_gc(made);
  return module != nullptr ? new_reference(module) : nullptr;
}

// What was collected before.
void add_earlier(PyObject* gc) {
  const PyRef ask(g_python.get_attribute(gc, "get_stats"));
  if (!ask) return;
  const PyRef stats(g_python.call_with(ask.get(), nullptr));
  if (!stats) return;
  for (std::uint32_t i = 0; i < kPythonGenerations; ++i) {
    PyObject* facts = g_python.list_item(stats.get(), i);
    if (facts == nullptr) return g_python.err_clear();
    add_collection(i, {number_in(facts, "collections"), number_in(facts, "collected"),
                       number_in(facts, "uncollectable"), 0});
  }
}

}  // namespace

void watch_collections() {
  const PyRef gc(make_gc());
  if (!gc) return;
  const PyRef callbacks(g_python.get_attribute(gc.get(), "callbacks"));
  const PyRef callback(make_callable(on_collection));
  if (!callbacks || !callback) return;
  // In front: a program takes its own off from the end.
  if (g_python.list_insert(callbacks.get(), 0, callback.get()) != 0) return g_python.err_clear();
  PyObject* count = g_python.sys_object("getallocatedblocks");
  if (count != nullptr && g_python.flags_of(count) == kMethodNoArgs)
    g_count_blocks = reinterpret_cast<NoArgs*>(g_python.function_of(count));
  g_python.err_clear();
  add_earlier(gc.get());
  look_at_levels(monotonic_ns());
  count_collections(true);
}

void forget_collections() {
  g_count_blocks = nullptr;
  g_begin_ns = g_next_look_ns = g_next_count_ns = 0;
  count_collections(false);
}

}  // namespace siprof::shim
