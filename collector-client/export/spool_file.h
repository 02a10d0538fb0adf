// SPDX-License-Identifier: Apache-2.0
// The bytes of one file of the spool: a header with number and checksum before
// the message, so that a torn or foreign file is noticed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace siprof::client {

// Little-endian: magic, version, sequence, length, CRC-32 of the message.
std::string wrap_spool_file(std::uint64_t sequence, std::string_view message);

// The message. Errors: DATA_LOSS that says what is wrong.
absl::StatusOr<std::string> unwrap_spool_file(std::uint64_t sequence, std::string_view file);

// "00000000000000000012.msg" and back; 0: no such name.
std::string spool_file_name(std::uint64_t sequence);
std::uint64_t sequence_of_file(std::string_view name);

}  // namespace siprof::client
