// SPDX-License-Identifier: Apache-2.0
// Which line of its file an instruction of a code object is of: CPython's three formats of co_lnotab and
// co_linetable. The bytes come from a process: any are read without harm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace siprof::client {

// `version` as in PythonLayout; `instruction` in words of 2 bytes since the beginning of the bytecode.
// nullopt: the instruction is of no line, or the table doesn't reach it.
std::optional<std::uint32_t> line_of(std::uint16_t version, std::span<const std::byte> table,
                                     std::uint32_t first_line, std::uint32_t instruction);

}  // namespace siprof::client
