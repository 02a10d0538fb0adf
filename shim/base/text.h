// SPDX-License-Identifier: Apache-2.0
// Strings in fixed buffers without libc, for the constructor and the attach child.
#pragma once

#include <cstddef>
#include <cstdint>

namespace siprof::shim {

inline std::size_t length(const char* s) {
  std::size_t n = 0;
  while (s[n] != '\0') ++n;
  return n;
}

inline bool equal(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

inline bool same_bytes(const void* a, const void* b, std::size_t bytes) {
  const auto* left = static_cast<const unsigned char*>(a);
  const auto* right = static_cast<const unsigned char*>(b);
  for (std::size_t i = 0; i < bytes; ++i) {
    if (left[i] != right[i]) return false;
  }
  return true;
}

inline bool starts_with(const char* s, const char* prefix) {
  while (*prefix != '\0' && *s == *prefix) ++s, ++prefix;
  return *prefix == '\0';
}

inline void copy_bytes(void* to, const void* from, std::size_t bytes) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

inline void zero_bytes(void* to, std::size_t bytes) {
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(0) : "memory");
}

// Appends within `capacity`, always terminated. `overflowed` says whether all fitted.
class TextBuffer {
 public:
  TextBuffer(char* data, std::size_t capacity) : data_(data), capacity_(capacity) { data_[0] = '\0'; }

  TextBuffer& add(const char* s) { return add(s, length(s)); }
  TextBuffer& add(const char* s, std::size_t bytes) {
    if (size_ + bytes + 1 > capacity_) {
      overflowed_ = true;
      return *this;
    }
    copy_bytes(data_ + size_, s, bytes);
    size_ += bytes;
    data_[size_] = '\0';
    return *this;
  }
  TextBuffer& add_number(std::uint64_t value, unsigned base = 10) {
    char digits[24];
    std::size_t at = sizeof(digits);
    do {
      digits[--at] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    return add(digits + at, sizeof(digits) - at);
  }
  const char* c_str() const { return data_; }
  std::size_t size() const { return size_; }
  bool overflowed() const { return overflowed_; }
  void resize(std::size_t bytes) { data_[size_ = bytes] = '\0'; }

 private:
  char* data_;
  std::size_t capacity_;
  std::size_t size_ = 0;
  bool overflowed_ = false;
};

}  // namespace siprof::shim
