// SPDX-License-Identifier: Apache-2.0
#include "shim/core/maps.h"

#include <fcntl.h>

#include "shim/base/sys.h"
#include "shim/base/text.h"

namespace siprof::shim {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;

SIPROF_SIGNAL_SAFE std::uint64_t parse_hex(const char** at) {
  std::uint64_t value = 0;
  for (;; ++*at) {
    const char c = **at;
    if (c >= '0' && c <= '9') {
      value = value * 16 + static_cast<std::uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value * 16 + static_cast<std::uint64_t>(c - 'a' + 10);
    } else {
      return value;
    }
  }
}

// "start-end rwxp …": the third letter after the first space.
SIPROF_SIGNAL_SAFE bool is_executable(const char* line, std::size_t bytes) {
  std::size_t at = 0;
  while (at < bytes && line[at] != ' ') ++at;
  return at + 3 < bytes && line[at + 3] == 'x';
}

// Keeps the executable ones of whole lines; returns where the unfinished one starts.
SIPROF_SIGNAL_SAFE std::size_t keep_lines(const char* buffer, std::size_t size, TextBuffer* kept) {
  std::size_t line = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (buffer[i] != '\n') continue;
    if (is_executable(buffer + line, i - line)) kept->add(buffer + line, i + 1 - line);
    line = i + 1;
  }
  return line;
}

}  // namespace

MapsText read_executable_maps(char* out, std::size_t capacity) {
  TextBuffer kept(out, capacity);
  MapsText maps{out, 0, false};
  const long fd = sys::call(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return maps;
  char buffer[4096];
  std::size_t left = 0;
  for (std::size_t total = 0; total < kMostBytes;) {
    const long got = sys::call(SYS_read, fd, buffer + left, sizeof(buffer) - left);
    if (got <= 0) {
      maps.complete = got == 0 && !kept.overflowed();
      break;
    }
    total += static_cast<std::size_t>(got);
    const std::size_t size = left + static_cast<std::size_t>(got);
    const std::size_t line = keep_lines(buffer, size, &kept);
    left = size - line;
    if (left == sizeof(buffer)) break;  // a line longer than any path
    for (std::size_t i = 0; i < left; ++i) buffer[i] = buffer[line + i];
  }
  sys::call(SYS_close, fd);
  maps.bytes = kept.size();
  return maps;
}

bool path_at(const MapsText& maps, std::uint64_t address, char* out, std::size_t capacity) {
  const char* end = maps.text + maps.bytes;
  for (const char* line = maps.text; line < end;) {
    const char* at = line;
    const std::uint64_t start = parse_hex(&at);
    const std::uint64_t limit = *at == '-' ? parse_hex(&++at) : 0;
    while (at < end && *at != '/' && *at != '\n') ++at;
    const char* path = at;
    while (at < end && *at != '\n') ++at;
    line = at + 1;
    if (address < start || address >= limit || *path != '/') continue;
    TextBuffer text(out, capacity);
    text.add(path, static_cast<std::size_t>(at - path));
    return !text.overflowed();
  }
  return false;
}

}  // namespace siprof::shim
