// SPDX-License-Identifier: Apache-2.0
// Captures the calling thread's own registers and stack, and maps this process the way the
// drain step maps a profiled one.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <ucontext.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "collector-client/symbolize/file_opener.h"
#include "collector-client/unwind/captured_stack.h"
#include "shim/base/arch.h"

namespace siprof::client::testing {

// Opens paths as they are.
class PlainOpener : public FileOpener {
 public:
  absl::StatusOr<int> open(const std::string& path, std::uint64_t, std::uint64_t) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return absl::ErrnoToStatus(errno, path);
    return fd;
  }
};

inline std::string own_maps() {
  std::ifstream maps("/proc/self/maps");
  return {std::istreambuf_iterator<char>(maps), {}};
}

inline Registers registers_of(const ucontext_t& context) {
  const auto& from = context.uc_mcontext.gregs;
  const auto value = [&](int number) { return static_cast<std::uint64_t>(from[number]); };
  return {value(REG_RAX), value(REG_RDX), value(REG_RCX), value(REG_RBX), value(REG_RSI), value(REG_RDI),
          value(REG_RBP), value(REG_RSP), value(REG_R8),  value(REG_R9),  value(REG_R10), value(REG_R11),
          value(REG_R12), value(REG_R13), value(REG_R14), value(REG_R15), value(REG_RIP)};
}

// A stack that owns its copy.
struct OwnedStack {
  std::vector<std::byte> copy;
  CapturedStack captured;
  ucontext_t context{};

  void take(const ucontext_t& taken, std::size_t max_bytes, std::uint64_t stack_top) {
    context = taken;
    captured.registers = registers_of(taken);
    captured.stack_start = shim::red_zone_start(captured.registers[kRsp]);
    const std::size_t bytes = std::min<std::size_t>(max_bytes, stack_top - captured.stack_start);
    copy.resize(bytes);
    // Whole frames, which AddressSanitizer's memcpy refuses to read.
    const void* from = reinterpret_cast<const void*>(captured.stack_start);
    void* to = copy.data();
    std::size_t left = bytes;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(left) : : "memory");
    captured.bytes = copy;
  }
};

// The end of the mapping that holds `address`.
inline std::uint64_t mapping_end(std::uint64_t address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &start, &end) == 2 && address >= start && address < end)
      return end;
  }
  return 0;
}

}  // namespace siprof::client::testing
