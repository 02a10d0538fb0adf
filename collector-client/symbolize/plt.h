// SPDX-License-Identifier: Apache-2.0
// PLT stubs: code that jumps through the GOT to another file's function. They have no symbols;
// what they jump to is read from their code and the relocation of the slot.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {

struct PltStub {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::string name;  // of the function it jumps to
};

std::vector<PltStub> plt_stubs(const ElfImage& image);

}  // namespace siprof::client
