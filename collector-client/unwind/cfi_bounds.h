// SPDX-License-Identifier: Apache-2.0
// Whether elfutils may execute a file's call-frame information. It executes an entry's program up to the
// wanted address at each question, keeps a copy of all registers for each remembered state, and makes room
// for any register number: some bytes of a damaged file cost gigabytes, or hours.
#pragma once

#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {

// Whether each entry's program has a plausible length, registers that exist, and remembers few states.
// Reads all of .eh_frame and .debug_frame once: up to 30 ms for libLLVM's when the file is in memory, on a
// loaded machine.
bool is_bounded_cfi(Elf* elf);

}  // namespace siprof::client
