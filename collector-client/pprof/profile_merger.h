// SPDX-License-Identifier: Apache-2.0
// Several profiles of one kind become one: used by `record` (one file per kind)
// and by tests. Profiles are added one at a time and not kept.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "profile.pb.h"

namespace siprof::client {

// Counters with such names are levels (rates in force, sizes), of which the
// last one counts; all others are sums. By the unit at the name's end:
// _hz, _interval_bytes, _interval_ns, _permille, _rss_bytes.
bool is_level_counter(std::string_view name);

// Values add, except levels (inuse_*): there, of each process, the last profile
// added counts. Counters in comments add or, being levels, replace.
class ProfileMerger {
 public:
  ProfileMerger();
  ~ProfileMerger();

  // Errors: INVALID_ARGUMENT for a profile that breaks the strict rules or has
  // other sample types than the first; the merged profile is as before.
  absl::Status add(const perftools::profiles::Profile& profile);

  // Valid whatever was added; without any profile it is empty (no sample types).
  perftools::profiles::Profile result() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace siprof::client
