// SPDX-License-Identifier: Apache-2.0
// The bytes of one profile in a day file: stack ids and values.
//
//   packed (blob.h): varint n, varint types, n ascending ids as differences,
//   then n values of the first type, n of the second, …
//
// Ids of one service are dense and numbered by first sight, so hot stacks have
// small ids and differences fit a byte: 1.2 bytes a value instead of 18.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/sqlite/blob.h"

namespace siprof::collector::sqlite {

// Both sides as columns: ids[i] has values[type * ids.size() + i].
struct StackValues {
  std::vector<std::uint32_t> ids;  // strictly ascending
  std::vector<std::int64_t> values;
  int types = 0;
};

class StackEncoder {
 public:
  std::string encode(const StackValues& stacks);

 private:
  BlobPacker packer_;
};

class StackDecoder {
 public:
  // Overwrites `out`, reusing its memory. Errors: DATA_LOSS.
  absl::Status decode(absl::string_view bytes, StackValues& out);

 private:
  BlobUnpacker unpacker_;
};

// Name id and value pairs of a profile's counters.
using Counters = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
std::string encode_counters(const Counters& counters);
// Errors: DATA_LOSS.
absl::StatusOr<Counters> decode_counters(absl::string_view bytes);

}  // namespace siprof::collector::sqlite
