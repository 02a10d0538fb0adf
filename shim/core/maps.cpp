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

constexpr std::size_t kFileBytes = 48;  // of device and inode, as text

// Where a file's first byte is mapped, and which file that is.
struct Header {
  std::uint64_t start;
  char file[kFileBytes];
  std::size_t bytes;
};

// "start-end rwxp offset device inode   path", from `text` to `end`.
struct Line {
  const char* text;
  const char* end;
  const char* flags;
  const char* file;  // device and inode
  std::size_t file_bytes;
  std::uint64_t offset;

  SIPROF_SIGNAL_SAFE bool is_executable() const { return end - flags > 3 && flags[2] == 'x'; }
  SIPROF_SIGNAL_SAFE std::uint64_t start() const {
    const char* at = text;
    return parse_hex(&at);
  }
  SIPROF_SIGNAL_SAFE bool is_vdso() const { return end - text > 6 && same_bytes(end - 6, "[vdso]", 6); }
  // Memory without a file has inode 0.
  SIPROF_SIGNAL_SAFE bool has_file() const {
    return file_bytes > 2 && !same_bytes(file + file_bytes - 2, " 0", 2);
  }
  SIPROF_SIGNAL_SAFE bool is_of(const Header& header) const {
    return has_file() && header.bytes == file_bytes && same_bytes(header.file, file, file_bytes);
  }
};

SIPROF_SIGNAL_SAFE const char* after_space(const char* at, const char* end) {
  while (at < end && *at != ' ') ++at;
  return at < end ? at + 1 : end;
}

SIPROF_SIGNAL_SAFE Line split(const char* text, const char* end) {
  Line line{text, end, after_space(text, end), end, 0, 0};
  const char* at = after_space(line.flags, end);
  line.offset = parse_hex(&at);
  line.file = after_space(at, end);
  const char* inode = after_space(line.file, end);
  const char* inode_end = inode;
  while (inode_end < end && *inode_end != ' ') ++inode_end;
  line.file_bytes = static_cast<std::size_t>(inode_end - line.file);
  return line;
}

struct Kept {
  TextBuffer text;
  std::uint64_t* headers;
  std::uint32_t lines;
  Header header;
};

SIPROF_SIGNAL_SAFE void keep(const Line& line, Kept* kept) {
  if (line.offset == 0 && line.has_file() && line.file_bytes <= kFileBytes && line.flags[0] == 'r') {
    kept->header.start = line.start();
    kept->header.bytes = line.file_bytes;
    copy_bytes(kept->header.file, line.file, line.file_bytes);
  }
  if (!line.is_executable()) return;
  kept->text.add(line.text, static_cast<std::size_t>(line.end + 1 - line.text));
  if (kept->headers == nullptr || kept->text.overflowed() || kept->lines >= kMaxHeaders) return;
  std::uint64_t header = 0;
  if (line.is_vdso()) header = line.start();
  if (line.is_of(kept->header)) header = kept->header.start;
  kept->headers[kept->lines++] = header;
}

// Keeps the executable ones of whole lines; returns where the unfinished one starts.
SIPROF_SIGNAL_SAFE std::size_t keep_lines(const char* buffer, std::size_t size, Kept* kept) {
  std::size_t line = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (buffer[i] != '\n') continue;
    keep(split(buffer + line, buffer + i), kept);
    line = i + 1;
  }
  return line;
}

}  // namespace

MapsText read_executable_maps(char* out, std::size_t capacity, std::uint64_t* headers) {
  Kept kept{TextBuffer(out, capacity), headers, 0, {}};
  MapsText maps{out, 0, false, headers};
  const long fd = sys::call(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return maps;
  char buffer[4096];
  std::size_t left = 0;
  for (std::size_t total = 0; total < kMostBytes;) {
    const long got = sys::call(SYS_read, fd, buffer + left, sizeof(buffer) - left);
    if (got <= 0) {
      maps.complete = got == 0 && !kept.text.overflowed();
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
  maps.bytes = kept.text.size();
  return maps;
}

bool take_line(const MapsText& maps, const char** at, MapsLine* line) {
  const char* end = maps.text + maps.bytes;
  const char* text = *at;
  while (*at < end && **at != '\n') ++*at;
  if (*at == end) return false;
  const Line parts = split(text, *at);
  const char* limit = text;
  parse_hex(&limit);
  if (*limit == '-') ++limit;
  line->start = parts.start();
  line->end = parse_hex(&limit);
  line->file_offset = parts.offset;
  line->has_file = parts.has_file() || parts.is_vdso();
  ++*at;
  return true;
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
