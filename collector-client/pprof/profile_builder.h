// SPDX-License-Identifier: Apache-2.0
// A window of addresses becomes pprof profiles, by the strictest readers' rules:
// ids are index + 1, string_table[0] is "", all strings are UTF-8 and at most
// 1 KiB, mapping[0] is the main executable, no frame of siprof itself.
// Names are asked for here, once per distinct address of the window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "collector-client/aggregate/frame_source.h"
#include "collector-client/aggregate/window.h"
#include "profile.pb.h"

namespace siprof::client {

// True for code of siprof itself, which must not appear.
using OwnFrame = std::function<bool(const CodeAddress&)>;

struct BuildOptions {
  std::int64_t period = 1;  // in the kind's period unit: 1e9/hz, the heap interval, 1
  OwnFrame is_own;          // empty: nothing is
  std::size_t max_samples = 16'000;
  std::size_t max_bytes = 4u << 20;  // uncompressed, per profile
};

// At least one profile; more where the window exceeds a limit. The window's
// counters (and `unsymbolized`, distinct addresses without a name) stand as
// `siprof.NAME=VALUE` comments in the first alone, so that they add up; they
// are stored back into `window.counters` too.
std::vector<perftools::profiles::Profile> build_profiles(Window& window, FrameSource& frames,
                                                         const BuildOptions& options);

// Serialized and gzipped, as every reader takes it.
absl::StatusOr<std::string> pack_profile(const perftools::profiles::Profile& profile);
// Errors: INVALID_ARGUMENT for what isn't a (gzipped) profile, or exceeds 256 MiB.
absl::StatusOr<perftools::profiles::Profile> unpack_profile(std::string_view bytes);

}  // namespace siprof::client
