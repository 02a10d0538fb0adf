// SPDX-License-Identifier: Apache-2.0
// The table of commands.
#include "collector-client/cli/commands.h"

#include "collector-client/cli/ask_commands.h"
#include "collector-client/cli/doctor.h"
#include "collector-client/cli/run_command.h"

namespace siprof::client {
namespace {

constexpr Command kCommands[] = {
    {"run", "[OPTIONS] [--] CMD ARG...", "preload CMD and become it", run_run},
    {"record", "[OPTIONS] -o DIR [--] CMD ARG...",
     "run CMD without a collector, write one pprof file per kind", run_record},
    {"agent", "[OPTIONS] [--socket-mode OCTAL]",
     "the agent in the foreground, for processes that join by its socket", run_agent},
    {"ps", "[--agent-socket PATH]", "processes now profiled, with their counters", run_ps},
    {"services", "[--server URL] [--json]", "services that a collector knows", run_services},
    {"top", "[--server URL] --service S [--kind K] [--from T --to T] [--label k=v]... [--limit N] [--json]",
     "hottest functions, from a collector", run_top},
    {"get", "[--server URL] --service S [--kind K] [--from T --to T] [--label k=v]... -o FILE|-",
     "one merged pprof file, from a collector", run_get},
    {"doctor", "[--] CMD", "say why CMD would not be profiled", run_doctor},
};

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

}  // namespace siprof::client
