// SPDX-License-Identifier: Apache-2.0
// What an address is called in the source.
#pragma once

#include <cstdint>
#include <string>

namespace siprof::client {

struct SourceFrame {
  std::string name;         // demangled with scope and parameter types, at most 1 KiB
  std::string system_name;  // as the linker knows it
  std::string file;         // empty: unknown
  std::int64_t line = 0;    // 0: unknown
  std::int64_t start_line = 0;
};

}  // namespace siprof::client
