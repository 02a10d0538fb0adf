// SPDX-License-Identifier: Apache-2.0
// Whether a type derives from std::exception is read off its type information, whose layout the Itanium C++
// ABI (2.9.5) lays down for all runtimes: nothing of the runtime is called but what() itself.
#include "shim/probe/error_message.h"

#include <atomic>
#include <cstddef>

#include "shim/base/text.h"
#include "shim/core/config.h"
#include "shim/core/thread.h"

namespace siprof::shim {
namespace {

// Every std::type_info begins so; its own class is told by its virtual table's type information.
struct TypeInfo {
  const void* const* vtable;
  const char* name;
};
struct OneBase : TypeInfo {  // __si_class_type_info: public, not virtual, at offset 0
  const TypeInfo* base;
};
struct Base {
  const TypeInfo* type;
  long offset_and_flags;
};
struct ManyBases : TypeInfo {  // __vmi_class_type_info
  unsigned flags;
  unsigned count;
  Base bases[1];  // and more
};
constexpr long kVirtual = 1;
constexpr long kPublic = 2;
constexpr int kOffsetShift = 8;

constexpr int kDeepest = 16;      // bases of bases; an inheritance that is deeper has no message
constexpr std::size_t kWhat = 2;  // in std::exception's virtual table, after two destructors

bool is_class(const TypeInfo* type, const char* of_type_infos) {
  const auto* own = static_cast<const TypeInfo*>(type->vtable[-1]);
  return own != nullptr && equal(own->name, of_type_infos);
}

const char* at(const void* object, long offset) {
  return static_cast<const char*>(object) + offset;
}

// The std::exception inside of the object; null: there is none that everybody may use.
const void* exception_in(const TypeInfo* type, const void* object, int depth) {
  if (type == nullptr || type->name == nullptr || depth > kDeepest) return nullptr;
  if (equal(type->name, "St9exception")) return object;
  if (is_class(type, "N10__cxxabiv120__si_class_type_infoE"))
    return exception_in(static_cast<const OneBase*>(type)->base, object, depth + 1);
  if (!is_class(type, "N10__cxxabiv121__vmi_class_type_infoE")) return nullptr;
  const auto* many = static_cast<const ManyBases*>(type);
  for (unsigned i = 0; i < many->count; ++i) {
    const Base& base = many->bases[i];
    if ((base.offset_and_flags & kPublic) == 0) continue;
    long offset = base.offset_and_flags >> kOffsetShift;
    // Of a virtual base it says where in the object's virtual table the offset is.
    if ((base.offset_and_flags & kVirtual) != 0)
      offset = *reinterpret_cast<const long*>(*static_cast<const char* const*>(object) + offset);
    if (const void* found = exception_in(base.type, at(object, offset), depth + 1)) return found;
  }
  return nullptr;
}

enum class Switch : std::uint8_t { kNotRead, kOff, kOn };
constinit std::atomic<Switch> g_switch{Switch::kNotRead};  // relaxed: whoever reads it anew finds the same

}  // namespace

bool messages_are_on() {
  Switch state = g_switch.load(std::memory_order_relaxed);
  if (state == Switch::kNotRead) {
    state = is_on(captured("SIPROF_ERROR_MESSAGES")) ? Switch::kOn : Switch::kOff;
    g_switch.store(state, std::memory_order_relaxed);
  }
  return state == Switch::kOn;
}

const char* message_of(const void* type, const void* object) {
  ThreadState& thread = this_thread();
  if (object == nullptr) return nullptr;
  const void* exception = exception_in(static_cast<const TypeInfo*>(type), object, 0);
  if (exception == nullptr) return nullptr;
  thread.in_message = true;
  const auto* vtable = *static_cast<const void* const* const*>(exception);
  const char* text = reinterpret_cast<const char* (*)(const void*)>(vtable[kWhat])(exception);
  this_thread().in_message = false;
  return text;
}

}  // namespace siprof::shim
