// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_text.h"

#include "shim/base/guarded.h"
#include "shim/core/python_objects.h"

namespace siprof::shim {
namespace {

// PyASCIIObject::state
constexpr std::uint32_t width_of(std::uint32_t state) {
  return state >> 2 & 7;
}
constexpr bool is_compact(std::uint32_t state) {
  return (state >> 5 & 1) != 0;
}
constexpr bool is_ascii(std::uint32_t state) {
  return (state >> 6 & 1) != 0;
}

constexpr std::uint32_t kReplacement = 0xfffd;

constexpr std::uint32_t presentable(std::uint32_t character) {
  const bool is_surrogate = character >= 0xd800 && character < 0xe000;
  return character == 0 || is_surrogate || character > 0x10ffff ? kReplacement : character;
}

// Bytes stored.
std::uint32_t encode(std::uint32_t character, std::uint8_t (&to)[4]) {
  const auto tail = [character](int shift) {
    return static_cast<std::uint8_t>(0x80 | (character >> shift & 0x3f));
  };
  if (character < 0x80) {
    to[0] = static_cast<std::uint8_t>(character);
    return 1;
  }
  if (character < 0x800) {
    to[0] = static_cast<std::uint8_t>(0xc0 | character >> 6);
    to[1] = tail(0);
    return 2;
  }
  if (character < 0x10000) {
    to[0] = static_cast<std::uint8_t>(0xe0 | character >> 12);
    to[1] = tail(6);
    to[2] = tail(0);
    return 3;
  }
  to[0] = static_cast<std::uint8_t>(0xf0 | character >> 18);
  to[1] = tail(12);
  to[2] = tail(6);
  to[3] = tail(0);
  return 4;
}

bool next_character(GuardedBytes* bytes, std::uint32_t width, std::uint32_t* character) {
  *character = 0;
  for (std::uint32_t i = 0; i < width; ++i) {
    std::uint8_t byte = 0;
    if (!bytes->next(&byte)) return false;
    *character |= std::uint32_t{byte} << 8 * i;
  }
  return true;
}

}  // namespace

bool open_text(const PythonLayout& layout, std::uint64_t object, PythonText* text) {
  std::uint32_t state = 0;
  if (!is_of_kind(object, kIsText) || !load_word(object + kTextLength, &text->length) ||
      !load_part(object + kTextState, &state))
    return false;
  text->width = width_of(state);
  if (text->width != 1 && text->width != 2 && text->width != 4) return false;
  if (is_compact(state)) {
    text->data = object + (is_ascii(state) ? layout.ascii_data : layout.compact_data);
    return true;
  }
  // Of a type derived from str.
  return load_word(object + layout.compact_data, &text->data) && text->data % text->width == 0 &&
         may_be_object(text->data & ~std::uint64_t{7});
}

std::uint32_t text_to_utf8(const PythonText& text, std::uint32_t most, char* to, MarkHash* hash) {
  GuardedBytes bytes(text.data);
  std::uint32_t stored = 0;
  for (std::uint64_t i = 0; i < text.length; ++i) {
    std::uint32_t character = 0;
    if (!next_character(&bytes, text.width, &character)) return 0;
    std::uint8_t encoded[4];
    const std::uint32_t count = encode(presentable(character), encoded);
    if (stored + count >= most) break;
    for (std::uint32_t k = 0; k < count; ++k) {
      if (to != nullptr) to[stored + k] = static_cast<char>(encoded[k]);
      if (hash != nullptr) hash->add(encoded[k]);
    }
    stored += count;
  }
  if (to != nullptr) to[stored] = '\0';
  if (hash != nullptr) hash->add(0);
  return stored + 1;
}

}  // namespace siprof::shim
