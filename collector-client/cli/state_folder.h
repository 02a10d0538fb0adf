// SPDX-License-Identifier: Apache-2.0
// Where spool, caches and agent.log live: $XDG_STATE_HOME/siprof, else
// ~/.local/state/siprof, else /tmp/siprof-UID.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "collector-client/base/resource.h"

namespace siprof::client {

std::string state_folder(const Environment& environment);

// Creates it with mode 0700. Errors: FAILED_PRECONDITION when it belongs to
// someone else, is a link or no folder; what mkdir said.
absl::Status prepare_state_folder(const std::string& folder);

// The spool when none is named: one per collector, in the state folder, so that
// what was meant for one collector never goes to another.
std::string default_spool(const Environment& environment, const std::string& collector);

}  // namespace siprof::client
