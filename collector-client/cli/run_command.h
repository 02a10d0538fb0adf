// SPDX-License-Identifier: Apache-2.0
// `siprof run`, `siprof record`, `siprof agent`, `siprof ps`.
#pragma once

namespace siprof::client {

int run_run(int argc, char** argv);
int run_record(int argc, char** argv);
int run_agent(int argc, char** argv);
int run_ps(int argc, char** argv);

}  // namespace siprof::client
