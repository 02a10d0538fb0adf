// SPDX-License-Identifier: Apache-2.0
// A status' message as what fmt and gRPC take: abseil's string_view is neither's here.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace siprof::collector {

inline std::string text_of(const absl::Status& status) {
  return std::string(status.message());
}

}  // namespace siprof::collector
