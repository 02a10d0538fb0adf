// SPDX-License-Identifier: Apache-2.0
// Walks the fields of one protobuf message without making objects. Groups, which
// no proto3 message has, count as malformed. Called by pprof_scan and metrics_intake; no state kept.
#pragma once

#include <cstdint>
#include <string_view>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"

namespace siprof::collector {

class WireCursor {
 public:
  explicit WireCursor(std::string_view message)
      : message_(message),
        input_(reinterpret_cast<const std::uint8_t*>(message.data()), static_cast<int>(message.size())) {}

  // To the next field; false at the end and at the first malformed byte.
  bool next();
  bool malformed() const { return malformed_; }

  int field() const { return Wire::GetTagFieldNumber(tag_); }
  bool has_bytes() const { return Wire::GetTagWireType(tag_) == Wire::WIRETYPE_LENGTH_DELIMITED; }
  bool has_number() const { return Wire::GetTagWireType(tag_) == Wire::WIRETYPE_VARINT; }
  std::string_view bytes() const { return bytes_; }  // empty unless has_bytes()
  std::uint64_t number() const { return number_; }   // 0 unless has_number()

 private:
  using Wire = google::protobuf::internal::WireFormatLite;
  bool read_value();
  bool read_bytes();

  std::string_view message_;
  google::protobuf::io::CodedInputStream input_;
  std::uint32_t tag_ = 0;
  std::string_view bytes_;
  std::uint64_t number_ = 0;
  bool malformed_ = false;
};

}  // namespace siprof::collector
