// SPDX-License-Identifier: Apache-2.0
// What `run` and `record` change in a program's environment, and how they execute it.
#pragma once

#include <string>
#include <vector>

#include "collector-client/base/resource.h"
#include "collector-client/cli/options.h"

namespace siprof::client {

// `environment` with the shim preloaded behind what is preloaded already, the options
// that were given as variables, and a run id where there is none.
Environment with_shim(Environment environment, const std::string& shim_path, const Options& options);

// Executes the command with that environment. Returns only on failure, with the
// status a shell would end with (127 not found, 126 not executable); says why on stderr.
int execute(const std::vector<std::string>& command, const Environment& environment, const char* who);

// 32 hex digits nobody else has.
std::string new_run_id();

// As far as the hard limit allows; where it can't be raised things go on with what there is.
void raise_soft_limit(int resource);

}  // namespace siprof::client
