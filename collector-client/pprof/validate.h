// SPDX-License-Identifier: Apache-2.0
// The rules of the strictest readers, so that what passes here is accepted by
// every engine.
#pragma once

#include "absl/status/status.h"
#include "profile.pb.h"

namespace siprof::client {

// Errors: INVALID_ARGUMENT that names the first broken rule and where.
absl::Status check_strict(const perftools::profiles::Profile& profile);

}  // namespace siprof::client
