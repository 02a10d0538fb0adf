// SPDX-License-Identifier: Apache-2.0
// Bounded decompression of what an agent sends: never more output than allowed,
// whatever the input claims about itself. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace siprof::collector {

bool is_gzip(std::string_view bytes);

// Errors: DATA_LOSS (corrupt, cut off, bytes after the end), RESOURCE_EXHAUSTED (more than `max_bytes` come
// out).
absl::StatusOr<std::string> gunzip(std::string_view compressed, std::size_t max_bytes);

}  // namespace siprof::collector
