// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_callable.h"

#include <cstdint>

#include "shim/core/python_objects.h"
#include "shim/probe/python_ref.h"

namespace siprof::shim {
namespace {

struct Callable {
  std::uint64_t head[2];  // of every object
  PyCallback* function;
};

struct Member {
  const char* name;
  int type;
  std::ptrdiff_t offset;
  int flags;
  const char* doc;
};
constexpr int kSize = 19;
constexpr int kReadOnly = 1;

struct Slot {
  int slot;
  void* value;
};
constexpr int kSlotCall = 50;
constexpr int kSlotMembers = 72;

struct Spec {
  const char* name;
  int bytes;
  int item_bytes;
  unsigned flags;
  Slot* slots;
};
constexpr unsigned kUsual = 1u << 18;
constexpr unsigned kHasVectorCall = 1u << 11;

// What specifications can't say before 3.9. In 3.8, PyTypeObject::tp_vectorcall_offset.
constexpr std::uint64_t kVectorOffset38 = 56;

void set_offset(PyObject* type) {
  const auto address = reinterpret_cast<std::uint64_t>(type);
  *reinterpret_cast<std::ptrdiff_t*>(address + kVectorOffset38) = offsetof(Callable, function);
  *reinterpret_cast<std::uint64_t*>(address + kTypeFlags) |= kHasVectorCall;
}

PyObject* make_type() {
  constexpr long k39 = 0x03090000;
  PyObject* version = g_python.sys_object("hexversion");
  if (version == nullptr) return nullptr;
  const bool says_offset = g_python.as_long(version) >= k39;
  // The interpreter reads them while it makes the type, and keeps the members' names.
  static Member members[2];
  members[0] = {"__vectorcalloffset__", kSize, offsetof(Callable, function), kReadOnly, nullptr};
  Slot slots[] = {{kSlotCall, reinterpret_cast<void*>(g_python.vector_call)},
                  {says_offset ? kSlotMembers : 0, says_offset ? static_cast<void*>(members) : nullptr},
                  {0, nullptr}};
  Spec spec{"builtins.callback", sizeof(Callable), 0, kUsual | (says_offset ? kHasVectorCall : 0), slots};
  PyRef type(g_python.new_type(&spec));
  if (type && !says_offset) set_offset(type.get());
  return type.release();
}

}  // namespace

PyObject* make_callable(PyCallback* function) {
  const PyRef type(make_type());
  if (!type) return nullptr;
  PyRef object(g_python.call_with(type.get(), nullptr));
  if (object) reinterpret_cast<Callable*>(object.get())->function = function;
  return object.release();
}

}  // namespace siprof::shim
