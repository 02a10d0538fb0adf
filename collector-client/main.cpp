// SPDX-License-Identifier: Apache-2.0
// `siprof`: finds the command and runs it.
#include <cstdio>
#include <string_view>

#include "collector-client/cli/commands.h"
#include "collector-client/symbolize/worker.h"

namespace {

void print_usage(std::FILE* to) {
  std::fputs("usage: siprof COMMAND ...\n\n", to);
  for (const siprof::client::Command& command : siprof::client::commands()) {
    std::fprintf(to, "  siprof %s %s\n      %s\n", command.name, command.synopsis, command.help);
  }
  std::fputs("\n  siprof --version\n\nsiprof COMMAND --help lists a command's options.\n", to);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == siprof::client::kWorkerArgument) return siprof::client::symbol_worker_main(argc, argv);
  if (name == "--version") {
    std::puts("siprof " SIPROF_VERSION);
    return 0;
  }
  if (name == "--help" || name == "-h" || name == "help") {
    print_usage(stdout);
    return 0;
  }
  for (const siprof::client::Command& command : siprof::client::commands()) {
    if (name == command.name) return command.run(argc - 1, argv + 1);
  }
  if (name.empty()) {
    print_usage(stderr);
  } else {
    std::fprintf(stderr, "siprof: there is no command %s; siprof --help lists them\n", argv[1]);
  }
  return 2;
}
