// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_stand_in.h"

#include "shim/base/text.h"
#include "shim/probe/python_ref.h"

namespace siprof::shim {
namespace {

// Null: it isn't a text, or there is none.
const char* text_of(const PyRef& object) {
  if (!object || object.get() == g_python.none) return nullptr;
  const char* text = g_python.as_utf8(object.get(), nullptr);
  if (text == nullptr) g_python.err_clear();
  return text;
}

}  // namespace

// The interpreter keeps a function's signature in front of its text.
bool PyStandIn::describe(PyObject* original) {
  const PyRef name(g_python.get_attribute(original, "__name__"));
  const PyRef signature(g_python.get_attribute(original, "__text_signature__"));
  const PyRef doc(g_python.get_attribute(original, "__doc__"));
  const char* name_text = text_of(name);
  const char* signature_text = text_of(signature);
  const char* doc_text = text_of(doc);
  if (name_text == nullptr) return false;
  TextBuffer own_name(name_, sizeof(name_));
  own_name.add(name_text);
  TextBuffer own_doc(doc_, sizeof(doc_));
  if (signature_text != nullptr) own_doc.add(name_text).add(signature_text).add("\n--\n\n");
  if (doc_text != nullptr) own_doc.add(doc_text);
  definition_.name = name_;
  definition_.doc = own_doc.size() != 0 ? doc_ : nullptr;
  return !own_name.overflowed() && !own_doc.overflowed();
}

void PyStandIn::put(const Place* places, std::uint32_t count, int flags, void* function) {
  if (places[0].holder == nullptr) return;
  const PyRef original(g_python.get_attribute(places[0].holder, places[0].name));
  if (!original || !describe(original.get())) return;
  const PyRef self(g_python.get_attribute(original.get(), "__self__"));
  const PyRef module(g_python.get_attribute(original.get(), "__module__"));
  if (!self || !module || g_python.flags_of(original.get()) != flags) return g_python.err_clear();
  next_ = g_python.function_of(original.get());
  definition_.function = function;
  definition_.flags = flags;
  const PyRef own(g_python.new_function(&definition_, self.get(), module.get()));
  if (!own) return;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (places[i].holder == nullptr) continue;
    const PyRef present(g_python.get_attribute(places[i].holder, places[i].name));
    if (present.get() == original.get() &&
        g_python.set_attribute(places[i].holder, places[i].name, own.get()) != 0)
      g_python.err_clear();
  }
}

}  // namespace siprof::shim
