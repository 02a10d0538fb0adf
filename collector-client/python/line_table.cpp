// SPDX-License-Identifier: Apache-2.0
// See line_table.h.
#include "collector-client/python/line_table.h"

#include "collector-client/python/layouts.h"

namespace siprof::client {
namespace {

constexpr std::int64_t kMostLine = 0x7fffffff;

std::uint8_t byte_of(std::span<const std::byte> table, std::size_t at) {
  return static_cast<std::uint8_t>(table[at]);
}

std::optional<std::uint32_t> checked(std::int64_t line) {
  if (line <= 0 || line > kMostLine) return std::nullopt;
  return static_cast<std::uint32_t>(line);
}

// 3.8, 3.9: pairs of how many bytes later how many lines on; the last pair that begins by then counts.
std::optional<std::uint32_t> line_in_lnotab(std::span<const std::byte> table, std::int64_t line,
                                            std::uint64_t offset) {
  std::uint64_t address = 0;
  for (std::size_t at = 0; at + 2 <= table.size(); at += 2) {
    address += byte_of(table, at);
    if (address > offset) break;
    line += static_cast<std::int8_t>(byte_of(table, at + 1));
  }
  return checked(line);
}

// 3.10: pairs of how many bytes an entry covers and how many lines on it is; -128: it is of no line.
std::optional<std::uint32_t> line_in_pairs(std::span<const std::byte> table, std::int64_t line,
                                           std::uint64_t offset) {
  constexpr std::int8_t kNoLine = -128;
  std::uint64_t end = 0;
  for (std::size_t at = 0; at + 2 <= table.size(); at += 2) {
    const auto delta = static_cast<std::int8_t>(byte_of(table, at + 1));
    if (delta != kNoLine) line += delta;
    end += byte_of(table, at);
    if (offset < end) return delta == kNoLine ? std::nullopt : checked(line);
  }
  return std::nullopt;
}

// 6 bits a byte, the least first; bit 6: more follow.
std::uint64_t varint_at(std::span<const std::byte> table, std::size_t at) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; at < table.size() && shift < 36; ++at, shift += 6) {
    const std::uint8_t byte = byte_of(table, at);
    value |= std::uint64_t{byte & 0x3fu} << shift;
    if ((byte & 0x40) == 0) break;
  }
  return value;
}

// The sign is in the least bit.
std::int64_t signed_varint_at(std::span<const std::byte> table, std::size_t at) {
  const std::uint64_t value = varint_at(table, at);
  const auto half = static_cast<std::int64_t>(value >> 1);
  return (value & 1) != 0 ? -half : half;
}

constexpr unsigned kCodeNone = 15;
constexpr unsigned kCodeLong = 14;
constexpr unsigned kCodeNoColumns = 13;
constexpr unsigned kCodeOneLine0 = 10;  // to 12: so many lines on

std::int64_t line_delta(std::span<const std::byte> table, std::size_t at, unsigned code) {
  if (code == kCodeLong || code == kCodeNoColumns) return signed_varint_at(table, at + 1);
  return code >= kCodeOneLine0 && code < kCodeNoColumns ? code - kCodeOneLine0 : 0;
}

// 3.11 and later: entries whose first byte alone has bit 7, of 1 to 8 words of bytecode each.
std::optional<std::uint32_t> line_in_locations(std::span<const std::byte> table, std::int64_t line,
                                               std::uint64_t word) {
  std::uint64_t end = 0;
  for (std::size_t at = 0; at < table.size();) {
    const std::uint8_t first = byte_of(table, at);
    const unsigned code = first >> 3 & 15;
    if (code != kCodeNone) line += line_delta(table, at, code);
    end += (first & 7u) + 1;
    if (word < end) return code == kCodeNone ? std::nullopt : checked(line);
    do {
      ++at;
    } while (at < table.size() && (byte_of(table, at) & 0x80) == 0);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> line_of(std::uint16_t version, std::span<const std::byte> table,
                                     std::uint32_t first_line, std::uint32_t instruction) {
  const std::uint64_t offset = std::uint64_t{instruction} * 2;
  if (version >= python_version(3, 11)) return line_in_locations(table, first_line, instruction);
  if (version == python_version(3, 10)) return line_in_pairs(table, first_line, offset);
  return line_in_lnotab(table, first_line, offset);
}

}  // namespace siprof::client
