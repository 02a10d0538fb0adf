// SPDX-License-Identifier: Apache-2.0
// What a sample brings when the app could not walk its own stack: its registers and a
// copy of the stack's hottest bytes. Everything in it is hostile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace siprof::client {

// In DWARF's numbering for x86-64 (psABI figure 3.36), which unwind tables use.
enum Register : unsigned {
  kRax = 0,
  kRdx = 1,
  kRcx = 2,
  kRbx = 3,
  kRsi = 4,
  kRdi = 5,
  kRbp = 6,
  kRsp = 7,
  kR8 = 8,
  kR9 = 9,
  kR10 = 10,
  kR11 = 11,
  kR12 = 12,
  kR13 = 13,
  kR14 = 14,
  kR15 = 15,
  kRip = 16,
};
inline constexpr std::size_t kRegisterCount = 17;
using Registers = std::array<std::uint64_t, kRegisterCount>;

struct CapturedStack {
  Registers registers{};
  std::span<const std::byte> bytes;  // a copy of the process's memory
  std::uint64_t stack_start = 0;     // from this address on, normally rsp
};

}  // namespace siprof::client
