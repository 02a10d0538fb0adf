// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_exception.h"

#include "shim/base/text.h"
#include "shim/core/python_objects.h"
#include "shim/probe/python_ref.h"

namespace siprof::shim {
namespace {

// A class may answer for its attributes itself, and its metaclass for its names: these are the interpreter's
// own ways to them. Callables, of an object.
struct Getters {
  PyObject* module_of_type;
  PyObject* name_of_type;
  PyObject* arguments_of_exception;
};
constinit Getters g_getters{};

// type.__dict__[name].__get__
PyObject* getter_of(PyObject* type, const char* name) {
  const PyRef dict(g_python.get_attribute(type, "__dict__"));
  const PyRef key(g_python.new_text(name));
  if (!dict || !key) return nullptr;
  const PyRef attribute(g_python.get_item(dict.get(), key.get()));
  if (!attribute) return nullptr;
  return PyRef(g_python.get_attribute(attribute.get(), "__get__")).release();
}

// Copies as much as fits, whole characters only. False: it is no text, or not one in UTF-8.
bool add_text(TextBuffer* to, PyObject* object, std::size_t most) {
  std::ptrdiff_t bytes = 0;
  const char* text = object != nullptr ? g_python.as_utf8(object, &bytes) : nullptr;
  if (text == nullptr) {
    g_python.err_clear();
    return false;
  }
  auto used = static_cast<std::size_t>(bytes);
  if (used > most) {
    for (used = most; used != 0 && (text[used] & 0xc0) == 0x80;) --used;
  }
  to->add(text, used);
  return true;
}

void describe_type(PyObject* type, PyExceptionText* text) {
  TextBuffer out(text->type, sizeof(text->type));
  const PyRef name(g_python.call_with(g_getters.name_of_type, type, nullptr));
  const PyRef module(g_python.call_with(g_getters.module_of_type, type, nullptr));
  constexpr std::size_t kMostModule = 127;
  if (module && add_text(&out, module.get(), kMostModule)) out.add(".");
  if (equal(out.c_str(), "builtins.")) out.resize(0);
  const std::size_t left = sizeof(text->type) - 1 - out.size();
  if (!name || !add_text(&out, name.get(), left)) out.resize(0);
}

void describe_message(PyObject* exception, PyExceptionText* text) {
  const PyRef arguments(g_python.call_with(g_getters.arguments_of_exception, exception, nullptr));
  if (!arguments || g_python.tuple_size(arguments.get()) < 1) return g_python.err_clear();
  PyObject* first = g_python.tuple_item(arguments.get(), 0);
  const PyRef type(g_python.type_of(first));
  if (type.get() != g_python.text_type) return;
  TextBuffer out(text->message, sizeof(text->message));
  text->has_message = add_text(&out, first, sizeof(text->message) - 1);
}

// The next one towards where it was raised; null: it is there.
PyObject* next_of(PyObject* traceback) {
  PyRef next(g_python.get_attribute(traceback, "tb_next"));
  return next.get() == g_python.none ? nullptr : next.release();
}

template <typename Field>
Field field_of(PyObject* object, std::uint64_t offset) {
  return *reinterpret_cast<const Field*>(reinterpret_cast<std::uint64_t>(object) + offset);
}

// Not by attributes: reading these two is an event that the program's audit hooks are told of.
bool read_frame(PyObject* traceback, PythonFrame* to) {
  auto* frame = field_of<PyObject*>(traceback, kTracebackFrame);
  if (frame == nullptr) return false;
  const PyRef code(g_python.code_of_frame != nullptr
                       ? g_python.code_of_frame(frame)
                       : new_reference(field_of<PyObject*>(frame, kFrameCode38)));
  if (!code) return false;
  const long bytes = field_of<int>(traceback, kTracebackInstruction);
  // The traceback keeps its frames, and they keep their code.
  *to = {reinterpret_cast<std::uint64_t>(code.get()),
         bytes >= 0 ? static_cast<std::uint32_t>(bytes / 2) : kPythonNoInstruction, false};
  return true;
}

// Of each, from the outermost on; by value: the next one is held by the one before.
template <typename Take>
void for_each(PyObject* traceback, Take take) {
  constexpr std::uint32_t kMost = 1u << 20;
  PyRef held(new_reference(traceback));
  PyObject* at = held.get();
  for (std::uint32_t i = 0; at != nullptr && i < kMost; ++i) {
    if (!take(i, at)) return;
    at = next_of(at);
    if (at != nullptr) g_python.dec_ref(at);
  }
}

}  // namespace

bool learn_exceptions() {
  if (g_getters.module_of_type != nullptr) return true;
  g_getters.name_of_type = getter_of(g_python.type_type, "__qualname__");
  g_getters.arguments_of_exception = getter_of(*g_python.base_exception, "args");
  PyObject* module = getter_of(g_python.type_type, "__module__");
  if (g_getters.name_of_type == nullptr || g_getters.arguments_of_exception == nullptr) return false;
  g_getters.module_of_type = module;
  return module != nullptr;
}

void forget_exceptions() {
  g_getters = {};
}

void describe_exception(PyObject* exception, PyExceptionText* text) {
  text->type[0] = text->message[0] = '\0';
  text->has_message = false;
  const PyRef type(g_python.type_of(exception));
  if (type) describe_type(type.get(), text);
  if (messages_are_on()) describe_message(exception, text);
}

PyTracebackFrames::PyTracebackFrames(PyObject* traceback) {
  if (traceback == nullptr) return;
  const PyRef type(g_python.type_of(traceback));
  if (type.get() != g_python.traceback_type) return;
  std::uint32_t all = 0;
  for_each(traceback, [&](std::uint32_t i, PyObject*) {
    all = i + 1;
    return true;
  });
  is_cut_ = all > kMaxPythonFrames;
  const std::uint32_t kept = is_cut_ ? kMaxPythonFrames : all;
  for_each(traceback, [&](std::uint32_t i, PyObject* at) {
    if (i + kept < all) return true;
    if (!read_frame(at, &frames_[all - 1 - i])) return false;
    ++count_;
    return true;
  });
  if (count_ != kept) count_ = 0;  // not a traceback
  if (count_ != 0) frames_[count_ - 1].segment_end = true;
}

}  // namespace siprof::shim
