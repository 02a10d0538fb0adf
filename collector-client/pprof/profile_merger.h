// SPDX-License-Identifier: Apache-2.0
// Several profiles of one kind become one: used by `record` (one file per kind)
// and by tests. Profiles are added one at a time and not kept.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "profile.pb.h"

namespace siprof::client {

// Values add, except levels (inuse_*): there, of each process, the last profile
// added counts, by the start of its window. Counters in comments add or, being levels, replace.
class ProfileMerger {
 public:
  ProfileMerger();
  ~ProfileMerger();

  // Errors: INVALID_ARGUMENT for a profile that breaks the strict rules or has
  // other sample types than the first; the merged profile is as before.
  absl::Status add(const perftools::profiles::Profile& profile);

  // Valid whatever was added; without any profile it is empty (no sample types).
  perftools::profiles::Profile result();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace siprof::client
