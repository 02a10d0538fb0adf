// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/wire_cursor.h"

namespace siprof::collector {

bool WireCursor::next() {
  if (malformed_ || static_cast<std::size_t>(input_.CurrentPosition()) == message_.size()) return false;
  tag_ = input_.ReadTag();
  malformed_ = Wire::GetTagFieldNumber(tag_) == 0 || !read_value();
  return !malformed_;
}

bool WireCursor::read_value() {
  std::uint64_t fixed64;
  std::uint32_t fixed32;
  bytes_ = {};
  number_ = 0;
  switch (Wire::GetTagWireType(tag_)) {
    case Wire::WIRETYPE_VARINT:
      return input_.ReadVarint64(&number_);
    case Wire::WIRETYPE_FIXED64:
      return input_.ReadLittleEndian64(&fixed64);
    case Wire::WIRETYPE_FIXED32:
      return input_.ReadLittleEndian32(&fixed32);
    case Wire::WIRETYPE_LENGTH_DELIMITED:
      return read_bytes();
    default:
      return false;
  }
}

bool WireCursor::read_bytes() {
  std::uint32_t size;
  if (!input_.ReadVarint32(&size)) return false;
  const auto start = static_cast<std::size_t>(input_.CurrentPosition());
  if (size > message_.size() - start) return false;
  bytes_ = message_.substr(start, size);
  return input_.Skip(static_cast<int>(size));
}

}  // namespace siprof::collector
