// SPDX-License-Identifier: Apache-2.0
// From a file's call-frame information to the table that profiled processes read in their handlers
// (proto/siprof/unwind_tables.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {

struct CompiledTable {
  std::vector<std::byte> bytes;  // as it lies in the arena
  std::uint32_t rows = 0;
  std::uint32_t other_rows = 0;  // that say "not by this table"
};

// Takes a second for some hundred thousand rows; bounded for hostile files. Any one thread with an image
// of its own (libelf's handles aren't shared).
// `go_on` is asked every now and then whether to; empty: always.
// Errors: NOT_FOUND: the file has no call-frame information. OUT_OF_RANGE: more code or rows than a table
// holds. DEADLINE_EXCEEDED: `go_on` said no.
absl::StatusOr<CompiledTable> compile_table(const std::shared_ptr<const ElfImage>& image,
                                            const std::function<bool()>& go_on = {});

}  // namespace siprof::client
