// SPDX-License-Identifier: Apache-2.0
// The bytes that a day file keeps of a profile or of metrics: numbers as varints, packed.
//
//   byte 0        1: zstd of what follows, 0: as it is
//
// Used by stack_codec and metric_codec, on the thread of the store's writer or of one query.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace siprof::collector::sqlite {

// DATA_LOSS. `what`: "profile", "window of metrics".
absl::Status damaged(absl::string_view what);

void put_varint(std::string& out, std::uint64_t value);

class VarintReader {
 public:
  explicit VarintReader(absl::string_view bytes)
      : at_(reinterpret_cast<const unsigned char*>(bytes.data())), end_(at_ + bytes.size()) {}

  // 0 and no longer ok() at the end of the bytes, or where there is no varint.
  std::uint64_t next() {
    if (at_ < end_ && *at_ < 0x80) [[likely]]
      return *at_++;
    std::uint64_t value = 0;
    for (int shift = 0; at_ < end_ && shift < 64; shift += 7) {
      const std::uint64_t byte = *at_++;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  // The next 8 bytes, least significant first.
  std::uint64_t next_fixed64();
  bool ok() const { return ok_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

 private:
  const unsigned char* at_;
  const unsigned char* end_;
  bool ok_ = true;
};

class BlobPacker {
 public:
  std::string pack(absl::string_view raw);

 private:
  struct Free {
    void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> context_{ZSTD_createCCtx()};
};

class BlobUnpacker {
 public:
  // Valid until the next call, and as long as `bytes`. Errors: DATA_LOSS.
  absl::StatusOr<absl::string_view> unpack(absl::string_view bytes);

 private:
  struct Free {
    void operator()(ZSTD_DCtx* c) const { ZSTD_freeDCtx(c); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_{ZSTD_createDCtx()};
  std::string raw_;
};

}  // namespace siprof::collector::sqlite
