// SPDX-License-Identifier: Apache-2.0
// Bytes between the agent, its symbol worker and the symbol cache: little-endian
// integers and length-prefixed strings. Both ends are the same executable; a reader
// still checks everything, since a worker that hostile input has overrun may write anything.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace siprof::client {

class WireWriter {
 public:
  void number(std::uint64_t value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void text(std::string_view value) {
    number(value.size());
    bytes_.append(value);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// After the first missing byte everything reads as zero and ok() is false.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t number() {
    std::uint64_t value = 0;
    if (!ok_ || bytes_.size() < sizeof value) return fail();
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return value;
  }
  std::string text() {
    const std::uint64_t size = number();
    if (!ok_ || size > bytes_.size()) return fail(), std::string();
    std::string value(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return value;
  }
  // A count of things that take at least 8 bytes each.
  std::uint64_t count() {
    const std::uint64_t value = number();
    return value <= bytes_.size() / 8 ? value : fail();
  }
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && bytes_.empty(); }

 private:
  std::uint64_t fail() {
    ok_ = false;
    return 0;
  }

  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace siprof::client
