// SPDX-License-Identifier: Apache-2.0
// Ready-made profiles for the load generator, as a busy service makes them: made once at the start, so
// that sending them costs next to nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace siprof::bench {

// Kinds as an agent sends them, in this order.
inline constexpr const char* kKinds[] = {"cpu", "heap", "lock", "io", "errors"};

inline constexpr int kSamples = 1'000;  // of one profile

// Of one service: `distinct` gzipped profiles of each kind. 1 000 samples each, drawn with zipf 1.05 from
// 20 000 distinct stacks about 25 frames deep: close to 500 different stacks in a profile.
struct ServiceProfiles {
  std::string service;
  std::vector<std::vector<std::string>> gzipped;  // [kind][i]
};

ServiceProfiles make_service_profiles(int number, int distinct);

}  // namespace siprof::bench
