// SPDX-License-Identifier: Apache-2.0
// The commands that ask a collector, for the table in commands.cpp.
#pragma once

namespace siprof::client {

int run_services(int argc, char** argv);
int run_top(int argc, char** argv);
int run_get(int argc, char** argv);

}  // namespace siprof::client
