// SPDX-License-Identifier: Apache-2.0
// What the environment said when the process started, copied then: programs that
// set their title overwrite it later.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proto/siprof/rates.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

struct Config {
  bool enabled;
  bool follow_children;
  bool explicit_socket;  // SIPROF_AGENT_SOCKET: join that agent, never start one
  Rates rates;
  std::uint32_t user_id;     // effective, at start
  std::uint64_t start_ns;    // CLOCK_MONOTONIC
  std::uint64_t agent_hash;  // of every variable that makes agents differ

  // NAME=value\0 strings that the agent needs: options, resource, state folder.
  std::size_t environment_bytes;
  std::size_t argv_bytes;
  char argv[1024];
  char environment[12 * 1024];  // last: what is used of it mostly fits on the first page
};

extern Config g_config;

// Reads the environment into g_config. Bad values leave the default: the agent
// warns about them, the app never hears of it.
// Context: constructor, single thread.
void read_config(int argc, char** argv, char** envp);

// As switches are written, in any case of letters; null is off.
bool is_on(const char* text);
bool is_off(const char* text);

// The value of a captured variable, or null. Any thread; no libc.
SIPROF_SIGNAL_SAFE const char* captured(const char* name);

}  // namespace siprof::shim
