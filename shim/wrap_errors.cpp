// SPDX-License-Identifier: Apache-2.0
// The throws of C++. jumps.S has the functions that the program calls: the stack is unwound from inside the
// runtime's, so that none of our frames may be on it then.
#include "shim/core/late_symbol.h"
#include "shim/probe/errors.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

constinit LateSymbol g_throw;
constinit LateSymbol g_rethrow;
constinit LateSymbol g_terminate;

void* throw_after(std::uint64_t site) {
  return g_throw.find("__cxa_throw", site);
}
void* rethrow_after(std::uint64_t site) {
  return g_rethrow.find("__cxa_rethrow", site);
}

// libstdc++'s functions have half of that; libc++abi's don't call std::terminate.
constexpr std::uint64_t kMostThrowBytes = 160;

// Whether a call at `site` is one out of the runtime's function, which found nobody who catches.
bool is_in(const void* function, std::uint64_t site) {
  return site - reinterpret_cast<std::uint64_t>(function) <= kMostThrowBytes;
}

}  // namespace
}  // namespace siprof::shim

using namespace siprof::shim;

// All give the address to go on at. Null where the program has no such function, which is where a call of
// it would have gone without us.
extern "C" __attribute__((visibility("hidden"))) void* siprof_before_throw(std::uint64_t site,
                                                                           const void* type,
                                                                           const void* object) {
  note_throw(type, object);
  return throw_after(site);
}

extern "C" __attribute__((visibility("hidden"))) void* siprof_before_rethrow(std::uint64_t site) {
  note_rethrow();
  return rethrow_after(site);
}

extern "C" __attribute__((visibility("hidden"))) void* siprof_before_terminate(std::uint64_t site) {
  if (is_in(throw_after(site), site) || is_in(rethrow_after(site), site)) note_unhandled();
  return g_terminate.find("_ZSt9terminatev", site);
}
