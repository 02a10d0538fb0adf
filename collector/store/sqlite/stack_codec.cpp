// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/stack_codec.h"

namespace siprof::collector::sqlite {
namespace {

constexpr char kRaw = 0;
constexpr char kZstd = 1;
constexpr int kLevel = 1;  // 6 made the same size at a third of the speed
// A profile has at most 4 MiB of pprof; this only stops a damaged length.
constexpr std::uint64_t kMaxRawBytes = 256u << 20;

void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

class VarintReader {
 public:
  explicit VarintReader(absl::string_view bytes)
      : at_(reinterpret_cast<const unsigned char*>(bytes.data())), end_(at_ + bytes.size()) {}

  std::uint64_t next() {
    if (at_ < end_ && *at_ < 0x80) [[likely]]
      return *at_++;
    std::uint64_t value = 0;
    for (int shift = 0; at_ < end_ && shift < 64; shift += 7) {
      const std::uint64_t byte = *at_++;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  bool ok() const { return ok_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

 private:
  const unsigned char* at_;
  const unsigned char* end_;
  bool ok_ = true;
};

absl::Status damaged() {
  return absl::DataLossError("a stored profile is damaged");
}

absl::Status parse(absl::string_view raw, StackValues& out) {
  VarintReader reader(raw);
  const std::uint64_t count = reader.next();
  const std::uint64_t types = reader.next();
  // Every id and value takes a byte at least.
  if (!reader.ok() || types == 0 || types > 64 || count > reader.left() ||
      count * (types + 1) > reader.left())
    return damaged();
  out.types = static_cast<int>(types);
  out.ids.resize(count);
  out.values.resize(count * types);
  std::uint64_t id = 0;
  for (std::uint32_t& slot : out.ids) slot = static_cast<std::uint32_t>(id += reader.next());
  for (std::int64_t& slot : out.values) slot = static_cast<std::int64_t>(reader.next());
  return reader.ok() && reader.left() == 0 && id <= UINT32_MAX ? absl::OkStatus() : damaged();
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
  std::string out(1 + ZSTD_compressBound(raw.size()), kZstd);
  const std::size_t size =
      ZSTD_compressCCtx(context_.get(), out.data() + 1, out.size() - 1, raw.data(), raw.size(), kLevel);
  if (ZSTD_isError(size) || size >= raw.size()) return kRaw + raw;
  out.resize(1 + size);
  return out;
}

absl::Status StackDecoder::decode(absl::string_view bytes, StackValues& out) {
  if (bytes.empty()) return damaged();
  const absl::string_view rest = bytes.substr(1);
  if (bytes[0] == kRaw) return parse(rest, out);
  if (bytes[0] != kZstd) return damaged();
  const unsigned long long size = ZSTD_getFrameContentSize(rest.data(), rest.size());
  if (size > kMaxRawBytes) return damaged();  // also the two error values
  raw_.resize(size);
  const std::size_t got =
      ZSTD_decompressDCtx(context_.get(), raw_.data(), raw_.size(), rest.data(), rest.size());
  if (ZSTD_isError(got) || got != size) return damaged();
  return parse(raw_, out);
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
  if (!reader.ok()) return damaged();
  return counters;
}

}  // namespace siprof::collector::sqlite
