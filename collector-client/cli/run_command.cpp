// SPDX-License-Identifier: Apache-2.0
// `siprof run`: becomes CMD, preloaded. Same pid, same terminal, same everything.
#include "collector-client/cli/run_command.h"

#include <cstdio>

#include "collector-client/cli/launch.h"
#include "collector-client/cli/shim_path.h"

namespace siprof::client {

int run_run(int argc, char** argv) {
  const Environment environment = own_environment();
  absl::StatusOr<CommandLine> line = parse_command_line({argv + 1, argv + argc}, environment);
  if (!line.ok()) {
    std::fprintf(stderr, "siprof run: %s\n", std::string(line.status().message()).c_str());
    return 2;
  }
  if (line->help) {
    std::printf("usage: siprof run [OPTIONS] [--] CMD ARG...\n\n%s", options_help().c_str());
    return 0;
  }
  if (line->command.empty()) {
    std::fputs("siprof run: no command; write siprof run [OPTIONS] -- CMD ARG...\n", stderr);
    return 2;
  }
  const absl::StatusOr<std::string> shim = find_shim();
  if (!shim.ok()) {
    std::fprintf(stderr, "siprof run: %s\n", std::string(shim.status().message()).c_str());
    return 2;
  }
  return execute(line->command, with_shim(environment, *shim, line->options), "run");
}

}  // namespace siprof::client
