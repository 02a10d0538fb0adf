// SPDX-License-Identifier: Apache-2.0
#include "shim/core/interruption.h"

#include <errno.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <ucontext.h>

#include "shim/base/arch.h"
#include "shim/base/sys.h"
#include "shim/core/process.h"

namespace siprof::shim {

SIPROF_EARLY constinit bool g_ticks_interrupt = false;

namespace {

// Of "5.10.0-8-amd64" 5010.
std::uint32_t version_number(const char* release) {
  std::uint32_t parts[2] = {};
  for (std::uint32_t& part : parts) {
    for (; *release >= '0' && *release <= '9'; ++release)
      part = part * 10 + static_cast<std::uint32_t>(*release - '0');
    if (*release == '.') ++release;
  }
  return parts[0] * 1000 + parts[1];
}

// The two bytes before the instruction pointer. On the page before they may not be readable.
SIPROF_SIGNAL_SAFE bool follows_system_call(std::uint64_t ip) {
  constexpr std::uint16_t kInstruction = 0x050f;
  std::uint16_t bytes = 0;
  if ((ip & 4095) >= sizeof(bytes)) {
    __builtin_memcpy(&bytes, reinterpret_cast<const void*>(ip - sizeof(bytes)), sizeof(bytes));
    return bytes == kInstruction;
  }
  const iovec to{&bytes, sizeof(bytes)};
  const iovec from{reinterpret_cast<void*>(ip - sizeof(bytes)), sizeof(bytes)};
  const long self = sys::call(SYS_getpid);
  return sys::call(SYS_process_vm_readv, self, &to, 1, &from, 1, 0) == sizeof(bytes) && bytes == kInstruction;
}

}  // namespace

void find_out_whether_ticks_interrupt() {
  constexpr std::uint32_t kSentOnTheWayOut = 5011;
  utsname system;
  g_ticks_interrupt = sys::call(SYS_uname, &system) == 0 && version_number(system.release) < kSentOnTheWayOut;
}

void note_interruption(ThreadState& thread, const void* context) {
  const auto* machine = static_cast<const ucontext_t*>(context);
  if (!g_ticks_interrupt || result_of_call(machine) != -EINTR || !may_call()) return;
  if (!follows_system_call(instruction_pointer_of(machine))) return;
  // The kernel has delivered ours first; what else is open comes when this handler ends.
  sys::SignalSet pending = 0;
  if (sys::call(SYS_rt_sigpending, &pending, sizeof(pending)) != 0) return;
  const auto& blocked = reinterpret_cast<const sys::SignalSet&>(machine->uc_sigmask);
  if ((pending & ~blocked & ~taken_bits()) != 0) return;
  thread.interrupted_sp = static_cast<std::uint32_t>(stack_pointer_of(machine));
}

}  // namespace siprof::shim
