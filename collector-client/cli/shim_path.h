// SPDX-License-Identifier: Apache-2.0
// Where libsiprof.so is, relative to this program: in the build tree and installed.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace siprof::client {

// Errors: NOT_FOUND, with the places that were looked at; INVALID_ARGUMENT: it is at a path that
// LD_PRELOAD cannot name.
absl::StatusOr<std::string> find_shim();

// For tests: as if the program were in `folder`.
absl::StatusOr<std::string> find_shim_from(const std::string& folder);

}  // namespace siprof::client
