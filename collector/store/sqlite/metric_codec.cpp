// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/metric_codec.h"

#include <bit>
#include <cmath>

namespace siprof::collector::sqlite {
namespace {

// Whole numbers up to here are the same as a double, and have room for their sign and the mark.
constexpr double kMostWhole = 9'007'199'254'740'992;
constexpr std::uint64_t kIsDouble = 1;

absl::Status damaged_metrics() {
  return damaged("window of metrics");
}

void put_value(std::string& out, double value) {
  if (std::trunc(value) == value && std::abs(value) <= kMostWhole) {
    const auto number = static_cast<std::int64_t>(value);
    const std::uint64_t zigzag =
        (static_cast<std::uint64_t>(number) << 1) ^ static_cast<std::uint64_t>(number >> 63);
    return put_varint(out, zigzag << 1);
  }
  put_varint(out, kIsDouble);
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (unsigned shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(bits >> shift));
}

double next_value(VarintReader& reader, bool& known) {
  const std::uint64_t number = reader.next();
  if (number == kIsDouble) return std::bit_cast<double>(reader.next_fixed64());
  known = known && (number & 1) == 0;
  const std::uint64_t zigzag = number >> 1;
  return static_cast<double>(static_cast<std::int64_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1)));
}

// Each pair takes two bytes at least, so a damaged count reserves no memory.
bool fits(std::uint64_t pairs, const VarintReader& reader) {
  return reader.ok() && pairs <= reader.left() / 2;
}

bool read_set(VarintReader& reader, MetricSet& set) {
  set.labels.clear();
  set.points.clear();
  const std::uint64_t labels = reader.next();
  if (!fits(labels, reader)) return false;
  for (std::uint64_t i = 0; i < labels; ++i) {
    const auto name = static_cast<std::int64_t>(reader.next());
    set.labels.emplace_back(name, static_cast<std::int64_t>(reader.next()));
  }
  const std::uint64_t points = reader.next();
  if (!fits(points, reader)) return false;
  bool known = true;
  for (std::uint64_t i = 0; i < points; ++i) {
    const auto metric = static_cast<std::int64_t>(reader.next());
    const double value = next_value(reader, known);
    known = known && std::isfinite(value);
    set.points.emplace_back(metric, value);
  }
  return reader.ok() && known;
}

}  // namespace

std::string MetricEncoder::encode(const std::vector<MetricSet>& sets) {
  std::string raw;
  put_varint(raw, sets.size());
  for (const MetricSet& set : sets) {
    put_varint(raw, set.labels.size());
    for (const auto& [name, value] : set.labels) {
      put_varint(raw, static_cast<std::uint64_t>(name));
      put_varint(raw, static_cast<std::uint64_t>(value));
    }
    put_varint(raw, set.points.size());
    for (const auto& [metric, value] : set.points) {
      put_varint(raw, static_cast<std::uint64_t>(metric));
      put_value(raw, value);
    }
  }
  return packer_.pack(raw);
}

absl::Status MetricDecoder::decode(absl::string_view bytes,
                                   absl::FunctionRef<absl::Status(const MetricSet&)> visit) {
  const absl::StatusOr<absl::string_view> raw = unpacker_.unpack(bytes);
  if (!raw.ok()) return raw.status();
  VarintReader reader(*raw);
  const std::uint64_t sets = reader.next();
  if (!fits(sets, reader)) return damaged_metrics();
  for (std::uint64_t i = 0; i < sets; ++i) {
    if (!read_set(reader, set_)) return damaged_metrics();
    if (absl::Status status = visit(set_); !status.ok()) return status;
  }
  return reader.left() == 0 ? absl::OkStatus() : damaged_metrics();
}

}  // namespace siprof::collector::sqlite
