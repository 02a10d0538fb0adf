// SPDX-License-Identifier: Apache-2.0
#include "collector-client/base/presentable.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace siprof::client {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::size_t kHashTailBytes = 17;

// FNV-1a: the same on every machine and in every version, unlike std::hash.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037u;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211u;
  return hash;
}

bool is_continuation(unsigned char c) {
  return (c & 0xC0) == 0x80;
}

// Bytes of the well-formed character at `at`, 0 if there is none (Unicode 15,
// table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t character_bytes(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : static_cast<unsigned char>(0);
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(byte(i))) return 0;
  }
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
  if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

}  // namespace

std::string presentable(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  std::size_t cut = 0;  // the last boundary that leaves room for the tail
  for (std::size_t at = 0; at < text.size();) {
    if (clean.size() + kHashTailBytes <= kMaxNameBytes) cut = clean.size();
    const std::size_t length = character_bytes(text, at);
    // A NUL is legal UTF-8 but ends the name in readers written in C.
    if (length == 0 || text[at] == '\0') {
      clean += kReplacement;
      ++at;
    } else {
      clean += text.substr(at, length);
      at += length;
    }
  }
  if (clean.size() > kMaxNameBytes) {
    clean.resize(cut);
    absl::StrAppend(&clean, "~", absl::Hex(stable_hash(text), absl::kZeroPad16));
  }
  return clean;
}

}  // namespace siprof::client
