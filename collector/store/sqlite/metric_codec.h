// SPDX-License-Identifier: Apache-2.0
// The bytes of one window of runtime metrics in a day file: ids of the catalogue's strings and values.
//
//   packed (blob.h): varint sets of labels, then of each set
//     varint labels, (varint name, varint value) of each,
//     varint points, (varint metric, value) of each
//   value: varint 2 × zigzag of a whole number, or varint 1 and the 8 bytes of a double
//
// A set of labels (a process, and what else tells points apart) stands once for all points that have it, and
// most values are whole and short.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "collector/store/sqlite/blob.h"

namespace siprof::collector::sqlite {

struct MetricSet {
  std::vector<std::pair<std::int64_t, std::int64_t>> labels;  // name, value
  std::vector<std::pair<std::int64_t, double>> points;        // metric, value
};

class MetricEncoder {
 public:
  std::string encode(const std::vector<MetricSet>& sets);

 private:
  BlobPacker packer_;
};

class MetricDecoder {
 public:
  // Calls `visit` for each set, which it may not keep. Errors: DATA_LOSS.
  absl::Status decode(absl::string_view bytes, absl::FunctionRef<absl::Status(const MetricSet&)> visit);

 private:
  BlobUnpacker unpacker_;
  MetricSet set_;  // its memory is used again
};

}  // namespace siprof::collector::sqlite
