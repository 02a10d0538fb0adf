// SPDX-License-Identifier: Apache-2.0
// The commands of `siprof`: one file each, one row in commands.cpp.
#pragma once

#include <span>

namespace siprof::client {

struct Command {
  const char* name;
  const char* synopsis;  // "[OPTIONS] [--] CMD ARG…"
  const char* help;      // one line
  // argv[0] is the command's name. Returns the program's status.
  int (*run)(int argc, char** argv);
};

std::span<const Command> commands();

}  // namespace siprof::client
