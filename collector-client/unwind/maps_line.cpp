// SPDX-License-Identifier: Apache-2.0
// See maps_line.h.
#include "collector-client/unwind/maps_line.h"

#include <sys/sysmacros.h>

#include <charconv>

namespace siprof::client {
namespace {

// Takes a number and the character behind it off the front of `text`.
template <typename T>
bool take_number(std::string_view& text, T& value, int base, char separator) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc{} || rest == end || *rest != separator) return false;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()) + 1);
  return true;
}

}  // namespace

std::optional<MapsLine> parse_maps_line(std::string_view line) {
  MapsLine result;
  unsigned major = 0;
  unsigned minor = 0;
  if (!take_number(line, result.start, 16, '-') || !take_number(line, result.end, 16, ' ')) return {};
  if (line.size() < 5 || line[4] != ' ') return {};
  result.executable = line[2] == 'x';
  line.remove_prefix(5);
  if (!take_number(line, result.file_offset, 16, ' ') || !take_number(line, major, 16, ':') ||
      !take_number(line, minor, 16, ' ')) {
    return {};
  }
  // Anonymous memory: the kernel puts a blank behind the inode in either case, an editor may not.
  const char* end = line.data() + line.size();
  const auto [rest, error] = std::from_chars(line.data(), end, result.inode, 10);
  if (error != std::errc{} || result.start >= result.end) return {};
  line.remove_prefix(static_cast<std::size_t>(rest - line.data()));
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  result.path = line;
  result.device = makedev(major, minor);
  return result;
}

}  // namespace siprof::client
