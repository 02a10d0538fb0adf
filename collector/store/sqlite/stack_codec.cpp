// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/stack_codec.h"

namespace siprof::collector::sqlite {
namespace {

absl::Status damaged_profile() {
  return damaged("profile");
}

absl::Status parse(absl::string_view raw, StackValues& out) {
  VarintReader reader(raw);
  const std::uint64_t count = reader.next();
  const std::uint64_t types = reader.next();
  // Every id and value takes a byte at least.
  if (!reader.ok() || types == 0 || types > 64 || count > reader.left() ||
      count * (types + 1) > reader.left())
    return damaged_profile();
  out.types = static_cast<int>(types);
  out.ids.resize(count);
  out.values.resize(count * types);
  std::uint64_t id = 0;
  for (std::uint32_t& slot : out.ids) slot = static_cast<std::uint32_t>(id += reader.next());
  for (std::int64_t& slot : out.values) slot = static_cast<std::int64_t>(reader.next());
  return reader.ok() && reader.left() == 0 && id <= UINT32_MAX ? absl::OkStatus() : damaged_profile();
}

}  // namespace

std::string StackEncoder::encode(const StackValues& stacks) {
  std::string raw;
  raw.reserve(16 + 2 * (stacks.ids.size() + stacks.values.size()));
  put_varint(raw, stacks.ids.size());
  put_varint(raw, static_cast<std::uint64_t>(stacks.types));
  std::uint32_t last = 0;
  for (const std::uint32_t id : stacks.ids) {
    put_varint(raw, id - last);
    last = id;
  }
  for (const std::int64_t value : stacks.values) put_varint(raw, static_cast<std::uint64_t>(value));
  return packer_.pack(raw);
}

absl::Status StackDecoder::decode(absl::string_view bytes, StackValues& out) {
  const absl::StatusOr<absl::string_view> raw = unpacker_.unpack(bytes);
  return raw.ok() ? parse(*raw, out) : raw.status();
}

std::string encode_counters(const Counters& counters) {
  std::string out;
  for (const auto& [name, value] : counters) {
    put_varint(out, name);
    put_varint(out, value);
  }
  return out;
}

absl::StatusOr<Counters> decode_counters(absl::string_view bytes) {
  Counters counters;
  VarintReader reader(bytes);
  while (reader.ok() && reader.left() > 0) {
    const std::uint64_t name = reader.next();
    counters.emplace_back(name, reader.next());
  }
  if (!reader.ok()) return damaged_profile();
  return counters;
}

}  // namespace siprof::collector::sqlite
