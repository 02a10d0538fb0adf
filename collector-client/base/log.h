// SPDX-License-Identifier: Apache-2.0
// Sets up spdlog's default logger, once, at the start of a command. Afterwards
// every file logs with spdlog::warn(…) and friends; one line an event.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace siprof::client {

enum class LogLevel { kError, kWarn, kInfo, kDebug };

// `file` empty: stderr (a command that the user started); else appended to
// (an agent that an app started: its stderr is not ours). A file that has grown
// over 4 MiB is moved to `file`.1 first.
// Errors: what open said; the logger then stays on stderr.
absl::Status open_log(LogLevel level, const std::string& file);

}  // namespace siprof::client
