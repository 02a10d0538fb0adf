// SPDX-License-Identifier: Apache-2.0
// See guess_step.h.
#include "collector-client/unwind/guess_step.h"

#include <array>
#include <cstring>

#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kMaxFrameBytes = 1 << 20;  // a frame pointer farther away is none

// The code at an address of the process, as the file has it; empty without a file.
std::span<const std::byte> code_at(const ModuleMap& map, std::uint64_t address) {
  const CodeMapping* mapping = map.find(address);
  if (mapping == nullptr || mapping->module == nullptr || mapping->module->image == nullptr) return {};
  return mapping->module->image->at(address - mapping->bias);
}

// Whether the instruction before `address` is a call: e8 rel32, or ff /2 in one of its lengths.
bool follows_call(const ModuleMap& map, std::uint64_t address) {
  constexpr std::size_t kLongest = 7;
  const auto code = code_at(map, address - kLongest);
  if (code.size() < kLongest) return false;
  const auto byte = [&](std::size_t back) { return std::to_integer<unsigned>(code[kLongest - back]); };
  if (byte(5) == 0xe8) return true;
  for (const std::size_t length : {2u, 3u, 4u, 6u, 7u}) {
    if (byte(length) == 0xff && (byte(length - 1) & 0x38) == 0x10) return true;
  }
  return false;
}

// mov $__NR_rt_sigreturn, %rax; syscall
bool is_trampoline(const ModuleMap& map, std::uint64_t address) {
  constexpr unsigned char kCode[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
  const auto code = code_at(map, address);
  return code.size() >= sizeof kCode && std::memcmp(code.data(), kCode, sizeof kCode) == 0;
}

// The kernel's struct rt_sigframe: behind the return address, which the handler's ret has popped,
// comes struct ucontext, whose registers are in this order from byte 40 on (asm/sigcontext.h).
bool leave_signal_frame(const CapturedStack& stack, Registers& registers) {
  constexpr std::array<Register, kRegisterCount> kOrder = {
      kR8, kR9, kR10, kR11, kR12, kR13, kR14, kR15, kRdi, kRsi, kRbp, kRbx, kRdx, kRax, kRcx, kRsp, kRip};
  Registers interrupted{};
  std::uint64_t address = registers[kRsp] + 40;
  for (const Register number : kOrder) {
    if (!read_word(stack, address, interrupted[number])) return false;
    address += sizeof(std::uint64_t);
  }
  registers = interrupted;
  return true;
}

// The saved frame pointer at rbp and the return address above it.
Guess follow_frame_pointer(const CapturedStack& stack, const ModuleMap& map, Registers& registers) {
  const std::uint64_t frame = registers[kRbp];
  if (frame < registers[kRsp] || frame - registers[kRsp] > kMaxFrameBytes || frame % 8 != 0)
    return Guess::kNone;
  std::uint64_t saved = 0;
  std::uint64_t target = 0;
  if (!read_word(stack, frame, saved) || !read_word(stack, frame + 8, target)) return Guess::kBeyondStack;
  if (target == 0) return Guess::kThreadStart;
  if (map.find(target - 1) == nullptr) return Guess::kNone;
  registers[kRip] = target;
  registers[kRsp] = frame + 16;
  registers[kRbp] = saved;
  return Guess::kCaller;
}

}  // namespace

bool read_word(const CapturedStack& stack, std::uint64_t address, std::uint64_t& value) {
  const std::uint64_t offset = address - stack.stack_start;
  if (address < stack.stack_start || stack.bytes.size() < sizeof value ||
      offset > stack.bytes.size() - sizeof value) {
    return false;
  }
  std::memcpy(&value, stack.bytes.data() + offset, sizeof value);
  return true;
}

// A leaf may be right at its entry, a stub or a function without a frame: then the word at rsp is its
// return address. It is believed first where the file shows a call before it, last where nothing else fits.
Guess guess_caller(const CapturedStack& stack, const ModuleMap& map, bool leaf, Registers& registers) {
  if (is_trampoline(map, registers[kRip])) {
    return leave_signal_frame(stack, registers) ? Guess::kSignalFrame : Guess::kBeyondStack;
  }
  std::uint64_t top = 0;
  const bool has_top = leaf && read_word(stack, registers[kRsp], top);
  if (!has_top || !follows_call(map, top)) {
    if (!leaf && registers[kRbp] == 0) return Guess::kThreadStart;
    const Guess guess = follow_frame_pointer(stack, map, registers);
    if (guess != Guess::kNone) return guess;
    if (!has_top || map.find(top - 1) == nullptr) return Guess::kNone;
  }
  registers[kRip] = top;
  registers[kRsp] += sizeof(std::uint64_t);
  return Guess::kCaller;
}

}  // namespace siprof::client
