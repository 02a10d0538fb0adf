// SPDX-License-Identifier: Apache-2.0
// Every setting, resolved from flags, then the environment, then defaults, by
// the one table proto/siprof/options.def. Used by all commands; the agent uses
// it with the environment alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector-client/base/log.h"
#include "collector-client/base/resource.h"
#include "collector-client/python/native_frames.h"

namespace siprof::client {

struct Options {
  std::string collector;
  std::string token;
  std::string token_file;
  std::string service;  // empty: found per process
  std::string version;
  std::string env;
  Attributes labels;
  std::vector<std::string> kinds;  // in the order of the contract, without repeats
  std::uint32_t hz = 0;
  std::uint64_t heap_interval_bytes = 0;
  absl::Duration block_interval;
  absl::Duration window;
  std::optional<double> budget_share;  // 0.01 for 1%; none: "off"
  std::string output;
  std::string spool;  // resolved: never empty
  std::uint64_t spool_bytes = 0;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  NativeFrames native_frames = NativeFrames::kApp;
  std::string agent_socket;
  std::string agent_program;
  bool follow = true;
  LogLevel log = LogLevel::kWarn;
  bool disabled = false;
  bool error_messages = false;
  bool python_errors = true;
  bool python_alloc = true;

  bool is_on(std::string_view kind) const;

  // What flags said, as the environment variables that say the same: what `run`
  // and `record` hand to CMD.
  std::map<std::string, std::string> given;
  // Bad environment values, one line each, and one line for options that have no effect yet: for
  // the agent's log.
  std::vector<std::string> warnings;
};

struct CommandLine {
  Options options;
  std::vector<std::string> command;  // CMD ARG…
  bool help = false;
};

// `arguments` without program and command name. Parsing stops at the first
// argument that isn't an option, or after "--".
// Errors: INVALID_ARGUMENT, one line that says what to write.
absl::StatusOr<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                               const Environment& environment);

// Environment and defaults alone; never fails, see Options::warnings.
Options options_from_environment(const Environment& environment);

// The options as `--help` shows them.
std::string options_help();
// The rows of docs/configuration.md; a test holds them equal.
std::string options_markdown();

}  // namespace siprof::client
