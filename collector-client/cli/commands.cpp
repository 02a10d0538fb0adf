// SPDX-License-Identifier: Apache-2.0
// The table of commands.
#include "collector-client/cli/commands.h"

#include "collector-client/cli/ask_commands.h"
#include "collector-client/cli/doctor.h"

namespace siprof::client {
namespace {

constexpr Command kCommands[] = {
    {"services", "[--server URL] [--json]", "services that a collector knows", run_services},
    {"top", "[--server URL] --service S [--kind K] [--from T --to T] [--label k=v]... [--limit N] [--json]",
     "hottest functions, from a collector", run_top},
    {"get", "[--server URL] --service S [--kind K] [--from T --to T] [--label k=v]... -o FILE",
     "one merged pprof file, from a collector", run_get},
    {"doctor", "[--] CMD", "say why CMD would not be profiled", run_doctor},
};

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

}  // namespace siprof::client
