// SPDX-License-Identifier: Apache-2.0
// Whole files in one call. Writers never leave a half-written file under the
// final name: the bytes go beside it and are renamed over it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace siprof::client {

// Status of a failed system call: "cannot open /x: No such file or directory",
// with the code that fits `error_number`.
absl::Status system_error(int error_number, std::string_view what, std::string_view path);

// Errors: what open, write or rename said; RESOURCE_EXHAUSTED for a full disk.
absl::Status write_file_atomically(const std::string& path, std::string_view bytes);

// Errors: NOT_FOUND, PERMISSION_DENIED, …; RESOURCE_EXHAUSTED beyond `max_bytes`.
absl::StatusOr<std::string> read_file(const std::string& path, std::size_t max_bytes);

// Creates the folder and those above it, mode 0700 where new. No error if it is there.
absl::Status make_folders(const std::string& path);

}  // namespace siprof::client
