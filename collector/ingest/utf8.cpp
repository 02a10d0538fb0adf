// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/utf8.h"

#include <cstdint>
#include <cstring>

namespace siprof::collector {
namespace {

// Names are nearly always ASCII: eight bytes at a time until one isn't.
std::string_view without_ascii_prefix(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  while (text.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, text.data(), sizeof(word));
    if (word & kHighBits) break;
    text.remove_prefix(sizeof(word));
  }
  return text;
}

// Bytes of the sequence at the start of `text`, 0 if it isn't one. Source: table 3-7 of the Unicode standard.
std::size_t sequence_bytes(std::string_view text) {
  const auto byte = [text](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const auto continues = [&byte](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return continues(1) ? 2 : 0;
  if (lead < 0xf0) {
    const bool overlong = lead == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = lead == 0xed && byte(1) > 0x9f;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  const bool overlong = lead == 0xf0 && byte(1) < 0x90;
  const bool beyond = lead > 0xf4 || (lead == 0xf4 && byte(1) > 0x8f);
  return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (text = without_ascii_prefix(text); !text.empty();) {
    const std::size_t bytes = sequence_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace siprof::collector
