// SPDX-License-Identifier: Apache-2.0
// What a profile may contain at most, and when it may be from.
#pragma once

#include <cstddef>

#include "absl/time/time.h"

namespace siprof::collector {

struct PprofLimits {
  std::size_t max_bytes = 16U << 20;  // decompressed
  // Counts bound the memory that parsing takes: two bytes of input can otherwise
  // become an object of a hundred.
  std::size_t max_sample_types = 16;
  std::size_t max_samples = 16'000;
  std::size_t max_mappings = 65'536;
  std::size_t max_locations = 262'144;
  std::size_t max_functions = 262'144;
  std::size_t max_strings = 262'144;
  std::size_t max_comments = 1'024;
  std::size_t max_depth = 4'096;          // locations of a sample
  std::size_t max_lines = 1'024;          // inlined calls of a location
  std::size_t max_labels = 100;           // of a sample
  std::size_t max_name_bytes = 1'024;     // of a function, sample type, unit, label key
  std::size_t max_string_bytes = 65'535;  // of anything else: holder stacks, paths, comments
  absl::Duration oldest = absl::Hours(48);
  absl::Duration newest = absl::Minutes(10);
};

}  // namespace siprof::collector
