// SPDX-License-Identifier: Apache-2.0
// zlib's inflate over one gzip member, with a ceiling on the output.
#include "collector/ingest/gunzip.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace siprof::collector {
namespace {

constexpr std::size_t kTrailerBytes = 8;  // RFC 1952: CRC32, ISIZE
constexpr int kGzipOnly = MAX_WBITS + 16;

// The trailer says how much comes out (modulo 2^32). Only a hint: believed up to a ratio that profiles
// have, or a few bytes that lie would cost an allocation of `max_bytes` each.
constexpr std::size_t kBelievedRatio = 16;
std::size_t claimed_bytes(std::string_view compressed) {
  if (compressed.size() < kTrailerBytes) return 0;
  std::uint32_t size;
  std::memcpy(&size, compressed.data() + compressed.size() - sizeof(size), sizeof(size));
  return std::min<std::size_t>(size, compressed.size() * kBelievedRatio);
}

absl::Status too_large(std::size_t max_bytes) {
  return absl::ResourceExhaustedError(
      absl::StrCat("gzip: more than ", max_bytes, " bytes when decompressed"));
}

// Inflates into `out`, growing it up to `max_bytes`; `out` is cut to what came.
absl::Status inflate_all(z_stream& stream, std::size_t max_bytes, std::string& out) {
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + stream.total_out);
    stream.avail_out = static_cast<uInt>(out.size() - stream.total_out);
    const int result = inflate(&stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END) break;
    if (result != Z_OK && result != Z_BUF_ERROR) {
      return absl::DataLossError(absl::StrCat("gzip: ", stream.msg ? stream.msg : "corrupt data"));
    }
    if (stream.avail_out > 0) return absl::DataLossError("gzip: data is cut off");
    // One byte beyond the bound is allowed for, so that reaching it is seen here.
    if (out.size() > max_bytes) return too_large(max_bytes);
    out.resize(std::min(max_bytes + 1, out.size() * 2));
  }
  if (stream.total_out > max_bytes) return too_large(max_bytes);
  if (stream.avail_in > 0) return absl::DataLossError("gzip: bytes after the end of the data");
  out.resize(stream.total_out);
  return absl::OkStatus();
}

}  // namespace

bool is_gzip(std::string_view bytes) {
  return bytes.starts_with("\x1f\x8b");
}

absl::StatusOr<std::string> gunzip(std::string_view compressed, std::size_t max_bytes) {
  if (compressed.size() > std::numeric_limits<uInt>::max()) return too_large(max_bytes);
  z_stream stream{};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) return absl::ResourceExhaustedError("gzip: out of memory");
  const absl::Cleanup end = [&stream] { inflateEnd(&stream); };
  // zlib's interface isn't const-correct; the input is only read.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string out(std::clamp<std::size_t>(claimed_bytes(compressed) + 1, 4096, max_bytes + 1), '\0');
  if (auto status = inflate_all(stream, max_bytes, out); !status.ok()) return status;
  return out;
}

}  // namespace siprof::collector
