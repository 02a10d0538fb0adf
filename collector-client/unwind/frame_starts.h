// SPDX-License-Identifier: Apache-2.0
// Where a file's functions begin, as its call-frame information says. elfutils answers for an address;
// whoever wants all rows has to know which to ask for.
#pragma once

#include <cstdint>
#include <vector>

#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {

// Start addresses of all entries of .eh_frame and .debug_frame that lie in executable segments, ascending,
// each once; at most `most`. Entries that can't be read are left out.
std::vector<std::uint64_t> frame_starts(const ElfImage& image, std::size_t most);

}  // namespace siprof::client
