// SPDX-License-Identifier: Apache-2.0
// How CPython's structures are laid out, by minor version: the table that processes are told from
// (proto/siprof/python.h). Builds with the GIL, LP64; a minor version's layout is frozen from its first
// release candidate on.
#pragma once

#include <cstdint>
#include <span>

#include "proto/siprof/python.h"

namespace siprof::client {

constexpr std::uint16_t python_version(unsigned major, unsigned minor) {
  return static_cast<std::uint16_t>(major << 8 | minor);
}

// Null: not in the table.
const PythonLayout* find_layout(std::uint16_t version);
std::span<const PythonLayout> all_layouts();

}  // namespace siprof::client
