// SPDX-License-Identifier: Apache-2.0
// See code_scan.h. x86-64.
#include "collector-client/python/code_scan.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>

namespace siprof::client {
namespace {

constexpr std::uint64_t kMostFunctionBytes = 16u << 20;
constexpr std::uint64_t kMostTextBytes = 256u << 20;
constexpr std::size_t kLeastJumps = 2;  // to different places of a part
constexpr std::size_t kMostCalls = 1024;

std::uint8_t byte_at(std::span<const std::byte> code, std::size_t at) {
  return static_cast<std::uint8_t>(code[at]);
}

// Where a distance of 4 bytes at `at` leads; `address` is that of code[0].
std::uint64_t target_at(std::span<const std::byte> code, std::size_t at, std::uint64_t address) {
  std::int32_t distance;
  std::memcpy(&distance, code.data() + at, sizeof distance);
  return address + at + sizeof distance + static_cast<std::uint64_t>(std::int64_t{distance});
}

// Which code has unwind information, by the sorted table of .eh_frame_hdr.
class FrameTable {
 public:
  explicit FrameTable(const ElfImage& image) : image_(image), header_(image.eh_frame_header()) {
    // Version 1, a pointer of 4 bytes, a count of 4 bytes, a table of pairs of distances from here: what
    // linkers write.
    constexpr std::uint8_t kCount = 0x03;
    constexpr std::uint8_t kPairs = 0x3b;
    const auto bytes = header_ != 0 ? image.at(header_) : std::span<const std::byte>();
    if (bytes.size() < 12 || byte_at(bytes, 0) != 1 || byte_at(bytes, 2) != kCount ||
        byte_at(bytes, 3) != kPairs)
      return;
    std::uint32_t count;
    std::memcpy(&count, bytes.data() + 8, sizeof count);
    pairs_ = bytes.subspan(12);
    count_ = std::min<std::uint64_t>(count, pairs_.size() / 8);
  }

  // The entry that covers the address.
  std::optional<AddressRange> find(std::uint64_t address) const {
    std::uint64_t low = 0;
    std::uint64_t high = count_;
    while (low < high) {
      const std::uint64_t middle = (low + high) / 2;
      if (word(middle, 0) <= address)
        low = middle + 1;
      else
        high = middle;
    }
    if (low == 0) return std::nullopt;
    const AddressRange range = entry(low - 1);
    return range.contains(address) ? std::optional(range) : std::nullopt;
  }

 private:
  // The pair's `which`th word, as an address.
  std::uint64_t word(std::uint64_t index, std::uint64_t which) const {
    std::int32_t distance;
    std::memcpy(&distance, pairs_.data() + index * 8 + which * 4, sizeof distance);
    return header_ + static_cast<std::uint64_t>(std::int64_t{distance});
  }
  // Its own length where it has the usual form; else to the next one.
  AddressRange entry(std::uint64_t index) const {
    const std::uint64_t start = word(index, 0);
    const std::uint64_t place = word(index, 1);
    const auto bytes = image_.at(place);
    if (bytes.size() >= 16 && target_at(bytes, 8, place) - 4 == start) {
      std::uint32_t length;
      std::memcpy(&length, bytes.data() + 12, sizeof length);
      return {start, start + length};
    }
    return {start, index + 1 < count_ ? word(index + 1, 0) : start};
  }

  const ElfImage& image_;
  std::uint64_t header_;
  std::span<const std::byte> pairs_;
  std::uint64_t count_ = 0;
};

// Of "jmp *slot(%rip)", which a PLT stub has after an endbr64 and a prefix, or at its beginning.
std::set<std::uint64_t> stubs_of(const ElfImage& image, const Segment& segment,
                                 const std::set<std::uint64_t>& slots) {
  std::set<std::uint64_t> jumps;
  const auto code = image.at(segment.address);
  for (std::size_t i = 0; i + 6 <= code.size() && i < kMostTextBytes; ++i) {
    if (byte_at(code, i) != 0xff || byte_at(code, i + 1) != 0x25) continue;
    if (slots.contains(target_at(code, i + 2, segment.address))) jumps.insert(segment.address + i);
  }
  return jumps;
}

bool is_stub(const std::set<std::uint64_t>& jumps, std::uint64_t address) {
  constexpr std::uint64_t kBeforeJump = 5;
  const auto jump = jumps.lower_bound(address);
  return jump != jumps.end() && *jump - address <= kBeforeJump;
}

}  // namespace

bool contains(std::span<const AddressRange> ranges, std::uint64_t address) {
  const auto after = std::ranges::upper_bound(ranges, address, {}, &AddressRange::start);
  return after != ranges.begin() && std::prev(after)->contains(address);
}

std::vector<AddressRange> parts_of_function(const ElfImage& image, AddressRange function) {
  std::vector<AddressRange> parts{function};
  const std::uint64_t bytes = std::min(function.end - function.start, kMostFunctionBytes);
  auto code = image.at(function.start);
  code = code.first(std::min<std::uint64_t>(code.size(), bytes));
  const FrameTable table(image);
  std::map<std::uint64_t, std::pair<AddressRange, std::set<std::uint64_t>>>
      found;  // by where the part starts
  for (std::size_t i = 0; i + 6 <= code.size(); ++i) {
    // jmp, jcc
    const bool is_jump = byte_at(code, i) == 0xe9;
    const bool is_branch = byte_at(code, i) == 0x0f && (byte_at(code, i + 1) & 0xf0) == 0x80;
    if (!is_jump && !is_branch) continue;
    const std::uint64_t target = target_at(code, i + (is_jump ? 1 : 2), function.start);
    if (function.contains(target)) continue;
    const std::optional<AddressRange> part = table.find(target);
    // To the beginning of another function: a call at the end of this one.
    if (!part || part->start == target) continue;
    auto& [range, targets] = found[part->start];
    range = *part;
    targets.insert(target);
  }
  for (const auto& [start, part] : found)
    if (part.second.size() >= kLeastJumps) parts.push_back(part.first);
  std::ranges::sort(parts, {}, &AddressRange::start);
  return parts;
}

std::vector<AddressRange> calls_through(const ElfImage& image, std::span<const std::uint64_t> slots) {
  const std::set<std::uint64_t> wanted(slots.begin(), slots.end());
  std::vector<AddressRange> calls;
  if (wanted.empty()) return calls;
  std::set<std::uint64_t> jumps;
  for (const Segment& segment : image.segments())
    if (segment.executable) jumps.merge(stubs_of(image, segment, wanted));
  for (const Segment& segment : image.segments()) {
    if (!segment.executable) continue;
    const auto code = image.at(segment.address);
    for (std::size_t i = 0; i + 6 <= code.size() && i < kMostTextBytes && calls.size() < kMostCalls; ++i) {
      const std::uint64_t at = segment.address + i;
      if (byte_at(code, i) == 0xe8 && is_stub(jumps, target_at(code, i + 1, segment.address)))
        calls.push_back({at, at + 5});
      if (byte_at(code, i) == 0xff && byte_at(code, i + 1) == 0x15 &&
          wanted.contains(target_at(code, i + 2, segment.address)))
        calls.push_back({at, at + 6});
    }
  }
  std::ranges::sort(calls, {}, &AddressRange::start);
  return calls;
}

}  // namespace siprof::client
