// SPDX-License-Identifier: Apache-2.0
// proto/siprof/options.def as data, with the function that reads a value into
// its field.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "collector-client/cli/options.h"

namespace siprof::client {

struct OptionRow {
  const char* flag;  // "" where there is none
  const char* variable;
  const char* others;
  const char* fallback;
  std::uint64_t min;
  std::uint64_t max;
  const char* help;
  // Errors: INVALID_ARGUMENT, "write …".
  absl::Status (*read)(const OptionRow& row, std::string_view text, Options* into);
  bool repeats;  // values of a repeated flag add up
};

std::span<const OptionRow> option_table();

}  // namespace siprof::client
