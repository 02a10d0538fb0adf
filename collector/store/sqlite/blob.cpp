// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/blob.h"

#include "absl/strings/str_cat.h"

namespace siprof::collector::sqlite {
namespace {

constexpr char kRaw = 0;
constexpr char kZstd = 1;
constexpr int kLevel = 1;  // 6 made the same size at a third of the speed
// A profile has at most 4 MiB of pprof; this only stops a damaged length.
constexpr std::uint64_t kMaxRawBytes = 256u << 20;

}  // namespace

absl::Status damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("a stored ", what, " is damaged"));
}

void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

std::uint64_t VarintReader::next_fixed64() {
  std::uint64_t value = 0;
  if (left() < sizeof value) {
    ok_ = false;
    return 0;
  }
  for (unsigned shift = 0; shift < 64; shift += 8) value |= std::uint64_t{*at_++} << shift;
  return value;
}

std::string BlobPacker::pack(absl::string_view raw) {
  std::string out(1 + ZSTD_compressBound(raw.size()), kZstd);
  const std::size_t size =
      ZSTD_compressCCtx(context_.get(), out.data() + 1, out.size() - 1, raw.data(), raw.size(), kLevel);
  if (ZSTD_isError(size) || size >= raw.size()) return absl::StrCat(absl::string_view(&kRaw, 1), raw);
  out.resize(1 + size);
  return out;
}

absl::StatusOr<absl::string_view> BlobUnpacker::unpack(absl::string_view bytes) {
  if (bytes.empty()) return damaged("value");
  const absl::string_view rest = bytes.substr(1);
  if (bytes[0] == kRaw) return rest;
  if (bytes[0] != kZstd) return damaged("value");
  const unsigned long long size = ZSTD_getFrameContentSize(rest.data(), rest.size());
  if (size > kMaxRawBytes) return damaged("value");  // also the two error values
  raw_.resize(size);
  const std::size_t got =
      ZSTD_decompressDCtx(context_.get(), raw_.data(), raw_.size(), rest.data(), rest.size());
  if (ZSTD_isError(got) || got != size) return damaged("value");
  return absl::string_view(raw_);
}

}  // namespace siprof::collector::sqlite
